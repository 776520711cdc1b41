"""Gradients clipped before the optimizer takes them: the formula, and how far rounding may move its result.

By value, each element is kept within the limit. By norm, g min(1, limit / (|g| + epsilon)), where |g| is the Euclidean
norm of one weight's gradient or of all of them together, and epsilon is torch's 1e-6 or nothing (Pascanu, Mikolov and
Bengio, arXiv 1211.5063, algorithm 1).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import smallest_normal
from parity.bounds.sums import within_range
from parity.experiment.optimizers import Clipping
from parity.experiment.spec import Realisation

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# What torch.nn.utils.clip_grad_norm_ adds to the norm.
TORCH_EPSILON = 1e-6


def epsilon(realisation: Realisation) -> float:
    """The number that is added to a norm."""
    return TORCH_EPSILON if realisation.clip_epsilon == "beside_norm" else 0.0


def length(clipping: Clipping, sizes: Mapping[str, int], name: str) -> int:
    """The number of terms in the sum that a weight's gradient is clipped by; `sizes` has that of every weight."""
    return {"value": 1, "norm": sizes[name], "global_norm": sum(sizes.values())}[clipping.by]


def norms(clipping: Clipping, gradients: Arrays) -> dict[str, float]:
    """The norm that each weight's gradient is clipped by."""
    found = {name: float(np.sqrt((gradient**2).sum())) for name, gradient in gradients.items()}
    if clipping.by == "global_norm":
        found = dict.fromkeys(found, float(np.sqrt(sum(norm**2 for norm in found.values()))))
    return found


def bounds(clipping: Clipping, realisation: Realisation, gradients: Arrays, u: float) -> dict[str, Array]:
    """How far each clipped gradient may be rounded: what is rounded is the limit, the norm and the products."""
    if clipping.by == "value":
        # Near the limit either side may take its own, rounded or not.
        return {n: np.where(np.abs(g) >= 0.999 * clipping.limit, u * clipping.limit, 0) for n, g in gradients.items()}
    squared, reached, smallest = squares(clipping, gradients), norms(clipping, gradients), smallest_normal(u)
    found = {}
    for name, g in gradients.items():
        norm = reached[name]
        rounded = passed_error(clipping, realisation, g, norm, norm_error(clipping, gradients, name, norm, u), u)
        # A factor may be lost, and so may a gradient times the limit before it is divided by the norm.
        lost = smallest * (1 + np.abs(g) + 1 / max(norm, clipping.limit))
        size = np.maximum(squared[name], np.abs(g) * max(1.0, clipping.limit))
        found[name] = within_range(np.where(g != 0, rounded + lost, 0.0), size, u)
    return found


def squares(clipping: Clipping, gradients: Arrays) -> dict[str, float]:
    """The sum of squares that each weight's norm is the root of; infinite where it overflows."""
    found = {name: float((gradient**2).sum()) for name, gradient in gradients.items()}
    return dict.fromkeys(found, sum(found.values())) if clipping.by == "global_norm" else found


def norm_error(clipping: Clipping, gradients: Arrays, name: str, norm: float, u: float) -> float:
    """How far the norm that a weight is clipped by may be off: a sum of n squares, each of which may underflow."""
    sizes = {key: gradient.size for key, gradient in gradients.items()}
    n, smallest = length(clipping, sizes, name), smallest_normal(u)
    lost = min(np.sqrt(n * smallest), n * smallest / norm) if norm > 0 else 0.0
    return float((n / 2 + 2) * u * norm + lost)


def passed_error(clipping: Clipping, realisation: Realisation, g: Array, norm: float, off: float, u: float) -> Array:
    """How far a gradient times its factor may be off, where its norm may be."""
    ends = [factor(clipping, realisation, max(norm + side * off, 0.0)) for side in (-1, 1)]
    # Also of a factor of 1: Keras multiplies by the limit, and divides by the larger of limit and norm.
    return np.abs(g) * (max(ends) - min(ends) + 3 * u * max(ends))


def factor(clipping: Clipping, realisation: Realisation, norm: float) -> float:
    """The factor for a gradient of this norm."""
    reach = norm + epsilon(realisation)
    return float(clipping.limit / reach) if reach > clipping.limit else 1.0


def errors(
    clipping: Clipping, realisation: Realisation, gradients: Arrays, errors: Arrays, u: float
) -> dict[str, Array]:
    """How far the clipped gradients may be off, elementwise; `errors` is how far the gradients may be."""
    own = bounds(clipping, realisation, gradients, u)
    if clipping.by == "value":
        # Clipping takes no two numbers further apart.
        return {name: errors[name] + own[name] for name in gradients}
    reached = norms(clipping, gradients)
    # The norm is off by no more than the norm of the errors.
    apart = norms(clipping, errors)
    found = {}
    for name, norm in reached.items():
        passed = factor(clipping, realisation, max(norm - apart[name], 0.0))
        moved = passed_error(clipping, realisation, gradients[name], norm, apart[name], u)
        found[name] = passed * errors[name] + moved + own[name]
    return found
