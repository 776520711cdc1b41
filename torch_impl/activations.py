"""Activations by name, as torch's stock layers."""

import torch

from parity.spec import Activation, Realisation
from torch_impl.runtime import constant

LAYERS = {
    "linear": torch.nn.Identity,
    "sigmoid": torch.nn.Sigmoid,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
}


def activation(node: Activation, realisation: Realisation) -> torch.nn.Module:
    """The layer of an activation node."""
    if node.function == "leaky_relu":
        return torch.nn.LeakyReLU(negative_slope=constant(node.slope, realisation))
    if node.function == "softmax":
        return torch.nn.Softmax(dim=1)
    return LAYERS[node.function]()
