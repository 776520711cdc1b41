import keras
import numpy as np


def build():
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16),
            keras.layers.BatchNormalization(epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    model.layers[1].moving_mean.assign(np.linspace(-1, 1, 16))
    return model


def loss(y, outputs):
    return keras.losses.MeanSquaredError()(y, outputs)


def optimizer():
    return keras.optimizers.SGD(0.05)
