"""How far apart two sets of tensors are, each against its own scale, summed up by its worst element.

A summary has one entry per tensor:
    measured   [tensors] float64: max |ours - theirs| / scale over the tensor's elements; 0 where both are equal;
               infinite where one side alone is a number, and where a tensor is missing or has another shape
    position   [tensors] int64: the position of that element in the flattened tensor
    ours, theirs, scale   [tensors] float64: its two values, and the scale there
    compared   [tensors] int64: the number of elements; 0 where a tensor is missing or has another shape
    unjudged   [tensors] int64: how many elements prove nothing: NaN or the same infinity on both sides, or none where
               rounding may make it so, as where it overflows
    branched   [tensors] int64: how many lie on another side of a decision that rounding makes, as a sign of what may be
               zero, and agree with what comes of it there
    precision  [tensors] float64: how large the rounding is, against that of the precision asked for (parity/
               precision.py); NaN where that is not measured
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import Branch

COLUMNS = {
    "measured": "float64", "position": "int64", "ours": "float64", "theirs": "float64", "scale": "float64",
    "compared": "int64", "unjudged": "int64", "branched": "int64", "precision": "float64",
}  # fmt: skip
Array = NDArray[Any]
Arrays = Mapping[str, Array]


class Tolerance(NamedTuple):
    """How far rounding may take a tensor: the scale of its elements, infinite where any result is possible.

    `ends` is where it may make an element NaN or infinite; `branch` are outcomes of which an element may have any.
    """

    scale: Array
    ends: NDArray[np.bool_] | None = None
    branch: Branch | None = None


class Worst(NamedTuple):
    """One entry of a summary."""

    measured: float
    position: int
    ours: float
    theirs: float
    scale: float
    compared: int
    unjudged: int
    branched: int
    precision: float


MISSING = Worst(np.inf, 0, np.nan, np.nan, np.nan, 0, 0, 0, np.nan)


def summary(
    names: Sequence[str],
    ours: Arrays,
    theirs: Arrays,
    allowed: Mapping[str, Tolerance],
    precisions: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The columns of a summary of the tensors `names`."""
    rows = [worst(ours.get(name), theirs.get(name), allowed.get(name)) for name in names]
    if precisions is not None:
        rows = [row._replace(precision=precisions.get(name, np.nan)) for name, row in zip(names, rows, strict=True)]
    columns = zip(*rows, strict=True)
    return {name: np.array(column, dtype) for (name, dtype), column in zip(COLUMNS.items(), columns, strict=True)}


def entries(arrays: Arrays, prefix: str) -> list[Worst]:
    """The rows of the summary stored as `<prefix>/<column>`."""
    columns = (arrays[f"{prefix}/{name}"].tolist() for name in COLUMNS)
    return [Worst(*row) for row in zip(*columns, strict=True)]


def worst(ours: Array | None, theirs: Array | None, allowed: Tolerance | None) -> Worst:
    """The element of one tensor that is furthest off."""
    if ours is None or theirs is None or allowed is None or not ours.size:
        return MISSING
    if not ours.shape == theirs.shape == allowed.scale.shape:
        return MISSING
    x, y, s = (np.asarray(array, np.float64).reshape(-1) for array in (ours, theirs, allowed.scale))
    # The same on both sides, and not finite: NaN, or an infinity of one sign.
    unjudged = ~np.isfinite(s) | (np.isnan(x) & np.isnan(y)) | ((x == y) & np.isinf(x))
    if allowed.ends is not None:
        unjudged |= np.broadcast_to(allowed.ends, ours.shape).reshape(-1) & ~(np.isfinite(x) & np.isfinite(y))
    with np.errstate(all="ignore"):
        ratio = np.where((x == y) | unjudged, 0.0, np.abs(x - y) / s)
    ratio[np.isnan(ratio)] = np.inf
    branched = 0
    if allowed.branch is not None:
        open_to, nearest = allowed.branch.positions, to_an_outcome(x, y, s, allowed.branch)
        turned = (nearest < ratio[open_to]) & (ratio[open_to] > 1)
        branched = int(np.count_nonzero(turned))
        ratio[open_to] = np.where(turned, nearest, ratio[open_to])
    at = int(np.argmax(ratio))
    if unjudged[at] and not unjudged.all():
        # Nothing differs, so any element stands for all; one that was judged.
        at = int(np.argmin(unjudged))
    count = int(np.count_nonzero(unjudged))
    return Worst(float(ratio[at]), at, float(x[at]), float(y[at]), float(s[at]), x.size, count, branched, np.nan)


def to_an_outcome(x: Array, y: Array, s: Array, branch: Branch) -> Array:
    """The ratio of each branching element, where either side may have gone any of the ways open to it."""
    at, outcomes = branch
    with np.errstate(all="ignore"):
        apart = (x[at] - y[at]) - (outcomes[:, None] - outcomes[None]).reshape(-1, len(at))
        return np.nanmin(np.abs(apart) / s[at], axis=0)


def largest_finite(array: Array) -> float:
    """The largest magnitude of an array that is a finite number."""
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))
