"""The known differences between Keras and torch, as data: what `python -m parity.explain` shows.

Every figure is printed by a script that stands with it, and tests/test_differences.py runs all of them.
"""

from parity.differences import (
    activations,
    adaptive,
    clipping,
    convolution,
    embeddings,
    gates,
    initializers,
    kernels,
    kinks,
    layers,
    losses,
    masks,
    optimizers,
    recurrence,
    roots,
    runtime,
    sampling,
    windows,
)
from parity.differences.entry import IMPORTS, Difference, Effect, Side

# By id.
DIFFERENCES: dict[str, Difference] = {
    entry.id: entry
    for topic in (
        initializers,
        activations,
        kinks,
        kernels,
        layers,
        convolution,
        windows,
        recurrence,
        gates,
        masks,
        embeddings,
        losses,
        clipping,
        optimizers,
        adaptive,
        roots,
        runtime,
        sampling,
    )
    for entry in topic.ENTRIES
}

__all__ = ["DIFFERENCES", "IMPORTS", "Difference", "Effect", "Side"]
