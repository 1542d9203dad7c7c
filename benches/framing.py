#!/usr/bin/env python3
"""Times x.csv to x.csv.sz and back: gristmill beside the `snap` crate's own framing on one thread.

    python3 benches/framing.py [INPUT]... [--runs N] [--threads N] [--snap BINARY]

The `snap` process is an example of the tabular crate (crates/tabular/examples/snap_frames.rs), which
cargo builds first. Each expands what the other has compressed, and the text must come back byte for
byte.
"""

import argparse
import filecmp
import os
import sys
from pathlib import Path

from inputs import input_file
from processes import (add_options, begun, binary, cpu, example, into_page_cache, keep_to_cores, median, preamble,
                       store, timed)

DIRECTIONS = ["compress", "expand"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", default=["lineitem", "messy"], metavar="INPUT")
    parser.add_argument("--snap", type=Path, help="the snap process; else cargo builds it")
    parser.add_argument("--label", default="framing", help="the results' file name")
    add_options(parser)
    return parser.parse_args()


def commands(gristmill, snap, source, options):
    """Per direction and tool: a command, and what it writes. Each expands the other's file."""
    theirs, ours = options.work / "snap.csv.sz", options.work / "gristmill.csv.sz"
    threads = ["--threads", str(options.threads), "--overwrite"]
    back = {tool: options.work / f"{tool}.back.csv" for tool in ("gristmill", "snap")}
    return {
        "compress": {
            "gristmill": ([gristmill, "convert", source, ours, *threads], ours),
            "snap": ([snap, "compress", source, theirs], theirs),
        },
        "expand": {
            "gristmill": ([gristmill, "convert", theirs, back["gristmill"], *threads], back["gristmill"]),
            "snap": ([snap, "expand", ours, back["snap"]], back["snap"]),
        },
    }


def measure(gristmill, snap, source, options):
    into_page_cache(source)
    runs, wanted = [], commands(gristmill, snap, source, options)
    for direction in DIRECTIONS:
        for number in range(1, options.runs + 1):
            for tool, (command, output) in wanted[direction].items():
                output.unlink(missing_ok=True)
                result = timed(command, options.work / "log")
                if "failed" in result:
                    sys.exit(f"{tool} failed to {direction} {source.name}: {result['failed']}")
                result["output_bytes"] = output.stat().st_size
                runs.append({"direction": direction, "tool": tool, "run": number, **result})
                print(f"  {number} {direction:<8} {tool:<9}", result, flush=True)
    for tool, (_, output) in wanted["expand"].items():
        if not filecmp.cmp(source, output, shallow=False):
            sys.exit(f"{source.name} did not come back as it was from {tool}: {output}")
    for _, output in (pair for tools in wanted.values() for pair in tools.values()):
        output.unlink()
    return runs


def summary(runs):
    rows = []
    for direction in DIRECTIONS:
        of = {tool: [r for r in runs if (r["direction"], r["tool"]) == (direction, tool)]
              for tool in ("gristmill", "snap")}
        rows.append({
            "direction": direction,
            **{f"{tool}_wall_s": round(median(found, lambda r: r["wall_s"]), 3) for tool, found in of.items()},
            **{f"{tool}_cpu_s": round(median(found, cpu), 3) for tool, found in of.items()},
            **{f"{tool}_output_bytes": found[-1]["output_bytes"] for tool, found in of.items()},
            "peak_bytes": max(r["peak_bytes"] for r in of["gristmill"]),
        })
        rows[-1]["ratio"] = round(rows[-1]["snap_wall_s"] / rows[-1]["gristmill_wall_s"], 3)
    return rows


def markdown(results):
    lines = preamble("framing: CSV to Snappy CSV and back", results)
    lines += ["", "Medians. The ratio says how many times as long `snap` takes on one thread; 1.80 is the aim.", "",
              "| input | direction | gristmill wall s | CPU s | MB out | snap wall s | CPU s | MB out | ratio | peak MB |",
              "|---|---|---|---|---|---|---|---|---|---|"]
    for case in results["cases"]:
        for r in case["summary"]:
            tools = [f"{r[t + '_wall_s']:.2f} | {r[t + '_cpu_s']:.2f} | {r[t + '_output_bytes'] / 1e6:.1f}"
                     for t in ("gristmill", "snap")]
            lines.append(f"| {case['input']} | {r['direction']} | {tools[0]} | {tools[1]} "
                         f"| {r['ratio']:.2f} | {r['peak_bytes'] / 1e6:.0f} |")
    return lines


def main():
    options = arguments()
    gristmill = binary(options.gristmill)
    snap = options.snap.resolve() if options.snap else example("snap_frames")
    options.work.mkdir(parents=True, exist_ok=True)
    options.threads = keep_to_cores(options.threads)
    results = {**begun(gristmill, options), "cases": []}
    for name in options.inputs:
        source = input_file(name, options.work)
        print(f"{source.name}:", flush=True)
        runs = measure(gristmill, snap, source, options)
        results["cases"].append({"input": source.name, "bytes": source.stat().st_size, "runs": runs,
                                 "summary": summary(runs)})
    results["load_average_at_end"] = os.getloadavg()
    store(options.label, results, markdown(results), options.results)


if __name__ == "__main__":
    main()
