"""Which tensor of one side is which of the other: the stages that are judged lie between them."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.models.axes import SAME, Layout, of_calls
from parity.models.calls import Call
from parity.pairing.items import ACTIVATION
from parity.pairing.pairs import Pairing

Array = NDArray[Any]
# Closer than this, relative to the largest value, two tensors are taken for the same one; it judges nothing.
ALIKE = 1e-6
# Functions that move numbers without computing any: no layer of the other side is one of these by its place alone.
MOVES = {
    "permute", "transpose", "movedim", "t", "mt", "view", "reshape", "flatten", "contiguous", "getitem", "unsqueeze",
    "squeeze", "expand", "repeat", "to", "pad", "chunk", "split", "unbind", "clone", "zeropadding", "swapaxes",
}  # fmt: skip
# One name for what the frameworks call differently.
FAMILIES = {
    "averagepooling": "avgpool", "maxpooling": "maxpool", "globalaveragepooling": "mean", "adaptiveavgpool": "mean",
    "globalmaxpooling": "max", "adaptivemaxpool": "max", "amax": "max", "concatenate": "cat", "add": "add",
    "multiply": "mul", "subtract": "sub", "swish": "silu", "leakyrelu": "leakyrelu", "zeropadding": "pad",
    "zeropad": "pad", "upsampling": "upsample", "interpolate": "upsample", "batchnormalization": "batchnorm",
    "view": "flatten", "reshape": "flatten", "getitem": "getitem",
}  # fmt: skip
# Layers of torch's that have the features in the last axis, as Keras's have.
FEATURES_LAST = {"Linear", "LayerNorm", "Embedding", "RNN", "LSTM", "GRU", "MultiheadAttention"}


@dataclass(frozen=True)
class Stage:
    """A tensor of each side that are the same one, made by a stage that ends there; `rule` says how they were paired.

    A `guess` rests on the place alone. `inside` are what else it is made of: calls that have no partner.
    """

    keras: Call
    torch: Call
    layout: Layout
    rule: str
    inside: tuple[Call, ...] = ()

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.keras.name} ~ {self.torch.name}"

    @property
    def guess(self) -> bool:
        """Whether place alone paired them."""
        return self.rule == "place"


def family(kind: str) -> str:
    """What a layer or function is, whatever a framework calls it."""
    name = re.sub(r"\dd$", "", kind.lower()).replace("_", "")
    return FAMILIES.get(name, name)


def alike(a: Array, b: Array) -> bool:
    """Whether two arrays of one shape hold nearly the same values, and not the same one everywhere."""
    size = float(np.max(np.abs(a), initial=0))
    if not np.isfinite(size) or size == 0 or (a.size > 1 and np.ptp(a) == 0):
        return False
    return bool(np.max(np.abs(a - b)) <= ALIKE * size)


class Owners:
    """Whose the weights are that two calls have: whether place alone may pair what these made."""

    def __init__(self, pairing: Pairing, calls: tuple[Sequence[Call], Sequence[Call]]) -> None:
        models = pairing.keras, pairing.torch
        self.weighted = [{layer.path for layer in model.layers if layer.weights} for model in models]
        self.made = [{(call.layer, call.number) for call in side} for side in calls]
        self.partners: tuple[dict[str, set[str]], dict[str, set[str]]] = {}, {}
        for pair in pairing.pairs:
            self.partners[0].setdefault(pair.keras, set()).add(pair.torch)
            self.partners[1].setdefault(pair.torch, set()).add(pair.keras)

    def allow(self, keras: Call, torch: Call) -> bool:
        """Not where either has another partner, nor where both have none: then several may fit."""
        if self.is_free(0, keras) and self.is_free(1, torch):
            return False
        return not self.is_taken(0, keras, torch) and not self.is_taken(1, torch, keras)

    def is_free(self, side: int, call: Call) -> bool:
        """Whether a call has weights, and these no partner."""
        return call.layer in self.weighted[side] and call.layer not in self.partners[side]

    def is_taken(self, side: int, call: Call, other: Call) -> bool:
        """Whether the weights are another layer's, called as often; a function may come after their only partner."""
        own = self.partners[side].get(call.layer or "", set()) if call.layer in self.weighted[side] else set()
        if not any((partner, call.number) in self.made[1 - side] for partner in own):
            return False
        shared = any(len(self.partners[1 - side][partner]) > 1 for partner in own)
        return shared or other.layer in self.weighted[1 - side]


class Matching:
    """Pairs tensors: those of paired layers, then those of equal values, then those in the same place."""

    def __init__(
        self, calls: tuple[Sequence[Call], Sequence[Call]], arrays: tuple[Mapping[str, Array], Mapping[str, Array]]
    ) -> None:
        self.keras, self.torch = calls
        self.arrays = arrays
        self.stages: dict[str, Stage] = {}
        self.partners: dict[str, str] = {}
        self.prints = np.array([fingerprint(arrays[1][call.name]) for call in self.torch]).reshape(-1, 4)
        self.reads = [{call.name: call.reads for call in calls[side]} for side in (0, 1)]

    def pair(self, keras: Call, torch: Call, rule: str, alike_alone: bool = False) -> bool:
        """Pair two tensors if a layout makes one the other's shape: the one by which the values agree, if one does.

        With `alike_alone`, one has to.
        """
        found = of_calls(keras, torch)
        if not found:
            return False
        ours, theirs = self.arrays[0][keras.name], self.arrays[1][torch.name]
        fitting = [layout for layout in found if alike(layout.turn(ours), theirs)]
        if (rule == "values" or alike_alone) and not fitting:
            return False
        self.stages[keras.name] = Stage(keras, torch, fitting[0] if fitting else self.likely(torch, found), rule)
        self.partners[torch.name] = keras.name
        return True

    def likely(self, torch: Call, found: Sequence[Layout]) -> Layout:
        """Of several layouts of other values, as of a square map, the one that torch's layer has, or what it reads."""
        if torch.kind in FEATURES_LAST and SAME in found:
            return SAME
        own = [self.stages[self.partners[name]].layout for name in torch.reads if name in self.partners]
        inherits = torch.layer is None and family(torch.kind) not in MOVES
        return next((layout for layout in own if inherits and layout in found), found[0])

    def by_layers(self, pairing: Pairing, alike_alone: bool) -> None:
        """Pair what paired layers make, call by call; of a layer in parts, what the last of them makes.

        With `alike_alone`, only if it is alike: of two functions of one kind, one after the other, either may be the
        layer, and a wrapper of Keras's has an activation inside of it.
        """
        for own, other, rule in whole_layers(pairing):
            for keras in [c for c in self.keras if made_by(c) == own and c.name not in self.stages]:
                number = [c for c in self.torch if c.layer == other and c.number == keras.number]
                made = sorted(number, key=lambda c: c.part != keras.part)
                for torch in [*made, *self.moved_from({call.name for call in made})]:
                    if torch.name not in self.partners and self.pair(keras, torch, rule, alike_alone):
                        break

    def moved_from(self, names: set[str]) -> list[Call]:
        """What torch's functions that compute nothing make of some tensors: the last step of a sequence, say."""
        found = []
        names = set(names)
        for call in self.torch:
            if call.layer is None and family(call.kind) in MOVES and names & set(call.reads):
                found.append(call)
                names.add(call.name)
        return found

    def by_values(self) -> None:
        """Pair tensors of the same values, in order."""
        last = 0
        positions = {call.name: n for n, call in enumerate(self.torch)}
        for keras in self.keras:
            if keras.name in self.stages:
                last = positions[self.stages[keras.name].torch.name]
                continue
            own = fingerprint(self.arrays[0][keras.name])
            close = np.isclose(self.prints, own, rtol=ALIKE, atol=0).all(1) if len(self.prints) else []
            fits = [n for n in map(int, np.flatnonzero(close)) if self.torch[n].name not in self.partners]
            for n in sorted(fits, key=lambda n: (n < last, abs(n - last))):
                if self.pair(keras, self.torch[n], "values"):
                    last = n
                    break

    def by_place(self, pairing: Pairing) -> None:
        """Pair what is made of paired tensors on both sides, if it is of a kind, or computes something on both.

        What has weights is none by its place where these have another partner that was called as often, or fit several.
        """
        owners = Owners(pairing, (self.keras, self.torch))
        for keras in self.keras:
            made_of = self.origins(0, keras.name)
            if keras.name in self.stages or not made_of:
                continue
            found = []
            # Of several in a row, the last is what the layer as a whole makes.
            for torch in reversed(self.torch):
                if torch.name in self.partners or not owners.allow(keras, torch):
                    continue
                if {self.partners.get(name, name) for name in self.origins(1, torch.name)} != made_of:
                    continue
                same = family(torch.kind) == family(keras.kind)
                if same or (family(torch.kind) not in MOVES and family(keras.kind) not in MOVES):
                    found.append((not same, torch))
            for strange, torch in sorted(found, key=lambda entry: entry[0]):
                if self.pair(keras, torch, "place" if strange else "kind"):
                    break

    def inside(self, stage: Stage) -> tuple[Call, ...]:
        """The calls on the way from paired tensors to a stage's own, on both sides."""
        found = []
        for side, calls, own in ((0, self.keras, stage.keras), (1, self.torch, stage.torch)):
            _, names = nearest(self.reads[side], own.reads, self.partners if side else self.stages)
            found += [call for call in calls if call.name in names]
        return tuple(found)

    def origins(self, side: int, name: str) -> set[str]:
        """The nearest paired tensors, or inputs, that a tensor is made of."""
        ends, _ = nearest(self.reads[side], self.reads[side].get(name, ()), self.partners if side else self.stages)
        return set(ends)


def nearest(
    reads: Mapping[str, Sequence[str]], names: Sequence[str], known: Collection[str]
) -> tuple[list[str], set[str]]:
    """The nearest `known` tensors and inputs that tensors of these names are or are made of, and all between them.

    `reads` are the tensors that each call's was made of; what no call made is an input.
    """
    ends, between, waiting = dict[str, None](), set[str](), list(names)
    while waiting:
        name = waiting.pop(0)
        if name in known or name not in reads:
            ends[name] = None
        elif name not in between:
            between.add(name)
            waiting += reads[name]
    return list(ends), between


def fingerprint(array: Array) -> Array:
    """What no order of a tensor's elements changes."""
    with np.errstate(all="ignore"):
        wide = array.astype(np.float64)
        return np.array([array.size, np.abs(wide).sum(), wide.max(initial=-np.inf), wide.min(initial=np.inf)])


def made_by(call: Call) -> str | None:
    """The layer that made a tensor, or the activation inside of one, by its name in a pairing."""
    if call.layer is not None:
        return call.layer
    layer, slash, _ = call.name.rpartition("/")
    return f"{layer}:{ACTIVATION}" if slash else None


def whole_layers(pairing: Pairing) -> Iterable[tuple[str, str, str]]:
    """The pairs of layers, or activations inside of them, whose results are the same tensor, with the rule of each.

    Of a layer in parts, the result is what the last of its partners makes; what is stacked in one dense layer is told
    apart by its values.
    """
    orders = [{layer.path: n for n, layer in enumerate(model.layers)} for model in (pairing.keras, pairing.torch)]
    by_keras: dict[str, tuple[str, str, str, int]] = {}
    for pair in sorted(pairing.pairs, key=lambda pair: orders[1][pair.torch]):
        if pairing.torch.layer(pair.torch).kind == "Linear" and pair.parts[1]:
            continue
        if pairing.keras.layer(pair.keras).kind == "Dense" and pair.parts[0] not in ("", ACTIVATION):
            continue
        own = f"{pair.keras}:{ACTIVATION}" if pair.parts[0] == ACTIVATION else pair.keras
        by_keras[own] = own, pair.torch, pair.rule, orders[0][pair.keras]
    by_torch = {other: (own, other, rule) for own, other, rule, _ in sorted(by_keras.values(), key=lambda e: e[3])}
    return by_torch.values()


def matched(
    calls: tuple[Sequence[Call], Sequence[Call]],
    arrays: tuple[Mapping[str, Array], Mapping[str, Array]],
    pairing: Pairing,
) -> list[Stage]:
    """The stages of a pass in Keras's order."""
    matching = Matching(calls, arrays)
    matching.by_layers(pairing, alike_alone=True)
    matching.by_values()
    matching.by_layers(pairing, alike_alone=False)
    matching.by_place(pairing)
    stages = [matching.stages[call.name] for call in calls[0] if call.name in matching.stages]
    return [replace(stage, inside=matching.inside(stage)) for stage in stages]
