"""The check's own tests: `python3 scripts/keras-check/tests.py`. Those that train are skipped where Keras is missing."""

import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "bench-shared"))

import bounds
import environments

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
KERAS = Path(os.environ.get("RESTAGE_BENCH_KERAS_VENV", TARGET / "bench-venv" / "keras")).resolve() / "bin" / "python"
ROUNDING = {name: {"value": 3e-2} for name in ("own losses", "own statistics", "own logits")}


def measured(**changed):
    """Differences that are all well within their bounds, but for some."""
    found = {name: {"value": bounds.bound(name, ROUNDING) / 10} for name in bounds.QUANTITIES}
    return found | {name.replace("_", " "): {"value": value} for name, value in changed.items()}


def images(path):
    """A small data set, as `preprocess` writes them."""
    counts = {"train": 160, "validation": 40, "test": 40}
    header = json.dumps({"label": "noise", "shape": [32, 32, 3], **counts}).encode()
    noise = random.Random(1)
    splits = [noise.randbytes(count * 3072) + bytes(i % 10 for i in range(count)) for count in counts.values()]
    path.write_bytes(struct.pack("<8sII", b"RSTGDATA", 1, len(header)) + header + b"".join(splits) + b"\0\0\0\0")


class Verdicts(unittest.TestCase):
    def test_small_differences_agree_and_show_no_mistake(self):
        self.assertTrue(bounds.agrees(measured(), ROUNDING))
        self.assertFalse(bounds.is_seen(measured(), ROUNDING))

    def test_each_quantity_beyond_its_bound_is_enough(self):
        for name in bounds.QUANTITIES:
            limit = bounds.bound(name, ROUNDING)
            for times, agrees, seen in ((1.0, True, False), (1.1, False, False), (bounds.CLEARLY, False, True)):
                found = measured() | {name: {"value": limit * times}}
                self.assertEqual(bounds.agrees(found, ROUNDING), agrees, (name, times))
                self.assertEqual(bounds.is_seen(found, ROUNDING), seen, (name, times))

    def test_an_undefined_number_does_not_agree(self):
        self.assertFalse(bounds.agrees(measured(logits=float("nan")), ROUNDING))

    def test_trainings_of_their_own_may_differ_by_some_times_what_rounding_does(self):
        self.assertTrue(bounds.agrees(measured(own_losses=14e-2), ROUNDING))
        self.assertFalse(bounds.agrees(measured(own_losses=16e-2), ROUNDING))
        # One ReLU may switch on either side: even without any rounding seen.
        none = {name: {"value": 0.0} for name in ROUNDING}
        self.assertTrue(bounds.agrees({"own losses": {"value": 9e-2}}, none))
        self.assertFalse(bounds.agrees({"own losses": {"value": 11e-2}}, none))


class Trainings(unittest.TestCase):
    def setUp(self):
        if not (KERAS.exists() and environments.imports(KERAS, "keras, safetensors, tensorflow")):
            self.skipTest(f"{KERAS} has no keras, safetensors and tensorflow")

    def check(self, *arguments):
        command = [sys.executable, HERE, "--quick", "--only", "baseline_cnn", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_a_mistake_that_is_put_in_makes_the_check_fail_and_names_the_quantity(self):
        result = self.check("--spoil", "epsilon")
        self.assertEqual(result.returncode, 1, result)
        far = [line for line in result.stdout.splitlines() if " FAR " in line]
        self.assertEqual([line.split("  ")[1] for line in far], ["what Adam adds to a tensor, given our gradient"])

    def test_a_whole_training_that_was_ended_goes_on_to_the_same_numbers(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            images(folder / "images.bin")

            def train(target, epochs):
                environment = {
                    **os.environ,
                    "RESTAGE_BENCH_KERAS_VENV": str(KERAS.parents[1]),
                    "CARGO_TARGET_DIR": str(folder / target),
                }
                command = [
                    sys.executable,
                    HERE,
                    "--train",
                    "--only",
                    "baseline_cnn",
                    "--data",
                    folder / "images.bin",
                    "--epochs",
                    epochs,
                ]
                result = subprocess.run(
                    [str(word) for word in command], env=environment, capture_output=True, text=True, check=False
                )
                self.assertEqual(result.returncode, 0, result)
                rows = (folder / target / "keras-check/train/baseline_cnn/ours/seed-42/history.csv").read_text(
                    encoding="utf-8"
                )
                # All but the seconds.
                return result.stdout, [row.rpartition(",")[0] for row in rows.splitlines()]

            _, whole = train("whole", 2)
            self.assertEqual(train("parts", 1)[1], whole[:2])
            said, parts = train("parts", 2)
            self.assertIn("goes on after epoch 1", said)
            self.assertEqual(parts, whole)

    def test_an_unknown_network_is_named_with_those_that_there_are(self):
        result = self.check("--only", "lenet")
        self.assertEqual(result.returncode, 2, result)
        self.assertIn("no network's name begins with `lenet`; there are baseline_cnn, mini_resnet", result.stderr)


if __name__ == "__main__":
    unittest.main()
