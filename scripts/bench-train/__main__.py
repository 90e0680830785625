"""Compares our training step with PyTorch's and Keras': `make bench-train`, or `python3 scripts/bench-train --help`.

Needs Linux, cargo, Python 3.9 and, the first time, the network.
"""

import argparse
import datetime
import json
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
import environments
import machine
import report
import repository
from worker import Failed

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
# Only epochs of these are timed; larger ones would take minutes and show the same.
EPOCHS = {"baseline_cnn": [1000, 2000, 4000], "mini_resnet": [1000, 2000, 4000]}


def arguments():
    parser = argparse.ArgumentParser(prog="bench-train", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one network, two alternations; writes below target only")
    parser.add_argument("--only", metavar="PREFIX", help="networks whose names begin so; writes below target only")
    parser.add_argument("--threads", type=int, default=machine.cpus(), help="of every engine (default: all CPUs)")
    parser.add_argument("--isa", default="best", help="avx512, avx2, plain or best: of our engine")
    parser.add_argument("--alternations", type=int, default=5, help="rounds whose median counts")
    parser.add_argument("--no-keras", action="store_true")
    return parser.parse_args()


def require_tools():
    if sys.platform != "linux":
        raise environments.Missing("bench-train reads /proc: it runs on Linux only")
    if not shutil.which("cargo"):
        raise environments.Missing("cargo is not on PATH: install Rust by https://rustup.rs")


def build():
    """Our worker's program."""
    command = ["cargo", "build", "--release", "--locked", "--quiet", "-p", "nn", "--example", "steps"]
    if subprocess.run(command, cwd=ROOT / "stages", check=False).returncode != 0:
        raise Failed("our engine does not build")
    return TARGET / "release" / "examples" / "steps"


def opponents(without_keras):
    """Interpreters with PyTorch and, if it can be had, Keras; and PyTorch's modes."""
    # Not in a folder that `cargo clean` removes by name, so that 3 GB need not be fetched twice.
    root = TARGET / "bench-venv"
    torch = environments.python(root, "torch", "RESTAGE_BENCH_VENV", ["torch", "numpy"], "torch")
    modes = ["eager", "compile"]
    if not any(map(shutil.which, ("g++", "c++", "clang++"))):
        print("torch.compile skipped: it needs a C++ compiler (Debian: apt install g++)", flush=True)
        modes.remove("compile")
    keras = None
    if without_keras:
        print("keras skipped: as asked", flush=True)
    else:
        try:
            packages = ["tensorflow-cpu", "keras"]
            keras = environments.python(root, "keras", "RESTAGE_BENCH_KERAS_VENV", packages, "keras, tensorflow")
        except environments.Missing as reason:
            print(f"keras skipped: {reason}", flush=True)
    return torch, keras, modes


def facts(bench, peaks, options):
    """The lines above the tables."""
    best = {key: max((p[key] for p in peaks if p[key]), default=None) for key in ("one", "gflops")}
    isa = next((row["setting"] for row in bench.rows if row["engine"] == "ours"), options.isa)
    peak = "none known for this instruction set"
    if best["gflops"]:
        peak = f"{best['gflops']:.0f} GFLOP/s with {options.threads} threads, {best['one']:.0f} with one"
    lines = [
        ("date", datetime.date.today().isoformat()),
        ("commit", repository.commit(ROOT, ["stages/nn", "stages/Cargo.lock"])),
        ("machine", f"{machine.cpu_name()}, {machine.cpus()} CPUs, {machine.memory_gib():.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}, glibc {platform.libc_ver()[1] or 'unknown'}"),
        ("threads", options.threads),
        ("our instruction set", isa),
        ("FMA peak", peak),
        ("PyTorch", bench.versions.get("pytorch", "none")),
        ("Keras", bench.versions.get("keras", "skipped")),
        ("settings that did not run", ", ".join(bench.left_out) or "none"),
    ]
    return {"lines": lines, "peak": best["gflops"], "one": best["one"]}


def write(bench, found, trial):
    """Trials go below `target`: the repository's page holds whole runs only."""
    docs = ROOT / "docs"
    page = docs / "benchmarks.md"
    if trial:
        docs = TARGET / "bench-train" / "docs"
        docs.mkdir(parents=True, exist_ok=True)
        page = Path(shutil.copy(page, docs / "benchmarks.md"))
    for row in [*bench.rows, *bench.layers]:
        if found["peak"] and row.get("gflops") is not None:
            # With one thread, the peak is one core's.
            row["share_of_peak"] = row["gflops"] / (found["one"] if row.get("threads") == 1 else found["peak"])
    report.write_csv(docs / "benchmarks" / "train-cpu.csv", report.COLUMNS, bench.rows)
    report.write_csv(docs / "benchmarks" / "train-cpu-layers.csv", report.LAYER_COLUMNS, bench.layers)
    report.write_page(page, found, bench.rows, bench.layers)
    print(f"written: {page}")


def run(options):
    started = time.monotonic()
    require_tools()
    steps = build()
    torch, keras, modes = opponents(options.no_keras)
    only = options.only or ("mini_resnet" if options.quick else "")
    networks = json.loads((Path(__file__).parent / "variants.json").read_text(encoding="utf-8"))
    networks = {name: network for name, network in networks.items() if name.startswith(only)}
    if not networks:
        raise environments.Missing(f"no network's name begins with `{only}`")
    logs = TARGET / "bench-train" / "logs"
    logs.mkdir(parents=True, exist_ok=True)

    def say(line):
        print(f"[{time.monotonic() - started:5.0f} s] {line}", flush=True)

    bench = contest.Contest(
        steps=steps, torch=torch, keras=keras, threads=options.threads, isa=options.isa,
        alternations=2 if options.quick else options.alternations, seconds=0.3 if options.quick else 0.6,
        logs=logs, modes=modes, say=say,
    )
    peaks = []
    for name, network in networks.items():
        say(name)
        peaks.append(contest.fma_peak(steps, options.threads, options.isa))
        bench.variant(name, network, EPOCHS.get(name, []))
    peaks.append(contest.fma_peak(steps, options.threads, options.isa))
    write(bench, facts(bench, peaks, options), trial=bool(options.quick or options.only))


def main():
    try:
        run(arguments())
    except (environments.Missing, Failed, contest.Differs) as reason:
        sys.exit(f"bench-train: {reason}")


main()
