"""How far our numbers and another program's are apart.

Differences of tensors are L2 norms, relative to ours; of several tensors, batches or steps the worst is named.
"""

import numpy as np

# As both sides have them.
BETA1, MOMENTUM = 0.9, 0.99


def norm(values):
    return float(np.sqrt(np.sum(np.square(values, dtype=np.float64))))


def known(value):
    """As a number that compares: what is undefined is infinitely far."""
    return float(value) if np.isfinite(value) else float("inf")


def apart(ours, theirs):
    difference, size = norm(theirs - ours), norm(ours)
    if size == 0.0:
        return 0.0 if difference == 0.0 else float("inf")
    return known(difference / size)


def worst(found):
    tensor = max(found, key=found.get)
    return {"value": found[tensor], "tensor": tensor}


def trained(state):
    return [name for name in state if name.rpartition(".")[2] in ("weight", "bias") and not name.startswith("adam.")]


def is_idle(name):
    """A convolution's bias: the batch norm after it takes it away with the mean, so that its gradient is rounding alone."""
    return name.endswith("conv.bias")


def gradient(before, after, name):
    """The gradient that changed Adam's first moment, which is 0 in an empty state."""
    first = before[f"adam.m.{name}"].astype(np.float64) if before else 0.0
    return (after[f"adam.m.{name}"] - BETA1 * first) / (1 - BETA1)


def gradients(before, ours, theirs):
    """By tensor."""
    names = [name for name in trained(ours) if not is_idle(name)]
    return {n: apart(gradient(before, ours, n), gradient(before, theirs, n)) for n in names}


def statistics(before, ours, theirs):
    """A batch's mean and variance, by tensor: what moved the moving ones."""

    def seen(after, name):
        return (after[name] - MOMENTUM * before[name].astype(np.float64)) / (1 - MOMENTUM)

    names = [name for name in ours if ".moving_" in name]
    return {n: apart(seen(ours, n), seen(theirs, n)) for n in names}


def moved(start, ours, theirs):
    """Moving statistics, by how far they came since the start."""
    names = [name for name in ours if ".moving_" in name]
    return worst(
        {n: apart(ours[n].astype(np.float64) - start[n], theirs[n].astype(np.float64) - start[n]) for n in names}
    )


def updates(before, ours, theirs):
    """What was added to each tensor."""

    def added(after, name):
        return after[name].astype(np.float64) - before[name]

    names = [name for name in trained(ours) if not is_idle(name)]
    return {n: apart(added(ours, n), added(theirs, n)) for n in names}


def loss(ours, theirs):
    """Relative, but not to less than 1: late in training a loss is small because large logits cancel."""
    return {"value": known(abs(theirs - ours) / max(ours, 1.0))}


def logits(ours, theirs):
    return {"value": known(np.abs(theirs - ours).max() / np.abs(ours).max())}


def idle(before, ours, theirs):
    """The larger gradient of a bias without effect, relative to that of its convolution's weights; none without such."""
    found = {}
    for name in filter(is_idle, trained(ours)):
        weights = norm(gradient(before, ours, name.replace(".bias", ".weight")))
        found[name] = max(known(norm(gradient(before, state, name)) / weights) for state in (ours, theirs))
    return found


def best(batches):
    """Each tensor's smallest difference, and of these the worst."""
    return worst({name: min(batch[name] for batch in batches) for name in batches[0]})


def largest(found, steps):
    """The worst of several steps' differences, which are values or by tensor."""
    found = [one if "value" in one else worst(one) for one in found]
    place = max(range(len(found)), key=lambda i: found[i]["value"])
    return {**found[place], "step": steps[place]}
