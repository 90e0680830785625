"""Compares the runner with its peers: `make bench-runner`, or `python3 scripts/bench-runner --help`.

Needs Linux, cargo, Python 3.9 and, the first time, the network.
"""

import argparse
import datetime
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

# No __pycache__ in the repository.
sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parents[1] / "bench-shared"))

import contest
import inputs
import machine
import page
import report
import repository
import tools
import workload
from environments import Missing
from measure import Failed

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
SIZES, QUICK_SIZES = [10, 100, 1_000, 10_000], [10, 100]


def arguments():
    parser = argparse.ArgumentParser(prog="bench-runner", description=__doc__.splitlines()[0],
                                     epilog="All but --limit-minutes make it a trial: it writes below target only.")
    parser.add_argument("--quick", action="store_true", help="10 and 100 stages, few repetitions, no large inputs")
    parser.add_argument("--only", metavar="TOOL", action="append", choices=["restage", *tools.PEERS],
                        help="this tool (and the bare loop); may be repeated")
    parser.add_argument("--sizes", metavar="N,..", help="numbers of stages (default: 10,100,1000,10000)")
    parser.add_argument("--limit-minutes", type=float, default=5.0, help="of one call of a tool (default: 5)")
    parser.add_argument("--no-files", action="store_true", help="no large inputs")
    return parser.parse_args()


def sizes(options):
    if not options.sizes:
        return QUICK_SIZES if options.quick else SIZES
    try:
        given = sorted({int(size) for size in options.sizes.split(",")})
    except ValueError:
        given = [0]
    if given[0] < tools.JOBS:
        raise Missing(f"--sizes wants numbers from {tools.JOBS} on, such as 10,100")
    return given


def build():
    """Our program."""
    if sys.platform != "linux":
        raise Missing("bench-runner reads /proc: it runs on Linux only")
    if not shutil.which("cargo"):
        raise Missing("cargo is not on PATH: install Rust by https://rustup.rs")
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "restage"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise Failed("restage does not build")
    return TARGET / "release" / "restage"


def peers(only):
    """All that can be had, and why others cannot."""
    found, missing = [], []
    for name, build_tool in tools.PEERS.items():
        if only and name not in only:
            continue
        try:
            found.append(build_tool(TARGET / "bench-venv"))
        except Missing as reason:
            print(f"{name} skipped: {reason}", flush=True)
            missing.append((name, "all", str(reason)))
    return found, missing


def large_inputs(ours, dvc, bench, say):
    try:
        b3sum, missing = tools.b3sum(TARGET / "bench-tools"), []
    except Missing as reason:
        print(f"b3sum skipped: {reason}", flush=True)
        b3sum, missing = None, [("b3sum", "all", str(reason))]
    found = inputs.Inputs(ours, b3sum, dvc, bench, say)
    found.all()
    return found.rows, [*missing, *((name, "all", reason) for name, reason in found.left_out)]


def facts(taking_part):
    versions = [(tool.name, tool.version()) for tool in taking_part]
    return [
        ("date", datetime.date.today().isoformat()),
        ("commit", repository.commit(ROOT, ["src", "crates", "Cargo.lock"])),
        ("machine", f"{machine.cpu_name()}, {machine.cpus()} CPUs, {machine.memory_gib():.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}, glibc {platform.libc_ver()[1] or 'unknown'}"),
        ("stages at once", tools.JOBS),
        *versions,
    ]


def write(found, lines, trial):
    """Trials go below `target`: the repository's page holds whole runs only."""
    docs = ROOT / "docs"
    text = docs / "benchmarks.md"
    if trial:
        docs = TARGET / "bench-runner-docs"
        docs.mkdir(parents=True, exist_ok=True)
        text = Path(shutil.copy(text, docs / "benchmarks.md"))
    page.write_csv(docs / "benchmarks" / "runner.csv", report.COLUMNS, found.rows)
    report.write_page(text, lines, found)
    print(f"written: {text}")


def run(options):
    started = time.monotonic()

    def say(line):
        print(f"[{time.monotonic() - started:5.0f} s] {line}", flush=True)

    counts, program = sizes(options), build()
    others, left_out = peers(options.only)
    ours = tools.restage(program)
    # Alone there is nothing to compare with, but restage is still measured.
    taking_part = ([ours] if not options.only or "restage" in options.only else []) + others
    dvc = next((tool for tool in others if tool.name == "dvc"), None)
    lines = facts(taking_part)
    base = TARGET / "bench-runner"
    shutil.rmtree(base, ignore_errors=True)
    try:
        bench = contest.Contest(taking_part, tools.Loop(), base, limit=60 * options.limit_minutes,
                                rounds=7 if options.quick else 11, most=1 if options.quick else 3, say=say)
        for count in counts:
            say(f"{count:,} stages")
            bench.size(count)
        rows, left_out = bench.rows, [*left_out, *bench.left_out]
        if not (options.quick or options.no_files) and ours in taking_part:
            more, missing = large_inputs(ours, dvc, bench, say)
            rows, left_out = [*rows, *more], [*left_out, *missing]
    finally:
        shutil.rmtree(base, ignore_errors=True)
    trial = bool(options.quick or options.only or options.sizes or options.no_files)
    write(report.Results(rows, left_out), lines, trial)


def main():
    try:
        run(arguments())
    except (Missing, Failed, workload.Unusable) as reason:
        sys.exit(f"bench-runner: {reason}")


main()
