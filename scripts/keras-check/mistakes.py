"""Mistakes that a training may contain: put into Keras's side, they must be seen."""

import keras
import numpy as np
from keras import layers, ops

from keras_model import Style

# Each differs from the right thing as another program's default or an oversight would.
MISTAKES = {
    "epsilon": "Adam's epsilon 1e-8 for 1e-7",
    "corrected": "Adam's epsilon added to the corrected root, as PyTorch does",
    "beta2": "Adam's beta2 0.99 for 0.999",
    "momentum": "moving statistics keep 0.9 for 0.99",
    "norm": "batch norm's epsilon 1e-5 for 1e-3",
    "variance": "moving variance with n - 1 for n, as PyTorch has it",
    "padding": "stride 2 padded after the image only, as Keras's `same`",
    "bias": "no bias where a layer has one",
    "scale": "pixels in [0, 1] for [-1, 1]",
}


class Corrected(keras.optimizers.Adam):
    """Kingma & Ba's algorithm 1, as PyTorch has it."""

    def update_step(self, gradient, variable, learning_rate):
        epsilon, step = self.epsilon, ops.cast(self.iterations + 1, variable.dtype)
        self.epsilon = epsilon * ops.sqrt(1 - ops.power(ops.cast(self.beta_2, variable.dtype), step))
        super().update_step(gradient, variable, learning_rate)
        self.epsilon = epsilon


class Unbiased(layers.BatchNormalization):
    """Keeps moving variances of n - 1."""

    def call(self, inputs, training=None, mask=None):
        before = ops.copy(self.moving_variance)
        outputs = super().call(inputs, training=training, mask=mask)
        if training:
            shape = ops.shape(inputs)
            n = ops.cast(shape[0] * shape[1] * shape[2], "float32")
            added = self.moving_variance - before * self.momentum
            self.moving_variance.assign(self.moving_variance + added / (n - 1))
        return outputs


def style(mistake):
    return Style(
        padding="same" if mistake == "padding" else "both",
        norm=Unbiased if mistake == "variance" else layers.BatchNormalization,
        momentum=0.9 if mistake == "momentum" else 0.99,
        epsilon=1e-5 if mistake == "norm" else 1e-3,
    )


def optimizer(mistake):
    kind = Corrected if mistake == "corrected" else keras.optimizers.Adam
    return kind(
        learning_rate=1e-3,
        beta_1=0.9,
        beta_2=0.99 if mistake == "beta2" else 0.999,
        epsilon=1e-8 if mistake == "epsilon" else 1e-7,
    )


def freeze(mistake, model):
    """Leaves biases of convolutions and the dense layer where they are: at 0."""
    if mistake == "bias":
        for layer in model.layers:
            if isinstance(layer, (layers.Conv2D, layers.Dense)) and layer.use_bias:
                layer.bias.trainable = False


def scale(mistake, pixels):
    scaled = pixels.astype(np.float32) / np.float32(255)
    return scaled if mistake == "scale" else (scaled - np.float32(0.5)) / np.float32(0.5)
