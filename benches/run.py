#!/usr/bin/env python3
"""All benches in turn, with whatever they need made, fetched, installed or built first.

    cargo build --release && python3 benches/run.py [--runs N] [--inputs A,B] [--peers A,B] [--only BENCH,...]

| bench | what |
|---|---|
| convert | CSV to Snappy Parquet beside other people's tools, each output checked |
| flat | peak memory on an input that is several times as large |
| framing | CSV to Snappy CSV and back beside the `snap` crate |
| steps | each step of a conversion alone, and the roofline that they make |
| instructions | instructions of a conversion, compared with the recorded ones |

About a quarter of an hour. Results go to benches/results, made files to benches/.work (3 GB).
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from processes import HERE, RESULTS, WORK, enter_environment

BENCHES = ["convert", "flat", "framing", "steps", "instructions"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(BENCHES), metavar="BENCH,...", help="a selection, by commas")
    parser.add_argument("--inputs", metavar="INPUT,...", help="of convert, steps and instructions")
    parser.add_argument("--peers", metavar="PEER,...", help="of convert; '' for none")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gristmill", type=Path, help="the binary; else the one that cargo built")
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--record", action="store_true", help="record the instructions as the ones to compare with")
    options = parser.parse_args()
    unknown = [name for name in options.only.split(",") if name not in BENCHES]
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    return options


def command(bench, options):
    inputs = options.inputs.split(",") if options.inputs else []
    words = [*(inputs if bench in ("convert", "steps", "instructions") else []),
             "--work", options.work, "--results", options.results]
    if bench != "instructions":
        words += ["--threads", options.threads]
    # Memory needs no more runs than flat.py takes by itself.
    if bench in ("convert", "framing", "steps"):
        words += ["--runs", options.runs]
    if options.gristmill:
        words += ["--gristmill", options.gristmill]
    if bench == "convert" and options.peers is not None:
        words += ["--peers", options.peers]
    if bench == "instructions" and options.record:
        words += ["--record"]
    return [sys.executable, HERE / f"{bench}.py", *map(str, words)]


def main():
    options = arguments()
    # The data comes from tpchgen-cli, which is installed with the peers.
    enter_environment(["duckdb"])
    failed = []
    for bench in options.only.split(","):
        begun = time.monotonic()
        print(f"== {bench}", flush=True)
        if subprocess.run(command(bench, options)).returncode != 0:
            failed.append(bench)
        print(f"== {bench}: {time.monotonic() - begun:.0f} s", flush=True)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
