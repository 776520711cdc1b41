"""Activations by name: torch's stock layers, and Keras's formulas where the realisation asks for them."""

import math
from collections.abc import Callable

import numpy as np
import torch

from parity.experiment.nodes import Activation, PReLU
from parity.experiment.spec import Realisation
from torch_impl.runtime import constant

LAYERS = {
    "linear": torch.nn.Identity,
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "silu": torch.nn.SiLU,
    "mish": torch.nn.Mish,
    "softmax": lambda: torch.nn.Softmax(dim=-1),
}


def activation(node: Activation, realisation: Realisation) -> torch.nn.Module:
    """The layer of an activation node."""
    chosen = {
        "leaky_relu": leaky_relu, "elu": elu, "selu": selu, "gelu": gelu, "gelu_tanh": gelu_tanh,
        "hard_sigmoid": hard_sigmoid, "softplus": softplus,
    }  # fmt: skip
    if node.function in chosen:
        return chosen[node.function](node, realisation)
    return LAYERS[node.function]()


def prelu(node: PReLU, realisation: Realisation) -> torch.nn.PReLU:
    """A leaky ReLU whose slope is trained; `state.write` fills it."""
    stock = realisation.prelu_at_zero == "slope_below"
    layer = torch.nn.PReLU if stock else KerasPReLU
    return layer(num_parameters=1 if node.shared else node.units)


def leaky_relu(node: Activation, realisation: Realisation) -> torch.nn.LeakyReLU:
    """Keras rounds the slope."""
    return torch.nn.LeakyReLU(negative_slope=constant(node.slope, realisation))


def elu(node: Activation, realisation: Realisation) -> torch.nn.ELU:
    """Its alpha is exact on both sides."""
    return torch.nn.ELU(alpha=node.slope)


def selu(node: Activation, realisation: Realisation) -> torch.nn.Module:
    """Keras asks for the sign of the rounded output, torch for that of the input."""
    stock = realisation.selu_at_zero == "slope_below"
    return torch.nn.SELU() if stock else Function(keras_selu)


def gelu(node: Activation, realisation: Realisation) -> torch.nn.Module:
    """x times the normal distribution's share below x; Keras rounds 1 / sqrt(2)."""
    stock = realisation.constants == "exact"
    return torch.nn.GELU() if stock else Function(rounded_gelu)


def gelu_tanh(node: Activation, realisation: Realisation) -> torch.nn.Module:
    """GELU's approximation by a tanh; Keras rounds 0.044715."""
    stock = realisation.constants == "exact"
    return torch.nn.GELU(approximate="tanh") if stock else Function(rounded_gelu_tanh)


def hard_sigmoid(node: Activation, realisation: Realisation) -> torch.nn.Module:
    """clip(x + 3, 0, 6) / 6; torch rounds the slope, 1/6."""
    stock = realisation.constants == "through_float32"
    return torch.nn.Hardsigmoid() if stock else Function(exact_hard_sigmoid)


def softplus(node: Activation, realisation: Realisation) -> torch.nn.Softplus:
    """log(1 + exp(x)), which torch takes for x above its threshold, by default 20."""
    # Above 40 the two are the same number in float64 too.
    return torch.nn.Softplus(threshold=20 if realisation.softplus_above_20 == "linear" else 40)


class Function(torch.nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.function(inputs)


class KerasPReLU(torch.nn.PReLU):
    """PReLU with the derivative zero at zero, as keras.layers.PReLU has it (keras/src/layers/activations/prelu.py)."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.relu(inputs) - self.weight * torch.relu(-inputs)


def keras_selu(x: torch.Tensor) -> torch.Tensor:
    """SELU as TensorFlow's kernel has it: with exp(x) - 1, and below zero only where that, rounded, is below zero."""
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    below = scale * alpha * (torch.exp(torch.clamp(x, max=0)) - 1)
    return torch.where(below < 0, below, scale * x)


def rounded_gelu(x: torch.Tensor) -> torch.Tensor:
    """GELU with 1 / sqrt(2) rounded through float32, as keras.activations.gelu has it."""
    return 0.5 * x * torch.erfc(-x * float(np.float32(math.sqrt(0.5))))


def rounded_gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    """GELU's approximation with 0.044715 rounded through float32, as keras.activations.gelu has it."""
    cubed = float(np.float32(0.044715)) * x * x * x
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + cubed)))


def exact_hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """Hard sigmoid whose slope has the tensor's precision, as keras.activations.hard_sigmoid's has."""
    return torch.nn.functional.relu6(x + 3) / 6
