#!/usr/bin/env python3
"""Where the time of `gristmill convert` goes, and how near a run comes to what its steps allow.

    python3 benches/steps.py [INPUT]... [--runs N] [--threads N] [--steps BINARY]

A program (crates/tabular/examples/steps.rs, built by cargo first) runs each step alone on one thread
over the whole input, block by block, and reads its own CPU clock: a busy machine costs it little. The
roofline of a run is the sum of the steps that no CSV to Parquet can do without (read, records, convert,
snappy), spread over the threads; beside it is the sum of all that gristmill does,
encoding included. Both stand against the wall time of whole processes.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from inputs import input_file
from processes import (add_options, begun, binary, cpu, example, into_page_cache, keep_to_cores, median, preamble,
                       store, timed)

INPUTS = ["lineitem", "flights", "features", "messy"]

# How often gristmill takes each step, where the types that the beginning suggests hold: else it reads
# twice and infers once. `copy` is what the memory allows, for comparison only; `index` is part of
# `records`.
TIMES = {"read": 1, "copy": 0, "utf8": 1, "index": 0, "records": 1, "infer": 0, "convert": 1, "encode": 1,
         "snappy": 1, "write": 1}
# What no way from CSV to Snappy Parquet can do without.
NEEDED = ["read", "records", "convert", "snappy"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", default=INPUTS, metavar="INPUT")
    parser.add_argument("--steps", type=Path, help="the program; else cargo builds it")
    parser.add_argument("--label", default="steps", help="the results' file name")
    add_options(parser)
    return parser.parse_args()


def convert(gristmill, source, target, options, *more):
    command = [gristmill, "convert", source, target, "--threads", str(options.threads), "--overwrite", *more]
    result = timed(command, options.work / "log")
    if "failed" in result:
        sys.exit(f"gristmill failed on {source.name}: {result['failed']}")
    return result


def measure(gristmill, program, source, options):
    """Runs and steps in turn; of each step the run with the least CPU time."""
    into_page_cache(source)
    plain, snappy, scratch = (options.work / f"steps.{name}" for name in ("plain.parquet", "parquet", "scratch"))
    convert(gristmill, source, plain, options, "--compression", "none")
    runs, steps = [], []
    for number in range(1, options.runs + 1):
        runs.append(convert(gristmill, source, snappy, options))
        print(f"  {number} gristmill", runs[-1], flush=True)
        out = subprocess.run([program, source, plain, snappy, scratch], capture_output=True, text=True)
        if out.returncode != 0:
            sys.exit(f"the steps failed on {source.name}: {out.stderr.strip()}")
        steps.append([json.loads(line) for line in out.stdout.splitlines()])
    plain.unlink()
    snappy.unlink()
    return runs, steps


def summary(runs, steps, size, threads):
    best = [min(same, key=lambda s: s["cpu_s"]) for same in zip(*steps)]
    seconds = {s["step"]: s["cpu_s"] for s in best}
    wall = median(runs, lambda r: r["wall_s"])
    needed = sum(seconds[name] for name in NEEDED) / threads
    processor = median(runs, cpu)
    whole = sum(seconds[name] * times for name, times in TIMES.items()) / threads
    return {
        "steps": [{**s, "times": TIMES[s["step"]], "input_mb_per_cpu_s": round(size / 1e6 / max(s["cpu_s"], 1e-6))}
                  for s in best],
        "wall_s": round(wall, 3),
        "cpu_s": round(processor, 3),
        "roofline_s": round(needed, 3),
        "of_roofline": round(needed / wall, 3),
        "needed_of_cpu": round(needed * threads / processor, 3),
        "all_steps_s": round(whole, 3),
        "of_all_steps": round(whole / wall, 3),
    }


def markdown(results):
    lines = preamble("steps: the roofline of a conversion", results)
    lines += ["", f"Roofline: {', '.join(NEEDED)}, each once, spread over {results['threads']} threads. All steps: "
              "each so often as gristmill takes it. A run at its roofline would have 1.00; so would one whose CPU "
              "seconds all go into the steps of the roofline, which a busy machine shows more truly.", "",
              "| input | wall s | roofline s | of it | all steps s | of it | CPU s | roofline's part of it |",
              "|---|---|---|---|---|---|---|---|"]
    for case in results["cases"]:
        s = case["summary"]
        lines.append(f"| {case['input']} | {s['wall_s']:.2f} | {s['roofline_s']:.2f} | {s['of_roofline']:.2f} "
                     f"| {s['all_steps_s']:.2f} | {s['of_all_steps']:.2f} | {s['cpu_s']:.2f} "
                     f"| {s['needed_of_cpu']:.2f} |")
    for case in results["cases"]:
        lines += ["", f"## {case['input']}: {case['bytes'] / 1e6:.0f} MB", "",
                  "| step | CPU s | times | MB in | MB out | MB/s of the input |", "|---|---|---|---|---|---|"]
        for s in case["summary"]["steps"]:
            lines.append(f"| {s['step']} | {s['cpu_s']:.3f} | {s['times']} | {s['bytes_in'] / 1e6:.0f} "
                         f"| {s['bytes_out'] / 1e6:.0f} | {s['input_mb_per_cpu_s']} |")
    return lines


def main():
    options = arguments()
    gristmill = binary(options.gristmill)
    program = options.steps.resolve() if options.steps else example("steps")
    options.work.mkdir(parents=True, exist_ok=True)
    options.threads = keep_to_cores(options.threads)
    results = {**begun(gristmill, options), "cases": []}
    for name in options.inputs:
        source = input_file(name, options.work)
        print(f"{source.name}:", flush=True)
        runs, steps = measure(gristmill, program, source, options)
        size = source.stat().st_size
        results["cases"].append({"input": source.name, "bytes": size, "runs": runs, "steps": steps,
                                 "summary": summary(runs, steps, size, options.threads)})
    results["load_average_at_end"] = os.getloadavg()
    store(options.label, results, markdown(results), options.results)


if __name__ == "__main__":
    main()
