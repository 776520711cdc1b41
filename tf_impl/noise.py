"""The noise of a twin: its weights get impulses of the size of a step's rounding, after every step."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from parity.experiment.randomness import Impulses
from tf_impl.state import trained


class Noise:
    """Impulses for the weights of a model, each weight's of a size that `resize` sets; zero until then."""

    def __init__(self, model: keras.Model, device: str) -> None:
        self.device = device
        self.weights = trained(model)
        with tf.device(device):
            self.sizes = {name: tf.Variable(tf.zeros_like(weight)) for name, weight in self.weights.items()}
            # Variables of any length, so that all twins share one graph.
            self.values = tf.Variable(tf.zeros([0], model.compute_dtype), shape=[None])
            self.offsets = tf.Variable(tf.zeros([0], tf.int64), shape=[None])

    def draw(self, impulses: Impulses) -> None:
        """Take the impulses of another twin."""
        self.values.assign(tf.constant(impulses.values, self.values.dtype))
        self.offsets.assign(impulses.offsets)

    def resize(self, sizes: Mapping[str, np.ndarray]) -> None:
        """Set the size of every weight's impulses, in the neutral layout."""
        for name, size in self.sizes.items():
            size.assign(sizes[name])

    @tf.autograph.experimental.do_not_convert
    def add(self, step: tf.Tensor) -> None:
        """Move the weights by the impulses of a step."""
        position = self.offsets[step]
        for name, weight in self.weights.items():
            count = int(np.prod(weight.shape))
            values = self.values[position : position + count]
            weight.assign_add(self.sizes[name] * tf.reshape(values, weight.shape))
            position += count
