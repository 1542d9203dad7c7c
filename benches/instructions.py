#!/usr/bin/env python3
"""Counts the instructions of `gristmill convert` on the head of each input, and says what changed.

    python3 benches/instructions.py [INPUT]... [--record] [--limit PERCENT]

Seconds are noise on a busy machine; instructions hold steady to about a thousandth. Each input's first
20 MB, one thread, under `valgrind --tool=callgrind`; compared with results/instructions.json, which
`--record` writes anew. With `--limit`, more instructions by so many per cent are a failure.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from inputs import head, input_file
from processes import RESULTS, WORK, binary, version

INPUTS = ["lineitem", "flights", "features", "messy"]
HEAD_BYTES = 20_000_000
# Functions named beside the total, those with the most instructions of their own.
FUNCTIONS = 12


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", default=INPUTS, metavar="INPUT")
    parser.add_argument("--to", default="parquet", choices=["parquet", "csv.sz"], help="what to convert to")
    parser.add_argument("--record", action="store_true", help="write the numbers, beside those of other inputs")
    parser.add_argument("--limit", type=float, metavar="PERCENT", help="fail if an input takes more by so much")
    parser.add_argument("--gristmill", type=Path, help="the binary; else the one that cargo built")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def count(gristmill, source, options):
    """Instructions of one run, and the functions with the most of their own."""
    output, profile = options.work / f"head.{options.to}", options.work / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}",
               gristmill, "convert", source, output, "--threads", "1", "--overwrite"]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"gristmill failed on {source.name} under valgrind: {ran.stderr[-1000:]}")
    output.unlink()
    total = re.search(r"^(?:summary|totals): (\d+)", profile.read_text(), re.MULTILINE)
    found = functions(profile)
    profile.unlink()
    return int(total[1]), found


def functions(profile):
    """As callgrind_annotate lists them: instructions, share and name."""
    listed = subprocess.run(["callgrind_annotate", profile], capture_output=True, text=True)
    found = []
    for line in listed.stdout.splitlines():
        row = re.match(r"\s*([\d,]+) \(\s*([\d.]+)%\)\s+\S*?:(.+?)(?: \[.*\])?$", line)
        if row and len(found) < FUNCTIONS:
            found.append({"function": row[3], "instructions": int(row[1].replace(",", ""))})
    return found


def compared(measured, before):
    """The change against the record in per cent; none where the slice is another one."""
    if before is None or before["bytes"] != measured["bytes"]:
        return None
    return round((measured["instructions"] / before["instructions"] - 1) * 100, 2)


def main():
    options = arguments()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not there: apt-get install valgrind")
    gristmill = binary(options.gristmill)
    options.work.mkdir(parents=True, exist_ok=True)
    record = options.results / "instructions.json"
    recorded = json.loads(record.read_text()) if record.exists() else {"inputs": {}}
    before, worse = dict(recorded["inputs"]), []
    print(f"{'input':<20} {'bytes':>12} {'instructions':>16} {'a byte':>8}  against the record")
    for name in options.inputs:
        source = head(input_file(name, options.work), options.work / "head.csv", HEAD_BYTES)
        key = f"{Path(name).stem} to {options.to}"
        instructions, top = count(gristmill, source, options)
        measured = {"bytes": source.stat().st_size, "instructions": instructions,
                    "instructions_per_byte": round(instructions / source.stat().st_size, 2), "functions": top}
        source.unlink()
        change = compared(measured, before.get(key))
        said = "none" if change is None else f"{change:+.2f} %"
        print(f"{key:<20} {measured['bytes']:>12,} {instructions:>16,} {measured['instructions_per_byte']:>8}  {said}")
        recorded["inputs"][key] = measured
        if options.limit is not None and change is not None and change > options.limit:
            worse.append(f"{key}: {said}")
    if options.record:
        recorded.update(commit=version(["git", "describe", "--always", "--dirty"]),
                        valgrind=version(["valgrind", "--version"]), head_bytes=HEAD_BYTES)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(recorded, indent=1) + "\n")
    sys.exit("more instructions than recorded: " + ", ".join(worse) if worse else 0)


if __name__ == "__main__":
    main()
