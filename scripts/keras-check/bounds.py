"""What may be how far apart, and why: the verdict on measured differences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Quantity:
    """Something that both sides compute; `bound` is absent where rounding's own effect is the measure."""

    says: str
    bound: float | None


# All but the last three begin from our engine's state, so that only one step's rounding counts. f32 keeps 6e-8 of
# a number; sums of thousands of them in another order differ by some 1e-7 to 1e-6, and through twenty layers of
# batch norm by 1e-5. Each bound lies 8 times or more above what was measured and below every mistake it must catch.
QUANTITIES = {
    "loss": Quantity("loss of a step", 1e-5),
    "small gradient": Quantity("gradient of a tensor, 2 images, the best of 12 batches", 2e-4),
    # ResNet-18 without skips and its own gradients with flipped last bits: 2.5e-5 in 4 of these batches, 1e-3 to
    # 1e-2 in the other 8, where a ReLU was switched.
    # A ReLU whose input is nearer to 0 than rounding is switched on here and off there: everything before it gets
    # another gradient. In 64 images' millions of activations there is nearly always one.
    "gradient": Quantity("gradient of a tensor, whole batch", 1e-1),
    "idle biases": Quantity("gradient of biases that batch norm takes away", 1e-4),
    "statistics": Quantity("batch mean and variance of a layer", 1e-4),
    "update": Quantity("what Adam adds to a tensor, given our gradient", 3e-3),
    "logits": Quantity("logits of test images, moving statistics", 2e-5),
    "own losses": Quantity("losses of all steps, each side by itself", None),
    "own statistics": Quantity("moving statistics after all steps", None),
    "own logits": Quantity("logits after all steps", None),
}
# Trainings that rounding drove apart differ by chance alone: this many times as far is not chance.
TIMES_ROUNDING = 5
# What a single ReLU can do that is switched on one side only: whether there was one is luck. Adam's first steps are as long
# for a tiny gradient as for a large one, so that a gradient that is off by a hundredth moves logits by several.
LEAST = 1e-1
# How far beyond a bound a mistake must be to count as seen.
CLEARLY = 2


def bound(name, rounding):
    """Of a quantity; `rounding` has the differences that changed last bits gave, if that was tried."""
    fixed = QUANTITIES[name].bound
    if fixed is not None:
        return fixed
    if not rounding:
        return None
    return max(LEAST, TIMES_ROUNDING * rounding[name]["value"])


def beyond(differences, rounding):
    """How many times its bound each quantity is, the farthest first; undefined numbers are infinitely far."""
    times = {}
    for name in QUANTITIES:
        limit = bound(name, rounding)
        if name in differences and limit is not None:
            value = differences[name]["value"]
            times[name] = value / limit if value == value else float("inf")
    return dict(sorted(times.items(), key=lambda item: -item[1]))


def agrees(differences, rounding):
    return all(times <= 1 for times in beyond(differences, rounding).values())


def is_seen(differences, rounding):
    return any(times >= CLEARLY for times in beyond(differences, rounding).values())
