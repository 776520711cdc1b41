"""Which order makes one weight the other side's: what a port's own transfer did, or left undone."""

from collections.abc import Iterator, Mapping
from itertools import combinations, permutations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# The most blocks along a first axis whose orders are tried: LSTM has four gates.
BLOCKS = 4
# What blocks along the first axis are, by form, and the known difference.
GATES: Mapping[str, tuple[str, str | None]] = {
    "gru": ("gates (reset, update, new)", "gru_gate_order"),
    "lstm": ("gates (input, forget, cell, output)", None),
}
# What two axes that torch keeps as one are, and the known difference.
MERGED: Mapping[str, tuple[str, str]] = {
    "depthwise": ("channels and multiples", "depthwise_kernel_layout"),
    "attention": ("heads and their sizes", "attention_head_layout"),
}


def orders(ours: Array, theirs: Array, form: str) -> Iterator[tuple[str, str | None]]:
    """The order of `ours`, Keras's weight in torch's layout, that is `theirs`: in words, with the known difference.

    None where they are the same, or no order that is tried makes them so; at most one.
    """
    if ours.shape != theirs.shape or np.array_equal(ours, theirs):
        return
    ways = [of_blocks, of_axes]
    if any(kind in form for kind in MERGED):
        # Two heads of two are four blocks, too.
        ways.reverse()
    yield from [*(found for way in ways for found in way(ours, theirs, form)), *reversed_axes(ours, theirs)][:1]


def of_blocks(ours: Array, theirs: Array, form: str) -> Iterator[tuple[str, str | None]]:
    """Blocks along the first axis in another order."""
    name, entry = next((said for kind, said in GATES.items() if form.startswith(kind)), ("blocks", None))
    for count in (count for count in range(2, BLOCKS + 1) if ours.shape[0] % count == 0):
        blocks = np.split(ours, count)
        for order in permutations(range(count)):
            if np.array_equal(np.concatenate([blocks[i] for i in order]), theirs):
                yield f"its {count} {name} stand in the order {', '.join(str(i + 1) for i in order)}", entry


def of_axes(ours: Array, theirs: Array, form: str) -> Iterator[tuple[str, str | None]]:
    """Two axes counted in the other order, as they are or as factors of one; or axes turned."""
    name, entry = next((said for kind, said in MERGED.items() if kind in form), ("factors", None))
    for a, b in combinations(range(ours.ndim), 2):
        if np.array_equal(np.swapaxes(ours, a, b).reshape(ours.shape), theirs):
            yield f"{name} are counted in the other order ({ours.shape[a]} by {ours.shape[b]})", entry
    for axis, n in enumerate(ours.shape):
        for count in (count for count in range(2, n) if n % count == 0):
            split = ours.reshape(*ours.shape[:axis], count, n // count, *ours.shape[axis + 1 :])
            if np.array_equal(np.swapaxes(split, axis, axis + 1).reshape(ours.shape), theirs):
                yield f"{name} are counted in the other order ({count} by {n // count})", entry
    for axes in permutations(range(ours.ndim)):
        if ours.transpose(axes).shape == theirs.shape and np.array_equal(ours.transpose(axes), theirs):
            yield f"its axes are {axes}", "weight_layout_transpose"


def reversed_axes(ours: Array, theirs: Array) -> Iterator[tuple[str, str | None]]:
    """An axis from its end to its beginning."""
    for axis in range(ours.ndim):
        if np.array_equal(np.flip(ours, axis), theirs):
            yield f"axis {axis} is reversed", None
