"""Costs, and the class a model's outputs stand for."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from parity.experiment.spec import LossName

# (outputs [batch, units], labels [batch] int64) -> mean cost over the batch, a scalar
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def loss(name: LossName) -> Loss:
    """The cost function called `name`."""
    return {
        "softmax_cross_entropy": softmax_cross_entropy,
        "softmax_cross_entropy_naive": softmax_cross_entropy_naive,
        "softmax_cross_entropy_clipped": softmax_cross_entropy_clipped,
        "binary_cross_entropy_logits": binary_cross_entropy_logits,
        "binary_cross_entropy_naive": binary_cross_entropy_naive,
        "binary_cross_entropy_clipped": binary_cross_entropy_clipped,
        "binary_cross_entropy_clamped": binary_cross_entropy_clamped,
        "mean_squared_error": mean_squared_error,
    }[name]


def softmax_cross_entropy(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of softmax, from logits [batch, classes]: the stock class."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, outputs)


def softmax_cross_entropy_naive(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-mean(log p) of the labels' probabilities, from all [batch, classes], unprotected: NaN where one of them is 0."""
    return -tf.reduce_mean(tf.gather(tf.math.log(outputs), labels, batch_dims=1))


def softmax_cross_entropy_clipped(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The stock loss of probabilities [batch, classes] clipped to [1e-7, 1 - 1e-7], then divided by their sum."""
    # Keras tags what its softmax gives with the logits, and its losses then use those instead: identity has no tag.
    return keras.losses.SparseCategoricalCrossentropy()(labels, tf.identity(outputs))


def binary_cross_entropy_logits(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the sigmoid, from logits [batch, 1]: the stock class."""
    return keras.losses.BinaryCrossentropy(from_logits=True)(targets(outputs, labels), outputs)


def binary_cross_entropy_naive(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-mean(y log h + (1 - y) log(1 - h)) of probabilities [batch, 1], unprotected: NaN where h is 0 or 1."""
    y = targets(outputs, labels)
    return -tf.reduce_mean(y * tf.math.log(outputs) + (1 - y) * tf.math.log(1 - outputs))


def binary_cross_entropy_clipped(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The naive cost of probabilities [batch, 1] clipped to 1e-7 and 1 - 1e-7: the stock class."""
    # Keras tags what its sigmoid gives with the logits, and its losses then use those instead: identity has no tag.
    return keras.losses.BinaryCrossentropy()(targets(outputs, labels), tf.identity(outputs))


def binary_cross_entropy_clamped(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The naive cost of probabilities [batch, 1] with both logarithms clamped at -100, as torch.nn.BCELoss does it.

    Its gradient is (h - y) / max(h (1 - h), 1e-12) / batch, which is not the derivative where a logarithm is clamped
    (binary_cross_entropy in torch's aten/src/ATen/native/Loss.cpp).
    """
    y = targets(outputs, labels)
    # torch's constant is a float32 also for float64 tensors.
    smallest = tf.constant(np.float64(np.float32(1e-12)), outputs.dtype)

    @tf.custom_gradient
    def clamped(h: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        logarithms = tf.maximum(tf.math.log(h), -100), tf.maximum(tf.math.log1p(-h), -100)
        costs = (y - 1) * logarithms[1] - y * logarithms[0]
        return costs, lambda upstream: upstream * (h - y) / tf.maximum((1 - h) * h, smallest)

    return tf.reduce_mean(clamped(outputs))


def mean_squared_error(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean of (output - target)^2 over [batch, units]: the stock class."""
    return keras.losses.MeanSquaredError()(targets(outputs, labels), outputs)


def targets(outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """[batch, units] in the outputs' dtype: the label itself for a single unit, otherwise one-hot."""
    units = outputs.shape[1]
    return tf.cast(labels[:, None], outputs.dtype) if units == 1 else tf.one_hot(labels, units, dtype=outputs.dtype)


def predicted_classes(outputs: tf.Tensor, threshold: float) -> tf.Tensor:
    """[batch] int64: the largest output's position, or for a single one whether it is above the threshold."""
    if outputs.shape[1] == 1:
        return tf.cast(outputs[:, 0] > threshold, tf.int64)
    return tf.argmax(outputs, axis=1)
