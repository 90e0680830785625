"""Trains one network with Keras on TensorFlow: `keras_worker.py NETWORK_JSON THREADS MODE`.

MODE is `xla` or `graph`.
"""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from serve import serve

BATCH, CLASSES = 64, 10


def conv_norm(x, filters, kernel=3, stride=1, bias=False):
    # With stride 2, Keras's `same` pads one row less than PyTorch; the amount of arithmetic is the same.
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=bias)(x)
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3)(x)


def basic(x, filters, stride, skip, projects):
    y = layers.ReLU()(conv_norm(x, filters, stride=stride))
    y = conv_norm(y, filters)
    if skip:
        y = layers.Add()([y, conv_norm(x, filters, 1, stride) if projects else x])
    return layers.ReLU()(y)


def build(network):
    image = x = keras.Input((32, 32, 3))
    if network["family"] == "plain_cnn":
        for filters in network["filters"]:
            x = layers.MaxPooling2D(2)(layers.ReLU()(conv_norm(x, filters, bias=network["conv_bias"])))
    else:
        channels = network["stem"]
        x = layers.ReLU()(conv_norm(x, channels))
        for filters, blocks, stride in zip(network["filters"], network["blocks"], network["stage_strides"]):
            for block in range(blocks):
                step = stride if block == 0 else 1
                every = network["projection"] == "every_stage"
                projects = block == 0 and (every or step != 1 or channels != filters)
                x = basic(x, filters, step, network["skip"], projects)
                channels = filters
    x = layers.Dropout(network["dropout"])(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(CLASSES)(x))


def forward_flops(model):
    """Operations of one image's convolutions and dense layer: strides show here, not in parameters."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            total += 2 * int(np.prod(layer.kernel.shape)) * layer.output.shape[1] * layer.output.shape[2]
        elif isinstance(layer, layers.Dense):
            total += 2 * int(np.prod(layer.kernel.shape))
    return total


def main():
    network, threads, mode = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(1)
    model = build(network)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=mode == "xla",
    )

    def count(weights):
        return sum(int(np.prod(w.shape)) for w in weights)

    facts = {
        "version": f"{keras.__version__} on TensorFlow {tf.__version__}",
        "trainable": count(model.trainable_weights),
        "moving": count(model.non_trainable_weights),
        "forward_flops": forward_flops(model),
    }
    images = np.random.default_rng(1).random((BATCH, 32, 32, 3), dtype=np.float32)
    labels = np.arange(BATCH) % CLASSES

    def run(steps):
        # `fit` is Keras's fastest loop; the requested number of batches makes one epoch.
        x, y = np.tile(images, (steps, 1, 1, 1)), np.tile(labels, steps)
        model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)

    serve(facts, run)


main()
