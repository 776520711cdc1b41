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

# By area, in the order of a book.
AREAS: dict[str, tuple[Difference, ...]] = {
    area: tuple(entry for topic in topics for entry in topic.ENTRIES)
    for area, topics in {
        "Initial weights": (initializers,),
        "Activations": (activations, kinks, kernels),
        "Normalisation and dropout": (layers, normalization),
        "Convolution and pooling": (convolution, windows),
        "Blocks of published models": (blocks,),
        "Recurrent layers and masks": (recurrence, gates, masks),
        "Attention": (attention,),
        "Embeddings": (embeddings,),
        "Losses": (losses, reductions, classes),
        "Optimizers": (clipping, optimizers, adaptive, roots),
        "Training": (training,),
        "Images": (images, resizing),
        "The machine": (runtime, sampling),
    }.items()
}
# By id.
DIFFERENCES: dict[str, Difference] = {entry.id: entry for entries in AREAS.values() for entry in entries}

__all__ = ["AREAS", "DIFFERENCES", "IMPORTS", "Difference", "Effect", "Side"]
