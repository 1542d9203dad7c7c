#!/usr/bin/env python3
"""Peak memory of `gristmill convert` as its input grows: it should stay where it is.

    python3 benches/flat.py [INPUT:TIMES,TIMES...]... [--runs N] [--threads N]

By default `flights:1,10,100 lineitem:1,3`: each input's rows so many times over in one file, which is
removed afterwards. What the disk has no room for is left out, and the results say so.
"""

import argparse
import os
import shutil
import sys

from inputs import input_file
from processes import add_options, begun, binary, keep_to_cores, preamble, store, timed

CASES = ["flights:1,10,100", "lineitem:1,3"]
COPY_BYTES = 1 << 18
# Left free on the disk beside the large input and its output.
SPARE_BYTES = 4 << 30
# How much higher the peak may be on the large input.
BOUND = 1.10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=CASES, metavar="INPUT:TIMES,TIMES...")
    parser.add_argument("--label", default="flat", help="the results' file name")
    add_options(parser, runs=2)
    return parser.parse_args()


def repeat(source, target, times):
    """Writes the header once and the rows so many times. The input must end with a line end."""
    with open(source, "rb") as read, open(target, "wb") as write:
        header = read.readline()
        write.write(header)
        for _ in range(times):
            read.seek(len(header))
            shutil.copyfileobj(read, write, COPY_BYTES)


def peaks(gristmill, source, options):
    output = options.work / "flat.parquet"
    runs = []
    for _ in range(options.runs):
        command = [gristmill, "convert", source, output, "--threads", str(options.threads), "--overwrite"]
        runs.append(timed(command, options.work / "log"))
        print(f"  {source.name}", runs[-1], flush=True)
    output.unlink(missing_ok=True)
    failed = [run["failed"] for run in runs if "failed" in run]
    if failed:
        sys.exit(f"gristmill failed on {source.name}: {failed[0]}")
    return {"bytes": source.stat().st_size, "peak_bytes": max(run["peak_bytes"] for run in runs), "runs": runs}


def measure(gristmill, source, times, options):
    needed = source.stat().st_size * times * 3 // 2 + SPARE_BYTES
    free = shutil.disk_usage(options.work).free
    if free < needed:
        return {"times": times, "left_out": f"needs {needed / 1e9:.0f} GB of disk, {free / 1e9:.0f} GB are free"}
    if times == 1:
        return {"times": times, **peaks(gristmill, source, options)}
    large = options.work / f"{source.stem}-{times}.csv"
    try:
        repeat(source, large, times)
        return {"times": times, **peaks(gristmill, large, options)}
    finally:
        large.unlink(missing_ok=True)


def measure_all(gristmill, case, options):
    """An input, each so many times over; with the growth of the peak from one to the next."""
    name, _, times = case.rpartition(":")
    source = input_file(name, options.work)
    sizes, before = [], None
    for number in times.split(","):
        sizes.append(measure(gristmill, source, int(number), options))
        peak = sizes[-1].get("peak_bytes")
        if peak and before:
            sizes[-1]["growth"] = round(peak / before, 3)
        before = peak
    return {"input": source.name, "sizes": sizes}


def markdown(results):
    lines = preamble("flat: peak memory as the input grows", results)
    lines += ["", f"The highest of all runs, and how many times as high it is as in the line above; {BOUND:.2f} is "
              "the aim once an input fills the pipeline.", "",
              "| input | times | MB | peak MB | growth |", "|---|---|---|---|---|"]
    for case in results["cases"]:
        for size in case["sizes"]:
            if "left_out" in size:
                lines.append(f"| {case['input']} | {size['times']} | left out: {size['left_out']} ||| ")
                continue
            growth = f"{size['growth']:.2f}" if "growth" in size else ""
            lines.append(f"| {case['input']} | {size['times']} | {size['bytes'] / 1e6:.0f} "
                         f"| {size['peak_bytes'] / 1e6:.0f} | {growth} |")
    return lines


def main():
    options = arguments()
    gristmill = binary(options.gristmill)
    options.work.mkdir(parents=True, exist_ok=True)
    options.threads = keep_to_cores(options.threads)
    results = begun(gristmill, options)
    results["cases"] = [measure_all(gristmill, case, options) for case in options.cases]
    results["load_average_at_end"] = os.getloadavg()
    store(options.label, results, markdown(results), options.results)


if __name__ == "__main__":
    main()
