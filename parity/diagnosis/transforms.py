"""Which simple change turns one array into another: of its places, or of its values."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# What is computed is computed in float32, also for a float64 model: a factor, a term, the product and the sum round by
# half a unit in the last place each, and so do the four values that the factor and the term are taken from.
EPSILON = 4 * float(np.finfo(np.float32).eps)
# So many names are listed.
LISTED = 3
TRIED = (
    "transposition", "mirroring", "permutation of rows, columns, values, samples", "scale", "shift", "reflection",
    "rounding", "map of labels",
)  # fmt: skip


def between(x: Array, y: Array, image: int | None = None) -> str | None:
    """What makes y of x, in a few words, or None; rows may be images of `image` times `image` pixels.

    Values that only change places must be equal to the bit, computed ones within float32's rounding.
    """
    if x.shape != y.shape or x.size == 0 or x.dtype.kind not in "fiu" or y.dtype.kind not in "fiu":
        return None
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    ways = [("", x), *rearranged(x, image)]
    for said, z in ways[1:]:
        if np.array_equal(z, y):
            return said
    if (order := permuted(x, y)) is not None:
        return order
    for said, z in ways:
        if (line := affine(z, y)) is not None:
            return ", ".join(filter(None, (said, line)))
    return None


def rearranged(x: Array, image: int | None) -> Iterator[tuple[str, Array]]:
    """x with its values in other places, and what was done to them."""
    if image is not None:
        images = x.reshape(-1, image, image)
        yield "each image transposed", images.transpose(0, 2, 1).reshape(x.shape)
        yield "each image mirrored left to right", images[:, :, ::-1].reshape(x.shape)
        yield "each image upside down", images[:, ::-1].reshape(x.shape)
    if x.ndim == 2 and x.shape[0] == x.shape[1]:
        yield "transposed", x.T
    elif x.ndim == 2 and min(x.shape) > 1:
        yield "stored in the order of its transpose", x.T.reshape(x.shape)
        yield "read in the order of its transpose", x.reshape(x.shape[::-1]).T
    if x.size > 1:
        yield "backwards", x.reshape(-1)[::-1].reshape(x.shape)


def permuted(x: Array, y: Array) -> str | None:
    """Whether the same rows, columns or values stand in another order."""
    if x.ndim == 2 and same_rows(x, y):
        return "its rows in another order"
    if x.ndim == 2 and same_rows(x.T, y.T):
        return "its columns in another order"
    same = np.array_equal(np.sort(x, axis=None), np.sort(y, axis=None))
    return "its values in another order" if same else None


def same_rows(x: Array, y: Array) -> bool:
    """Whether two matrices have the same rows, as often, in any order."""
    if x.shape != y.shape or x.size == 0:
        return False
    return np.array_equal(np.sort(as_bytes(x)), np.sort(as_bytes(y)))


def as_bytes(x: Array) -> Array:
    """[rows]: each row as one value of bytes, -0 as 0."""
    rows = np.ascontiguousarray(x, np.float64) + 0.0
    return rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).reshape(-1)


def affine(x: Array, y: Array) -> str | None:
    """How y is x times a factor plus a term, within rounding."""
    x, y = (np.asarray(array, np.float64).reshape(-1) for array in (x, y))
    with np.errstate(all="ignore"):
        largest = int(np.argmax(np.abs(x)))
        factor = float(y[largest] / x[largest])
        if (np.abs(y - factor * x) <= EPSILON * np.abs(y)).all():
            return scaled(factor)
        low, high = int(np.argmin(x)), int(np.argmax(x))
        slope = float((y[high] - y[low]) / (x[high] - x[low])) if x[high] > x[low] else 1.0
        term = float(y[low] - slope * x[low])
        reach = abs(slope) * float(np.abs(x).max()) + abs(term)
        if not (np.abs(y - slope * x - term) <= EPSILON * reach).all():
            return None
    if abs(term) <= EPSILON * reach:
        # No term, and a factor alone has been tried.
        return None
    # How far rounding moves the slope of a line through two points that are so far apart.
    unsure = EPSILON * reach / max(float(np.ptp(x)), EPSILON * reach)
    if abs(slope - 1) <= unsure:
        return f"plus {term:.6g}"
    return f"subtracted from {term:.6g}" if abs(slope + 1) <= unsure else f"times {slope:.6g} plus {term:.6g}"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def scaled(factor: float) -> str:
    """A factor in words; one that rounding explains is none."""
    if abs(factor - 1) <= EPSILON:
        return "but for the rounding of float32"
    if not factor:
        return "all zero"
    if EPSILON < abs(factor) < 1 and abs(1 / factor - round(1 / factor)) <= EPSILON / abs(factor):
        return f"divided by {round(1 / factor)}"
    return f"times {factor:.6g}"


def of_labels(k: Array, m: Array) -> str | None:
    """What makes labels m of k: each class another, or another order."""
    if k.shape != m.shape or k.size == 0:
        return None
    steps = np.unique(m - k)
    if len(steps) == 1:
        return f"plus {int(steps[0])}"
    pairs = np.unique(np.column_stack([k, m]), axis=0)
    if len(pairs) == len(np.unique(k)) == len(np.unique(m)):
        return f"classes renamed: {listed([f'{old} as {new}' for old, new in pairs.tolist() if old != new])}"
    return "in another order" if np.array_equal(np.sort(k), np.sort(m)) else None
