"""Activations by name, as Keras's stock layers."""

import keras
import tensorflow as tf

from parity.spec import Activation, Realisation


def activation(node: Activation, realisation: Realisation) -> keras.layers.Layer:
    """The layer of an activation node."""
    if node.function == "leaky_relu":
        # The stock layer's kernel takes its slope as a float32 attribute, also for float64 tensors.
        layer = ExactLeakyReLU if realisation.constants == "exact" else keras.layers.LeakyReLU
        return layer(negative_slope=node.slope, name=node.name)
    return keras.layers.Activation(node.function, name=node.name)


class ExactLeakyReLU(keras.layers.Layer):
    """Leaky ReLU whose slope has the tensor's precision, as torch.nn.LeakyReLU's has."""

    def __init__(self, negative_slope: float, name: str) -> None:
        super().__init__(name=name)
        self.negative_slope = negative_slope

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.where(inputs > 0, inputs, inputs * tf.constant(self.negative_slope, inputs.dtype))
