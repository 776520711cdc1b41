"""Experiments changed as a user asks: another activation, another initializer, another choice of realisation."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, get_args

from parity.errors import UsageError
from parity.experiments import activation
from parity.spec import (
    FRAMEWORKS,
    ActivationName,
    Dense,
    Experiment,
    InitializerName,
    Node,
    Realisation,
    is_read,
)


def with_activation(model: tuple[Node, ...], name: ActivationName) -> tuple[Node, ...]:
    """The model with another activation behind each hidden layer; what follows the last layer stays."""
    dense = [node for node in model if isinstance(node, Dense)]
    if len(dense) == 1:
        raise UsageError("--activation changes the hidden layers, and this experiment has none")
    nodes: list[Node] = []
    for position, node in enumerate(dense[:-1], start=1):
        nodes += [node] if name == "linear" else [node, activation(position, name, node.units)]
    return (*nodes, *model[model.index(dense[-1]) :])


def with_initializer(model: tuple[Node, ...], name: InitializerName) -> tuple[Node, ...]:
    """The model with another initializer of its kernels; a framework's default is one of the biases too."""
    changes: dict[str, Any] = {"kernel": name}
    if name in ("torch_default", "keras_default"):
        changes["bias"] = name
    return tuple(replace(node, **changes) if isinstance(node, Dense) else node for node in model)


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
    """`name` if it is among `names`; otherwise a UsageError that offers the nearest."""
    names = list(names)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    raise UsageError(f"unknown {what} {name!r}; {hint}")
