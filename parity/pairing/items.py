"""The things that are paired, in order of execution, and how they hang together as far as that is known."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from parity.models.described import Layer, Model
from parity.pairing.layouts import KINDS, linear, parts_by
from parity.pairing.layouts.form import Part
from parity.pairing.meanings import fused_activation, meaning

# The part of a Keras layer that its argument `activation` is.
ACTIVATION = "activation"


@dataclass(frozen=True, eq=False)
class Item:
    """A layer, or a part of one; `part` is None where it has no weights. `position` counts the items of its model."""

    position: int
    layer: Layer
    name: str
    part: Part | None
    meaning: str | None

    @property
    def path(self) -> str:
        """The layer's path, with the part's name where there are several."""
        return f"{self.layer.path}:{self.name}" if self.name else self.layer.path

    @property
    def alias(self) -> str:
        """The same as the user's own code calls it."""
        layer = self.layer.alias or self.layer.path
        return f"{layer}:{self.name}" if self.name else layer


# Functions, and layers without weights, that go by another name than torch's function.
FUNCTIONS = {"logsoftmax": "log_softmax", "exponential": "exp", "swish": "silu"}
# Functions that both frameworks have as one call.
NONLINEAR = {
    "softmax", "log_softmax", "sigmoid", "tanh", "relu", "gelu", "silu", "elu", "selu", "softplus", "exp", "leaky_relu",
    "hard_sigmoid", "mish",
}  # fmt: skip
# Of what attention reads, its values alone do not go through the softmax inside it.
ATTENTION, VALUES = "scaled_dot_product_attention", 2


class Side:
    """One model's items. `made_of` says of tensors that no layer made which others they were made of.

    `stacked` are the paths of dense layers that are taken as three: queries, keys and values.
    """

    def __init__(
        self, model: Model, made_of: Mapping[str, Iterable[str]], stacked: frozenset[str] = frozenset()
    ) -> None:
        self.model = model
        self.made_of = made_of
        self.stacked = stacked
        self.items: list[Item] = []
        for layer in model.layers:
            for name, part, said in pieces(model.framework, layer, layer.path in stacked):
                self.items.append(Item(len(self.items), layer, name, part, said))
        self.weighted = [item for item in self.items if item.part is not None]
        self.weightless = [item for item in self.items if item.part is None]

    @cached_property
    def writers(self) -> dict[str, Item]:
        """The item that gave each tensor: its layer's last."""
        return {tensor: item for item in self.items for tensor in item.layer.writes}

    @cached_property
    def before(self) -> dict[int, frozenset[int] | None]:
        """For each item with weights, the positions of those that its input comes from; None where it is not known."""
        return {item.position: self.sources(item.layer.reads) for item in self.weighted}

    @cached_property
    def after(self) -> dict[int, frozenset[int]]:
        """For each item with weights, the positions of those that read what comes from it."""
        found: dict[int, set[int]] = {item.position: set() for item in self.weighted}
        for position, sources in self.before.items():
            for source in sources or ():
                found[source].add(position)
        return {position: frozenset(readers) for position, readers in found.items()}

    @cached_property
    def applied(self) -> dict[int, tuple[str, ...]]:
        """For each item with weights, the names of the functions that take what it gives and nothing else.

        A layer's own activation is one, as "dense/tanh", and so is a layer without weights.
        """
        return {
            item.position: tuple(
                sorted(name for name, reads, _ in self.functions if len(reads) == 1 and reads[0] in item.layer.writes)
            )
            for item in self.weighted
        }

    @cached_property
    def functions(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """What is called that has no weights: the function's name, what it reads, what it makes."""
        found = [(called(tensor.rpartition("/")[2].partition("#")[0]), tuple(reads), (tensor,))
                 for tensor, reads in self.made_of.items()]  # fmt: skip
        layers = [item.layer for item in self.weightless if not item.layer.weights]
        return found + [(called(layer.kind), tuple(layer.reads), tuple(layer.writes)) for layer in layers]

    @cached_property
    def takers(self) -> dict[str, list[tuple[str, int, tuple[str, ...]]]]:
        """For each tensor the functions that read it: the function's name, as which argument, what it makes."""
        found: dict[str, list[tuple[str, int, tuple[str, ...]]]] = {}
        for name, reads, made in self.functions:
            for position, tensor in enumerate(reads):
                found.setdefault(tensor, []).append((name, position, made))
        return found

    @cached_property
    def way(self) -> dict[int, tuple[str, ...]]:
        """For each item with weights, the nonlinear functions through which what it gives goes to the next ones."""
        return {item.position: tuple(sorted(self.beyond(item.layer.writes))) for item in self.weighted}

    def beyond(self, tensors: Iterable[str]) -> set[str]:
        """The names of the nonlinear functions that tensors go through before the next weights."""
        found, seen, waiting = set[str](), set[str](), list(tensors)
        while waiting:
            tensor = waiting.pop()
            if tensor in seen:
                continue
            seen.add(tensor)
            for name, position, made in self.takers.get(tensor, ()):
                found |= {name} & NONLINEAR
                found |= {"softmax"} if name == ATTENTION and position < VALUES else set()
                waiting += made
        return found

    @cached_property
    def beside(self) -> dict[int, frozenset[int]]:
        """For each item with weights, the positions of those that read the same tensor.

        The parts of one layer do in an attention alone, or where they are stacked.
        """
        found: dict[int, frozenset[int]] = {}
        for item in self.weighted:
            same = [i for i in self.weighted if i is not item and set(i.layer.reads) & set(item.layer.reads)]
            attends = "Attention" in item.layer.kind.title() or item.layer.path in self.stacked
            kept = [i for i in same if i.layer is not item.layer or attends]
            found[item.position] = frozenset(i.position for i in kept)
        return found

    def sources(self, tensors: Iterable[str]) -> frozenset[int] | None:
        """Positions of the nearest items with weights that these tensors come from; None if one's origin is unknown."""
        found, seen, waiting = set(), set(), list(tensors)
        if not waiting:
            return None
        while waiting:
            tensor = waiting.pop()
            if tensor in seen:
                continue
            seen.add(tensor)
            item = self.writers.get(tensor)
            if item is not None and (weighted := self.last_weighted(item)) is not None:
                found.add(weighted.position)
            elif item is not None:
                waiting += item.layer.reads
            else:
                # A model's input is made of nothing.
                waiting += self.made_of.get(tensor, ())
        return frozenset(found)

    def last_weighted(self, item: Item) -> Item | None:
        """The last item with weights of the same layer."""
        return next((i for i in reversed(self.weighted) if i.layer.path == item.layer.path), None)

    def reaches(self, first: Item, last: Item) -> bool:
        """Whether what `last` reads comes from `first`, directly or by others."""
        seen: set[int] = set()
        waiting = [last.position]
        while waiting:
            position = waiting.pop()
            if position in seen:
                continue
            seen.add(position)
            sources = self.before[position] or frozenset()
            if first.position in sources:
                return True
            waiting += sources
        return first.layer.path == last.layer.path


def called(name: str) -> str:
    """A function's name, as torch has it."""
    return FUNCTIONS.get(name.lower(), name.lower())


def pieces(framework: str, layer: Layer, stacked: bool) -> Iterator[tuple[str, Part | None, str | None]]:
    """A layer's parts with weights, or the layer itself if it has none, and then the activation inside it."""
    parts = parts_by({layer.kind: linear.stacked} if stacked else KINDS[framework], layer)
    for part in parts:
        yield part.name, part, None
    if not parts:
        yield "", None, meaning(framework, layer)
    if parts and framework == "keras" and (inside := fused_activation(layer)) is not None:
        yield ACTIVATION, None, inside
