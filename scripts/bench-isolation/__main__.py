#!/usr/bin/env python3
"""What keeping a stage apart costs: the same pipeline with and without, in turns, beside a bare
spawn and bubblewrap. Prints a table for docs/benchmarks.md."""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = {
    "restage, `isolation: none`": "isolation: none",
    "restage, `isolation: auto`": "isolation: auto",
    "restage, `auto` and `network: none`": "isolation: auto, network: none",
}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(run):
    """Wall time and CPU time of our children, in ms."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    run()
    return (time.perf_counter() - wall) * 1e3, (cpu_seconds() - cpu) * 1e3


def pipeline(fields, count):
    lines = ["schema: 1", "name: bench", "stages:"]
    for n in range(count):
        lines.append(f"  s{n}: {{cmd: 'exec /bin/true > o{n}', deps: [in.txt], outs: [o{n}], {fields}}}")
    return "\n".join(lines) + "\n"


def cold_run(restage, room, fields, count):
    """One cold run of `count` stages, one at a time, in a new folder of `room`. It stays there until
    the end: ext4 makes files more slowly for minutes after others were removed."""
    folder = tempfile.mkdtemp(dir=room)
    Path(folder, "in.txt").write_text("x\n")
    Path(folder, "pipeline.yaml").write_text(pipeline(fields, count))
    call = [restage, "--color", "never", "reproduce", "-q", "-j", "1"]
    env = {name: value for name, value in os.environ.items() if name != "RESTAGE_STORE"}

    def run():
        ended = subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True)
        if ended.returncode != 0 or "isolation:" in ended.stderr:
            sys.exit(f"{fields}:\n{ended.stderr}")

    return timed(run)


def spawns(argv, folder, count):
    def run():
        for _ in range(count):
            subprocess.run(argv, check=True, cwd=folder, stdin=subprocess.DEVNULL)

    return timed(run)


BARE = "the same command, spawned: `bash -eo pipefail -c ..`"
BUBBLEWRAP = "the same command in bubblewrap, one bind"


def measured(restage, room, args):
    """Wall and CPU times of each way, in ms."""
    ways = {
        name: lambda fields=fields: cold_run(restage, room, fields, args.stages)
        for name, fields in WAYS.items()
    }
    command = ["bash", "-eo", "pipefail", "-c", "exec /bin/true > o"]
    ways[BARE] = lambda: spawns(command, room, args.stages)
    bubblewrap = shutil.which("bwrap")
    if bubblewrap:
        wrapped = [bubblewrap, "--dev-bind", "/", "/", "--unshare-user", "--unshare-pid"]
        wrapped += ["--proc", "/proc", "--new-session", "--die-with-parent", *command]
        ways[BUBBLEWRAP] = lambda: spawns(wrapped, room, args.stages)
    found = {name: [] for name in ways}
    for _ in range(args.rounds):
        for name, way in ways.items():
            found[name].append(way())
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restage", default="target/release/restage")
    parser.add_argument("--stages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    restage = shutil.which(args.restage) or sys.exit(
        f"there is no {args.restage}: `cargo build --release`, or name one with --restage"
    )
    restage = str(Path(restage).resolve())
    with tempfile.TemporaryDirectory(prefix="restage-bench-") as room:
        found = measured(restage, room, args)
    load = os.getloadavg()[0]
    print(f"{args.stages} stages, medians of {args.rounds} rounds in turns; load average {load:.1f}\n")
    print("| way | wall, ms a stage | CPU, ms a stage | CPU beyond the bare command |\n|---|---|---|---|")
    medians = {
        name: [statistics.median(column) / args.stages for column in zip(*rounds)]
        for name, rounds in found.items()
    }
    for name, (wall, cpu) in medians.items():
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {cpu - medians[BARE][1]:.2f} |")
    if BUBBLEWRAP not in found:
        print("\nbubblewrap is not installed.")


if __name__ == "__main__":
    main()
