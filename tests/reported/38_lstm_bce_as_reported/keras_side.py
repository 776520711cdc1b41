import keras
import tensorflow as tf


def build():
    return keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            keras.layers.Embedding(16, 10),
            keras.layers.LSTM(8),
            keras.layers.Dense(16, activation="sigmoid"),
        ]
    )


def loss(y, outputs):
    return keras.losses.BinaryCrossentropy()(y, outputs)


def optimizer():
    return keras.optimizers.Adam(0.01)


def gradients(values, aligned=False):
    return [tf.convert_to_tensor(value) for value in values] if aligned else values


def step(model, optimizer, x, y, aligned=False):
    with tf.GradientTape() as tape:
        cost = loss(y, model(x, training=True))
    found = gradients(tape.gradient(cost, model.trainable_variables), aligned)
    optimizer.apply(found, model.trainable_variables)
    return cost
