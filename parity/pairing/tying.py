"""The links of a pair: those of the tables, and what the user's map or the values say otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from parity.errors import UsageError
from parity.models.described import Layer, Weight
from parity.pairing.items import Item
from parity.pairing.layouts import linear
from parity.pairing.layouts.form import COUNTERS, form_of
from parity.pairing.links import Link, Ties, tied, ties
from parity.pairing.looks import exact, expected
from parity.pairing.matching import Found
from parity.pairing.pairs import Pair, Pairing, PairingMap
from parity.pairing.views import Array, View, bound, total


def tied_pair(keras: Item, found: Found, given: PairingMap) -> Pair:
    """A pair with the links of its weights; without any, if no table and no line of the map says how they go."""
    torch = found.torch
    assert keras.part
    assert torch.part
    tie = ties(keras.part, torch.part)
    if channels := given.flattened.get(keras.layer.path):
        tie = flattened(keras.layer, torch.layer, channels)
        if tie is None:
            raise UsageError(
                f'the map flattens "{keras.layer.path}" by {channels} channels: it has to be a Dense whose inputs '
                f'are so many or a multiple, and its partner "{torch.layer.path}" a Linear of the same sizes'
            )
    links = changed(tie.links if tie else (), keras.layer, torch.layer, given)
    pair = Pair(keras.layer.path, torch.layer.path, found.rule, (keras.name, torch.name), guess=found.guess)
    return replace(pair, form=tie.form if tie else "", links=links, alone=tie.alone if tie else ())


def flattened(keras: Layer, torch: Layer, channels: int) -> Ties | None:
    """The links of two dense layers behind a feature map that each side flattened in its own order."""
    readings = linear.flattened(keras, channels), linear.flattened(torch, channels)
    forms = [form_of(layer, r) if r else None for layer, r in zip((keras, torch), readings, strict=True)]
    return tied(forms[0], forms[1]) if forms[0] and forms[1] else None


def changed(links: Sequence[Link], keras: Layer, torch: Layer, given: PairingMap) -> tuple[Link, ...]:
    """The links with those that the map says: `layout` and `sum`, by the names of Keras's weights."""
    found = list(links)
    theirs = [w for w in torch.weights if w.role not in COUNTERS]
    by_name = {weight.name: weight for weight in theirs}
    for index, weight in enumerate(keras.weights):
        text, summed = given.layout.get(weight.name), given.sum.get(weight.name)
        if text is None and summed is None:
            continue
        present = [view.name for link in links if link.keras[0].name == weight.name for view in link.torch]
        names = summed or present or [other.name for other in theirs[index : index + 1]]
        if wrong := [name for name in names if name not in by_name]:
            raise UsageError(f'the map sums "{wrong[0]}", which "{torch.path}" does not have')
        said = written(weight, [by_name[name] for name in names], text)
        found = [*(link for link in found if link.keras[0].name != weight.name), said]
    return tuple(found)


def written(keras: Weight, torch: Sequence[Weight], text: str | None) -> Link:
    """A link as the map writes it; without a text both have one order of axes."""
    same = " ".join(f"a{number}" for number in range(len(keras.shape)))
    left, right = (side.strip() for side in (text or f"{same} -> {same}").split("->"))
    sizes = bound(left, keras.shape, {})
    for weight in torch:
        sizes = bound(right, weight.shape, sizes) if sizes is not None else None
    views = [View(w.name, side, sizes or {}, {}) for w, side in ((keras, left), *((w, right) for w in torch))]
    if sizes is None or not torch or sorted(views[0].names) != sorted(views[1].names):
        shapes = " + ".join(f"{w.name} {w.shape}" for w in torch) or "nothing"
        raise UsageError(f'the map\'s layout "{left} -> {right}" does not fit {keras.name} {keras.shape} and {shapes}')
    return Link(keras.role, (views[0],), tuple(views[1:]))


def with_flattening(pairing: Pairing, keras: Mapping[str, Array], torch: Mapping[str, Array]) -> Pairing:
    """The pairing with dense layers turned for a flattened feature map, where only that makes their values equal."""
    return replace(pairing, pairs=tuple(unflattened(pairing, pair, keras, torch) for pair in pairing.pairs))


def unflattened(pairing: Pairing, pair: Pair, keras: Mapping[str, Array], torch: Mapping[str, Array]) -> Pair:
    """The pair, or if it is a dense one whose values say so, with its inputs by channels."""
    kernel = next((link for link in pair.links if link.tensor == "kernel"), None)
    layers = pairing.keras.layer(pair.keras), pairing.torch.layer(pair.torch)
    if kernel is None or [layer.kind for layer in layers] != ["Dense", "Linear"]:
        return pair
    theirs = total(kernel.torch, torch)
    if exact(expected(kernel, keras), theirs):
        return pair
    width = kernel.keras[0].sizes.get("i", 0)
    for channels in (n for n in range(2, width // 2 + 1) if width % n == 0):
        tie = flattened(*layers, channels)
        link = next(link for link in tie.links if link.tensor == "kernel") if tie else None
        if tie and link and exact(expected(link, keras), total(link.torch, torch)):
            return replace(pair, links=tie.links)
    return pair
