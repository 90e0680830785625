"""The paper's networks in Keras, their layers named as ours, and their arithmetic."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

CLASSES = 10


@dataclass
class Style:
    """What the networks leave open."""

    # `same` is Keras's: with stride 2 it adds a row and a column after the image only. `both` adds one on each
    # side, as our convolutions and PyTorch's do. Parameters and arithmetic are the same.
    padding: str = "same"
    norm: type = layers.BatchNormalization
    momentum: float = 0.99
    epsilon: float = 1e-3
    # Of convolutions.
    initializer: str = "glorot_uniform"


def conv_norm(x, style, conv, norm, filters, kernel=3, stride=1, bias=False):
    padding = "same"
    if style.padding == "both" and kernel > 1 and stride > 1:
        x, padding = layers.ZeroPadding2D(kernel // 2)(x), "valid"
    options = {"padding": padding, "use_bias": bias, "kernel_initializer": style.initializer}
    x = layers.Conv2D(filters, kernel, strides=stride, name=conv, **options)(x)
    return style.norm(momentum=style.momentum, epsilon=style.epsilon, name=norm)(x)


def basic(x, style, name, filters, stride, skip, projects):
    y = layers.ReLU()(conv_norm(x, style, f"{name}.conv1", f"{name}.bn1", filters, stride=stride))
    y = conv_norm(y, style, f"{name}.conv2", f"{name}.bn2", filters)
    if skip and projects:
        x = conv_norm(x, style, f"{name}.projection.conv", f"{name}.projection.bn", filters, 1, stride)
    return layers.ReLU()(layers.Add()([y, x]) if skip else y)


def plain_cnn(x, network, style):
    for i, filters in enumerate(network["filters"], 1):
        x = conv_norm(x, style, f"block{i}.conv", f"block{i}.bn", filters, bias=network["conv_bias"])
        x = layers.MaxPooling2D(2)(layers.ReLU()(x))
    return x


def resnet(x, network, style):
    channels = network["stem"]
    x = layers.ReLU()(conv_norm(x, style, "stem.conv", "stem.bn", channels))
    stages = zip(network["filters"], network["blocks"], network["stage_strides"])
    for i, (filters, blocks, stride) in enumerate(stages, 1):
        for block in range(blocks):
            step = stride if block == 0 else 1
            every = network["projection"] == "every_stage"
            projects = block == 0 and (every or step != 1 or channels != filters)
            x = basic(x, style, f"stage{i}.block{block + 1}", filters, step, network["skip"], projects)
            channels = filters
    return x


def build(network, style=Style()):
    """The network from scaled images to logits, with Keras's initial weights."""
    image = keras.Input((32, 32, 3))
    family = {"plain_cnn": plain_cnn, "resnet": resnet}[network["family"]]
    x = layers.GlobalAveragePooling2D()(family(image, network, style))
    x = layers.Dropout(network["dropout"])(x)
    return keras.Model(image, layers.Dense(CLASSES, name="dense")(x))


def forward_flops(model):
    """Operations of one image's convolutions and dense layer: strides show here, not in parameters."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            total += 2 * int(np.prod(layer.kernel.shape)) * layer.output.shape[1] * layer.output.shape[2]
        elif isinstance(layer, layers.Dense):
            total += 2 * int(np.prod(layer.kernel.shape))
    return total
