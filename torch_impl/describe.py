"""What a torch module consists of: its layers by path, their kinds, settings and weights."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from parity.models.calls import Call, Part, in_order
from parity.models.described import Model, Weight

CONTAINERS = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict, torch.nn.Module)
# These have modules inside whose weights they use directly.
WHOLE = (torch.nn.MultiheadAttention,)


def kind(layer: Any) -> str:
    """The framework's own class that a layer is or derives from; a user's own class where that is none of them."""
    for class_ in type(layer).__mro__:
        if class_.__module__.startswith("torch.nn.") and class_ not in CONTAINERS:
            return class_.__name__
    return type(layer).__name__


def is_leaf(layer: Any) -> bool:
    """Whether a layer is one stage: the framework's own, or a user's without layers inside."""
    if isinstance(layer, torch.nn.ModuleList | torch.nn.ModuleDict | torch.nn.Sequential):
        return False
    return isinstance(layer, WHOLE) or not any(True for _ in layer.children())


def members(model: Any, inside: str = "") -> Iterator[tuple[str, Any]]:
    """The model's layers by path, "block.conv", outermost first; what lies inside a leaf is part of it."""
    if not inside:
        yield "", model
        if is_leaf(model):
            return
    for name, layer in model.named_children():
        path = f"{inside}{name}"
        yield path, layer
        if not is_leaf(layer):
            yield from members(layer, f"{path}.")


def settings(layer: Any) -> dict[str, Any]:
    """A layer's constructor's attributes, as JSON can hold them."""
    if not is_leaf(layer):
        return {}
    simple = (bool, int, float, str, tuple, list, type(None))
    values = {n: v for n, v in vars(layer).items() if not n.startswith("_") and n != "training"}
    return json.loads(json.dumps({n: v for n, v in values.items() if isinstance(v, simple)}, default=str))


def own_variables(layer: Any) -> list[tuple[str, Any]]:
    """A layer's weights with their roles, without those of layers inside, unless they are part of it."""
    deep = is_leaf(layer)
    return [*layer.named_parameters(recurse=deep), *layer.named_buffers(recurse=deep)]


def variables(model: Any) -> dict[str, Any]:
    """The model's weights by unique name, in the model's order."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def described(model: Any, calls: Sequence[Call], sources: Mapping[int, str | None]) -> Model:
    """The model as layers in the order of `calls`; `sources` says where each was made, by its identity."""
    names = {id(variable): name for name, variable in variables(model).items()}
    parts = []
    for path, layer in members(model):
        weights = [
            (
                id(v),
                Weight(names[id(v)], role, tuple(v.shape), str(v.dtype).removeprefix("torch."), bool(v.requires_grad)),
            )
            for role, v in own_variables(layer)
            if id(v) in names
        ]
        parts.append(Part(path, kind(layer), is_leaf(layer), settings(layer), sources.get(id(layer)), weights))
    return in_order("torch", parts, calls)
