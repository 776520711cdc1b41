"""Numbers that know how large their rounding error may be: running error analysis.

A formula written for NumPy arrays, given `Rounded` numbers, returns what it computes together with a bound on what
rounding every one of its operations may do to it: each operation adds u times the size of its result, and passes on
the errors of its operands (Wilkinson 1963; Higham, Accuracy and Stability of Numerical Algorithms, section 3.3).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.spec import Dtype

UNIT_ROUNDOFF: dict[Dtype, float] = {"float64": 2.0**-53, "float32": 2.0**-24}
Array = NDArray[np.float64]


class Rounded(np.lib.mixins.NDArrayOperatorsMixin):
    """`value`, computed exactly, and the size of its `error`, both elementwise, where operations round to `u`."""

    def __init__(self, value: Any, error: Any, u: float) -> None:
        self.value = np.asarray(value, np.float64)
        self.error = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)
        self.u = u

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        rule = RULES.get(ufunc)
        if rule is None or method != "__call__" or options:
            return NotImplemented
        values, errors = zip(*(parts(operand) for operand in inputs), strict=True)
        with np.errstate(all="ignore"):
            value = ufunc(*values)
            passed_on = rule(value, *values, *errors)
        rounding = 0.0 if ufunc in EXACT else self.u * np.abs(value)
        return Rounded(value, passed_on + rounding, self.u)


def parts(operand: Any) -> tuple[Array, Array]:
    """An operand's value and error; a plain number is exact."""
    if isinstance(operand, Rounded):
        return operand.value, operand.error
    return np.asarray(operand, np.float64), np.zeros(())


def exact(value: Array, u: float) -> Rounded:
    """A number without an error so far."""
    return Rounded(value, 0.0, u)


def where(condition: NDArray[np.bool_], ours: Any, others: Any) -> Any:
    """numpy.where, of numbers that are both Rounded or both plain."""
    if not isinstance(ours, Rounded):
        return np.where(condition, ours, others)
    value, error = (np.where(condition, *both) for both in zip(parts(ours), parts(others), strict=True))
    return Rounded(value, error, ours.u)


def held(value: float, like: Any) -> Any:
    """A constant as it is, or, beside a Rounded number, as its dtype holds it: rounded."""
    return Rounded(value, abs(value) * like.u, like.u) if isinstance(like, Rounded) else value


def quotient(value: Array, a: Array, b: Array, ea: Array, eb: Array) -> Array:
    """With the denominator at the end of its error that is nearer to zero; infinite where that is beyond zero."""
    smallest = np.abs(b) - eb
    return np.where(smallest > 0, (np.abs(a) + ea) / smallest - np.abs(value), np.where(ea + np.abs(a) > 0, np.inf, 0))


def root(value: Array, a: Array, ea: Array) -> Array:
    """At both ends of the error, since the root is far from linear near zero."""
    return np.sqrt(np.abs(a) + ea) - np.sqrt(np.maximum(np.abs(a) - ea, 0))


# (value, operands, their errors) -> the error that the operands' errors make of the result
RULES: dict[np.ufunc, Any] = {
    np.add: lambda v, a, b, ea, eb: ea + eb,
    np.subtract: lambda v, a, b, ea, eb: ea + eb,
    np.multiply: lambda v, a, b, ea, eb: np.abs(a) * eb + np.abs(b) * ea + ea * eb,
    np.true_divide: quotient,
    np.sqrt: root,
    np.square: lambda v, a, ea: (2 * np.abs(a) + ea) * ea,
    # Of an exact exponent.
    np.power: lambda v, a, b, ea, eb: np.abs(v) * np.abs(b) * ea / np.abs(a),
    np.negative: lambda v, a, ea: ea,
    np.absolute: lambda v, a, ea: ea,
    np.maximum: lambda v, a, b, ea, eb: np.maximum(ea, eb),
    np.minimum: lambda v, a, b, ea, eb: np.maximum(ea, eb),
}
EXACT = {np.negative, np.absolute, np.maximum, np.minimum}
