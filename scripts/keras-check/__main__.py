"""Compares our training with Keras's on TensorFlow, step for step: `python3 scripts/keras-check --help`.

Needs cargo, Python 3.9 or later and, the first time, the network. Exits with 1 if anything is further apart than it may be,
or if a mistake that was put in is not seen; with 2 if something is missing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# No __pycache__ in the repository.
sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "bench-shared"))

import bounds
import environments
import machine
import page

ROOT = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
NETWORKS = HERE.parent / "bench-train" / "variants.json"
MISTAKES = ["epsilon", "corrected", "beta2", "momentum", "norm", "variance", "padding", "bias", "scale"]
# These are tried in every CI run, one a kind: optimiser, moving statistics, convolution, trained parameters.
QUICK = ["epsilon", "momentum", "padding", "bias"]
STEPS = [1, 2, 5, 10, 20]
COLUMNS = ["network", "run", "quantity", "difference", "bound", "tensor", "step"]
INSTALL_SECONDS = 400


class Failed(Exception):
    """A program of ours ended as it should not."""


def arguments():
    parser = argparse.ArgumentParser(prog="keras-check", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="PREFIX", default="", help="networks whose names begin so")
    parser.add_argument("--steps", type=int, default=50, help="of each training (default: 50)")
    parser.add_argument(
        "--data", type=Path, help="cifar10.bin of `preprocess` (default: one below data/, or generated images)"
    )
    parser.add_argument("--generated", action="store_true", help="generated images, whatever is below data/")
    parser.add_argument("--seed", type=int, default=42, help="of first weights and batches (default: 42)")
    parser.add_argument("--threads", type=int, default=machine.cpus())
    parser.add_argument("--mistakes", action="store_true", help="put mistakes into Keras's side too: each must be seen")
    parser.add_argument("--spoil", choices=MISTAKES, help="put this mistake into Keras's side: the check must fail")
    parser.add_argument(
        "--quick", action="store_true", help="two networks, five steps, generated images, four mistakes"
    )
    parser.add_argument(
        "--train",
        action="store_true",
        help="instead, whole trainings in Keras by the paper's schedule; a call that was ended goes on where it was",
    )
    parser.add_argument(
        "--like", choices=["ours", "keras"], default="ours", help="--train: initialiser and padding (default: ours)"
    )
    parser.add_argument("--seeds", type=int, default=1, help="--train: how many, from --seed on (default: 1)")
    parser.add_argument("--epochs", type=int, default=30, help="--train: at most (default: 30)")
    parser.add_argument("--csv", type=Path, help="write every difference here")
    parser.add_argument("--or-skip", action="store_true", help="exit with 0 if Keras cannot be installed")
    options = parser.parse_args()
    if min(options.steps, options.threads, options.seeds, options.epochs) < 1:
        parser.error("steps, threads, seeds and epochs must be 1 at least")
    if options.quick:
        options.steps, options.generated = 5, True
    return options


def data(options):
    """The images' file; none for generated ones."""
    if options.generated:
        return None
    if options.data:
        return options.data
    below = [ROOT / "data" / profile / "cifar10.bin" for profile in ("paper", "cpu", "quick")]
    return next((path for path in below if path.exists()), None)


def networks(options):
    every = json.loads(NETWORKS.read_text(encoding="utf-8"))
    if options.quick and not options.only:
        return {name: every[name] for name in ("baseline_cnn", "mini_resnet")}
    return {name: network for name, network in every.items() if name.startswith(options.only)}


def build():
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    try:
        code = subprocess.run(command, cwd=HERE / "engine", env=environment, check=False).returncode
    except FileNotFoundError:
        raise environments.Missing("cargo is not on PATH: install Rust by https://rustup.rs") from None
    if code != 0:
        raise Failed("our engine does not build")
    return TARGET / "release" / "keras-check"


def train(program, network, options, folder, nudge):
    command = [program, "--network", json.dumps(network), "--steps", options.steps, "--seed", options.seed]
    command += ["--threads", options.threads, "--out", folder]
    # Of the other run, only the end is compared.
    steps = [step for step in STEPS if step < options.steps]
    command += ["--nudge", "--small", 0] if nudge else ["--check", ",".join(map(str, [*steps, options.steps]))]
    if data(options):
        command += ["--data", data(options)]
    if subprocess.run([str(word) for word in command], check=False).returncode != 0:
        raise Failed("our engine did not train")


def witness(python, network, options, ours, nudged, runs):
    """Facts, and the differences of each run."""
    command = [python, "-B", HERE / "witness.py", ours, nudged, json.dumps(network), options.threads, *runs]
    log = TARGET / "keras-check" / "keras.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", encoding="utf-8") as errors:
        result = subprocess.run(
            [str(word) for word in command], stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
    if result.returncode != 0:
        last = (log.read_text(encoding="utf-8", errors="replace").strip() or "it said nothing").splitlines()[-1]
        raise Failed(f"Keras ended with {result.returncode}: {last}; see {log}")
    facts, *found = map(json.loads, result.stdout.splitlines())
    return facts["facts"], {one["run"]: one["differences"] for one in found}


def whole(chosen, options, python):
    """Whole trainings, one after the other; what they leave is below target."""
    images = data(options)
    if images is None:
        raise environments.Missing("--train needs the images that `preprocess` writes: name them by --data")
    for name, network in chosen.items():
        for seed in range(options.seed, options.seed + options.seeds):
            folder = TARGET / "keras-check" / "train" / name.replace(" ", "-") / options.like / f"seed-{seed}"
            command = [python, "-B", HERE / "whole.py", name, json.dumps(network), images, folder, options.like, seed]
            command += [options.epochs, options.threads]
            folder.mkdir(parents=True, exist_ok=True)
            with open(folder / "log", "a", encoding="utf-8") as log:
                result = subprocess.run([str(word) for word in command], stderr=log, check=False)
            if result.returncode != 0:
                raise Failed(f"training {name} with seed {seed} failed: {folder / 'log'} says why")
    return True


def has_stride(network):
    return 2 in network.get("stage_strides", [])


def check(name, network, options, program, python):
    """One network: whether all is well, and rows for the CSV."""
    mistakes = MISTAKES if options.mistakes else QUICK if options.quick and has_stride(network) else []
    # Without a stride of 2 both paddings are the same.
    mistakes = [mistake for mistake in mistakes if mistake != "padding" or has_stride(network)]
    first = options.spoil or "keras"
    runs = [first, "rounding"] + ([] if options.spoil else mistakes)
    # A mistake shows in one step. Another padding is a choice: where its training goes is of interest.
    alone = {first: options.steps, "rounding": options.steps, "padding": options.steps}
    alone = [f"{one}={alone.get(one, 1)}" for one in runs]
    with tempfile.TemporaryDirectory(prefix="keras-check-", dir=TARGET) as folder:
        ours, nudged = Path(folder) / "ours", Path(folder) / "nudged"
        train(program, network, options, ours, nudge=False)
        train(program, network, options, nudged, nudge=True)
        facts, found = witness(python, network, options, ours, nudged, alone)
    rounding = found["rounding"]
    print(
        f"\n{name}: {facts['images']} images, {options.steps} steps of {facts['batch']}, {facts['trainable']} parameters, "
        f"Keras {facts['version']}, our engine on {facts['isa']}",
        flush=True,
    )
    table(found[first], rounding)
    if options.spoil:
        print(f"a mistake was put in: {options.spoil}")
    print("  mean loss of the last ten steps: " + means(facts, found))
    well = bounds.agrees(found[first], rounding)
    for mistake in runs[2:]:
        times = bounds.beyond(found[mistake], rounding)
        seen = bounds.is_seen(found[mistake], rounding)
        where = ", ".join(
            f"{quantity} {factor:.3g} times" for quantity, factor in list(times.items())[:3] if factor > 1
        )
        print(f"  mistake {mistake:<10} {'seen' if seen else 'NOT SEEN'}: {where or 'nothing'} its bound")
        well &= seen
    return well, [row for run in runs for row in rows(name, run, found[run], rounding)]


def table(found, rounding):
    print(f"  {'quantity':<54} {'difference':>10} {'bound':>9} {'':4} {'rounding':>9}  worst")
    for quantity, about in bounds.QUANTITIES.items():
        if quantity not in found:
            continue
        value, limit = found[quantity]["value"], bounds.bound(quantity, rounding)
        own = f"{rounding[quantity]['value']:.1e}" if quantity in rounding else ""
        verdict = "" if value <= limit else "FAR"
        place = [
            found[quantity].get("tensor"),
            f"step {found[quantity]['step']}" if "step" in found[quantity] else None,
        ]
        place = ", ".join(filter(None, place))
        print(f"  {about.says:<54} {value:>10.1e} {limit:>9.1e} {verdict:4} {own:>9}  {place}")
    grown = [
        (step, found["losses"][step - 1], rounding["losses"][step - 1])
        for step in [*STEPS, len(found["losses"])]
        if step <= len(found["losses"])
    ]
    print(
        "  losses apart (rounding alone), each side by itself: "
        + ", ".join(f"step {step} {ours:.0e} ({own:.0e})" for step, ours, own in dict.fromkeys(grown))
    )


def means(facts, found):
    """Of every training that took all steps."""
    whole = {"ours": facts["losses"]} | {run: one["trained"] for run, one in found.items()}
    last = {run: losses[-10:] for run, losses in whole.items() if len(losses) == len(facts["losses"])}
    return ", ".join(f"{run} {sum(losses) / len(losses):.4f}" for run, losses in last.items())


def rows(network, run, found, rounding):
    for quantity in bounds.QUANTITIES:
        if quantity in found:
            one = found[quantity]
            yield {
                "network": network,
                "run": run,
                "quantity": quantity,
                "difference": f"{one['value']:.2e}",
                "bound": None if run == "rounding" else f"{bounds.bound(quantity, rounding):.1e}",
                "tensor": one.get("tensor"),
                "step": one.get("step"),
            }
    for step, value in enumerate(found["losses"], 1):
        yield {"network": network, "run": run, "quantity": "own loss", "difference": f"{value:.2e}", "step": step}


def run(options):
    chosen = networks(options)
    if not chosen:
        every = ", ".join(json.loads(NETWORKS.read_text(encoding="utf-8")))
        raise environments.Missing(f"no network's name begins with `{options.only}`; there are {every}")
    packages = ["tensorflow-cpu", "keras", "safetensors"]
    modules = "keras, safetensors, tensorflow"
    try:
        # The same as bench-train's, so that Keras is installed once.
        python = environments.python(
            TARGET / "bench-venv", "keras", "RESTAGE_BENCH_KERAS_VENV", packages, modules, INSTALL_SECONDS
        )
    except environments.Missing as reason:
        if options.or_skip:
            print(f"skipped: {reason}")
            return True
        raise
    if options.train:
        return whole(chosen, options, python)
    program = build()
    well, table_rows = True, []
    for name, network in chosen.items():
        good, new = check(name, network, options, program, python)
        well &= good
        table_rows += new
        if options.csv:
            # After each network: later ones take long.
            page.write_csv(options.csv, COLUMNS, table_rows)
    if options.csv:
        print(f"written: {options.csv}")
    print("\nKeras and our engine train alike" if well else "\nNOT ALIKE, or a mistake was not seen")
    return well


def main():
    try:
        sys.exit(0 if run(arguments()) else 1)
    except (environments.Missing, Failed) as reason:
        print(f"keras-check: {reason}", file=sys.stderr)
        sys.exit(2 if isinstance(reason, environments.Missing) else 1)


if __name__ == "__main__":
    main()
