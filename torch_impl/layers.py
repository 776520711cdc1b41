"""Nodes of a model as torch modules."""

import torch

from parity.spec import Dense, Node, Realisation
from torch_impl.activations import activation


def layer(node: Node, realisation: Realisation) -> torch.nn.Module:
    """The module of one node."""
    return dense(node) if isinstance(node, Dense) else activation(node, realisation)


def dense(node: Dense) -> torch.nn.Linear:
    """A fully connected layer; its weight is (units, inputs). `state.write` fills it."""
    return torch.nn.utils.skip_init(torch.nn.Linear, node.inputs, node.units)
