"""Settings of what slides over a feature map: strides, dilation, groups, padding."""

from collections.abc import Iterator, Sequence
from typing import Any

from parity.models.described import Layer
from parity.pairing.pairs import Pair

NAMES = (("strides", "stride"), ("dilation_rate", "dilation"), ("groups", "groups"), ("pool_size", "kernel_size"))
SLIDING = ("conv", "depthwise", "transposed", "max_pool", "average_pool")


def several(value: Any, count: int) -> list[Any]:
    """A setting for each dimension; torch writes one number for all."""
    return list(value) if isinstance(value, list | tuple) else [value] * count


def windows(pair: Pair, keras: Layer, torch: Layer) -> Iterator[tuple[str, bool]]:
    """What differs between two layers that slide, and whether that is certain."""
    if not pair.form.startswith(SLIDING):
        return
    pooling = pair.form.endswith("pool")
    kernel = keras.settings.get("pool_size" if pooling else "kernel_size") or [1]
    count = len(kernel) if isinstance(kernel, list | tuple) else 1
    for ours, theirs in NAMES:
        own, other = keras.settings.get(ours), torch.settings.get(theirs)
        # A depthwise layer has its groups from what it is.
        if own is None or other is None or (ours == "groups" and not pair.form.startswith("conv")):
            continue
        if several(own, count) != several(other, count) and not inside_of_separable(pair, ours):
            yield f"{ours} {several(own, count)} in Keras, {several(other, count)} in torch", True
    if not inside_of_separable(pair, "padding"):
        yield from padding(pair, keras, torch, several(kernel, count))


def inside_of_separable(pair: Pair, name: str) -> bool:
    """Whether a setting of a separable layer is of its other part: the pixelwise one has none."""
    return pair.parts[0] == "pointwise"


def padding(pair: Pair, keras: Layer, torch: Layer, kernel: Sequence[int]) -> Iterator[tuple[str, bool]]:
    """What either side pads. A port may pad in a layer of its own, so this is certain for averages alone."""
    if torch.settings.get("padding_mode", "zeros") != "zeros":
        yield f"padding_mode={torch.settings['padding_mode']!r} in torch; Keras pads with zeros", True
    if torch.settings.get("ceil_mode"):
        yield "ceil_mode=True in torch: it keeps a last window that is not full, Keras drops it", False
    count = len(kernel)
    strides = several(keras.settings.get("strides", 1), count)
    dilation = several(keras.settings.get("dilation_rate", 1), count)
    own, other = keras.settings.get("padding", "valid"), torch.settings.get("padding", 0)
    # torch's own "valid" and "same", of which the latter has stride 1.
    shown = other if isinstance(other, str) else several(other, count)
    pads = {"valid": [0] * count, "same": None}[other] if isinstance(other, str) else several(other, count)
    if (
        pair.form == "average_pool"
        and own == "same"
        and pads != [0] * count
        and torch.settings.get("count_include_pad", True)
    ):
        yield "count_include_pad=True: torch's averages count the zeros of the border, Keras's do not", True
    if pair.form.startswith("transposed"):
        if own == "same":
            yield f'padding "same" in Keras, {shown} in torch: see that the same rows and columns are cut off', False
        elif pads != [0] * count:
            yield f'padding "valid" in Keras, {shown} in torch', False
        return
    if own == "valid" and pads != [0] * count:
        yield f'padding "valid" in Keras, {shown} in torch', False
    elif own == "causal":
        yield f'padding "causal" in Keras pads at the start alone, {shown} in torch', False
    elif own == "same" and pads is not None:
        both = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(stride > 1 for stride in strides):
            yield (
                f'padding "same" at strides {strides} in Keras pads what the size needs, the odd one at the end; '
                f"{shown} in torch pads both ends alike",
                False,
            )
        elif [2 * pad for pad in pads] != both:
            yield f'padding "same" in Keras is {both} in all, {[2 * pad for pad in pads]} in torch', False
