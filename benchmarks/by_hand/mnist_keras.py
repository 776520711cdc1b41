"""mnist_relu with model.fit: python mnist_keras.py FOLDER EPOCHS"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

import keras  # noqa: E402

raw, epochs = Path(sys.argv[1]) / "MNIST/raw", int(sys.argv[2])


def images(name: str) -> np.ndarray:
    pixels = np.frombuffer((raw / f"{name}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    return pixels.reshape(-1, 784).astype("float32") / 255


def labels(name: str) -> np.ndarray:
    return np.frombuffer((raw / f"{name}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)


normal = keras.initializers.RandomNormal(stddev=1.0)
model = keras.Sequential(
    [
        keras.layers.Input((784,)),
        keras.layers.Dense(256, "relu", kernel_initializer=normal),
        keras.layers.Dense(256, "relu", kernel_initializer=normal),
        keras.layers.Dense(10, kernel_initializer=normal),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(0.001), loss, metrics=["accuracy"])
model.fit(images("train"), labels("train"), batch_size=100, epochs=epochs, verbose=0)
print(model.evaluate(images("t10k"), labels("t10k"), verbose=0))
