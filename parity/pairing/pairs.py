"""What pairing two models gives: pairs of layers, each with the rule that found it, and what has no partner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from parity.models.described import Model, Side
from parity.pairing.links import Alone, Link

Rule = Literal["map", "values", "structure", "names"]


@dataclass(frozen=True)
class Pair:
    """A layer of each side, or a part of one: `parts` are their names, empty where a layer has one part alone.

    `rule` found it; a `guess` was decided by order alone. A pair without weights has no links.
    """

    keras: str
    torch: str
    rule: Rule
    parts: tuple[str, str] = ("", "")
    form: str = ""
    links: tuple[Link, ...] = ()
    alone: tuple[Alone, ...] = ()
    guess: bool = False


@dataclass(frozen=True)
class PairingMap:
    """What the user's own map says, as parity/pairing/given.py reads it."""

    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    flattened: Mapping[str, int] = field(default_factory=dict)
    layout: Mapping[str, str] = field(default_factory=dict)
    sum: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pairing:
    """Which of Keras's layers is which of torch's, in Keras's order.

    `unpaired` are paths of layers with weights that have no partner. Among them are the `ambiguous`, Keras's that
    fit as many of torch with nothing that tells these apart, and those of `two_sizes`: Keras's path, torch's, and both
    sizes in words. `ignored` are those that the user's map leaves out. `undecided` are groups of paths, Keras's and
    torch's, any of which fit: the ambiguous, and those that are paired by a guess.
    """

    keras: Model
    torch: Model
    pairs: tuple[Pair, ...]
    unpaired: Mapping[Side, tuple[str, ...]] = field(default_factory=lambda: {"keras": (), "torch": ()})
    ignored: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    undecided: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    two_sizes: tuple[tuple[str, str, str], ...] = ()
    messages: tuple[str, ...] = ()
    given: PairingMap = field(default_factory=PairingMap)

    def model(self, side: Side) -> Model:
        """One of the two models."""
        return self.keras if side == "keras" else self.torch
