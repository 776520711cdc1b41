import keras


def build():
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1),
        ]
    )


def loss(y, outputs):
    return keras.losses.MeanSquaredError()(y, outputs)


def optimizer():
    return keras.optimizers.SGD(0.1)
