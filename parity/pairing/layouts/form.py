"""Words for a layer's weights: a layer has parts, a part can be read in one form or several, a form has tensors.

A form is what two frameworks share: "conv2d" has a kernel with the axes i, o, h, w and a bias with o. Each framework
says where it keeps them. A torch Conv2d whose groups are its channels has two, "conv2d" and "depthwise2d", and
which one is meant is told by the layer that it stands against.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from parity.models.described import Layer
from parity.pairing.views import At, View, bound

# What a tensor is where a layer lacks it: a norm without a scale multiplies by one.
NEUTRAL = {"scale": 1.0, "shift": 0.0, "bias": 0.0, "recurrent_bias": 0.0, "mean": 0.0, "variance": 1.0}
# Counters and generators' states, which are no weights of the model.
COUNTERS = ("num_batches_tracked", "seed_generator_state", "count")
# The form of a layer of a kind that no table has: its weights as they are.
OWN = "own"


@dataclass(frozen=True)
class Spot:
    """Where a tensor is kept: the weight's role, its axes, and which part of it is meant."""

    role: str
    text: str
    at: Mapping[str, At] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One way to read one part of a layer: each tensor is kept in one spot, or is the sum of several.

    `sizes` are those of axes that no shape tells.
    """

    form: str
    tensors: Mapping[str, tuple[Spot, ...]]
    part: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """A reading of an actual layer, with all sizes."""

    name: str
    tensors: Mapping[str, tuple[View, ...]]

    @cached_property
    def key(self) -> Hashable:
        """Equal for forms that fit each other: the sizes of what cannot be missing, or else of the vectors."""
        shapes = {tensor: tuple(sorted(views[0].shape.items())) for tensor, views in self.tensors.items()}
        certain = frozenset((tensor, shape) for tensor, shape in shapes.items() if tensor not in NEUTRAL)
        return self.name, certain or frozenset(("", shape) for shape in shapes.values())


@dataclass(frozen=True)
class Part:
    """A part of a layer that has weights, and the forms in which it can be read, the likeliest first."""

    layer: str
    name: str
    forms: tuple[Form, ...]

    @property
    def path(self) -> str:
        """The layer's path, and the part's name where there are several."""
        return f"{self.layer}:{self.name}" if self.name else self.layer


Row = Callable[[Layer], Iterable[Reading]]


def spot(role: str, text: str, **at: At) -> tuple[Spot, ...]:
    """A tensor that is kept in one place."""
    return (Spot(role, text, at),)


def row(*readings: Reading) -> Row:
    """A kind that is read in the same ways whatever its settings."""
    return lambda layer: readings


def form_of(layer: Layer, reading: Reading) -> Form | None:
    """The reading with the layer's sizes, without the tensors that it lacks; None if a shape does not fit."""
    weights = {weight.role: weight for weight in layer.weights}
    present = {t: [s for s in spots if s.role in weights] for t, spots in reading.tensors.items()}
    sizes = dict(reading.sizes)
    for spots in present.values():
        for s in spots:
            found = bound(s.text, weights[s.role].shape, sizes)
            if found is None:
                return None
            sizes = found
    tensors = {
        tensor: tuple(View(weights[s.role].name, s.text, sizes, s.at) for s in spots)
        for tensor, spots in present.items()
        if spots
    }
    return Form(reading.form, tensors) if tensors else None


def parts_by(rows: Mapping[str, Row], layer: Layer) -> list[Part]:
    """The parts of a layer by the table `rows`; of a kind that is not there, one part that is read as it is."""
    forms: dict[str, list[Form]] = {}
    for reading in rows.get(layer.kind, row())(layer):
        found = form_of(layer, reading)
        if found is not None:
            forms.setdefault(reading.part, []).append(found)
    if not forms and (plain := as_it_is(layer)) is not None:
        forms = {"": [plain]}
    return [Part(layer.path, name, tuple(found)) for name, found in forms.items()]


def as_it_is(layer: Layer) -> Form | None:
    """Every weight a tensor of its own, with numbered axes."""
    tensors = {}
    for weight in layer.weights:
        if weight.role not in COUNTERS and "int" not in weight.dtype:
            # An axis of size 1 may stand anywhere.
            names = [f"a{number}" if size > 1 else "1" for number, size in enumerate(weight.shape)]
            sizes = {name: size for name, size in zip(names, weight.shape, strict=True) if name != "1"}
            tensors[weight.role] = (View(weight.name, " ".join(names), sizes, {}),)
    return Form(OWN, tensors) if tensors else None
