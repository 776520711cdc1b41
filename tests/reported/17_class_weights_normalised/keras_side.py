import keras
import numpy as np


def build():
    return keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(2),
        ]
    )


def loss(y, outputs):
    """What fit(class_weight={0: 1, 1: 20}) does: a sample weight for each, and the sum over the batch's size."""
    cost = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return cost(y, outputs, sample_weight=np.array([1, 20], "float32")[y])


def optimizer():
    return keras.optimizers.SGD(0.02)
