"""Which layer is which: four rules, in this order, and what each of them leaves.

1 the user's map, 2 equal weights, up to a transform, 3 the only ones of their kind and shape where they stand,
4 names. A pair is never made against one that a rule before made. A fifth, equal results, pairs tensors between layers
(parity/ports/stages.py): it needs weights that are paired already.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from parity.errors import UsageError
from parity.models.described import Model
from parity.pairing.given import resolved, selected
from parity.pairing.items import Item, Side
from parity.pairing.matching import Found, Matcher
from parity.pairing.messages import even_groups, messages, of_two_sizes, sizes
from parity.pairing.pairs import Pair, Pairing, PairingMap
from parity.pairing.stacked import stacked
from parity.pairing.tying import tied_pair, with_flattening
from parity.pairing.views import Array
from parity.pairing.weightless import pair_weightless

Values = Mapping[str, Array]
NAMES = ("Keras", "torch")
MadeOf = Mapping[str, Iterable[str]]


def pair(
    keras: Model,
    torch: Model,
    keras_values: Values | None = None,
    torch_values: Values | None = None,
    given: PairingMap | None = None,
    made_of: tuple[MadeOf, MadeOf] | None = None,
) -> Pairing:
    """Pair the layers of two models.

    `made_of` says for each side of tensors that no layer made, but a function, which tensors they were made of. Raises
    UsageError for a map that names what is not there.
    """
    given = given or PairingMap()
    made = made_of or ({}, {})
    plain = Side(keras, made[0]), Side(torch, made[1])
    sides = Side(keras, made[0], stacked(*plain)), Side(torch, made[1], stacked(*reversed(plain)))
    matcher = Matcher(sides, left_out(given, sides))
    fixed = list(resolved(given, sides[0].items, sides[1].items))
    matcher.found |= {own.position: Found(other, "map") for own, other in fixed if own.part and other.part}
    if keras_values and torch_values:
        for own, other in by_values(matcher, keras_values, torch_values):
            matcher.found[own.position] = Found(other, "values")
    matcher.match()
    pairs = {position: tied_pair(sides[0].items[position], found, given) for position, found in matcher.found.items()}
    without = [(own, other) for own, other in fixed if not (own.part and other.part)]
    pairs |= {own.position: weightless(own, other, "map") for own, other in without}
    pairs |= {own.position: weightless(own, other, "structure") for own, other in pair_weightless(matcher, without)}
    unpaired = [tuple(item.path for item in items) for items in matcher.free()]
    found = Pairing(
        keras,
        torch,
        tuple(pairs[position] for position in sorted(pairs)),
        {"keras": unpaired[0], "torch": unpaired[1]},
        given.ignore,
        tuple(item.path for ours, _ in even_groups(matcher) for item in ours),
        tuple(undecided(matcher)),
        tuple((k.path, t.path, f"{sized(k)} in Keras, {sized(t)} in torch") for k, t in of_two_sizes(matcher)),
        (),
        given,
    )
    if keras_values and torch_values:
        found = with_flattening(found, keras_values, torch_values)
    return replace(
        found, messages=tuple(messages(found, matcher, keras_values is not None and torch_values is not None))
    )


def undecided(matcher: Matcher) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The groups of two and more whose members all fit one another: those that stayed unpaired, and guesses."""
    groups: dict[frozenset[int], tuple[list[Item], list[Item]]] = {}
    for position, found in sorted(matcher.found.items()):
        if found.guess:
            ours, theirs = groups.setdefault(matcher.fits[position], ([], []))
            ours.append(matcher.sides[0].items[position])
            theirs.append(found.torch)
    for ours, theirs in [*even_groups(matcher), *groups.values()]:
        if len(ours) > 1 and all(matcher.fit(k, t) for k in ours for t in theirs):
            yield tuple(item.path for item in ours), tuple(item.path for item in theirs)


def sized(item: Item) -> str:
    """What an item is, and how large its first weight."""
    return f"{item.layer.kind} {sizes(item)}"


def weightless(keras: Item, torch: Item, rule: Literal["map", "structure"]) -> Pair:
    """A pair of which one has no weights."""
    return Pair(keras.layer.path, torch.layer.path, rule, (keras.name, torch.name), keras.meaning or "")


def left_out(given: PairingMap, sides: tuple[Side, Side]) -> tuple[frozenset[int], frozenset[int]]:
    """The positions of the items that the map ignores: of either side, or of torch's alone after "torch:"."""
    found: tuple[set[int], set[int]] = set(), set()
    for name in given.ignore:
        one, _, rest = name.partition(":")
        chosen = [n for n, side in enumerate(sides) if one not in ("keras", "torch") or one == side.model.framework]
        name = rest if one in ("keras", "torch") else name
        errors = []
        for n in chosen:
            try:
                found[n].update(i.position for group in selected(name, sides[n].items, NAMES[n]) for i in group)
            except UsageError as error:
                errors.append(error)
        if len(errors) == len(chosen):
            raise errors[0]
    return frozenset(found[0]), frozenset(found[1])


def by_values(matcher: Matcher, keras: Values, torch: Values) -> Iterator[tuple[Item, Item]]:
    """Rule 2: the largest weight has the same numbers, in whatever order, as that of one other that it fits."""
    ours, theirs = matcher.free()
    prints = [(item, fingerprint(item, keras)) for item in ours], [(item, fingerprint(item, torch)) for item in theirs]
    for item, own in prints[0]:
        like = [other for other, value in prints[1] if value == own]
        rivals = [other for other, value in prints[0] if value == own]
        if own is not None and len(like) == len(rivals) == 1 and matcher.fit(item, like[0]):
            yield item, like[0]


def fingerprint(item: Item, values: Values) -> bytes | None:
    """The numbers of an item's largest tensor, sorted; None if they are all the same."""
    assert item.part is not None
    views = max(item.part.forms[0].tensors.values(), key=lambda kept: int(np.prod([*kept[0].shape.values()])))
    numbers = np.sort(views[0].read(values).astype(np.float64), axis=None)
    same = numbers.size == 0 or bool(numbers[0] == numbers[-1])
    return None if same else hashlib.sha256(numbers.tobytes()).digest()
