"""The known differences between Keras and torch, as data: what `python -m parity.explain` shows.

Every figure is printed by a script that stands with it, and tests/test_differences.py runs all of them.
"""

from parity.differences import (
    activations,
    adaptive,
    attention,
    blocks,
    classes,
    clipping,
    convolution,
    embeddings,
    gates,
    images,
    initializers,
    kernels,
    kinks,
    layers,
    losses,
    masks,
    normalization,
    optimizers,
    recurrence,
    reductions,
    resizing,
    roots,
    runtime,
    sampling,
    training,
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
        normalization,
        convolution,
        windows,
        blocks,
        recurrence,
        gates,
        masks,
        attention,
        embeddings,
        losses,
        reductions,
        classes,
        clipping,
        optimizers,
        adaptive,
        roots,
        training,
        images,
        resizing,
        runtime,
        sampling,
    )
    for entry in topic.ENTRIES
}

__all__ = ["DIFFERENCES", "IMPORTS", "Difference", "Effect", "Side"]
