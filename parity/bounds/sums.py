"""How far a sum may be rounded, in any order of its terms.

A dot product of n terms lies within n u S of the exact one, S being the sum of their magnitudes, whatever the order,
the blocking or the threads, and with fused multiply-adds or without; a sum within (n - 1) u S (Jeannerod and Rump, SIAM
J. Matrix Anal. Appl. 34(2), 2013). sqrt(n) u S is a statement of probability about terms that round independently, and
equal terms, as those of units that are all alike, do not. A term that is exactly zero rounds nothing, and is no term.

A term below the smallest normal number may be taken for zero, and so may a sum; and where S leaves the range, the order
decides whether the sum is a number, so nothing is said of it: such a bound is infinite.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import largest_number, smallest_normal

Array = NDArray[np.float64]
# What the bounds are rounded themselves, where they are computed in float64: a single term may reach its bound.
OWN = 1 + 2.0**-20


def dot_bound(a: Array, b: Array, u: float, added: Array | None = None) -> Array:
    """[m, k]: how far a [m, n] @ b [n, k], plus what is `added` [k], may be off in the precision of u."""
    terms = np.minimum(np.count_nonzero(a, axis=1)[:, None], np.count_nonzero(b, axis=0)[None, :])
    magnitudes = np.abs(a) @ np.abs(b)
    if added is not None:
        terms, magnitudes = terms + 1, magnitudes + np.abs(added)
    return terms_bound(terms, magnitudes, u, 2 + lost(a, u) * largest(b) + lost(b, u) * largest(a))


def sum_bound(x: Array, u: float, axis: int | None = 0) -> Array:
    """How far the sum of x along an axis, or of all of it, may be off."""
    magnitudes = np.abs(x).sum(axis=axis)
    terms = np.count_nonzero(x, axis=axis)
    return terms_bound(terms, magnitudes, u)


def terms_bound(terms: Any, magnitudes: Any, u: float, lost: float = 1.0) -> Array:
    """How far sums of so many terms may be off, whose magnitudes add up to `magnitudes`.

    What underflow takes of each term is at most `lost` times the smallest normal number.
    """
    return within_range(terms * (OWN * u * magnitudes + lost * smallest_normal(u)), magnitudes, u)


def within_range(bound: Any, magnitudes: Any, u: float) -> Array:
    """The bound, infinite where numbers of these magnitudes, added up, may leave the range, or are not finite."""
    return np.where(np.asarray(magnitudes) < largest_number(u) / 2, bound, np.inf)


def lost(x: Array, u: float) -> bool:
    """Whether any operand is so small that it may be taken for zero."""
    size = np.abs(x)
    return bool(((size > 0) & (size < smallest_normal(u))).any())


def largest(x: Array) -> float:
    """The largest magnitude."""
    return float(np.abs(x).max(initial=0))
