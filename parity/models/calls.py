"""What a model did in one pass: every tensor that a layer or a function made, of which others, and its value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.experiment.validation import STRICT
from parity.models.described import Layer, Model, Side, Weight
from parity.models.places import asked

# How the name of a tensor that a model is given begins; no layer's does.
INPUTS = "inputs/"


@dataclass(frozen=True)
class Call:
    """One tensor that a layer or a function made.

    `name` is unique in its pass. `layer` is the path of the layer that made it, None where a function did; `number`
    counts that layer's calls from 0, `part` the tensors of one call. `reads` are the names of the tensors it was made
    of, as far as they are known. `inputs` are their shapes.
    """

    name: str
    kind: str
    layer: str | None
    number: int
    part: int
    shape: tuple[int, ...]
    reads: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    source: str | None
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Leak:
    """Where a pass in float64 has numbers of fewer digits: the tensor whose stage it lies in, the type, and the place.

    It is the user's `own` where their code asks for it, else a framework's.
    """

    stage: str
    dtype: str
    place: str
    own: bool
    __pydantic_config__ = STRICT


@dataclass
class Trace:
    """A pass as it is written down; `array` makes a NumPy array of a framework's tensor, which `keep` takes by name.

    Tensors are known by their identity, so all of them are kept as long as the trace is.
    """

    array: Callable[[Any], NDArray[Any]]
    keep: Callable[[str, NDArray[Any]], None] | None = None
    calls: list[Call] = field(default_factory=list)
    tensors: dict[str, Any] = field(default_factory=dict)
    kept: list[Any] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    narrow: dict[tuple[int, str, str, bool], None] = field(default_factory=dict)
    # The paths of the layers that were called, also where one gives what it is given.
    called: list[str] = field(default_factory=list)

    def number(self, path: str) -> int:
        """How many calls of this path there were before; this one is counted."""
        self.counts[path] = self.counts.get(path, -1) + 1
        return self.counts[path]

    def leak(self, dtype: str, frame: FrameType | None) -> None:
        """Write down that an operation, called from `frame`, has numbers of fewer digits."""
        where, is_own = asked(frame)
        self.narrow[len(self.calls), dtype, where, is_own] = None

    def leaks(self) -> list[Leak]:
        """All of these, each with the tensor that was made next."""
        last = self.calls[-1].name if self.calls else ""
        return [
            Leak(self.calls[n].name if n < len(self.calls) else last, dtype, where, is_own)
            for n, dtype, where, is_own in self.narrow
        ]

    def release(self) -> None:
        """Let go of all tensors, once nothing is differentiated any more."""
        self.kept.clear()
        self.tensors.clear()

    def known(self, tensor: Any, name: str) -> None:
        """Give a tensor that no call made, an input's, its name."""
        self.kept.append(tensor)
        self.names[id(tensor)] = name

    def add(
        self,
        name: str,
        kind: str,
        layer: str | None,
        number: int,
        read: Sequence[Any],
        made: Sequence[Any],
        source: str | None,
    ) -> list[str]:
        """Write down the tensors that one call made of others; returns their names."""
        reads = tuple(self.names[id(tensor)] for tensor in read if id(tensor) in self.names)
        shapes = tuple(tuple(int(n) for n in tensor.shape) for tensor in read)
        base = name if not number else f"{name}#{number + 1}"
        given = []
        for part, tensor in enumerate(made):
            own = base if len(made) == 1 else f"{base}[{part}]"
            shape = tuple(int(n) for n in tensor.shape)
            self.calls.append(Call(own, kind, layer, number, part, shape, reads, shapes, source))
            if self.keep is not None:
                self.keep(own, self.array(tensor))
            self.tensors[own] = tensor
            self.known(tensor, own)
            given.append(own)
        return given


def largest(arrays: Iterable[NDArray[Any]]) -> float:
    """The largest size of any finite value."""
    return max((float(np.max(np.abs(a[np.isfinite(a)]), initial=0)) for a in arrays), default=0.0)


class Part(NamedTuple):
    """A layer as its framework tells of it; each of its weights comes with the identity of the framework's own."""

    path: str
    kind: str
    leaf: bool
    settings: Mapping[str, Any]
    source: str | None
    weights: Sequence[tuple[int, Weight]]
    alias: str = ""


def in_order(framework: Side, parts: Iterable[Part], calls: Sequence[Call]) -> Model:
    """The model of these parts, in the order of `calls`; a weight that several have belongs to the first of them."""
    called: dict[str, list[Call]] = {}
    for call in calls:
        if call.layer is not None and not call.number:
            called.setdefault(call.layer, []).append(call)
    found: dict[str, Layer] = {}
    taken: set[int] = set()
    for part in parts:
        own = [(identity, weight) for identity, weight in part.weights if identity not in taken]
        if not own and not (part.path in called and part.leaf):
            continue
        taken |= {identity for identity, _ in own}
        made = called.get(part.path, [])
        reads, writes = made[0].reads if made else (), tuple(call.name for call in made)
        weights = tuple(weight for _, weight in own)
        found[part.path] = Layer(part.path, part.kind, part.settings, weights, part.source, reads, writes, part.alias)
    order = [path for path in called if path in found]
    return Model(framework, tuple(found[path] for path in [*order, *(path for path in found if path not in called)]))
