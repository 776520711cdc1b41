"""Models from named nodes."""

from collections import OrderedDict
from collections.abc import Mapping

import torch

from parity.experiment.spec import Identity, Realisation
from torch_impl.layers import layer

# What each dropout keeps in a step, by its name: [batch, units] bool.
Masks = Mapping[str, torch.Tensor]


def sequential(identity: Identity, realisation: Realisation) -> torch.nn.Sequential:
    """The identity's nodes in order, each a module of the same name, in the dtype set in `runtime`."""
    return torch.nn.Sequential(OrderedDict((node.name, layer(node, realisation)) for node in identity.model))


def nodes(model: torch.nn.Sequential) -> list[tuple[str, torch.nn.Module]]:
    """The nodes with their names, in order."""
    return list(model.named_children())


def forward(model: torch.nn.Sequential, inputs: torch.Tensor, training: bool, masks: Masks) -> dict[str, torch.Tensor]:
    """Every node's output [batch, units] by the node's name, in order; floats are taken in the model's dtype.

    In `training`, a batch is normalised with its own statistics, and the running ones follow; `masks` [batch, units] by
    the node's name say what each dropout keeps.
    """
    set_training(model, training)
    outputs, x = {}, inputs.to(next(model.parameters()).dtype) if inputs.is_floating_point() else inputs
    for name, node in nodes(model):
        x = outputs[name] = node(x, **taken(name, masks))
    return outputs


def taken(name: str, masks: Masks) -> Masks:
    """The arguments that the node called `name` takes besides its input."""
    return {"kept": masks[name]} if name in masks else {}


def set_training(model: torch.nn.Sequential, training: bool) -> None:
    """Put the model into train or eval mode, which torch keeps in the modules and Keras takes at each call."""
    # Asked first, since setting it takes longer than a small layer.
    if model.training != training:
        model.train(training)
