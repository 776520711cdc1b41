"""How far apart two sets of tensors are, each against its own scale, summed up by its worst element.

A summary has one entry per tensor:
    measured   [tensors] float64: max |ours - theirs| / scale over the tensor's elements; 0 where both are equal,
               infinities and NaN included; infinite where a tensor is missing or has another shape
    position   [tensors] int64: the position of that element in the flattened tensor
    ours, theirs, scale   [tensors] float64: its two values, and the scale there
    compared   [tensors] int64: the number of elements; 0 where a tensor is missing or has another shape
    both_nan   [tensors] int64: how many are NaN on both sides, which is no agreement of numbers
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

COLUMNS = {
    "measured": "float64", "position": "int64", "ours": "float64", "theirs": "float64", "scale": "float64",
    "compared": "int64", "both_nan": "int64",
}  # fmt: skip
Arrays = Mapping[str, NDArray[Any]]


class Worst(NamedTuple):
    """One entry of a summary."""

    measured: float
    position: int
    ours: float
    theirs: float
    scale: float
    compared: int
    both_nan: int


MISSING = Worst(np.inf, 0, np.nan, np.nan, np.nan, 0, 0)


def summary(
    names: Sequence[str], ours: Arrays, theirs: Arrays, scales: Arrays, floors: Mapping[str, float]
) -> dict[str, Any]:
    """The columns of a summary of the tensors `names`; differences up to a tensor's floor (default 0) count as none."""
    rows = [worst(ours.get(name), theirs.get(name), scales.get(name), floors.get(name, 0.0)) for name in names]
    columns = zip(*rows, strict=True)
    return {name: np.array(column, dtype) for (name, dtype), column in zip(COLUMNS.items(), columns, strict=True)}


def entries(arrays: Arrays, prefix: str) -> list[Worst]:
    """The rows of the summary stored as `<prefix>/<column>`."""
    columns = (arrays[f"{prefix}/{name}"].tolist() for name in COLUMNS)
    return [Worst(*row) for row in zip(*columns, strict=True)]


def worst(ours: NDArray[Any] | None, theirs: NDArray[Any] | None, scale: NDArray[Any] | None, floor: float) -> Worst:
    """The element of one tensor that is furthest off."""
    if (
        ours is None
        or theirs is None
        or scale is None
        or not ours.shape == theirs.shape == scale.shape
        or not ours.size
    ):
        return MISSING
    x, y, s = (np.asarray(array, np.float64).reshape(-1) for array in (ours, theirs, scale))
    if np.array_equal(x, y):
        return Worst(0.0, 0, float(x[0]), float(y[0]), float(s[0]), x.size, 0)
    both_nan = np.isnan(x) & np.isnan(y)
    with np.errstate(all="ignore"):
        difference = np.abs(x - y)
        # A scale that is no number allows nothing.
        ratio = difference / np.where(np.isfinite(s), s, 0.0)
        ratio = np.where((x == y) | both_nan | (difference <= floor), 0.0, ratio)
    ratio[np.isnan(ratio)] = np.inf
    at = int(np.argmax(ratio))
    return Worst(
        float(ratio[at]), at, float(x[at]), float(y[at]), float(s[at]), x.size, int(np.count_nonzero(both_nan))
    )


def largest_finite(array: NDArray[Any]) -> float:
    """The largest magnitude of an array that is a finite number."""
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))
