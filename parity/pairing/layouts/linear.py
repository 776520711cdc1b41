"""Dense layers and tables. Keras keeps a kernel as (in, out), torch as (out, in)."""

from collections.abc import Iterator

from parity.models.described import Layer
from parity.pairing.layouts.form import Reading, row, spot


def dense(kernel: str, bias: str = "o") -> Reading:
    """Keras's kernel with these axes."""
    return Reading("dense", {"kernel": spot("kernel", kernel), "bias": spot("bias", bias)})


def einsum_dense(layer: Layer) -> Iterator[Reading]:
    """A kernel with the axes that are summed over first and those that are new last, or the other way round."""
    operands, result = layer.settings["equation"].replace(" ", "").split("->")
    new = [letter in result for letter in operands.split(",")[1]]
    if new.count(False) == 1 and not new[0]:
        yield dense("i {o}", "{o}")
    elif new.count(True) == 1 and new[-1]:
        yield dense("{i} o")
    elif new.count(True) == 1 and new[0]:
        yield dense("o {i}")


def flattened(layer: Layer, channels: int) -> Reading | None:
    """A dense layer of either framework behind a feature map that it read in its own order: (s, c) or (c, s)."""
    text = {"Dense": ("kernel", "(s c) o"), "Linear": ("weight", "o (c s)")}.get(layer.kind)
    if text is None:
        return None
    return Reading("dense", {"kernel": spot(*text), "bias": spot("bias", "o")}, "", {"c": channels})


def stacked(layer: Layer) -> Iterator[Reading]:
    """A dense layer of either framework that makes queries, keys and values, one third of its outputs each."""
    kernel = ("kernel", "i (p o)") if layer.kind == "Dense" else ("weight", "(p o) i")
    for number, part in enumerate(("query", "key", "value")):
        tensors = {"kernel": spot(*kernel, p=number), "bias": spot("bias", "(p o)", p=number)}
        yield Reading("dense", tensors, part, {"p": 3})


KERAS = {
    "Dense": row(dense("i o")),
    "EinsumDense": einsum_dense,
    "Embedding": row(Reading("table", {"table": spot("embeddings", "v d")})),
    "ReversibleEmbedding": row(Reading("table", {"table": spot("embeddings", "v d")})),
}
TORCH = {
    "Linear": row(Reading("dense", {"kernel": spot("weight", "o i"), "bias": spot("bias", "o")})),
    "Bilinear": row(Reading("bilinear", {"kernel": spot("weight", "o i j"), "bias": spot("bias", "o")})),
    "Embedding": row(Reading("table", {"table": spot("weight", "v d")})),
    "EmbeddingBag": row(Reading("table", {"table": spot("weight", "v d")})),
}
