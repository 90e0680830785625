"""Whole trainings in Keras, by the paper's schedule: `whole.py NETWORK_NAME NETWORK_JSON DATA FOLDER LIKE SEED EPOCHS THREADS`.

It runs inside the environment with Keras. LIKE is `ours` (He normal, zeros on each side) or `keras` (Glorot uniform, `same`).
FOLDER keeps everything after each epoch: a call that was ended goes on where it was, one that was done says what came out.
"""

import csv
import json
import os
import struct
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["KERAS_BACKEND"] = "tensorflow"
sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parents[1] / "bench-train"))

import keras
import numpy as np
import tensorflow as tf

from keras_model import CLASSES, Style, build

BATCH, FLIP, BRIGHTNESS = 64, 0.5, 0.1
STYLES = {"ours": Style(padding="both", initializer="he_normal"), "keras": Style()}
# What Keras's callbacks know of earlier epochs.
MEMORY = {"reduce": ["best", "wait", "cooldown_counter"], "stop": ["best", "wait", "best_epoch", "stopped_epoch"]}
COLUMNS = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"]


def read(path):
    """What the images are, and those of train, validation and test with labels (format: stages/dataset/src/file.rs)."""
    with open(path, "rb") as file:
        magic, version, length = struct.unpack("<8sII", file.read(16))
        if (magic, version) != (b"RSTGDATA", 1):
            sys.exit(f"`{path}` is not a data set of version 1")
        header = json.loads(file.read(length))
        splits = []
        for split in ("train", "validation", "test"):
            pixels = np.fromfile(file, np.uint8, header[split] * 3072).reshape(-1, 32, 32, 3)
            splits.append((pixels, np.fromfile(file, np.uint8, header[split])))
        checksum = file.read(4).hex()
    return {"label": header["label"], "checksum": checksum}, splits


def scale(intensity):
    return (intensity - np.float32(0.5)) / np.float32(0.5)


def changed(pixels, random):
    """Flipped by chance and brighter or darker, clipped, scaled."""
    flips = random.random(len(pixels)) < FLIP
    images = np.where(flips[:, None, None, None], pixels[:, :, ::-1], pixels).astype(np.float32)
    images /= np.float32(255)
    images += random.uniform(-BRIGHTNESS, BRIGHTNESS, (len(pixels), 1, 1, 1)).astype(np.float32)
    return scale(np.clip(images, 0, 1))


def one_hot(labels):
    return np.eye(CLASSES, dtype=np.float32)[labels]


class Batches(keras.utils.PyDataset):
    """An epoch's batches, shuffled and changed; which they are depends on seed and epoch alone."""

    def __init__(self, split, seed, epoch):
        super().__init__()
        self.pixels, self.labels = split
        self.seed, self.epoch = seed, epoch
        self.order = np.random.default_rng([seed, epoch]).permutation(len(self.labels))

    def __len__(self):
        return -(-len(self.order) // BATCH)

    def __getitem__(self, index):
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        random = np.random.default_rng([self.seed, self.epoch, index])
        return changed(self.pixels[chosen], random), one_hot(self.labels[chosen])


class Training:
    """A network, its callbacks, and the folder that keeps them."""

    def __init__(self, network, like, seed, folder, images):
        # What a training that goes on must have begun with.
        self.of = {"network": network, "like": like, "seed": seed, "images": images}
        keras.utils.set_random_seed(seed)
        self.folder, self.seed, self.epoch, self.history = folder, seed, 0, []
        self.model = build(network, STYLES[like])
        self.model.compile(
            optimizer=keras.optimizers.Adam(1e-3),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.callbacks = {
            "reduce": keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.2, patience=3, min_delta=1e-4),
            "stop": keras.callbacks.EarlyStopping("val_loss", patience=7),
        }
        for callback in self.callbacks.values():
            callback.set_model(self.model)
            callback.on_train_begin()
        self.model.stop_training = False

    def variables(self):
        """Weights, moving statistics, dropout's generator, and the optimiser's."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def save(self, name):
        """Whole or not at all."""
        facts = {"of": self.of, "epoch": self.epoch, "history": self.history, "stopped": bool(self.model.stop_training)}
        facts |= {
            kind: {field: getattr(self.callbacks[kind], field) for field in fields} for kind, fields in MEMORY.items()
        }
        arrays = {f"v{i}": np.asarray(variable) for i, variable in enumerate(self.variables())}
        unfinished = self.folder / f"{name}.tmp"
        with open(unfinished, "wb") as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.folder / f"{name}.npz")

    def load(self, name):
        with np.load(self.folder / f"{name}.npz") as saved:
            facts = json.loads(str(saved["facts"]))
            if facts["of"] != self.of:
                sys.exit(
                    f"`{self.folder}` holds a training of another network or other images: move it away to begin anew"
                )
            for i, variable in enumerate(self.variables()):
                variable.assign(saved[f"v{i}"])
        self.epoch, self.history = facts["epoch"], facts["history"]
        self.model.stop_training = facts["stopped"]
        for kind, fields in MEMORY.items():
            for field in fields:
                setattr(self.callbacks[kind], field, facts[kind][field])

    def judge(self, split):
        pixels, labels = split
        found = self.model.evaluate(scale(pixels.astype(np.float32) / np.float32(255)), one_hot(labels), 256, verbose=0)
        return [float(value) for value in found]

    def train_epoch(self, train, validation):
        start, rate = time.monotonic(), float(self.model.optimizer.learning_rate.numpy())
        fitted = self.model.fit(Batches(train, self.seed, self.epoch), epochs=1, shuffle=False, verbose=0).history
        self.model.stop_training = False
        val_loss, val_accuracy = self.judge(validation)
        best = min((row["val_loss"] for row in self.history), default=float("inf"))
        row = [self.epoch + 1, fitted["loss"][0], fitted["accuracy"][0], val_loss, val_accuracy, rate]
        self.history.append(dict(zip(COLUMNS, [*row, time.monotonic() - start])))
        for callback in self.callbacks.values():
            callback.on_epoch_end(self.epoch, {"val_loss": val_loss})
        self.epoch += 1
        # The best first: a training that ends between the two repeats the epoch, and finds it again.
        if val_loss < best:
            self.save("best")
        self.save("last")
        with open(self.folder / "history.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: float(f"{value:.6g}") for name, value in row.items()} for row in self.history)


def main():
    name, network, data, folder, like, seed, epochs, threads = sys.argv[1:9]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    images, (train, validation, test) = read(data)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(json.loads(network), like, int(seed), folder, images)
    if (folder / "last.npz").exists():
        training.load("last")
        print(f"{name}, seed {seed}: goes on after epoch {training.epoch}", flush=True)
    while training.epoch < int(epochs) and not training.model.stop_training:
        training.train_epoch(train, validation)
        last = training.history[-1]
        print(
            f"{name}, seed {seed}, epoch {last['epoch']}: loss {last['train_loss']:.4f}, validation {last['val_loss']:.4f} "
            f"{last['val_accuracy']:.2%}, {last['seconds']:.0f} s",
            flush=True,
        )
    last = training.epoch
    training.load("best")
    loss, accuracy = training.judge(test)
    result = {
        "network": name,
        "like": like,
        "images": images["label"],
        "seed": int(seed),
        "epochs": last,
        "best_epoch": training.epoch,
        "test_loss": loss,
        "test_accuracy": accuracy,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(
        f"{name}, seed {seed}: {last} epochs, best {training.epoch}, test accuracy {accuracy:.2%}, loss {loss:.4f}",
        flush=True,
    )


main()
