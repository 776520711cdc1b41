"""Experiments changed as a user asks: another activation, another initializer, another choice of realisation."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, get_args

from parity.errors import UsageError
from parity.experiment.experiments import activation, with_dropout
from parity.experiment.nodes import (
    NUMBERED,
    ActivationName,
    Dense,
    Dropout,
    Embedding,
    Initializer,
    InitializerName,
    Layer,
    Node,
    Norm,
)
from parity.experiment.optimizers import OPTIMIZERS, ClipBy, Clipping, Optimizer
from parity.experiment.spec import ENDINGS, FRAMEWORKS, Experiment, Identity, LossName, Realisation, is_read

# Initializers go by their authors' first names and last names.
AUTHORS = {"glorot": "xavier", "kaiming": "he"}
# The published programs drew from N(0, 1); a constant has no value of its own.
DEFAULT_NUMBERS: dict[InitializerName, float] = {"normal": 1.0, "uniform": 1.0, "truncated_normal": 1.0}

# A short word for each loss.
COSTS: dict[str, LossName] = {
    "softmax": "softmax_cross_entropy",
    "softmax_naive": "softmax_cross_entropy_naive",
    "softmax_clipped": "softmax_cross_entropy_clipped",
    "logits": "binary_cross_entropy_logits",
    "naive": "binary_cross_entropy_naive",
    "clipped": "binary_cross_entropy_clipped",
    "clamped": "binary_cross_entropy_clamped",
    "mse": "mean_squared_error",
}


def with_cost(identity: Identity, name: str) -> Identity:
    """The identity with another loss, its model ending in what that takes; mean squared error leaves the model."""
    loss = COSTS[name]
    model = identity.model
    if loss in ENDINGS:
        layers, ending = identity.layers, ENDINGS[loss]
        model = model[: model.index(layers[-1]) + 1]
        if ending != "linear":
            model = (*model, activation(len(layers), ending, layers[-1].units))
    return replace(identity, loss=loss, model=model)


def with_activation(model: tuple[Node, ...], name: ActivationName) -> tuple[Node, ...]:
    """The model with another activation after each hidden layer; what follows the last stays.

    A normalisation stays before it, and dropout after it.
    """
    layers = [node for node in model if isinstance(node, Layer)]
    if len(layers) == 1:
        raise UsageError("--activation changes the hidden layers, and this experiment has none")
    nodes: list[Node] = []
    for position, node in enumerate(layers[:-1], start=1):
        behind = model[model.index(node) + 1 : model.index(layers[position])]
        nodes += [node, *(other for other in behind if isinstance(other, Norm))]
        nodes += [] if name == "linear" else [activation(position, name, node.units)]
        nodes += [other for other in behind if isinstance(other, Dropout)]
    return (*nodes, *model[model.index(layers[-1]) :])


def with_hidden_dropout(model: tuple[Node, ...], rate: float) -> tuple[Node, ...]:
    """The model with dropout after each hidden layer and its activation."""
    if sum(isinstance(node, Layer) for node in model) == 1:
        raise UsageError("--dropout is for hidden layers, and this experiment has none")
    return with_dropout(model, rate)


def with_initializer(model: tuple[Node, ...], kernel: Initializer) -> tuple[Node, ...]:
    """The model with another initializer of its kernels and tables; a framework's default is one of the biases too."""
    changes: dict[type[Node], dict[str, Any]] = {Dense: {"kernel": kernel}, Embedding: {"table": kernel}}
    if kernel.name in ("torch_default", "keras_default"):
        changes[Dense]["bias"] = kernel
    return tuple(replace(node, **changes.get(type(node), {})) for node in model)


def chosen_optimizer(text: str) -> Optimizer:
    """The optimizer of "name" or "name:field=value,...", its other numbers at torch's defaults."""
    name, _, settings = text.partition(":")
    optimizer = OPTIMIZERS[one_of(name, OPTIMIZERS, "optimizer")]
    current = {f.name: getattr(optimizer, f.name) for f in fields(optimizer) if f.name != "kind"}
    changes: dict[str, Any] = {}
    for setting in settings.split(",") if settings else []:
        field, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--optimizer {text}: write {name}:FIELD=VALUE,...")
        changes[field] = number(value, current[one_of(field, current, f"field of {name}")], f"--optimizer {text}")
    return replace(optimizer, **changes)


def chosen_clipping(text: str) -> Clipping:
    """The clipping of "value:LIMIT", "norm:LIMIT" or "global_norm:LIMIT"."""
    by, _, limit = text.partition(":")
    way = one_of(by, get_args(ClipBy), "way of clipping")
    try:
        return Clipping(way, float(limit))
    except ValueError:
        raise UsageError(f"--clip {text}: write {way}:LIMIT, a finite number above zero") from None


def number(text: str, current: float | bool, where: str) -> float | bool:
    """A value of the kind of `current`."""
    try:
        return {"true": True, "false": False}[text] if isinstance(current, bool) else type(current)(text)
    except (KeyError, ValueError):
        wanted = {bool: "true or false", int: "a whole number"}.get(type(current), "a number")
        raise UsageError(f"{where}: {text!r} must be {wanted}") from None


def initializer(text: str) -> Initializer:
    """The initializer that a user calls `text`: a name, or NAME:NUMBER for one with a number of its own."""
    typed, colon, figure = text.partition(":")
    author, _, rest = typed.partition("_")
    name = one_of(f"{AUTHORS.get(author, author)}_{rest}" if rest else typed, get_args(InitializerName), "initializer")
    try:
        number = float(figure) if colon else DEFAULT_NUMBERS.get(name)
    except ValueError:
        raise UsageError(f"initializer {text!r}: {figure!r} is not a number") from None
    if number is None and name in NUMBERED:
        raise UsageError(f"initializer {name} needs its {NUMBERED[name]}, as in {name}:0.1")
    return Initializer(name, number)


def choose(chosen: Experiment, choice: str) -> Experiment:
    """The experiment with one field of the realisation set, on both sides or on the one named before a colon."""
    match = re.fullmatch(r"(?:(\w+):)?(\w+)=(\w+)", choice)
    if not match:
        raise UsageError(f"--choice {choice}: write FIELD=VALUE, or tf:FIELD=VALUE for one side")
    side, field, value = match.groups()
    values = {f.name: get_args(f.type) for f in fields(Realisation) if get_args(f.type)}
    field = one_of(field, values, "choice")
    value = one_of(value, values[field], f"value of {field}")
    sides = [one_of(side, FRAMEWORKS, "side")] if side else FRAMEWORKS
    if not any(is_read(field, chosen.identity, getattr(chosen, name)) for name in sides):
        raise UsageError(f"--choice {choice} changes nothing here: {chosen.name} with these options never uses {field}")
    return replace(chosen, **{name: replace(getattr(chosen, name), **{field: value}) for name in sides})


def one_of(name: str, names: Iterable[str], what: str) -> Any:
    """`name` if it is among `names`; otherwise a UsageError that offers the nearest, those that contain it, or all."""
    names = list(names)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    fitting = [other for other in names if name and name.lower() in other.lower()]
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(fitting or names)}"
    raise UsageError(f"unknown {what} {name!r}; {hint}")
