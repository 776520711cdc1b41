"""Numbers that know how large their rounding error may be: running error analysis.

A formula written for NumPy arrays, given `Rounded` numbers, returns what it computes together with a bound on what
rounding every one of its operations may do to it: each operation adds u times the size of its result, and passes on
the errors of its operands (Wilkinson 1963; Higham, Accuracy and Stability of Numerical Algorithms, section 3.3). It
holds in every case: errors add up, none is taken for independent of another.

Underflow is an error of its own operation (Demmel, SIAM J. Sci. Stat. Comput. 5(4), 1984): both frameworks may take a
result below the smallest normal number for zero, in float64 too, so it is off by up to that number, and what divides
by it afterwards follows. Overflow is where `reach`, the largest size of any number on the way, leaves the range.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.experiment.spec import Dtype

UNIT_ROUNDOFF: dict[Dtype, float] = {"float64": 2.0**-53, "float32": 2.0**-24}
Array = NDArray[np.float64]


class Branch(NamedTuple):
    """Elements at which rounding decides what is done: their positions in the flattened array, and what may come of it.

    `outcomes` is [ways, positions]; NaN where a way is not open to an element.
    """

    positions: NDArray[np.int64]
    outcomes: Array


class Rounded(np.lib.mixins.NDArrayOperatorsMixin):
    """`value`, computed exactly, and the size of its `error`, both elementwise, where operations round to `u`.

    `least`, where not None, is below the exact and the computed number alike: a root, say, is not below zero whatever
    its error. `reach` is the largest size of a number on the way, where that is followed. `ends` is where the result
    may be NaN, as the root of a difference that rounding may take below zero; None where nowhere. `branch`
    are outcomes that `error` does not cover.
    """

    def __init__(
        self,
        value: Any,
        error: Any,
        u: float,
        least: Array | None = None,
        reach: Array | None = None,
        ends: NDArray[np.bool_] | None = None,
        branch: Branch | None = None,
    ) -> None:
        self.value = np.asarray(value, np.float64)
        self.error = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)
        self.u, self.least, self.reach, self.ends, self.branch = u, least, reach, ends, branch

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        rule = RULES.get(ufunc)
        if rule is None or method != "__call__" or options:
            return NotImplemented
        operands = [operand if isinstance(operand, Rounded) else constant(operand, self.u) for operand in inputs]
        values, errors = [x.value for x in operands], [x.error for x in operands]
        with np.errstate(all="ignore"):
            value = ufunc(*values)
            passed_on = rule(value, *values, *errors, operands[-1].least)
            least = LEAST[ufunc](*operands) if ufunc in LEAST else None
            error = passed_on
            if ufunc not in EXACT:
                error = passed_on + self.u * (np.abs(value) + passed_on)
                error = error + underflow(ufunc, value, passed_on, operands, smallest_normal(self.u))
            return Rounded(value, error, self.u, least, reached(value, error, operands), ending(ufunc, operands))

    @property
    def low(self) -> Array:
        """A number that neither the exact nor the computed one is below."""
        low = self.value - self.error
        return low if self.least is None else np.maximum(low, self.least)


def smallest_normal(u: float) -> float:
    """The smallest normal number of the precision whose unit roundoff is u."""
    return float(np.finfo(np.float32 if u > UNIT_ROUNDOFF["float64"] else np.float64).tiny)


def largest_number(u: float) -> float:
    """The smallest number that rounds to infinity in the precision whose unit roundoff is u."""
    # In float64 it is not a finite number itself; one less in the last place is as good.
    return 2.0**128 * (1 - 2.0**-25) if u > UNIT_ROUNDOFF["float64"] else float(np.finfo(np.float64).max)


def parts(operand: Any) -> tuple[Array, Array]:
    """An operand's value and error; a plain number is exact."""
    if isinstance(operand, Rounded):
        return operand.value, operand.error
    return np.asarray(operand, np.float64), np.zeros(())


def constant(number: Any, u: float) -> Rounded:
    """A plain operand beside a Rounded one: an array is exact, and a constant as the precision holds it."""
    value = np.asarray(number, np.float64)
    if value.ndim or u == UNIT_ROUNDOFF["float64"]:
        return exact(value, u)
    with np.errstate(all="ignore"):
        held = float(np.float32(value))
    error = abs(float(value) - held) if abs(held) >= smallest_normal(u) else abs(float(value))
    return Rounded(value, error, u)


def exact(value: Array, u: float) -> Rounded:
    """A number without an error so far, but that a denormal one may be taken for zero."""
    size = np.abs(value)
    return Rounded(value, np.where(size < smallest_normal(u), size, 0.0), u)


def followed(number: Rounded) -> Rounded:
    """The same number, the largest size on the way from it followed."""
    return Rounded(number.value, number.error, number.u, number.least, np.abs(number.value) + number.error)


def blocks(number: Rounded, size: int) -> list[Rounded]:
    """A number that no branch belongs to, flattened, in blocks of `size` elements."""

    def cut(array: NDArray[Any] | None, first: int) -> Any:
        return None if array is None else np.broadcast_to(array, shape).reshape(-1)[first : first + size]

    shape = number.value.shape
    cuts = (
        (cut(x, first) for x in (number.value, number.error, number.least, number.reach, number.ends))
        for first in range(0, number.value.size, size)
    )
    return [Rounded(value, error, number.u, *rest) for value, error, *rest in cuts]


def joined(numbers: Sequence[Rounded], shape: tuple[int, ...]) -> Rounded:
    """The number whose flattened blocks these are; what only a block knew not to be below is not kept."""

    def whole(arrays: Sequence[Any], nowhere: Any = None) -> Any:
        """The arrays of all blocks, or None where no block has one; `nowhere` stands for one that a block lacks."""
        if all(array is None for array in arrays):
            return None
        given = zip(arrays, numbers, strict=True)
        return np.concatenate(
            [np.broadcast_to(nowhere if array is None else array, n.value.shape) for array, n in given]
        ).reshape(shape)

    value, error, reach = (whole([getattr(n, kind) for n in numbers]) for kind in ("value", "error", "reach"))
    ends = whole([n.ends for n in numbers], np.zeros((), np.bool_))
    branch = None
    starts = np.cumsum([0, *(n.value.size for n in numbers)])
    branches = [(n.branch, start) for n, start in zip(numbers, starts, strict=False) if n.branch is not None]
    if branches:
        branch = Branch(
            np.concatenate([b.positions + start for b, start in branches]),
            np.concatenate([b.outcomes for b, _ in branches], axis=1),
        )
    return Rounded(value, error, numbers[0].u, None, reach, ends, branch)


def where(condition: NDArray[np.bool_], ours: Any, others: Any) -> Any:
    """numpy.where, of numbers that are both Rounded or both plain."""
    if not isinstance(ours, Rounded):
        return np.where(condition, ours, others)
    value, error = (np.where(condition, *both) for both in zip(parts(ours), parts(others), strict=True))
    operands = [ours, others]
    return Rounded(value, error, ours.u, None, reached(value, error, operands), ending(np.add, operands))


def held(value: float, like: Any) -> Any:
    """A constant as it is, or, beside a Rounded number, as its dtype holds it: rounded."""
    return Rounded(value, abs(value) * like.u, like.u) if isinstance(like, Rounded) else value


def complement(part: float, like: Any) -> Any:
    """1 - part, which torch takes on a GPU from the part as the dtype holds it, and on a CPU from the part itself."""
    return Rounded(1 - part, 2 * like.u, like.u) if isinstance(like, Rounded) else 1 - part


def average(part: float, before: Any, new: Any) -> Any:
    """part before + (1 - part) new, which frameworks also compute as before + (1 - part) (new - before).

    That keeps the rounding of what was there before, also where nothing is kept of it.
    """
    first = part * before + complement(part, before) * new
    if not isinstance(first, Rounded):
        return first
    return worse(first, before + complement(part, before) * (new - before))


def worse(first: Rounded, other: Rounded) -> Rounded:
    """A number that is computed in one of two ways, with the larger error of both."""
    error = np.maximum(first.error, other.error)
    ends = ending(np.add, [first, other])
    return Rounded(first.value, error, first.u, first.least, reached(first.value, error, [first, other]), ends)


def share(rate: Any, a: Any, b: Any) -> Any:
    """rate * (a / b), which frameworks also compute as (rate * a) / b: what underflows in one does not in the other."""
    first = rate * (a / b)
    if not isinstance(first, Rounded):
        return first
    return worse(first, (rate * a) / b)


def underflow(ufunc: np.ufunc, value: Array, passed_on: Array, operands: list[Rounded], smallest: float) -> Any:
    """How far off a result is if it, or a part of it, is taken for zero: by the smallest normal number.

    Also of a result that is larger itself, since the same formula may be written otherwise: m + (1 - beta) (g - m)
    loses what beta m + (1 - beta) g does not. Where it is so large that one rounding is more, nothing need be added.
    """
    near = np.abs(value) - passed_on < smallest / operands[0].u
    if not near.any():
        return 0.0
    # What is made of zeros is zero, and not small.
    if ufunc is np.multiply:
        near &= ~(zero(operands[0]) | zero(operands[1]))
    elif ufunc in (np.add, np.subtract):
        near &= (value != 0) | (passed_on != 0)
    else:
        near &= ~zero(operands[0])
    return near * smallest


def zero(number: Rounded) -> NDArray[np.bool_]:
    """Where a number is exactly zero."""
    return (number.value == 0) & (number.error == 0)


def reached(value: Array, error: Array, operands: list[Rounded]) -> Array | None:
    """The largest size of this number and of those it is made of, where that is followed."""
    reaches = [number.reach for number in operands if number.reach is not None]
    if not reaches:
        return None
    size = np.abs(value) + error
    # What is not finite has left the range.
    return np.max(np.broadcast_arrays(np.where(np.isnan(size), np.inf, size), *reaches), axis=0)


def ending(ufunc: np.ufunc, operands: list[Rounded]) -> NDArray[np.bool_] | None:
    """Where a result may be NaN: what is computed from such, and roots of what may be below zero."""
    found = [number.ends for number in operands if number.ends is not None]
    if ufunc is np.sqrt and (operands[0].low < 0).any():
        found.append(operands[0].low < 0)
    return np.any(np.broadcast_arrays(*found), axis=0) if found else None


def quotient(value: Array, a: Array, b: Array, ea: Array, eb: Array, least: Array | None) -> Array:
    """With the denominator at the end of its error that is nearer to zero; infinite where that is beyond zero."""
    smallest = np.abs(b) - eb if least is None else np.maximum(np.abs(b) - eb, least)
    return np.where(smallest > 0, (np.abs(a) + ea) / smallest - np.abs(value), np.inf)


def root(value: Array, a: Array, ea: Array, least: Array | None) -> Array:
    """To the end of the error that is further away, since the root is far from linear near zero."""
    return np.maximum(np.sqrt(a + ea) - value, value - np.sqrt(np.maximum(a - ea, 0)))


# (value, operands, their errors, what the last operand is not below) -> what the operands' errors make of the result
RULES: dict[np.ufunc, Any] = {
    np.add: lambda v, a, b, ea, eb, least: ea + eb,
    np.subtract: lambda v, a, b, ea, eb, least: ea + eb,
    np.multiply: lambda v, a, b, ea, eb, least: (np.abs(a) + ea) * eb + np.abs(b) * ea,
    np.true_divide: quotient,
    np.sqrt: root,
    np.square: lambda v, a, ea, least: (2 * np.abs(a) + ea) * ea,
    # Of an exact exponent.
    np.power: lambda v, a, b, ea, eb, least: np.where(a != 0, np.abs(v) * np.abs(b) * ea / np.abs(a), ea),
    np.negative: lambda v, a, ea, least: ea,
    np.absolute: lambda v, a, ea, least: ea,
    np.maximum: lambda v, a, b, ea, eb, least: np.maximum(ea, eb),
    np.minimum: lambda v, a, b, ea, eb, least: np.maximum(ea, eb),
}
EXACT = {np.negative, np.absolute, np.maximum, np.minimum}


def sum_of_least(a: Rounded, b: Rounded) -> Array | None:
    """A sum of two numbers that are not below zero is below neither."""
    if not (never_negative(a) and never_negative(b)):
        return None
    return np.maximum(np.maximum(a.low, 0), np.maximum(b.low, 0))


def never_negative(number: Rounded) -> bool:
    """Whether it is known to be below zero nowhere."""
    if number.least is not None:
        return True
    # Most that are not say so within a few elements.
    return bool((number.value.reshape(-1)[:64] >= 0).all() and (number.low >= 0).all())


def scaled_least(a: Rounded, b: Rounded) -> Array | None:
    """A number that is not below zero, divided by one that is above, is not below that of the ends."""
    if not never_negative(a) or not (b.low > 0).all():
        return None
    least = np.maximum(a.low, 0) / (b.value + b.error) * (1 - 2 * a.u)
    return np.where(least < smallest_normal(a.u), 0.0, least)


LEAST: dict[np.ufunc, Any] = {
    np.add: sum_of_least,
    np.true_divide: scaled_least,
    np.sqrt: lambda a: np.sqrt(np.maximum(a.value - a.error, 0)) * (1 - a.u),
    np.square: lambda a: np.zeros(()),
    np.absolute: lambda a: np.zeros(()),
    np.maximum: lambda a, b: np.maximum(a.low, b.low),
}
