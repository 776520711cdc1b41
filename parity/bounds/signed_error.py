"""Numbers whose errors have causes in common: affine arithmetic, to first order.

A running error (parity/bounds/running_error.py) takes every error at its worst. For a recursion of projections, which
L-BFGS is, that grows exponentially, while the projections keep what is really there small. So here a scalar's error,
which every element of what it multiplies shares, keeps its sign through all that follows (de Figueiredo and Stolfi,
Affine arithmetic, Numerical Algorithms 37, 2004); what elements round by themselves adds up at its worst, and a sum of
n terms rounds as any order of it may (parity/bounds/sums.py).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import smallest_normal
from parity.bounds.sums import within_range

Array = NDArray[np.float64]
# A cause of error, and the error that it makes of each element, with its sign.
Causes = dict[object, Array]


class Affine(np.lib.mixins.NDArrayOperatorsMixin):
    """A scalar or a vector [n]: its `value`, each element's `own` error, and the errors of `causes` that are shared."""

    def __init__(self, value: Any, own: Any, u: float, causes: Causes | None = None) -> None:
        self.value = np.asarray(value, np.float64)
        self.own = np.broadcast_to(np.asarray(own, np.float64), self.value.shape)
        self.u, self.causes = u, causes or {}
        if self.value.ndim == 0:
            # A scalar's own error is shared by what it multiplies.
            self.causes = {**self.causes, object(): self.own}
            self.own = np.zeros(())

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        derivatives = DERIVATIVES.get(ufunc)
        if derivatives is None or method != "__call__" or options:
            return NotImplemented
        operands = [operand if isinstance(operand, Affine) else Affine(operand, 0, self.u) for operand in inputs]
        value = ufunc(*(operand.value for operand in operands))
        slopes = derivatives(value, *(operand.value for operand in operands))
        rounding = 0.0 if ufunc is np.negative else self.u * np.abs(value) + smallest_normal(self.u)
        if ufunc is np.true_divide:
            # Beyond the first order: a denominator that may be half of itself, or nothing.
            rounding = np.where(operands[1].error < np.abs(operands[1].value) / 2, rounding, np.inf)
        return combined(value, rounding, [*zip(operands, slopes, strict=True)])

    @property
    def error(self) -> Array:
        """The size of the error, elementwise."""
        return self.own + sum((np.abs(error) for error in self.causes.values()), np.zeros(()))


# (value, operands) -> the derivative by each operand
DERIVATIVES: dict[np.ufunc, Any] = {
    np.add: lambda v, a, b: (1, 1),
    np.subtract: lambda v, a, b: (1, -1),
    np.multiply: lambda v, a, b: (b, a),
    np.true_divide: lambda v, a, b: (1 / b, -v / b),
    np.negative: lambda v, a: (-1,),
}


def combined(value: Array, rounding: Any, terms: list[tuple[Affine, Any]]) -> Affine:
    """`value`, rounded, with what the errors of each operand make of it, from its derivative by that operand."""
    causes: Causes = {}
    for operand, slope in terms:
        for cause, error in operand.causes.items():
            causes[cause] = causes.get(cause, 0) + slope * error
    own = rounding + sum(np.abs(slope * operand.own) for operand, slope in terms)
    return Affine(value, own, terms[0][0].u, causes)


def dot(a: Any, b: Any) -> Any:
    """The scalar product of two vectors [n], of which either may be Affine."""
    known = next((vector for vector in (a, b) if isinstance(vector, Affine)), None)
    if known is None:
        return a @ b
    u = known.u
    a, b = (vector if isinstance(vector, Affine) else Affine(vector, 0, u) for vector in (a, b))
    causes: Causes = {}
    for x, y in ((a, b), (b, a)):
        for cause, error in x.causes.items():
            causes[cause] = causes.get(cause, np.zeros(())) + error @ y.value
    sizes = np.abs(a.value), np.abs(b.value)
    magnitude = sizes[0] @ sizes[1]
    rounding = within_range(np.count_nonzero(a.value) * (u * magnitude + 2 * smallest_normal(u)), magnitude, u)
    own = rounding + spread_over(a, sizes[1]) + spread_over(b, sizes[0])
    return Affine(a.value @ b.value, own, u, causes)


def spread_over(number: Affine, sizes: Array) -> Array:
    """The error of a product with a vector of these sizes that comes from the elements' own errors."""
    return np.broadcast_to(number.own, sizes.shape) @ sizes
