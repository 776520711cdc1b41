"""Gradients clipped before the optimizer takes them: the formula, and how far rounding may move its result.

By value, each element is kept within the limit. By norm, g min(1, limit / (|g| + epsilon)), where |g| is the Euclidean
norm of one weight's gradient or of all of them together, and epsilon is torch's 1e-6 or nothing (Pascanu, Mikolov and
Bengio, arXiv 1211.5063, algorithm 1).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.optimizers import Clipping
from parity.spec import Realisation

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# What torch.nn.utils.clip_grad_norm_ adds to the norm.
TORCH_EPSILON = 1e-6


def epsilon(realisation: Realisation) -> float:
    """What is added to a norm."""
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


def scales(clipping: Clipping, realisation: Realisation, gradients: Arrays) -> dict[str, Array]:
    """The condition scale of each clipped gradient: what is rounded is the limit, the norm and the products."""
    if clipping.by == "value":
        # Near the limit either side may take its own, rounded or not.
        return {name: np.where(np.abs(g) >= 0.999 * clipping.limit, clipping.limit, 0) for name, g in gradients.items()}
    found = norms(clipping, gradients)
    return {name: np.abs(g) * factor(clipping, realisation, found[name]) for name, g in gradients.items()}


def factor(clipping: Clipping, realisation: Realisation, norm: float) -> float:
    """What a gradient of this norm is multiplied by."""
    reach = norm + epsilon(realisation)
    return float(clipping.limit / reach) if reach > clipping.limit else 1.0


def errors(
    clipping: Clipping, realisation: Realisation, gradients: Arrays, errors: Arrays, u: float
) -> dict[str, Array]:
    """How far the clipped gradients may be off, elementwise; `errors` is how far the gradients may be."""
    own = scales(clipping, realisation, gradients)
    if clipping.by == "value":
        # Clipping takes no two numbers further apart.
        return {name: np.hypot(errors[name], u * own[name]) for name in gradients}
    sizes = {name: gradient.size for name, gradient in gradients.items()}
    reached = norms(clipping, gradients)
    # By first order: |g| is off by the sum of g / |g| times each element's error, a norm of its own.
    parts = norms(clipping, {name: gradient * errors[name] for name, gradient in gradients.items()})
    found = {}
    for name, norm in reached.items():
        passed = factor(clipping, realisation, norm)
        # Below the limit the norm does not matter.
        relative = parts[name] / norm**2 if passed < 1 else 0.0
        rounded = u * np.sqrt(length(clipping, sizes, name))
        found[name] = np.hypot(passed * errors[name], own[name] * np.hypot(relative, rounded))
    return found
