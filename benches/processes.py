"""Whole processes, measured; the machine they run on; where results go."""

import datetime
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK = HERE / ".work"
RESULTS = HERE / "results"
# Small, since the most memory that this process ever had is the least that its children seem to have.
READ_BYTES = 1 << 18
# What takes longer has failed; on the largest input the slowest tool takes a tenth of it.
LIMIT_S = 300


def add_options(parser, runs=3):
    """What all benches take."""
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gristmill", type=Path, help="the binary; else the one that cargo built")
    parser.add_argument("--work", type=Path, default=WORK, help="a folder for inputs and outputs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="a folder for the results")


def environment():
    """The interpreter of an environment with all that requirements.txt names; makes it where it is not."""
    home = WORK / "venv"
    python = home / "bin" / "python"
    requirements = (HERE / "requirements.txt").read_text()
    installed = home / "requirements.txt"
    if not installed.exists() or installed.read_text() != requirements:
        import venv

        print(f"installing the peers in {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        install = ["pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "requirements.txt"]
        subprocess.run([python, "-m", *install], check=True)
        installed.write_text(requirements)
    return python


def enter_environment(packages):
    """Goes on in an environment that has these packages, by the names that they are imported by."""
    if all(importlib.util.find_spec(name) for name in packages):
        return
    python = environment()
    if Path(sys.executable) == python:
        sys.exit(f"{python.parent.parent} lacks packages: remove it and start again")
    os.execv(python, [str(python), *sys.argv])


def target_folder():
    """Where cargo builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def binary(given):
    path = given or target_folder() / "release" / "gristmill"
    if not path.exists():
        sys.exit(f"{path} is not there: cargo build --release")
    return path.resolve()


def example(name):
    """Builds an example of the tabular crate, with the same profile as gristmill, and says where it is.

    The command's own crate is named too, so that what both need is what the program was built with.
    """
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "gristmill-cli", "-p",
               "gristmill-tabular", "--features", "gristmill-tabular/benches", "--example", name]
    subprocess.run(command, check=True, cwd=ROOT)
    return (target_folder() / "release" / "examples" / name).resolve()


def keep_to_cores(threads):
    """This process and all that it starts run on the first so many cores."""
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    return len(cores)


def into_page_cache(path):
    """Reads a file once, so that no tool waits for the disk."""
    with open(path, "rb") as file:
        while file.read(READ_BYTES):
            pass


def timed(command, log):
    """Runs a process to its end: seconds, CPU seconds, peak memory; or why it failed.

    The kernel counts this process's own memory, at its highest, as the child's until that runs its
    program: nothing large is imported or read at once here. It is some 20 MB.
    """
    # Only gristmill waits until its output is on the disk: not for what the tool before left unwritten.
    os.sync()
    with open(log, "wb") as output:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        limit = threading.Timer(LIMIT_S, child.kill)
        limit.start()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begun
        limit.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    if wall >= LIMIT_S and child.returncode != 0:
        return {"failed": f"ended after {LIMIT_S} s"}
    if child.returncode != 0:
        return {"failed": last_words(log) or f"exit code {child.returncode}"}
    return {
        "wall_s": round(wall, 3),
        "user_s": round(used.ru_utime, 3),
        "system_s": round(used.ru_stime, 3),
        "peak_bytes": used.ru_maxrss * 1024,
    }


def last_words(log):
    """The message of a process that failed: of a Python exception from its class on."""
    lines = log.read_text(errors="replace").strip().splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"[A-Za-z_.]+: ", line)]
    return " ".join(lines[starts[-1]:] if starts else lines[-1:])[:2000]


def median(runs, value):
    return statistics.median(value(run) for run in runs)


def cpu(run):
    return run["user_s"] + run["system_s"]


def machine():
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_bytes": memory,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }


def version(command):
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return out.stdout.strip()


def begun(gristmill, options):
    """What every result begins with."""
    return {
        "command": " ".join(["python3", f"benches/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "threads": options.threads,
        "runs": options.runs,
        "machine": machine(),
        "versions": {
            "gristmill": version([gristmill, "--version"]).removeprefix("gristmill "),
            "commit": version(["git", "describe", "--always", "--dirty"]),
        },
    }


def preamble(title, results):
    """The same in Markdown."""
    m, v = results["machine"], results["versions"]
    peers = "".join(f", {name} {number}" for name, number in v.items() if name not in ("gristmill", "commit"))
    return [
        f"# {title}",
        "",
        f"{results['date']}, {m['cpu']}, {results['threads']} of {m['cores']} cores, "
        f"{m['memory_bytes'] / 2**30:.0f} GiB, Linux {m['kernel']}; load average at the start "
        f"{m['load_average'][0]:.1f}, at the end {results['load_average_at_end'][0]:.1f}. Whole processes "
        f"in turn, {results['runs']} runs. Compare ratios within a table, never seconds across tables.",
        "",
        f"gristmill {v['gristmill']} ({v['commit']}){peers}. `{results['command']}`",
    ]


def from_root(text):
    """The same with paths from the project's root on: results are the same wherever it is. Some peers
    leave out the first slash."""
    root = f"{ROOT}/"
    return text.replace(root, "").replace(root[1:], "")


def store(name, results, lines, folder):
    """Writes the raw results and their tables, and prints the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(from_root(json.dumps(results, indent=1)) + "\n")
    text = from_root("\n".join(lines)) + "\n"
    (folder / f"{name}.md").write_text(text)
    print("\n" + text)
