import keras
import numpy as np


def build():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(5, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1),
        ]
    )
    # What training on inputs of small variance leaves behind.
    model.layers[1].moving_variance.assign(np.array([1e-2, 2e-3, 5e-4, 2e-4, 5e-2], "float32"))
    return model


def loss(y, outputs):
    return keras.losses.MeanSquaredError()(y, outputs)


def optimizer():
    return keras.optimizers.SGD(0.01)
