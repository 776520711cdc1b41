"""Convolutions in one, two and three dimensions. Keras keeps (space, in, out), torch (out, in, space)."""

from collections.abc import Callable, Iterator

from parity.models.described import Layer
from parity.pairing.layouts.form import Reading, Row, row, spot

SPACES = {1: "w", 2: "h w", 3: "d h w"}


def keras_convolution(dimensions: int) -> Row:
    """A kernel of one pixel is a dense layer, too."""
    space = SPACES[dimensions]
    ones = " ".join("1" * dimensions)

    def readings(layer: Layer) -> Iterator[Reading]:
        groups = layer.settings.get("groups", 1)
        bias = spot("bias", "o")
        yield Reading(form(dimensions, groups), {"kernel": spot("kernel", f"{space} i o"), "bias": bias})
        if groups == 1:
            yield Reading("dense", {"kernel": spot("kernel", f"{ones} i o"), "bias": bias})

    return readings


def form(dimensions: int, groups: int) -> str:
    """One with groups has the kernel of one without them, of fewer channels."""
    return f"conv{dimensions}d" + (f" in {groups} groups" if groups > 1 else "")


def torch_convolution(dimensions: int) -> Row:
    """One kernel for each channel may stand against a depthwise layer: torch has one class for both."""
    space = SPACES[dimensions]
    ones = " ".join("1" * dimensions)

    def readings(layer: Layer) -> Iterator[Reading]:
        groups = layer.settings["groups"]
        bias = spot("bias", "o")
        yield Reading(form(dimensions, groups), {"kernel": spot("weight", f"o i {space}"), "bias": bias})
        if groups == layer.settings["in_channels"]:
            tensors = {"kernel": spot("weight", f"(c m) 1 {space}"), "bias": spot("bias", "(c m)")}
            yield Reading(f"depthwise{dimensions}d", tensors, "", {"c": groups})
        if groups == 1:
            yield Reading("dense", {"kernel": spot("weight", f"o i {ones}"), "bias": bias})

    return readings


def depthwise(dimensions: int) -> Row:
    """Each channel of the input has its own kernels; an output's channel counts first, its copy second."""
    tensors = {"kernel": spot("kernel", f"{SPACES[dimensions]} c m"), "bias": spot("bias", "(c m)")}
    return row(Reading(f"depthwise{dimensions}d", tensors))


def separable(dimensions: int) -> Row:
    """One Keras layer where torch has two: each channel by itself, and then one pixel of all channels."""
    space = SPACES[dimensions]
    ones = " ".join("1" * dimensions)
    pointwise = spot("pointwise_kernel", f"{ones} i o")
    return row(
        Reading(f"depthwise{dimensions}d", {"kernel": spot("depthwise_kernel", f"{space} c m")}, "depthwise"),
        Reading(
            f"conv{dimensions}d",
            {"kernel": spot("pointwise_kernel", f"{space} i o"), "bias": spot("bias", "o")},
            "pointwise",
        ),
        Reading("dense", {"kernel": pointwise, "bias": spot("bias", "o")}, "pointwise"),
    )


def transposed(dimensions: int, weight: str, text: str) -> Row:
    """Keras keeps (space, out, in), torch (in, out, space); neither turns the kernel round."""
    tensors = {"kernel": spot(weight, text.format(SPACES[dimensions])), "bias": spot("bias", "o")}
    return row(Reading(f"transposed{dimensions}d", tensors))


def each(kind: str, make: Callable[[int], Row], last: int = 3) -> dict[str, Row]:
    """The kind in one, two and up to `last` dimensions."""
    return {kind.format(dimensions): make(dimensions) for dimensions in range(1, last + 1)}


KERAS = {
    **each("Conv{}D", keras_convolution),
    **each("DepthwiseConv{}D", depthwise, last=2),
    **each("SeparableConv{}D", separable, last=2),
    **each("Conv{}DTranspose", lambda dimensions: transposed(dimensions, "kernel", "{} o i")),
}
TORCH = {
    **each("Conv{}d", torch_convolution),
    **each("ConvTranspose{}d", lambda dimensions: transposed(dimensions, "weight", "i o {}")),
}
