#!/usr/bin/env python3
"""Times CSV to Snappy Parquet: gristmill beside other people's tools, as whole processes.

    python3 benches/convert.py [INPUT]... [--runs N] [--threads N] [--peers duckdb,polars]

INPUT is `lineitem`, `flights`, `features`, `messy` (all four by default; see inputs.py) or a CSV
file with commas and a header.
`--peers ''` runs gristmill alone. The first call makes an environment with the peers
(requirements.txt) in benches/.work and goes on in it.

All tools run in turn, so that a busy machine is busy for each of them, on the same cores, with the
input in the page cache. DuckDB then compares every output, cell by cell, with the source's text under
the types that gristmill found (same_table.py). Results go to benches/results.
"""

import argparse
import os
import sys

import peers
import same_table
from inputs import input_file
from processes import (add_options, begun, binary, cpu, enter_environment, into_page_cache, keep_to_cores, median,
                       preamble, store, timed, version)

INPUTS = ["lineitem", "flights", "features", "messy"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", default=INPUTS, metavar="INPUT")
    parser.add_argument("--peers", default=",".join(peers.PROGRAMS), help="a selection, by commas")
    parser.add_argument("--label", default="convert", help="the results' file name")
    add_options(parser)
    options = parser.parse_args()
    options.peers = [p for p in options.peers.split(",") if p]
    unknown = [p for p in options.peers if p not in peers.PROGRAMS]
    if unknown:
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(peers.PROGRAMS)}")
    return options


def output_of(tool, options):
    return options.work / f"{tool.replace(' ', '-').strip('()')}.parquet"


def command_of(tool, told, gristmill, source, options):
    target = output_of(tool, options)
    if tool == "gristmill":
        return [gristmill, "convert", source, target, "--threads", str(options.threads), "--overwrite"]
    return peers.command(tool, told, source, target, options.threads)


def measure(tools, gristmill, source, options):
    """All tools in turn, so often as asked."""
    into_page_cache(source)
    runs = []
    for number in range(1, options.runs + 1):
        for tool, told in tools.items():
            target = output_of(tool, options)
            target.unlink(missing_ok=True)
            result = timed(command_of(tool, told, gristmill, source, options), options.work / "log")
            if "failed" not in result and not target.exists():
                result = {"failed": "ended well and wrote nothing"}
            if "failed" not in result:
                result["output_bytes"] = target.stat().st_size
            runs.append({"tool": tool, "run": number, **result})
            print(f"  {number} {tool:<17}", result, flush=True)
    return runs


def compare(tools, source, runs, options):
    """Of each tool that did not fail whether its table is right; rows and columns of the source."""
    failed = {run["tool"] for run in runs if "failed" in run}
    if "gristmill" in failed:
        return None, [], {}
    tables = {}
    with same_table.DuckDB() as duckdb:
        columns = duckdb.columns(output_of("gristmill", options))
        expected = same_table.Source(duckdb, source, columns)
        for tool in tools:
            if tool not in failed:
                tables[tool] = same_table.verdict(expected, output_of(tool, options))
                print(f"  table of {tool}: {tables[tool]['note']}", flush=True)
        return expected.rows, columns, tables


def summary(tools, case):
    """A row a tool: medians, or why it failed."""
    rows = []
    for tool in tools:
        runs = [r for r in case["runs"] if r["tool"] == tool]
        good = [r for r in runs if "failed" not in r]
        if len(good) < len(runs):
            rows.append({"tool": tool, "failed": next(r["failed"] for r in runs if "failed" in r)})
            continue
        rows.append({
            "tool": tool,
            "wall_s": round(median(good, lambda r: r["wall_s"]), 3),
            "cpu_s": round(median(good, cpu), 3),
            "peak_bytes": max(r["peak_bytes"] for r in good),
            "output_bytes": good[-1]["output_bytes"],
            **case["tables"].get(tool, {"right": False, "note": "not compared"}),
        })
    return rows


def standing(rows):
    """How far gristmill is from the best of the peers: of those whose table is right, and of all.

    Wall and CPU: how many times as long the peer takes. Output: how many times as large ours is.
    """
    ours = rows[0]
    if "failed" in ours:
        return {}
    found = {}
    ran = [r for r in rows[1:] if "failed" not in r]
    for whom, peers_ in [("right", [r for r in ran if r["right"]]), ("all", ran)]:
        if not peers_:
            continue
        found[whom] = {}
        for measured in ["wall_s", "cpu_s", "output_bytes"]:
            best = min(peers_, key=lambda r: r[measured])
            ratio = best[measured] / ours[measured]
            ratio = 1 / ratio if measured == "output_bytes" else ratio
            found[whom][measured] = {"peer": best["tool"], "ratio": round(ratio, 3)}
    return found


def overview(cases):
    lines = ["", "Against the best of the peers whose table is right (in brackets: of all that ran):", "",
             "| input | wall: times as fast | CPU: times as little | peak MB | output to the smallest |",
             "|---|---|---|---|---|"]
    for case in cases:
        if "failed" in case["summary"][0]:
            lines.append(f"| {case['input']} | gristmill failed |||| ")
            continue
        cells = [against(case["standing"], measured) for measured in ["wall_s", "cpu_s", "output_bytes"]]
        peak = f"{case['summary'][0]['peak_bytes'] / 1e6:.0f}"
        lines.append(f"| {case['input']} | {cells[0]} | {cells[1]} | {peak} | {cells[2]} |")
    return lines


def against(found, measured):
    if "all" not in found:
        return "no peer"
    said = ["{ratio:.2f} ({peer})".format(**found[w][measured]) if w in found else "none" for w in ("right", "all")]
    return said[0] if said[0] == said[1] else f"{said[0]} [{said[1]}]"


def table(case):
    size = case["bytes"] / 1e6
    rows = f"{case['rows']:,} rows, {len(case['columns'])} columns" if case["rows"] is not None else "not compared"
    lines = ["", f"## {case['input']}: {size:.0f} MB, {rows}", "",
             "| tool | wall s | ratio | MB/s | CPU s | ratio | peak MB | output MB | table |",
             "|---|---|---|---|---|---|---|---|---|"]
    ours = case["summary"][0]
    for r in case["summary"]:
        if "failed" in r:
            lines.append(f"| {r['tool']} | failed: {r['failed'][:300].replace('|', ' ')} |||||||| ")
            continue
        wall, processor = (f"{r[m] / ours[m]:.2f}" if m in ours else "" for m in ("wall_s", "cpu_s"))
        lines.append(
            f"| {r['tool']} | {r['wall_s']:.2f} | {wall} | {size / r['wall_s']:.0f} "
            f"| {r['cpu_s']:.2f} | {processor} | {r['peak_bytes'] / 1e6:.0f} "
            f"| {r['output_bytes'] / 1e6:.1f} | {r['note']} |")
    told = {t: w for t, w in case["tools"].items() if w}
    return lines + [f"\n{tool}: {what}" for tool, what in told.items()]


def markdown(results):
    lines = preamble(f"{results['label']}: CSV to Snappy Parquet", results)
    lines += ["", "Seconds are medians, peak memory the highest of all runs."]
    lines += overview(results["cases"])
    for case in results["cases"]:
        lines += table(case)
    return lines


def versions(names):
    # Asked of the packages' records: to import them all takes memory and seconds.
    script = "import sys, importlib.metadata as m; print(*[m.version(n) for n in sys.argv[1:]])"
    return dict(zip(names, version([sys.executable, "-c", script, *names]).split()))


def run_input(name, gristmill, options):
    source = input_file(name, options.work)
    print(f"{source.name}:", flush=True)
    tools = peers.tools_for(name, options.peers)
    case = {"input": source.name, "bytes": source.stat().st_size, "tools": tools}
    case["runs"] = measure(tools, gristmill, source, options)
    case["rows"], case["columns"], case["tables"] = compare(tools, source, case["runs"], options)
    case["summary"] = summary(tools, case)
    case["standing"] = standing(case["summary"])
    for tool in tools:
        output_of(tool, options).unlink(missing_ok=True)
    return case


def main():
    options = arguments()
    enter_environment(["duckdb", *options.peers])
    gristmill = binary(options.gristmill)
    options.work.mkdir(parents=True, exist_ok=True)
    options.threads = keep_to_cores(options.threads)
    results = {"label": options.label, **begun(gristmill, options), "cases": []}
    results["versions"].update(versions(["duckdb", *[p for p in options.peers if p != "duckdb"]]))
    for name in options.inputs:
        results["cases"].append(run_input(name, gristmill, options))
    results["load_average_at_end"] = os.getloadavg()
    store(options.label, results, markdown(results), options.results)
    ours = {c["input"]: c["summary"][0] for c in results["cases"]}
    wrong = {name: row.get("failed") or row["note"] for name, row in ours.items() if row.get("note") != "same"}
    sys.exit(f"gristmill's own table is wrong: {wrong}" if wrong else 0)


if __name__ == "__main__":
    main()
