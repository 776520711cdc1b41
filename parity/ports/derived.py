"""Bounds of stages whose formula is known: what rounding may do to each element, from the inputs and weights recorded.

Both sides compute f of their own input. They differ by no more than f's inputs differ, taken through f's weights, and
what rounding adds on both sides: of a sum of n products n u S, S being the sum of their magnitudes, in whatever order
(parity/bounds/sums.py). A bound for each element finds what the largest value of a tensor hides.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.models.described import Layer

Array = NDArray[Any]
U = 2.0**-53
# What the bounds are rounded themselves.
OWN = 1 + 2.0**-20
# The smallest normal number may be taken for zero.
SMALLEST = float(np.finfo(np.float64).tiny)
# Roundings one after the other in inference of a batch norm, on either side: three of the factor, which is in two
# products, and four of these and their sum.
NORM = 8
# Products beyond which the bound of a convolution costs too much.
MOST = 2**34
DENSE = {"Dense": ("Linear", "linear")}
CONV = {f"Conv{n}D": (f"Conv{n}d", f"conv{n}d") for n in (1, 2, 3)}
NORMS = {"BatchNormalization": ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "batch_norm")}
RELU = dict.fromkeys(("relu", "ReLU"), ("relu", "ReLU", "relu_"))
ADD = dict.fromkeys(("Add", "add"), ("add", "iadd", "radd"))


@dataclass(frozen=True)
class Known:
    """What a stage is computed of: Keras's layer, where one makes it, its weights by role, the inputs.

    `inputs` are Keras's, `apart` by how much torch's are away from them, each of its shape; None where they are equal.
    """

    kind: str
    layer: Layer | None
    weights: Mapping[str, Array]
    inputs: Sequence[Array]
    apart: Sequence[Array | None]
    trained: bool


def products(x: Array, kernel: Array, layer: Layer | None) -> Array | None:
    """x times the kernel, as a dense layer or a convolution has it; None where it is grouped, or too much."""
    if kernel.ndim == 2:
        return np.matmul(x, kernel)
    assert layer is not None
    settings, space = layer.settings, kernel.ndim - 2
    strides, dilation = (tuple(settings.get(name) or (1,) * space) for name in ("strides", "dilation_rate"))
    known = settings.get("data_format", "channels_last") == "channels_last" and settings.get("groups", 1) == 1
    if not known or settings.get("padding") not in ("same", "valid"):
        return None
    reach = [d * (k - 1) + 1 for k, d in zip(kernel.shape, dilation, strict=False)]
    sizes = list(x.shape[1:-1])
    if settings["padding"] == "same":
        more = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(sizes, strides, reach, strict=True)]
        x = np.pad(x, [(0, 0), *((m // 2, m - m // 2) for m in more), (0, 0)])
        sizes = list(x.shape[1:-1])
    made = [(n - r) // s + 1 for n, r, s in zip(sizes, reach, strides, strict=True)]
    if x.shape[0] * int(np.prod(made)) * kernel.size > MOST:
        return None
    found = np.zeros((x.shape[0], *made, kernel.shape[-1]))
    for place in itertools.product(*map(range, kernel.shape[:space])):
        starts = [p * d for p, d in zip(place, dilation, strict=True)]
        cut = tuple(slice(b, b + (m - 1) * s + 1, s) for b, m, s in zip(starts, made, strides, strict=True))
        found += np.matmul(x[(slice(None), *cut)], kernel[place])
    return found


def of_sums(known: Known) -> Array | None:
    """A dense layer or a convolution: n products and a bias."""
    kernel, (x,), (apart,) = known.weights.get("kernel"), known.inputs, known.apart
    if kernel is None:
        return None
    size = products(np.abs(x), np.abs(kernel), known.layer)
    through = 0.0 if apart is None else products(apart, np.abs(kernel), known.layer)
    if size is None or through is None:
        return None
    terms = int(np.prod(kernel.shape[:-1])) + 1
    size = size + np.abs(known.weights.get("bias", np.zeros(1)))
    found: Array = OWN * (through + 2 * terms * (U * size + SMALLEST))
    return found


def of_norm(known: Known) -> Array | None:
    """A batch norm in eval mode, over the last axis."""
    assert known.layer is not None
    (x,), (apart,), weights = known.inputs, known.apart, known.weights
    if known.trained or known.layer.settings.get("axis", -1) not in (-1, x.ndim - 1, [x.ndim - 1], [-1]):
        return None
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    factor = np.abs(weights.get("gamma", np.ones(1))) / np.sqrt(variance + known.layer.settings["epsilon"])
    size = factor * (np.abs(x) + np.abs(mean)) + np.abs(weights.get("beta", np.zeros(1)))
    found: Array = OWN * (factor * (0.0 if apart is None else apart) + 2 * NORM * (U * size + SMALLEST))
    return found


def of_relu(known: Known) -> Array | None:
    """A ReLU, which rounds nothing."""
    settings = known.layer.settings if known.layer is not None else {}
    if settings.get("negative_slope") or settings.get("threshold") or (known.kind == "ReLU" and not settings):
        return None
    apart = known.apart[0]
    return np.zeros(known.inputs[0].shape) if apart is None else OWN * apart


def of_addition(known: Known) -> Array | None:
    """The sum of two tensors of one shape."""
    if len(known.inputs) != 2 or known.inputs[0].shape != known.inputs[1].shape:
        return None
    a, b = known.inputs
    through = sum((apart for apart in known.apart if apart is not None), np.zeros(1))
    found: Array = OWN * (through + 2 * U * (np.abs(a) + np.abs(b) + through))
    return found


# By Keras's kind: torch's kinds of the same formula, its bound, and how it is told.
RULES: dict[str, tuple[Sequence[str], Callable[[Known], Array | None], str]] = {
    **{kind: (torch, of_sums, "derived: n u S of its n products") for kind, torch in {**DENSE, **CONV}.items()},
    **{kind: (torch, of_norm, "derived: at most 8 roundings one after the other") for kind, torch in NORMS.items()},
    **{kind: (torch, of_relu, "derived: it rounds nothing") for kind, torch in RELU.items()},
    **{kind: (torch, of_addition, "derived: one rounding") for kind, torch in ADD.items()},
}


def allowed(known: Known, torch: str) -> tuple[Array, str] | None:
    """How far the sides may be apart in each element of what Keras made, and by which rule, if there is one."""
    kinds, bound, said = RULES.get(known.kind, ((), of_relu, ""))
    if torch not in kinds or any(x.dtype != np.float64 for x in known.inputs):
        return None
    with np.errstate(all="ignore"):
        found = bound(known)
    return None if found is None or not np.isfinite(found).all() else (found, said)
