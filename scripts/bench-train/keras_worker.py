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

from keras_model import CLASSES, build, forward_flops
from serve import serve

BATCH = 64


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
