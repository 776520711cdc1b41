import keras


def build():
    return keras.Sequential(
        [
            keras.Input((20,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )


def loss(y, outputs):
    return keras.losses.SparseCategoricalCrossentropy()(y, outputs)


def optimizer():
    return keras.optimizers.SGD(0.1)
