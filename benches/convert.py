#!/usr/bin/env python3
"""Times CSV to Snappy Parquet: gristmill beside other people's tools, as whole processes.

    python3 benches/convert.py [INPUT.csv | lineitem | flights]... [--runs N] [--threads N]

Without INPUT it takes `lineitem`: TPC-H's table at scale factor 1, 766 MB, made by tpchgen-cli.
`flights` is the year of flights, 31 MB, which fixtures/fetch_flights_year.py fetches. The first call
makes an environment with the peers (requirements.txt) in benches/.work and goes on in it.

All tools run in turn, so that a busy machine is busy for each of them, on the same cores, with the
input in the page cache. DuckDB then compares every output, cell by cell and in order, with the
source's text under the types that gristmill found. Results go to benches/results.
"""

import argparse
import datetime
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = HERE / ".work"
PACKAGES = ["duckdb", "polars", "pyarrow"]

# Each peer's own way from a CSV to one Snappy Parquet file with types that it finds itself:
# source, target, threads.
PEERS = {
    "duckdb": """
import sys, duckdb
source, target, threads = sys.argv[1:]
duckdb.execute(f"SET threads={threads}")
duckdb.execute(f"COPY (FROM read_csv('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")
""",
    "polars": """
import os, sys
source, target, threads = sys.argv[1:]
os.environ["POLARS_MAX_THREADS"] = threads
import polars
polars.scan_csv(source, try_parse_dates=True).sink_parquet(target, compression="snappy")
""",
    "pyarrow": """
import sys, pyarrow, pyarrow.csv, pyarrow.parquet
source, target, threads = sys.argv[1:]
pyarrow.set_cpu_count(int(threads))
pyarrow.parquet.write_table(pyarrow.csv.read_csv(source), target, compression="snappy")
""",
}

# Prints a digest a column of a table: of each cell with its row's number, as DuckDB hashes them.
# Arguments: the table in SQL with a column `row_at`, and [[column, type], ...] as JSON.
DIGEST = """
import json, sys, duckdb
table, columns = sys.argv[1], json.loads(sys.argv[2])
quoted = lambda name: '"' + name.replace('"', '""') + '"'
# The outer hash ties the cell to its row: the inner one only joins the two by exclusive or.
cells = [f"bit_xor(hash(hash(row_at, TRY_CAST({quoted(name)} AS {kind}))))" for name, kind in columns]
counts = [f"count(TRY_CAST({quoted(name)} AS {kind}))" for name, kind in columns]
duckdb.execute("SET TimeZone='UTC'")
duckdb.execute("SET enable_progress_bar=false")
duckdb.execute("SET memory_limit='4GB'")
print(json.dumps(duckdb.execute(f"SELECT count(*), {', '.join(cells + counts)} FROM {table}").fetchone()))
"""

COLUMNS = """
import json, sys, duckdb
table = duckdb.read_parquet(sys.argv[1])
print(json.dumps([[n, str(t)] for n, t in zip(table.columns, table.types)]))
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", metavar="INPUT")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", default=",".join(PEERS), help="a selection, by commas")
    parser.add_argument("--gristmill", type=Path, help="the binary; else the one that cargo built")
    parser.add_argument("--label", default="convert", help="the results' file name")
    return parser.parse_args()


def enter_environment():
    """Goes on in an environment that has the peers."""
    if all(importlib.util.find_spec(name) for name in PACKAGES):
        return
    home = WORK / "venv"
    python = home / "bin" / "python"
    if Path(sys.prefix).resolve() == home.resolve():
        sys.exit(f"the environment {home} lacks packages: remove it and start again")
    if not python.exists():
        venv.create(home, with_pip=True)
    requirements = str(HERE / "requirements.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    os.execv(python, [str(python), *sys.argv])


def binary(given):
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = given or target / "release" / "gristmill"
    if not path.exists():
        sys.exit(f"{path} is not there: cargo build --release")
    return path.resolve()


def input_file(name):
    if name == "flights":
        path = ROOT / "fixtures" / ".cache" / "flights-2013.csv"
        if not path.exists():
            subprocess.run([sys.executable, ROOT / "fixtures" / "fetch_flights_year.py"], check=True)
        return path
    if name != "lineitem":
        return Path(name).resolve()
    path = WORK / "lineitem.csv"
    if not path.exists():
        generator = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
        WORK.mkdir(exist_ok=True)
        subprocess.run([generator, "csv", "-s", "1", "-T", "lineitem", "-o", WORK], check=True)
    return path


def timed(command):
    """Runs a process to its end: seconds, CPU seconds, peak memory; or why it failed.

    The kernel counts this process's own memory as the child's until it runs its program, so
    nothing large is imported here.
    """
    with open(WORK / "log", "wb") as log:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        lines = (WORK / "log").read_text(errors="replace").strip().splitlines()
        return {"failed": lines[-1] if lines else f"exit code {child.returncode}"}
    return {
        "wall_s": round(wall, 3),
        "user_s": round(used.ru_utime, 3),
        "system_s": round(used.ru_stime, 3),
        "peak_bytes": used.ru_maxrss * 1024,
    }


def command_of(tool, gristmill, source, target, threads):
    if tool == "gristmill":
        return [gristmill, "convert", source, target, "--threads", str(threads), "--overwrite"]
    return [sys.executable, "-c", PEERS[tool], source, target, str(threads)]


def measure(tools, gristmill, source, options):
    """All tools in turn, so often as asked."""
    with open(source, "rb") as file:
        while file.read(1 << 24):
            pass
    runs = []
    for number in range(1, options.runs + 1):
        for tool in tools:
            target = WORK / f"{tool}.parquet"
            target.unlink(missing_ok=True)
            result = timed(command_of(tool, gristmill, source, target, options.threads))
            if "failed" not in result:
                result["output_bytes"] = target.stat().st_size
            runs.append({"tool": tool, "run": number, **result})
            print(f"  {number} {tool:<10}", result, flush=True)
    return runs


def answer(script, *arguments_):
    out = subprocess.run([sys.executable, "-c", script, *map(str, arguments_)], check=True, capture_output=True)
    return json.loads(out.stdout)


def compare(tools, source):
    """Per tool, `same`, or which columns differ from the source's text under gristmill's types."""
    columns = answer(COLUMNS, WORK / "gristmill.parquet")
    text = f"(SELECT *, row_number() OVER () - 1 AS row_at FROM read_csv('{source}', all_varchar=true))"
    described = json.dumps(columns)
    expected = answer(DIGEST, text, described)
    verdicts = {}
    for tool in tools:
        path = WORK / f"{tool}.parquet"
        if not path.exists():
            continue
        table = f"(SELECT *, file_row_number AS row_at FROM read_parquet('{path}', file_row_number=true))"
        found = answer(DIGEST, table, described)
        names = [name for name, _ in columns]
        differ = [n for i, n in enumerate(names) if found[1 + i] != expected[1 + i]]
        rows = found[0] == expected[0]
        verdicts[tool] = "same" if rows and not differ else f"differs: {found[0]} rows, columns {', '.join(differ)}"
    return expected[0], columns, verdicts


def machine():
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }


def version(command):
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return out.stdout.strip()


def versions(gristmill):
    script = "import duckdb, polars, pyarrow; print(duckdb.__version__, polars.__version__, pyarrow.__version__)"
    found = dict(zip(PACKAGES, version([sys.executable, "-c", script]).split()))
    return {"gristmill": version([gristmill, "--version"]).removeprefix("gristmill "),
            "commit": version(["git", "rev-parse", "--short", "HEAD"]), **found}


def summary(tools, case):
    """Medians a tool."""
    rows = []
    for tool in tools:
        runs = [r for r in case["runs"] if r["tool"] == tool]
        good = [r for r in runs if "failed" not in r]
        if not good:
            rows.append({"tool": tool, "failed": runs[-1]["failed"]})
            continue
        median = lambda key: statistics.median(key(r) for r in good)
        rows.append({
            "tool": tool,
            "wall_s": round(median(lambda r: r["wall_s"]), 2),
            "cpu_s": round(median(lambda r: r["user_s"] + r["system_s"]), 2),
            "peak_bytes": max(r["peak_bytes"] for r in good),
            "output_bytes": good[-1]["output_bytes"],
            "table": case["tables"].get(tool, "not compared"),
        })
    return rows


def markdown(results):
    m = results["machine"]
    lines = [
        f"# {results['label']}: CSV to Snappy Parquet",
        "",
        f"{results['date']}, {m['cpu']}, {results['threads']} of {m['cores']} cores, "
        f"{m['memory_bytes'] / 2**30:.0f} GiB, Linux {m['kernel']}; load average at the start "
        f"{m['load_average'][0]:.1f}. Whole processes in turn, median of {results['runs']}, peak memory the "
        "highest. Compare ratios within a table, never seconds across tables.",
    ]
    named = results["versions"]
    lines += ["", "gristmill " + named["gristmill"] + " (" + named["commit"] + "), "
              + ", ".join(f"{n} {named[n]}" for n in PACKAGES) + "."]
    for case in results["cases"]:
        size = case["bytes"] / 1e6
        lines += ["", f"## {case['input']}: {size:.0f} MB, {case['rows']:,} rows, {len(case['columns'])} columns", "",
                  "| tool | wall s | ratio | MB/s | CPU s | ratio | peak MB | output MB | table |",
                  "|---|---|---|---|---|---|---|---|---|"]
        ours = next(r for r in case["summary"] if r["tool"] == "gristmill")
        for r in case["summary"]:
            if "failed" in r:
                lines.append(f"| {r['tool']} | failed: {r['failed'][:120].replace('|', ' ')} |||||||| ")
                continue
            lines.append(
                f"| {r['tool']} | {r['wall_s']:.2f} | {r['wall_s'] / ours['wall_s']:.2f} | {size / r['wall_s']:.0f} "
                f"| {r['cpu_s']:.2f} | {r['cpu_s'] / ours['cpu_s']:.2f} | {r['peak_bytes'] / 1e6:.0f} "
                f"| {r['output_bytes'] / 1e6:.1f} | {r['table']} |")
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    enter_environment()
    gristmill = binary(options.gristmill)
    WORK.mkdir(exist_ok=True)
    tools = ["gristmill", *[p for p in options.peers.split(",") if p]]
    cores = sorted(os.sched_getaffinity(0))[:options.threads]
    os.sched_setaffinity(0, cores)
    results = {
        "label": options.label,
        "date": datetime.date.today().isoformat(),
        "threads": len(cores),
        "runs": options.runs,
        "machine": machine(),
        "versions": versions(gristmill),
        "cases": [],
    }
    for name in options.inputs or ["lineitem"]:
        source = input_file(name)
        print(f"{source.name}:", flush=True)
        for tool in tools:
            (WORK / f"{tool}.parquet").unlink(missing_ok=True)
        case = {"input": source.name, "bytes": source.stat().st_size}
        case["runs"] = measure(tools, gristmill, source, options)
        case["rows"], case["columns"], case["tables"] = compare(tools, source)
        case["summary"] = summary(tools, case)
        results["cases"].append(case)
    results["load_average_at_end"] = os.getloadavg()
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{options.label}.json").write_text(json.dumps(results, indent=1) + "\n")
    text = markdown(results)
    (folder / f"{options.label}.md").write_text(text)
    print("\n" + text)
    wrong = [c["tables"]["gristmill"] for c in results["cases"] if c["tables"].get("gristmill") != "same"]
    sys.exit(f"gristmill's own table is wrong: {wrong}" if wrong else 0)


if __name__ == "__main__":
    main()
