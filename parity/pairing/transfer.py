"""Weights, gradients and an optimizer's slots of one side, carried to the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from parity.models.described import Side, Weight
from parity.pairing.links import Alone, Link
from parity.pairing.pairs import Pairing
from parity.pairing.views import Array, View, total, turned

OTHER: Mapping[Side, Side] = {"keras": "torch", "torch": "keras"}
NAMES = {"keras": "Keras", "torch": "torch"}


@dataclass(frozen=True)
class Carried:
    """The other side's arrays by weight name, and what the reader has to know: `lost` is what could not be carried.

    A weight that is only partly known is not among the values.
    """

    values: Mapping[str, Array]
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass
class Filling:
    """Arrays of the target side while they are filled, view by view."""

    weights: Mapping[str, Weight]
    values: dict[str, Array] = field(default_factory=dict)
    filled: dict[str, int] = field(default_factory=dict)

    def put(self, view: View, array: Array) -> None:
        """Write what `view` shows of a weight."""
        shape = self.weights[view.name].shape
        self.values.setdefault(view.name, np.zeros(shape, array.dtype))
        view.write(self.values, array)
        self.filled[view.name] = self.filled.get(view.name, 0) + array.size

    def whole(self) -> dict[str, Array]:
        """The weights of which every element was written."""
        return {name: value for name, value in self.values.items() if self.filled[name] >= value.size}

    def partial(self) -> Iterator[str]:
        """A sentence for each weight of which a part is missing."""
        for name, value in self.values.items():
            if self.filled[name] < value.size:
                yield f"{name}: only {self.filled[name]} of its {value.size} numbers are paired; left as it is"


def views_of(link: Link, side: Side) -> tuple[View, ...]:
    """Where one side keeps a tensor."""
    return link.keras if side == "keras" else link.torch


def moved(pairing: Pairing, values: Mapping[str, Array], source: Side) -> Carried:
    """The other side's weights that make it the same function as `source` with `values`; dtypes are those of `values`.

    Where the target keeps a tensor as the sum of several, one of them, the first that is trained, gets all of it and
    the others zeros. What the source lacks gets the value that means nothing: a scale 1, a shift 0.
    """
    filling = Filling(pairing.model(OTHER[source]).weights())
    notes: list[str] = []
    lost: list[str] = []
    for pair in pairing.pairs:
        for link in pair.links:
            origin, targets = views_of(link, source), views_of(link, OTHER[source])
            array = total(origin, values)
            chosen = next((view for view in targets if filling.weights[view.name].trainable), targets[0])
            for view in targets:
                filling.put(view, turned(array if view is chosen else np.zeros_like(array), origin[0], view))
            if len(targets) > 1:
                rest = ", ".join(view.name for view in targets if view is not chosen)
                notes.append(f"{chosen.name} has all of {origin[0].name}, and {rest} zeros: only their sum counts")
            elif len(origin) > 1:
                notes.append(f"{targets[0].name} is the sum of {' and '.join(view.name for view in origin)}")
        for tensor in pair.alone:
            said = without_counterpart(tensor, values, source, filling)
            (notes if tensor.side != source or neutral(tensor, values) else lost).append(said)
    return Carried(filling.whole(), tuple(notes), (*lost, *filling.partial()))


def neutral(tensor: Alone, values: Mapping[str, Array]) -> bool:
    """Whether a tensor that the other side lacks changes nothing."""
    return bool((total(tensor.views, values) == tensor.neutral).all())


def without_counterpart(tensor: Alone, values: Mapping[str, Array], source: Side, filling: Filling) -> str:
    """A sentence on a tensor that one side lacks; if it is the target's, it gets the value that means nothing."""
    names = " + ".join(view.name for view in tensor.views)
    lacking = NAMES["torch" if tensor.side == "keras" else "keras"]
    if tensor.side == source:
        is_neutral = f"it is {tensor.neutral:g} everywhere, which changes no result"
        matters = f"it is not {tensor.neutral:g} everywhere, and cannot be carried"
        return f"{names}: {lacking} has no {tensor.tensor} there; {is_neutral if neutral(tensor, values) else matters}"
    dtype = next(iter(values.values())).dtype
    for view in tensor.views:
        filling.put(view, np.full(list(view.shape.values()), tensor.neutral, dtype))
    return f"{names}: {lacking} has no {tensor.tensor} there; set to {tensor.neutral:g}"


def carried(pairing: Pairing, arrays: Mapping[str, Array], source: Side) -> Carried:
    """Gradients, or one of an optimizer's slots, of the weights of `source` as those of the other side.

    Each part of a sum has the gradient of the sum, so it is copied where a weight would be shared out; slots that are
    made of gradients (momenta, second moments) go the same way. Weights without an array are left out.
    """
    filling = Filling(pairing.model(OTHER[source]).weights())
    lost: list[str] = []
    for pair in pairing.pairs:
        for link in pair.links:
            origin = [view for view in views_of(link, source) if view.name in arrays]
            if not origin:
                continue
            array = origin[0].read(arrays)
            for view in origin[1:]:
                if not np.array_equal(turned(view.read(arrays), view, origin[0]), array, equal_nan=True):
                    lost.append(
                        f"{view.name} and {origin[0].name} are summed and should have one gradient, and have two"
                    )
            for view in views_of(link, OTHER[source]):
                if filling.weights[view.name].trainable:
                    filling.put(view, turned(array, origin[0], view))
        for tensor in pair.alone:
            if tensor.side == source:
                lost += [f"{view.name}: has no counterpart" for view in tensor.views if view.name in arrays]
    return Carried(filling.whole(), (), (*lost, *filling.partial()))
