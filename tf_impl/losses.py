"""Costs, and the class a model's outputs stand for."""

from collections.abc import Callable

import keras
import tensorflow as tf

from parity.spec import LossName

# (outputs [batch, units], labels [batch] int64) -> mean cost over the batch, a scalar
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def loss(name: LossName) -> Loss:
    """The cost function called `name`."""
    return {
        "softmax_cross_entropy": softmax_cross_entropy,
        "binary_cross_entropy_naive": binary_cross_entropy_naive,
    }[name]


def softmax_cross_entropy(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of softmax, from logits [batch, classes]: the stock class."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, outputs)


def binary_cross_entropy_naive(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-mean(y log h + (1 - y) log(1 - h)) of probabilities [batch, 1], unprotected: NaN where h is 0 or 1."""
    y = tf.cast(labels[:, None], outputs.dtype)
    return -tf.reduce_mean(y * tf.math.log(outputs) + (1 - y) * tf.math.log(1 - outputs))


def predicted_classes(outputs: tf.Tensor) -> tf.Tensor:
    """[batch] int64: the largest logit's position, or for a single probability whether it is above one half."""
    if outputs.shape[1] == 1:
        return tf.cast(outputs[:, 0] > 0.5, tf.int64)
    return tf.argmax(outputs, axis=1)
