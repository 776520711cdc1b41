"""Whether a result is as exact as the precision asked for, not only within what rounding may do at worst.

The bound of a sum of n terms, n u S, holds for any order, so a kernel that computes with fewer digits may stay within
it where n is large: of TF32, which keeps 10 bits, the errors at n = 2048 are 0.2 to 6 times the bound of float32. But
the *size* of a kernel's errors is known: that of the same terms added up one after the other in the precision asked
for, an independent kernel on this very input. Blocked and vectorised sums are off by less, TF32 by 13 times as much and
more.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds.measure import Tolerance
from parity.bounds.running_error import UNIT_ROUNDOFF, smallest_normal

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# So many elements of a tensor are looked at, of those that are sums; with fewer than the least, nothing is said.
SAMPLE, LEAST = 256, 64
# Elements that agree in so many decimal places of the largest are alike.
DIGITS = 4
# How far off a step may be in one element, in units of its tensor's rounding, to count: beyond, a kink has turned.
CAPPED = 8.0
# The share of the bound of a whole step that one cause of error may make by itself, and be none by chance.
SHARED = 100.0
# What underflow takes, divided by an epsilon: a loop may keep denormal numbers, which its replay does not get.
LOST = 1e-28


class Sum(NamedTuple):
    """A tensor whose elements are sums: a [m, n] @ b [n, k], with what is `added` [k]; or, without b, of a's rows."""

    a: Array
    b: Array | None = None
    added: Array | None = None

    def terms(self, positions: NDArray[np.int64], dtype: type) -> Array:
        """[n, positions]: the terms of these elements of the flattened tensor, in `dtype`.

        A row lies in memory at once, so that NumPy adds row after row; what lies otherwise it adds in pairs.
        """
        if self.b is None:
            return np.ascontiguousarray(self.a[:, positions], dtype)
        rows, columns = np.divmod(positions, self.b.shape[1])
        products: Array = self.a[rows].T.astype(dtype) * self.b[:, columns].astype(dtype)
        found = products if self.added is None else np.vstack([products, self.added.astype(dtype)[None, columns]])
        return np.ascontiguousarray(found)


def of_sums(sums: Mapping[str, Sum], ours: Arrays, exact: Arrays) -> dict[str, float]:
    """The size of the error of each float32 tensor of sums in `ours`, relative to an ordinary kernel's.

    `exact` holds the same in float64. Sizes are root mean squares over SAMPLE elements; the kernel's is the larger of
    two, which add up forwards and backwards. Nothing is said where no sum rounds, or a number is not finite.
    """
    found = {}
    for name, parts in sums.items():
        if name in ours and name in exact:
            with np.errstate(all="ignore"):
                ratio = of_sum(parts, ours[name].reshape(-1), exact[name].reshape(-1))
            if ratio is not None:
                found[name] = ratio
    return found


def of_sum(parts: Sum, ours: Array, exact: Array) -> float | None:
    """The same of one tensor, flattened."""
    candidates = np.flatnonzero(exact)
    if len(candidates) < LEAST:
        return None
    positions = candidates[np.linspace(0, len(candidates) - 1, min(SAMPLE, len(candidates))).round().astype(np.int64)]
    # float64 holds products of float32 numbers exactly.
    wide, narrow = parts.terms(positions, np.float64), parts.terms(positions, np.float32)
    true = wide.sum(axis=0)
    # Elements that are all alike are one, whose error may be anything by chance.
    if len(np.unique((true / np.abs(true).max()).round(DIGITS))) < LEAST / 2:
        return None
    errors = [narrow.sum(axis=0) - true, narrow[::-1].sum(axis=0) - true]
    expected = max(*map(root_mean_square, errors), UNIT_ROUNDOFF["float32"] * root_mean_square(spread(wide)) / 2)
    measured = root_mean_square(ours[positions] - exact[positions])
    # What underflows is lost as a whole, in one kernel and not in another.
    if not np.isfinite(measured) or not expected > len(wide) * smallest_normal(UNIT_ROUNDOFF["float32"]) * 2**20:
        return None
    return float(measured / expected)


def spread(terms: NDArray[np.float64]) -> NDArray[np.float64]:
    """[positions]: the size that the partial sums of terms [n, positions], in an order drawn at random, add up to.

    sqrt(n ((sum x)^2 / 3 + sum (x - mean)^2 / 6)), over terms that are not zero. It stands for what a blocked kernel
    rounds where both orders above are exact, as of x, -x, y, -y.
    """
    n = np.maximum(np.count_nonzero(terms, axis=0), 1)
    total, squares = terms.sum(axis=0), (terms**2).sum(axis=0)
    return np.sqrt(n * (total**2 / 3 + np.maximum(squares - total**2 / n, 0) / 6))


def of_step(
    looped: Arrays, replayed: Arrays, exact: Arrays, bounds: Mapping[str, Tolerance] | None = None
) -> dict[str, float]:
    """The size of each tensor's error in a loop's float32 step, relative to the replayed step's, and to one rounding.

    `exact` is the step in float64. Errors of one cause, as that of a single sample's delta, are alike in all elements
    and may be small by chance: so a share of what rounding may do at worst, `bounds`, counts as rounding, too. A kink
    that turned in one of them changes a few elements by much: CAPPED. Tensors of few elements count together.
    """
    parts = {
        name: errors for name in looped if (errors := in_units(name, looped, replayed, exact, bounds or {})) is not None
    }
    few = [name for name, errors in parts.items() if errors.size < LEAST]
    together = np.concatenate([parts[name] for name in few]) if few else np.zeros(0)
    found = {name: root_mean_square(errors) for name, errors in parts.items() if errors.size >= LEAST}
    return found | dict.fromkeys(few if together.size >= LEAST else [], root_mean_square(together))


def in_units(
    name: str, looped: Arrays, replayed: Arrays, exact: Arrays, bounds: Mapping[str, Tolerance]
) -> NDArray[np.float64] | None:
    """The size of each element's error in units of its tensor's rounding; None where there is nothing to compare."""
    if name not in replayed or name not in exact or looped[name].dtype.kind != "f":
        return None
    with np.errstate(all="ignore"):
        true = np.asarray(exact[name], np.float64).reshape(-1)
        ours, theirs = (np.abs(a[name].astype(np.float64).reshape(-1) - true) for a in (looped, replayed))
        worst = bounds[name].scale if name in bounds else np.zeros(0)
        least = root_mean_square(worst[np.isfinite(worst)]) / SHARED
        unit = max(root_mean_square(theirs), UNIT_ROUNDOFF["float32"] * root_mean_square(true), LOST, least)
        errors = np.minimum(ours / unit, CAPPED)
    return errors if np.isfinite(errors).all() else None


def root_mean_square(x: Array) -> float:
    """The root of the mean of squares."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if x.size else 0.0
