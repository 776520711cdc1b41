"""What a pairing has to say to its user, each sentence with what to do next."""

import json
from collections.abc import Iterator, Sequence

from parity.models.described import Layer, Model
from parity.pairing.groups import Group
from parity.pairing.items import Item
from parity.pairing.layouts.form import COUNTERS
from parity.pairing.matching import Matcher
from parity.pairing.pairs import Pairing

# What torch cannot do.
WITHOUT = {"gru_reset_first": "reset_after=False has no torch counterpart"}
# How many names a sentence lists.
MOST = 4


def messages(pairing: Pairing, matcher: Matcher, with_values: bool) -> Iterator[str]:
    """All sentences on a pairing: what is left over, what is ambiguous, what was guessed."""
    said: set[int] = set()
    for group in even_groups(matcher):
        yield ambiguous(group, with_values)
        said |= {id(item) for items in group for item in items}
    said |= {id(item) for items in of_two_sizes(matcher) for item in items}
    yield from left_over(pairing, matcher, said)
    yield from untied(pairing)
    yield from guesses(pairing)


def whole_groups(matcher: Matcher) -> list[Group]:
    """The groups that stayed unpaired, each once: those of the segments come again in that of all free items."""
    found: list[Group] = []
    seen: set[int] = set()
    every = [*matcher.groups(), *matcher.whole()]
    for group in sorted(every, key=lambda group: len(group[0]) != len(group[1])):
        members = {id(item) for items in group for item in items}
        if not members & seen:
            found.append(group)
            seen |= members
    return found


def even_groups(matcher: Matcher) -> list[Group]:
    """The groups that stayed unpaired, of as many on both sides: nothing tells which is which."""
    return [group for group in whole_groups(matcher) if len(group[0]) == len(group[1])]


def quoted(names: Sequence[str]) -> str:
    """Names in quotes, with "and" before the last."""
    shown = [json.dumps(name, ensure_ascii=False) for name in names[:MOST]]
    rest = [f"{len(names) - MOST} more"] if len(names) > MOST else []
    *first, last = [*shown, *rest]
    return f"{', '.join(first)} and {last}" if first else last


def ambiguous(group: Group, with_values: bool) -> str:
    """As many layers on both sides that all fit one another, and nothing that tells them apart."""
    ours, theirs = ([item.path for item in items] for items in group)
    values = " Their values are equal in no one way." if with_values else ""
    return (
        f"{quoted(ours)} all fit {quoted(theirs)} ({sizes(group[0][0])}), and neither what they read nor their names "
        f"tell which is which.{values} Say it in the map: {quoted(ours[:1])} = {quoted(theirs[:1])}"
    )


def left_over(pairing: Pairing, matcher: Matcher, said: set[int]) -> Iterator[str]:
    """The layers without a partner: those that nothing fits, and those of which there are too many."""
    free = matcher.free()
    counts = [len({item.layer.path for item in side.weighted}) for side in matcher.sides]
    if counts[0] != counts[1] and any(free):
        yield f"Keras has {counts[0]} layers with weights, torch {counts[1]}; what is left over follows"
    for side, (model, items, others) in enumerate(zip((pairing.keras, pairing.torch), free, free[::-1], strict=True)):
        name, other = ("Keras", "torch")[side], ("torch", "Keras")[side]
        for item in items:
            if id(item) in said:
                continue
            text = f'{name} "{item.path}" ({item.layer.kind}, {sizes(item)}){place(model, item.layer)} has no partner: '
            reason = next((WITHOUT[f.name] for f in item.part.forms if f.name in WITHOUT), None) if item.part else None
            fits = [o.path for o in others if (matcher.fit(item, o) if side == 0 else matcher.fit(o, item))]
            if reason:
                yield text + reason
            elif fits:
                yield (
                    text
                    + f"it fits {quoted(fits)}, as others do. Say in the map which it is, or ignore = {listed(item)}"
                )
            else:
                hint = swapped(item, others)
                yield (
                    text
                    + f"nothing left in {other} has its kind and shape{hint}. If it is meant: ignore = {listed(item)}"
                )


def listed(item: Item) -> str:
    """A list in TOML with the layer's name."""
    return json.dumps([item.layer.path], ensure_ascii=False)


def swapped(item: Item, others: Sequence[Item]) -> str:
    """Whether a free layer of the other side has as many numbers, in a shape that no transform gives."""
    own = main_weight(item.layer)
    for other in others:
        theirs = main_weight(other.layer)
        if own and theirs and sorted(own[1]) == sorted(theirs[1]) and own[1] != theirs[1]:
            transposed = ": are in and out swapped, as in a transposed convolution?" if len(own[1]) > 2 else ""
            return f"; {theirs[0]} {theirs[1]} has its numbers, but fits no transform of {own[0]} {own[1]}{transposed}"
    return ""


def of_two_sizes(matcher: Matcher) -> list[tuple[Item, Item]]:
    """Free items of one kind, as many on both sides, in their order, that do not fit each other: their sizes differ."""
    ours, theirs = matcher.free()
    found: list[tuple[Item, Item]] = []
    for name in dict.fromkeys(form.name for item in ours if item.part for form in item.part.forms):
        own, other = ([item for item in items if of_form(item, name)] for items in (ours, theirs))
        if len(own) == len(other) and not any(matcher.fit(k, t) for k in own for t in other):
            found += [(k, t) for k, t in zip(own, other, strict=True) if not swapped(k, [t])]
    return found


def of_form(item: Item, name: str) -> bool:
    """Whether an item can be read in a form."""
    return item.part is not None and any(form.name == name for form in item.part.forms)


def main_weight(layer: Layer) -> tuple[str, tuple[int, ...]] | None:
    """Name and shape of a layer's weight of most axes."""
    found = [(weight.name, weight.shape) for weight in layer.weights if weight.role not in COUNTERS]
    return max(found, key=lambda weight: len(weight[1]), default=None)


def sizes(item: Item) -> str:
    """The shape of an item's first weight, as its framework has it."""
    assert item.part
    view = next(iter(item.part.forms[0].tensors.values()))[0]
    return "x".join(str(size) for size in view.plain_shape) or "scalar"


def place(model: Model, layer: Layer) -> str:
    """Between which layers one stands."""
    paths = [other.path for other in model.layers]
    at = paths.index(layer.path)
    before, after = paths[at - 1] if at else None, paths[at + 1] if at + 1 < len(paths) else None
    if before and after:
        return f', between "{before}" and "{after}",'
    return f', after "{before}",' if before else f', before "{after}",' if after else ""


def untied(pairing: Pairing) -> Iterator[str]:
    """Pairs of the user's map whose weights no transform ties."""
    for pair in pairing.pairs:
        own, other = pairing.keras.layer(pair.keras), pairing.torch.layer(pair.torch)
        weights = main_weight(own), main_weight(other)
        if all(weights) and not pair.links and pair.parts[0] != "activation":
            ours, theirs = [f"{weight[0]} {weight[1]}" for weight in weights if weight]
            yield (
                f"{theirs} fits no transform of {ours} ({own.kind} and {other.kind}); if one does it, say so in the "
                f'map: [layout] {quoted([ours.split()[0]])} = "a b -> b a", with the axes as they are'
            )


def guesses(pairing: Pairing) -> Iterator[str]:
    """The pairs that order alone decided."""
    found = [pair for pair in pairing.pairs if pair.guess]
    if found:
        ours, theirs = [pair.keras for pair in found], [pair.torch for pair in found]
        yield (
            f"{quoted(ours)} are paired with {quoted(theirs)} by their order alone, which is a guess: "
            "look at the map, and save it if it is right"
        )
