"""Trains in Keras what our engine trained, from the same weights on the same images, and measures how far apart they are.

It runs inside the environment with Keras: `witness.py FOLDER OTHER NETWORK_JSON THREADS RUN=STEPS..`.
FOLDER is what the engine wrote, OTHER what it wrote when its first weights differed by their last bits. A RUN is `keras`,
`rounding` (the engine's other one) or a mistake's name, and STEPS how long it trains by itself. Prints a JSON line for each.
"""

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["KERAS_BACKEND"] = "tensorflow"
sys.dont_write_bytecode = True
sys.path.append(str(Path(__file__).resolve().parents[1] / "bench-train"))

import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import load_file

import differences
import mistakes
from keras_model import build

# Our exported order to Keras's.
TO_KERAS = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
TO_OURS = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}
KINDS = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
MOVING = {"moving_mean": "moving_mean", "moving_variance": "moving_var"}


class Ours:
    """What the engine wrote."""

    def __init__(self, folder):
        self.folder = Path(folder)
        run = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        self.losses, self.facts = run["losses"], run

    def state(self, name):
        return load_file(self.folder / f"{name}.safetensors")

    def images(self, name):
        pixels = np.fromfile(self.folder / f"{name}.images", np.uint8).reshape(-1, 32, 32, 3)
        return pixels, np.fromfile(self.folder / f"{name}.labels", np.uint8)


class Theirs:
    """A network in Keras that takes and gives states with our names and layouts."""

    def __init__(self, network, mistake):
        self.mistake = mistake
        self.model = build({**network, "dropout": 0.0}, mistakes.style(mistake))
        self.optimizer = mistakes.optimizer(mistake)
        self.named = self.names()
        mistakes.freeze(mistake, self.model)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer=self.optimizer, loss=loss, jit_compile=False)
        self.optimizer.build(self.model.trainable_variables)

    def names(self):
        """Our name of each variable."""
        named = {}
        for layer in self.model.layers:
            for variable in layer.variables:
                kind = {**KINDS, **MOVING}[variable.path.rpartition("/")[2]]
                named[f"{layer.name}.{kind}"] = variable
        return named

    def moments(self):
        """Adam's two moments by the name of what they belong to; none for what is not trained."""
        for name, variable in self.named.items():
            if any(variable is trained for trained in self.model.trainable_variables):
                index = self.optimizer._get_variable_index(variable)
                yield name, self.optimizer._momentums[index], self.optimizer._velocities[index]

    def load(self, state, step):
        """Takes a state of before the step of this number, counted from 0."""
        left = {name for name in state if not name.startswith("adam.")}
        for name, variable in self.named.items():
            assign(variable, state[name], name)
            left.remove(name)
        if left:
            sys.exit(f"Keras's network has no {', '.join(sorted(left))}")
        for name, first, second in self.moments():
            assign(first, state[f"adam.m.{name}"], name)
            assign(second, state[f"adam.v.{name}"], name)
        self.optimizer.iterations.assign(step)

    def state(self):
        found = {name: outward(variable) for name, variable in self.named.items()}
        # What Keras does not train has no moment.
        found |= {f"adam.m.{name}": np.zeros_like(found[name]) for name in differences.trained(found)}
        for name, first, _ in self.moments():
            found[f"adam.m.{name}"] = outward(first)
        return found

    def images(self, pixels):
        return mistakes.scale(self.mistake, pixels)

    def step(self, pixels, labels):
        """The loss before the step."""
        self.model.reset_metrics()
        return float(self.model.train_on_batch(self.images(pixels), one_hot(labels)))

    def update(self, before, after):
        """Adam's step by the gradient that made `after` of `before`."""
        trained = [name for name, _, _ in self.moments()]
        gradients = [differences.gradient(before, after, name) for name in trained]
        gradients = [tf.constant(g.astype(np.float32).transpose(TO_KERAS[g.ndim])) for g in gradients]
        self.optimizer.apply(gradients, [self.named[name] for name in trained])

    def logits(self, pixels):
        return np.concatenate([self.model(self.images(part), training=False) for part in np.split(pixels, 4)])


def assign(variable, values, name):
    values = values.transpose(TO_KERAS[values.ndim])
    if values.shape != tuple(variable.shape):
        sys.exit(f"`{name}` is {values.shape} in our network and {tuple(variable.shape)} in Keras's")
    variable.assign(values)


def outward(variable):
    values = np.asarray(variable)
    return values.transpose(TO_OURS[values.ndim])


def one_hot(labels):
    return np.eye(10, dtype=np.float32)[labels]


class Pair:
    """Our engine's numbers and Keras's, from the same state on."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.pixels, self.labels = ours.images("train")

    def batch(self, start, count):
        return self.pixels[start : start + count], self.labels[start : start + count]

    def small(self):
        """Gradients of small batches at the start."""
        start, count = self.ours.state("start"), self.ours.facts["small_batch"]
        for i in range(self.ours.facts["small"]):
            self.theirs.load(start, 0)
            self.theirs.step(*self.batch(i * count, count))
            yield differences.gradients({}, self.ours.state(f"small-{i}"), self.theirs.state())

    def checked(self, step):
        """One step from our state, and Adam alone with our gradient."""
        before, after = self.ours.state(f"before-{step}"), self.ours.state(f"after-{step}")
        count = self.ours.facts["batch"]
        self.theirs.load(before, step - 1)
        loss = self.theirs.step(*self.batch((step - 1) * count, count))
        state = self.theirs.state()
        idle = differences.idle(before, after, state)
        self.theirs.load(before, step - 1)
        self.theirs.update(before, after)
        return {
            "loss": differences.loss(self.ours.losses[step - 1], loss),
            "gradient": differences.gradients(before, after, state),
            "statistics": differences.statistics(before, after, state),
            "update": differences.updates(before, after, self.theirs.state()),
            **({"idle biases": idle} if idle else {}),
        }

    def logits(self):
        test, _ = self.ours.images("test")
        self.theirs.load(self.ours.state(f"after-{len(self.ours.losses)}"), len(self.ours.losses))
        return differences.logits(self.ours.state("logits")["logits"], self.theirs.logits(test))

    def alone(self, steps):
        """Keras's own training: its losses, and its state and logits after them."""
        self.theirs.load(self.ours.state("start"), 0)
        count = self.ours.facts["batch"]
        losses = [self.theirs.step(*self.batch(step * count, count)) for step in range(steps)]
        return losses, self.theirs.state(), self.theirs.logits(self.ours.images("test")[0])


def free(ours, losses, state, logits):
    """How far a training of its own came apart from ours, step by step and, after as many, in all."""
    found = {"trained": losses, "losses": [differences.loss(a, b)["value"] for a, b in zip(ours.losses, losses)]}
    if len(losses) == len(ours.losses):
        after, start = ours.state(f"after-{len(losses)}"), ours.state("start")
        found["own losses"] = {"value": max(found["losses"])}
        found["own statistics"] = differences.moved(start, after, state)
        found["own logits"] = differences.logits(ours.state("logits")["logits"], logits)
    return found


def train(ours, network, mistake, steps):
    """All differences of one run of Keras."""
    pair = Pair(ours, Theirs(network, mistake))
    found = free(ours, *pair.alone(steps))
    found["small gradient"] = differences.best(list(pair.small()))
    # A mistake is there in every step: the first and the last are enough.
    steps = sorted({1, len(ours.losses)}) if mistake else ours.facts["check"]
    checks = [pair.checked(step) for step in steps]
    for quantity in checks[0]:
        found[quantity] = differences.largest([check[quantity] for check in checks], steps)
    found["logits"] = pair.logits()
    return found


def main():
    folder, other, network, threads = sys.argv[1:5]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(int(threads))
    network, ours = json.loads(network), Ours(folder)
    out, sys.stdout = sys.stdout, sys.stderr
    facts = {"version": f"{keras.__version__} on TensorFlow {tf.__version__}", **ours.facts}
    print(json.dumps({"facts": facts}), file=out, flush=True)
    for argument in sys.argv[5:]:
        run, _, steps = argument.partition("=")
        keras.backend.clear_session()
        if run == "rounding":
            nudged = Ours(other)
            found = free(ours, nudged.losses, nudged.state(f"after-{steps}"), nudged.state("logits")["logits"])
        else:
            found = train(ours, network, None if run == "keras" else run, int(steps))
        print(json.dumps({"run": run, "differences": found}), file=out, flush=True)


main()
