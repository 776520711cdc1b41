"""What a Keras model consists of: its layers by path, their kinds, settings and weights."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from parity.models.calls import Call, Part, in_order
from parity.models.described import Model, Weight

BASES = (keras.Model, keras.layers.Layer, keras.Operation)
ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")


def plain(layer: Any) -> Any:
    """The layer itself; of one that is called at each time step alike, the one that is inside, where that is one."""
    return layer.layer if isinstance(layer, keras.layers.TimeDistributed) and is_leaf(layer.layer) else layer


def kind(layer: Any) -> str:
    """The framework's own class that a layer is or derives from; a user's own class where that is none of them."""
    layer = plain(layer)
    for class_ in type(layer).__mro__:
        if class_ in BASES:
            break
        if class_.__module__.startswith("keras."):
            return class_.__name__
    return type(layer).__name__


def is_leaf(layer: Any) -> bool:
    """Whether a layer is one stage: the framework's own, or a user's without layers inside."""
    if isinstance(layer, keras.Model):
        return False
    if isinstance(layer, keras.layers.TimeDistributed) and not is_leaf(layer.layer):
        return False
    return kind(layer) != type(layer).__name__ or type(layer).__module__.startswith("keras.") or not layer._layers


def members(model: Any, inside: str = "") -> Iterator[tuple[str, Any]]:
    """The model's layers by path, "block/conv", outermost first; what lies inside a leaf is part of it."""
    if not inside:
        yield "", model
        if is_leaf(model):
            return
    used: dict[str, int] = {}
    for layer in model._layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        used[layer.name] = used.get(layer.name, 0) + 1
        path = f"{inside}{layer.name}" + (f"#{used[layer.name]}" if used[layer.name] > 1 else "")
        yield path, layer
        if not is_leaf(layer):
            yield from members(layer, f"{path}/")


def aliases(model: Any) -> dict[str, str]:
    """Of each layer by its path, the path by attributes of the layers that hold it: Keras numbers names no one gave."""
    found, inside = {"": ""}, {"": model}
    for path, layer in members(model):
        above = max((p for p in inside if not p or path.startswith(f"{p}/")), key=len)
        held = next((name for name, value in vars(inside[above]).items() if value is layer), None)
        own = held if held is not None and not held.startswith("_") else path.removeprefix(above).strip("/")
        found[path] = f"{found[above]}/{own}".strip("/")
        inside[path] = layer
    return found


def settings(layer: Any) -> dict[str, Any]:
    """A layer's configuration, as JSON can hold it."""
    if not is_leaf(layer):
        return {}
    try:
        return json.loads(json.dumps(plain(layer).get_config(), default=str))
    except Exception:
        # A user's own layer need not have one.
        return {}


def own_variables(layer: Any) -> list[tuple[str, Any]]:
    """A layer's weights with their roles, without those of layers inside, unless they are part of it."""
    name, layer = kind(layer), plain(layer)
    if not is_leaf(layer):
        others = {id(variable) for inner in layer._layers for variable in inner.weights}
        return [(v.name, v) for v in layer.weights if id(v) not in others]
    if name == "Bidirectional":
        parts = (("forward", layer.forward_layer), ("backward", layer.backward_layer))
        return [(f"{part}/{v.name}", v) for part, inner in parts for v in inner.weights]
    if name in ATTENTION:
        parts = [(v.path.split("/")[-2], v) for v in layer.weights]
        return [(f"{'output' if part == 'attention_output' else part}/{v.name}", v) for part, v in parts]
    roles = [v.name for v in layer.weights]
    if len(set(roles)) < len(roles):
        roles = [f"{position}/{role}" for position, role in enumerate(roles)]
    return list(zip(roles, layer.weights, strict=True))


def variables(model: Any) -> dict[str, Any]:
    """The model's weights by unique name, in the model's order."""
    found: dict[str, Any] = {}
    for variable in model.weights:
        name, number = variable.path, 1
        while name in found:
            number += 1
            name = f"{variable.path}#{number}"
        found[name] = variable
    return found


def described(model: Any, calls: Sequence[Call], sources: Mapping[int, str | None]) -> Model:
    """The model as layers in the order of `calls`; `sources` says where each was made, by its identity."""
    names = {id(variable): name for name, variable in variables(model).items()}
    parts, called = [], aliases(model)
    for path, layer in members(model):
        weights = [
            (
                id(v),
                Weight(names[id(v)], role, tuple(v.shape), keras.backend.standardize_dtype(v.dtype), bool(v.trainable)),
            )
            for role, v in own_variables(layer)
            if id(v) in names
        ]
        source = sources.get(id(layer))
        parts.append(Part(path, kind(layer), is_leaf(layer), settings(layer), source, weights, called[path]))
    return in_order("keras", parts, calls)
