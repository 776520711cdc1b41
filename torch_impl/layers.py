"""Nodes of a model as torch modules."""

import torch

from parity.nodes import Dense, Node, PReLU
from parity.spec import Realisation
from torch_impl.activations import activation, prelu


def layer(node: Node, realisation: Realisation) -> torch.nn.Module:
    """The module of one node."""
    if isinstance(node, Dense):
        return dense(node)
    return prelu(node, realisation) if isinstance(node, PReLU) else activation(node, realisation)


def dense(node: Dense) -> torch.nn.Linear:
    """A fully connected layer; its weight is (units, inputs). `state.write` fills it."""
    return torch.nn.utils.skip_init(torch.nn.Linear, node.inputs, node.units)
