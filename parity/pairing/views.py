"""A weight as an array whose axes have names, and the notation for it: "o i h w", "(c m) 1 h w", "i {o}".

The notation is einops': an axis of the array is a name, 1, or several names in parentheses, of which the last runs
fastest. Beyond einops', a name in braces is the axes that are left, taken as one. Two views of the same names hold the
same numbers in another order, so one is the other transposed, and a layout needs to be said once for each framework
and not once for each pair of kinds.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
# What is taken along an axis: one index, which takes the axis away, or several, in the order in which they are read.
At = int | tuple[int, ...]


@cache
def axes_of(text: str) -> list[list[str]]:
    """The names on each axis of the array: "(c m) 1 h" gives [["c", "m"], [], ["h"]]."""
    groups = re.findall(r"\([^)]*\)|\S+", text)
    return [[name for name in group.strip("(){}").split() if name != "1"] for group in groups]


def merged(text: str, shape: Sequence[int]) -> list[int] | None:
    """The shape with the axes in braces taken as one; None where it has fewer axes than the text."""
    tokens = re.findall(r"\([^)]*\)|\S+", text)
    extra = len(shape) - len(tokens)
    place = next((n for n, token in enumerate(tokens) if token.startswith("{")), None)
    if place is None or extra < 0:
        return None if extra else list(shape)
    return [*shape[:place], math.prod(shape[place : place + extra + 1]), *shape[place + extra + 1 :]]


def bound(text: str, shape: Sequence[int], sizes: Mapping[str, int]) -> dict[str, int] | None:
    """`sizes` with those that `shape` tells for the names in `text`, or None where they contradict each other."""
    lengths = merged(text, shape)
    if lengths is None:
        return None
    found = dict(sizes)
    for names, size in zip(axes_of(text), lengths, strict=True):
        unknown = [name for name in names if name not in found]
        known = math.prod(found[name] for name in names if name in found)
        if len(unknown) > 1 or known == 0 or size % known or (not unknown and size != known):
            return None
        found |= dict.fromkeys(unknown, size // known)
    return found


@dataclass(frozen=True)
class View:
    """The weight `name` read by the notation `text`, or the part of it that `at` takes. `sizes` are of all names."""

    name: str
    text: str
    sizes: Mapping[str, int]
    at: Mapping[str, At]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the weight's axes, slowest first."""
        return tuple(name for group in axes_of(self.text) for name in group)

    @property
    def plain_shape(self) -> tuple[int, ...]:
        """The weight's own shape, with axes in braces taken as one and those of size 1 left out."""
        return tuple(math.prod(self.sizes[name] for name in group) for group in axes_of(self.text) if group)

    @property
    def shape(self) -> dict[str, int]:
        """The sizes of the axes that are left when `at` has taken its part."""
        sizes = {name: self.sizes[name] for name in self.names}
        taken = {name: len(part) for name, part in self.at.items() if isinstance(part, tuple)}
        return {n: taken.get(n, size) for n, size in sizes.items() if not isinstance(self.at.get(n), int)}

    def read(self, values: Mapping[str, Array]) -> Array:
        """The values as an array with the axes of `shape`."""
        part, lists = self._part(values)
        return part[lists]

    def write(self, values: Mapping[str, Array], array: Array) -> None:
        """Put `array`, with the axes of `shape`, into the weight, which is changed."""
        # The reshape of a contiguous array shares its memory.
        assert values[self.name].flags.c_contiguous
        part, lists = self._part(values)
        part[lists] = array

    def _part(self, values: Mapping[str, Array]) -> tuple[Array, tuple[Any, ...]]:
        """What single indices leave, which shares the weight's memory, and the index that takes the lists from it."""
        split = values[self.name].reshape([self.sizes[name] for name in self.names])
        single = tuple(part if isinstance(part := self.at.get(name), int) else slice(None) for name in self.names)
        lists = tuple(
            list(part) if isinstance(part := self.at.get(name), tuple) else slice(None) for name in self.shape
        )
        return split[single], lists

    def __str__(self) -> str:
        parts = [f"{n} = {' '.join(map(str, p)) if isinstance(p, tuple) else p}" for n, p in self.at.items()]
        return ", ".join([self.text, *parts])


def turned(array: Array, source: View, target: View) -> Array:
    """`array`, with the axes of `source`, with those of `target`."""
    names = list(source.shape)
    return array.transpose([names.index(name) for name in target.shape])


def total(views: Iterable[View], values: Mapping[str, Array]) -> Array:
    """The tensor that is kept in these views: what they show, added up."""
    first, *others = views
    array = first.read(values)
    for view in others:
        array = array + turned(view.read(values), view, first)
    return array
