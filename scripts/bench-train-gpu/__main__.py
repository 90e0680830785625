"""Compares our training step with PyTorch's on the same GPU: `make bench-train-gpu`, or `--help`.

Needs Linux, an NVIDIA GPU, a Python with PyTorch, and
cargo or a worker that was built elsewhere.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

# No __pycache__ in the repository.
sys.dont_write_bytecode = True
SCRIPTS = Path(__file__).resolve().parents[1]
sys.path += [str(SCRIPTS / "bench-shared"), str(SCRIPTS / "bench-train")]

import contest
import environments
import machine
import page
import report
import repository
from entrants import Clock, Entrants
from worker import Failed

ROOT = SCRIPTS.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
# The paper's networks, with its strides.
NETWORKS = ["baseline_cnn", "mini_resnet", "resnet18 [1,2,2,2]", "resnet18_noskip [1,2,2,2]"]


def arguments():
    parser = argparse.ArgumentParser(prog="bench-train-gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--limit-minutes", type=float, default=5, help="what does not fit is left out and listed")
    parser.add_argument("--only", metavar="PREFIX", default="", help="networks whose names begin so")
    parser.add_argument("--batches", default="64,512")
    parser.add_argument("--precisions", default=",".join(contest.PRECISIONS))
    parser.add_argument("--modes", default="eager,compile")
    parser.add_argument("--rounds", type=int, default=5, help="whose median counts")
    parser.add_argument("--seconds", type=float, default=0.25, help="of a chunk, at least")
    parser.add_argument("--compile-jobs", type=int, default=4, help="networks that are compiled at the same time")
    parser.add_argument("--worker", type=Path, help="our worker's program (default: built by cargo)")
    parser.add_argument("--commit", help="what our worker was built from (default: asked of git)")
    parser.add_argument("--docs", type=Path, help="write a copy of the page and the table there")
    parser.add_argument("--dry-run", action="store_true", help="without a GPU: PyTorch on the CPU plays everybody")
    return parser.parse_args()


def worker(options):
    """Our worker's program."""
    if options.dry_run:
        return None
    if options.worker:
        if not options.worker.exists():
            raise environments.Missing(f"there is no {options.worker}")
        return options.worker.resolve()
    if not shutil.which("cargo"):
        raise environments.Missing("cargo is not on PATH: install Rust, or name a worker by --worker")
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "cuda", "--example", "gpu_steps"]
    if subprocess.run(command, cwd=ROOT / "stages", check=False).returncode != 0:
        raise Failed("our engine does not build")
    return TARGET / "release" / "examples" / "gpu_steps"


def logs(options):
    folder = (options.docs.resolve() if options.docs else TARGET / "bench-train-gpu") / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def require(options):
    if sys.platform != "linux":
        raise environments.Missing("bench-train-gpu reads /proc: it runs on Linux only")
    if not environments.imports(sys.executable, "torch"):
        raise environments.Missing(f"{sys.executable} cannot import torch: run this by a Python that can")
    if not options.dry_run and not driver():
        raise environments.Missing("no NVIDIA GPU here: nvidia-smi shows none (--dry-run tries the script without)")


def driver():
    """The driver's version, if there is one."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def peak(dry):
    """TFLOP/s of a large matrix product by precision, as PyTorch does it."""
    here = Path(__file__).resolve().parent
    size = ["512", "cpu"] if dry else ["8192", "cuda"]
    command = [sys.executable, "-B", str(here / "peak.py"), *size]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failed(f"PyTorch cannot multiply matrices: {(result.stderr.strip() or 'it said nothing').splitlines()[-1]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def facts(bench, peaks, options):
    """The lines above the tables."""
    lines = [
        ("date", datetime.date.today().isoformat()),
        ("commit", options.commit or repository.commit(ROOT, ["stages/nn", "stages/cuda", "stages/Cargo.lock"])),
        ("GPU", f"{bench.facts.get('GPU', 'none')}, driver {driver() or 'none'}"),
        ("machine", f"{machine.cpu_name()}, {machine.cpus()} CPUs, {machine.memory_gib():.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
        ("PyTorch", bench.facts.get("PyTorch", "none")),
        ("matrix peak, TFLOP/s", ", ".join(f"{name} {value:.1f}" for name, value in peaks.items())),
        ("every number", "[train-gpu.csv](benchmarks/train-gpu.csv)"),
        ("time", f"{bench.clock.spent() / 60:.1f} of {options.limit_minutes:g} minutes"),
    ]
    if options.dry_run:
        lines.insert(0, ("DRY RUN", "PyTorch on the CPU in everybody's place; no number here says anything"))
    return lines


def write(bench, peaks, options, whole):
    """Trials go below `target`: the repository's page holds whole runs only."""
    docs = ROOT / "docs"
    place = docs
    if options.docs or not whole:
        place = options.docs or TARGET / "bench-train-gpu" / "docs"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(docs / "benchmarks.md", place / "benchmarks.md")
    page.write_csv(place / "benchmarks" / "train-gpu.csv", report.COLUMNS, bench.rows)
    lines = facts(bench, peaks, options)
    report.write_page(place / "benchmarks.md", lines, bench.rows, bench.left_out, NETWORKS, contest.PRECISIONS)
    print(f"written: {place / 'benchmarks.md'}")


def run(options):
    require(options)
    clock = Clock(options.limit_minutes)
    program = worker(options)
    known = json.loads((SCRIPTS / "bench-train" / "variants.json").read_text(encoding="utf-8"))
    networks = {name: known[name] for name in NETWORKS if name.startswith(options.only)}
    if not networks:
        raise environments.Missing(f"no network's name begins with `{options.only}`")

    def say(line):
        print(f"[{clock.spent():5.0f} s] {line}", flush=True)

    peaks = peak(options.dry_run)
    say("matrix peak, TFLOP/s: " + ", ".join(f"{name} {value:.1f}" for name, value in peaks.items()))
    entrants = Entrants(
        steps=program, images=64 if options.dry_run else 4096, dry=options.dry_run, logs=logs(options),
        inductor=TARGET / "bench-train-gpu" / "inductor", clock=clock, patience=200,
    )
    bench = contest.Contest(entrants, clock, peaks, options.rounds, options.seconds, options.compile_jobs, say)
    batches = [int(batch) for batch in options.batches.split(",")]
    precisions, modes = options.precisions.split(","), options.modes.split(",")
    bench.run(contest.groups(networks, batches, precisions, modes))
    # With custom settings it is not a full run.
    asked = (options.only, options.batches, options.precisions, options.modes)
    whole = asked == ("", "64,512", ",".join(contest.PRECISIONS), "eager,compile") and not options.dry_run
    write(bench, peaks, options, whole)
    if not bench.rows:
        raise Failed("nothing could be measured")


def main():
    try:
        run(arguments())
    except (environments.Missing, Failed, contest.Differs) as reason:
        sys.exit(f"bench-train-gpu: {reason}")


main()
