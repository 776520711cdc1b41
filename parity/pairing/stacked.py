"""Dense layers that hold queries, keys and values in one, where the other side has three: which ones those are.

Nothing in such a layer says so. Its width does, where the other side has no dense layer of it and three of a third to
spare; where only some of a width are stacked, their names have to say it.
"""

import re
from collections.abc import Mapping, Sequence

from parity.pairing.items import Item, Side

NAMED = re.compile(r"qkv|c_attn|in_proj|query_key_value", re.IGNORECASE)
KINDS = ("Dense", "Linear")
PARTS = 3


def stacked(own: Side, other: Side) -> frozenset[str]:
    """The paths of one side's dense layers that hold three of the other's."""
    ours, theirs = by_size(own), by_size(other)
    found: set[str] = set()
    for (inputs, outputs), items in ours.items():
        mine = [item for item in items if item.layer.kind in KINDS]
        count = len(items) - len(theirs.get((inputs, outputs), ()))
        third = (inputs, outputs // PARTS)
        spare = len(theirs.get(third, ())) - len(ours.get(third, ()))
        if outputs % PARTS or count <= 0 or spare < PARTS * count:
            continue
        named = [item for item in mine if NAMED.search(item.path)]
        chosen = mine if count == len(mine) else named
        found |= {item.layer.path for item in chosen} if len(chosen) == count else set()
    return frozenset(found)


def by_size(side: Side) -> Mapping[tuple[int, int], Sequence[Item]]:
    """A side's dense layers, and parts that are dense, by how many numbers they read and make."""
    found: dict[tuple[int, int], list[Item]] = {}
    for item in side.weighted:
        form = item.part.forms[0] if item.part is not None else None
        if form is not None and form.name == "dense" and "kernel" in form.tensors:
            sizes = form.tensors["kernel"][0].shape
            found.setdefault((sizes["i"], sizes["o"]), []).append(item)
    return found
