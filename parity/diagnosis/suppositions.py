"""What a side may be doing in place of a stage's formula: known shapes of mistake, each as what it would give.

A supposition holds where it gives what the side gave, in every tensor of the stage, within rounding, and what the
formula itself gives is further off. It may have a number, which is then found from the deviation.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.diagnosis.expected import Given, forward, stage
from parity.diagnosis.relations import FORMATS, held, middle
from parity.experiment.nodes import Node

Array = NDArray[Any]
Arrays = Mapping[str, Array]
# Steps towards a number, and by how much, of itself, it is moved to see what comes of it.
TRIES, NUDGE = 25, 1e-6
# A number is told where it is found to so many of its digits.
SETTLED = 1e-7

Gives = Callable[[Given], Arrays]


@dataclass(frozen=True)
class Supposition:
    """In words, with {} where its number goes; what it gives; and the number that changes nothing, if it has one."""

    says: str
    gives: Callable[[Given, float], Arrays]
    neutral: float | None = None


@dataclass(frozen=True)
class Seen:
    """What a side gave, by name, and by how much each element may be off from what a formula gives."""

    found: Arrays
    allowed: Arrays

    def of(self, names: Sequence[str]) -> "Seen":
        """Some tensors of it alone."""
        return Seen({name: self.found[name] for name in names}, self.allowed)

    def holds(self, given: Arrays) -> bool:
        """Whether it is all there, within rounding."""
        return all(name in given and self.within(name, given[name]) for name in self.found)

    def within(self, name: str, z: Array) -> bool:
        """Whether one tensor is."""
        y = self.found[name]
        if z.shape != y.shape:
            return False
        slack = self.allowed[name] + 4 * float(np.finfo(np.float64).eps) * (np.abs(z) + np.abs(y))
        with np.errstate(all="ignore"):
            return bool((np.abs(y - z) <= slack).all())


def number(supposition: Supposition, given: Given, seen: Seen) -> float | None:
    """The number with which a supposition comes nearest, by steps that the median element asks for; None if none."""
    assert supposition.neutral is not None
    at = supposition.neutral
    for _ in range(TRIES):
        step = asked_for(supposition, given, seen, at)
        if step is None or not np.isfinite(step):
            return None
        at += step
        if abs(step) <= SETTLED * abs(at) * 1e-3:
            break
    return at


def asked_for(supposition: Supposition, given: Given, seen: Seen, at: float) -> float | None:
    """By how much the number should move, as the median element has it, by how much each weighs."""
    nudge = NUDGE * abs(at) or NUDGE
    here, beside = given_or_none(supposition, given, at), given_or_none(supposition, given, at + nudge)
    if here is None or beside is None:
        return None
    steps, weights = [], []
    with np.errstate(all="ignore"):
        for name, y in seen.found.items():
            if name in here and here[name].shape == y.shape:
                slope = (beside[name] - here[name]) / nudge
                slack = seen.allowed[name] + np.finfo(np.float64).eps * np.abs(y)
                steps.append(((y - here[name]) / slope).reshape(-1))
                weights.append((np.abs(slope) / slack).reshape(-1))
    if not steps:
        return None
    weighed = np.concatenate(weights)
    # A kink or a start from nothing may have no slope in an element.
    return middle(np.concatenate(steps), np.where(np.isfinite(weighed), weighed, 0.0))


def given_or_none(supposition: Supposition, given: Given, at: float) -> Arrays | None:
    """What a supposition gives; None where no such settings exist."""
    try:
        with np.errstate(all="ignore"):
            return supposition.gives(given, at)
    except ValueError:
        return None


def held_true(suppositions: Sequence[Supposition], given: Given, seen: Seen) -> Iterator[tuple[Supposition, float]]:
    """Those that give all that was seen, each with its number, or NaN where it has none."""
    for supposition in suppositions:
        at = np.nan if supposition.neutral is None else number(supposition, given, seen)
        found = None if at is None else given_or_none(supposition, given, at)
        if at is not None and found is not None and seen.holds(found):
            yield supposition, at


def changed(given: Given, **changes: Any) -> Given:
    """With other fields of the identity."""
    return replace(given, identity=replace(given.identity, **changes))


def with_node(given: Given, node: Node, **changes: Any) -> Given:
    """With other fields of one node."""
    other = replace(node, **changes)
    return changed(given, model=tuple(other if n.name == node.name else n for n in given.identity.model))


def with_recorded(given: Given, name: str, value: Array) -> Given:
    """With something else in place of what a stage gave, or of the inputs."""
    if name == "inputs":
        return replace(given, inputs=value)
    return replace(given, recorded={**given.recorded, name: value})


def with_state(given: Given, name: str, value: Any) -> Given:
    """With something else in the state before the step."""
    return replace(given, state={**given.state, name: value})


def all_of(stages: Sequence[str]) -> Callable[[Given], dict[str, Array]]:
    """A function that gives what these stages give."""

    def gives(given: Given) -> dict[str, Array]:
        return {name: value for part in stages for name, value in stage(given, part).items()}

    return gives


def numbers_of(thing: Any) -> list[str]:
    """The settings of a node or an optimizer that are numbers."""
    return [f.name for f in fields(thing) if isinstance(getattr(thing, f.name), float)]


def instead(field: str, value: float) -> str:
    """As in "beta_2 were {} and not 0.999"."""
    return f"{field} were {{}} and not {value:g}"


def shortened(values: Array, name: str) -> Array:
    """Values rounded to the nearest of a shorter format."""
    if name == "float16":
        return values.astype(np.float16).astype(np.float64)
    narrow = values.astype(np.float32)
    if name == "bfloat16":
        bits = narrow.view(np.uint32)
        # To the nearest, ties to even.
        bits = bits + 0x7FFF + ((bits >> 16) & 1)
        narrow = (bits & np.uint32(0xFFFF0000)).view(np.float32)
    return narrow.astype(np.float64)


def rounded_inputs(given: Given, name: str, what: str, gives: Callable[[Given], Arrays]) -> Iterator[Supposition]:
    """That a stage's input, which is `name`, were rounded through a shorter format."""
    x = given.inputs if name == "inputs" else given.recorded[name]
    for kind in FORMATS:
        if x.dtype.kind == "f" and not held(x, kind):
            yield Supposition(
                f"{what} were rounded through {kind}",
                lambda g, _, kind=kind: gives(with_recorded(g, name, shortened(x, kind))),  # type: ignore[misc]
            )


__all__ = ["Given", "Seen", "Supposition", "all_of", "forward", "held_true", "number"]


def before(given: Given, node: Node) -> str:
    """The name of the node before one that is not the first."""
    names = [n.name for n in given.identity.model]
    return names[names.index(node.name) - 1]
