import keras


def build():
    return keras.Sequential(
        [
            keras.Input((5, 5, 2)),
            keras.layers.Conv2D(3, 1, activation="relu"),
            keras.layers.AveragePooling2D(3, strides=1, padding="same"),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(1),
        ]
    )


def loss(y, outputs):
    return keras.losses.MeanSquaredError()(y, outputs)


def optimizer():
    return keras.optimizers.SGD(0.05)
