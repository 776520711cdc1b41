import keras


def build():
    return keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )


def loss(y, outputs):
    return keras.losses.MeanSquaredError()(y, outputs)


def optimizer():
    return keras.optimizers.RMSprop(0.01, rho=0.99, epsilon=0.01)
