"""Activations by name: Keras's stock layers, and torch's formulas where the realisation asks for them."""

import math

import keras
import numpy as np
import tensorflow as tf

from parity.experiment.nodes import Activation, PReLU
from parity.experiment.spec import Realisation


def activation(node: Activation, realisation: Realisation) -> keras.layers.Layer:
    """The layer of an activation node."""
    chosen = {
        "leaky_relu": leaky_relu, "elu": elu, "selu": selu, "gelu": gelu, "gelu_tanh": gelu_tanh,
        "hard_sigmoid": hard_sigmoid, "softplus": softplus,
    }  # fmt: skip
    if node.function in chosen:
        return chosen[node.function](node, realisation)
    return keras.layers.Activation(node.function, name=node.name)


def prelu(node: PReLU, realisation: Realisation) -> keras.layers.PReLU:
    """A leaky ReLU whose slope is trained; `state.write` fills it."""
    stock = realisation.prelu_at_zero == "zero"
    layer = keras.layers.PReLU if stock else TorchPReLU
    return layer(shared_axes=[1] if node.shared else None, name=node.name)


def leaky_relu(node: Activation, realisation: Realisation) -> keras.layers.Layer:
    """The stock layer's kernel takes its slope as a float32 attribute, also for float64 tensors."""
    if realisation.constants == "through_float32":
        return keras.layers.LeakyReLU(negative_slope=node.slope, name=node.name)
    return keras.layers.Activation(lambda x: exact_leaky_relu(x, node.slope), name=node.name)


def elu(node: Activation, realisation: Realisation) -> keras.layers.ELU:
    """Its alpha is exact on both sides."""
    return keras.layers.ELU(alpha=node.slope, name=node.name)


def selu(node: Activation, realisation: Realisation) -> keras.layers.Activation:
    """Keras asks for the sign of the rounded output, torch for that of the input."""
    stock = realisation.selu_at_zero == "slope_above"
    return keras.layers.Activation("selu" if stock else torch_selu, name=node.name)


def gelu(node: Activation, realisation: Realisation) -> keras.layers.Activation:
    """x times the normal distribution's share below x; Keras rounds 1 / sqrt(2)."""
    stock = realisation.constants == "through_float32"
    return keras.layers.Activation("gelu" if stock else exact_gelu, name=node.name)


def gelu_tanh(node: Activation, realisation: Realisation) -> keras.layers.Activation:
    """GELU's approximation by a tanh; Keras rounds 0.044715."""
    stock = realisation.constants == "through_float32"
    return keras.layers.Activation(rounded_gelu_tanh if stock else exact_gelu_tanh, name=node.name)


def hard_sigmoid(node: Activation, realisation: Realisation) -> keras.layers.Activation:
    """clip(x + 3, 0, 6) / 6; torch rounds the slope, 1/6."""
    stock = realisation.constants == "exact"
    return keras.layers.Activation("hard_sigmoid" if stock else rounded_hard_sigmoid, name=node.name)


def softplus(node: Activation, realisation: Realisation) -> keras.layers.Activation:
    """log(1 + exp(x)), which torch takes for x above 20."""
    stock = realisation.softplus_above_20 == "smooth"
    return keras.layers.Activation("softplus" if stock else torch_softplus, name=node.name)


class TorchPReLU(keras.layers.PReLU):
    """PReLU with its slope as the derivative at zero, as torch.nn.PReLU has it."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        # The minimum keeps what is not taken finite, and with it the slope's gradient.
        return tf.where(inputs > 0, inputs, self.alpha * tf.minimum(inputs, 0))


def exact_leaky_relu(x: tf.Tensor, slope: float) -> tf.Tensor:
    """Leaky ReLU whose slope has the tensor's precision, as torch.nn.LeakyReLU's has."""
    return tf.where(x > 0, x, x * tf.constant(slope, x.dtype))


def torch_selu(x: tf.Tensor) -> tf.Tensor:
    """SELU with the derivative from below at zero, as torch.nn.SELU has it (aten/src/ATen/native/Activation.cpp)."""
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    # The minimum keeps what is not taken finite, and with it the gradient.
    return tf.where(x > 0, scale * x, scale * alpha * tf.math.expm1(tf.minimum(x, 0)))


def exact_gelu(x: tf.Tensor) -> tf.Tensor:
    """GELU with 1 / sqrt(2) in the tensor's precision, as in torch.nn.GELU."""
    return 0.5 * x * tf.math.erfc(-x * tf.constant(math.sqrt(0.5), x.dtype))


def exact_gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """GELU's approximation with constants of the tensor's precision, as in torch.nn.GELU("tanh")."""
    cubed = tf.constant(0.044715, x.dtype) * x * x * x
    return 0.5 * x * (1 + tf.tanh(tf.constant(math.sqrt(2 / math.pi), x.dtype) * (x + cubed)))


def rounded_gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """GELU's approximation: the stock function."""
    return keras.activations.gelu(x, approximate=True)


@tf.custom_gradient
def rounded_hard_sigmoid(x: tf.Tensor) -> tuple[tf.Tensor, object]:
    """Hard sigmoid with the slope 1/6 rounded through float32, as torch.nn.Hardsigmoid has it.

    torch asks for the sign of x - 3 and of x + 3 (aten/src/ATen/native/cpu/Activation.cpp, hardsigmoid_backward).
    """
    slope = tf.cast(tf.constant(np.float32(1 / 6)), x.dtype)
    return keras.activations.hard_sigmoid(x), lambda delta: tf.where(tf.abs(x) < 3, delta * slope, 0)


def torch_softplus(x: tf.Tensor) -> tf.Tensor:
    """Softplus that is x above 20, as torch.nn.Softplus is."""
    return tf.where(x > 20, x, tf.math.softplus(x))
