"""Attention: four dense layers. Keras keeps (features, heads, size) each, torch the first three in one, stacked."""

from collections.abc import Iterator

from parity.models.described import Layer
from parity.pairing.layouts.form import Reading, Row, row, spot

STACKED = ("query", "key", "value")


def projection(part: str, kernel: str) -> Reading:
    """One of Keras's, whose roles begin with the part; heads and their size are taken as one axis."""
    bias = "{o}" if kernel == "i {o}" else "o"
    return Reading("dense", {"kernel": spot(f"{part}/kernel", kernel), "bias": spot(f"{part}/bias", bias)}, part)


def torch_attention(layer: Layer) -> Iterator[Reading]:
    """Where keys or values have other widths than queries, torch keeps the three kernels apart."""
    for number, part in enumerate(STACKED):
        bias = spot("in_proj_bias", "(p o)", p=number)
        stacked = {"kernel": spot("in_proj_weight", "(p o) i", p=number), "bias": bias}
        apart = {"kernel": spot(f"{part[0]}_proj_weight", "o i"), "bias": bias}
        together = any(weight.role == "in_proj_weight" for weight in layer.weights)
        yield Reading("dense", stacked if together else apart, part, {"p": len(STACKED)})
    yield Reading("dense", {"kernel": spot("out_proj.weight", "o i"), "bias": spot("out_proj.bias", "o")}, "output")


HEADS = row(*(projection(part, "i {o}") for part in (*STACKED, "gate")), projection("output", "{i} o"))

KERAS: dict[str, Row] = {"MultiHeadAttention": HEADS, "GroupedQueryAttention": HEADS}
TORCH: dict[str, Row] = {"MultiheadAttention": torch_attention}
