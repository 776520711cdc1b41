"""The activations in NumPy: their derivatives, and how large the rounding of each may be.

Scales are condition scales as in parity/bounds/stages.py: an honest result lies within a few u times its scale of the
exact one. Arrays are float64; `slope` is that of leaky_relu, elu or prelu below zero and is not read by the others.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import smallest_normal
from parity.bounds.sums import sum_bound, within_range
from parity.experiment.nodes import Activation, PReLU
from parity.experiment.spec import Framework, Realisation

Array = NDArray[Any]
Formula = Callable[[Array, Any], Array]
Allowed = Mapping[Framework, float]

# Klambauer et al., arXiv 1706.02515.
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848
# Hendrycks and Gimpel, arXiv 1606.08415.
GELU_SCALE, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715
# From here on a sigmoid is exactly 1 in either precision, and from half of it a tanh: exp(-40) < 2**-57.
SATURATED = 40
# Beyond this, functions of x are constant or x itself, and what is lost by underflow does not grow.
LONGEST = 1e3
# Whose formulas have the third power of x, which float32 overflows beyond 7e12.
CUBED = {"gelu_tanh"}
# Beyond exp(50), an error of a logarithm is as good as infinite.
LARGEST = 50.0


def may(tf: float, torch: float) -> Allowed:
    """What Keras and torch are allowed."""
    return {"tf": tf, "torch": torch}


@dataclass(frozen=True)
class Elementwise:
    """A function of each element.

    value            f(x)
    derivative       f'(x)
    output_scale     of f(x)
    gradient_scale   of f'(x) times a delta, as a multiple of the delta's size
    allowed, gradient_allowed   what each framework may round of either, in units of u times the scale
    kinked           whether f' jumps somewhere
    """

    value: Formula
    derivative: Formula
    output_scale: Formula
    gradient_scale: Formula
    allowed: Allowed
    gradient_allowed: Allowed
    kinked: bool = False


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def normal_cdf(x: Array) -> Array:
    """(1 + erf(x / sqrt(2))) / 2; NumPy has no erf."""
    return np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2)) / 2


def normal_pdf(x: Array) -> Array:
    """exp(-x**2 / 2) / sqrt(2 pi)."""
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def gelu_argument(x: Array) -> tuple[Array, Array]:
    """The argument of gelu_tanh's tanh, and its derivative."""
    return GELU_SCALE * (x + GELU_CUBE * x**3), GELU_SCALE * (1 + 3 * GELU_CUBE * x**2)


def gelu_tanh_derivative(x: Array, slope: Any) -> Array:
    """(1 + t) / 2 + x (1 - t**2) / 2 times the derivative of t's argument."""
    argument, derivative = gelu_argument(x)
    t = np.tanh(argument)
    return (1 + t) / 2 + np.where(t**2 < 1, x * (1 - t**2) / 2 * derivative, 0)


def gelu_tanh_gradient_scale(x: Array, slope: Any) -> Array:
    """1 - t**2 is computed from the rounded t: an error of u, until t is exactly 1."""
    argument, derivative = gelu_argument(x)
    return 1 + np.where(np.abs(argument) < SATURATED / 2, np.abs(x) * derivative, 0)


def mish_tanh(x: Array) -> Array:
    """tanh(softplus(x))."""
    return np.tanh(np.logaddexp(0, x))


def mish_derivative(x: Array, slope: Any) -> Array:
    """t + x (1 - t**2) sigmoid(x)."""
    t = mish_tanh(x)
    return t + x * (1 - t**2) * sigmoid(x)


def piecewise_linear(x: Array, slope: Any) -> Array:
    """The slope at x: 1 above zero."""
    return np.where(x > 0, 1.0, slope)


# Exact above zero, where nothing is computed.
LEAKY = Elementwise(
    value=lambda x, slope: np.where(x > 0, x, slope * x),
    derivative=piecewise_linear,
    output_scale=lambda x, slope: np.where(x > 0, 0.0, np.abs(slope * x)),
    gradient_scale=lambda x, slope: np.where(x > 0, 0.0, np.abs(slope)),
    # The slope's rounding, the product's, and one to spare; a learned slope's gradient is a row "product".
    allowed=may(3, 3),
    gradient_allowed=may(3, 3),
    kinked=True,
)
SELU = Elementwise(
    value=lambda x, slope: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    derivative=lambda x, slope: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0))),
    # exp(x) - 1 below zero: an error of u, however small the result.
    output_scale=lambda x, slope: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA),
    gradient_scale=lambda x, slope: SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA),
    # As elu, with one more constant.
    allowed=may(5, 5),
    gradient_allowed=may(5, 5),
    kinked=True,
)
# Where exp(x) - 1 is rounded to zero, for |x| < u, the derivative is that from above: off by the jump, which is no more
# than the jump u / |x|. At zero itself nothing is rounded.
SELU_FROM_OUTPUT = replace(
    SELU,
    gradient_scale=lambda x, slope: (
        SELU.gradient_scale(x, slope)
        + SELU_SCALE * (SELU_ALPHA - 1) * np.where(x < 0, 1 / np.where(x < 0, -x, 1.0), 0.0)
    ),
)
FUNCTIONS = {
    "linear": Elementwise(
        value=lambda x, slope: x,
        derivative=lambda x, slope: np.ones_like(x),
        output_scale=lambda x, slope: np.zeros_like(x),
        gradient_scale=lambda x, slope: np.zeros_like(x),
        allowed=may(0, 0),
        gradient_allowed=may(0, 0),
    ),
    "relu": Elementwise(
        value=lambda x, slope: np.maximum(x, 0),
        derivative=lambda x, slope: piecewise_linear(x, 0.0),
        output_scale=lambda x, slope: np.zeros_like(x),
        gradient_scale=lambda x, slope: np.zeros_like(x),
        allowed=may(0, 0),
        gradient_allowed=may(0, 0),
        kinked=True,
    ),
    "leaky_relu": LEAKY,
    "prelu": LEAKY,
    "elu": Elementwise(
        value=lambda x, slope: np.where(x > 0, x, slope * np.expm1(np.minimum(x, 0))),
        derivative=lambda x, slope: np.where(x > 0, 1.0, slope * np.exp(np.minimum(x, 0))),
        # As in SELU.
        output_scale=lambda x, slope: np.where(x > 0, 0.0, np.abs(slope)),
        gradient_scale=lambda x, slope: np.where(x > 0, 0.0, np.abs(slope)),
        # exp(x) - 1 in Keras, expm1 in torch, and products with one or two constants.
        allowed=may(4, 4),
        gradient_allowed=may(5, 5),
        kinked=True,
    ),
    "selu": SELU,
    "sigmoid": Elementwise(
        value=lambda x, slope: sigmoid(x),
        derivative=lambda x, slope: sigmoid(x) * (1 - sigmoid(x)),
        output_scale=lambda x, slope: sigmoid(x),
        # The derivative is computed from the rounded y, as y (1 - y): an error of u y.
        gradient_scale=lambda x, slope: sigmoid(x),
        # Keras runs Eigen's rational approximations, torch Sleef's, which is within one unit in the last place, 2 u.
        allowed=may(10, 5),
        # The sigmoid's error, which is 8.4 at most in Keras (docs/lockstep.md), a difference and two products.
        gradient_allowed=may(12, 6),
    ),
    "tanh": Elementwise(
        value=lambda x, slope: np.tanh(x),
        derivative=lambda x, slope: 1 - np.tanh(x) ** 2,
        output_scale=lambda x, slope: np.abs(np.tanh(x)),
        # As 1 - y**2: an error of u.
        gradient_scale=lambda x, slope: np.ones_like(x),
        # As for the sigmoid.
        allowed=may(8, 4),
        # 1 - y**2 carries twice the error of y.
        gradient_allowed=may(18, 10),
    ),
    "hard_sigmoid": Elementwise(
        value=lambda x, slope: np.clip(x + 3, 0, 6) / 6,
        derivative=lambda x, slope: np.where(np.abs(x) < 3, 1 / 6, 0.0),
        output_scale=lambda x, slope: np.clip(x + 3, 0, 6) / 6,
        # Keras asks whether x + 3, torch whether x is below its bound. Where x + 3 is rounded to 6, for 3 - x < 6 u,
        # the whole slope is off, which is no more than 6 u / (3 - x) of it.
        gradient_scale=lambda x, slope: (
            np.where(np.abs(x) < 3, 1 / 6, 0.0) * (1 + 6 / np.where(np.abs(x) < 3, 3 - x, 1))
        ),
        # A sum, which is where Keras and torch round alike, and a division by 6 or a product with 1/6.
        allowed=may(4, 4),
        gradient_allowed=may(3, 3),
        kinked=True,
    ),
    "gelu": Elementwise(
        value=lambda x, slope: x * normal_cdf(x),
        derivative=lambda x, slope: normal_cdf(x) + x * normal_pdf(x),
        # 1 + erf cancels below zero: what is left carries the error of both.
        output_scale=lambda x, slope: np.abs(x),
        # An error of exp's argument, u x**2, is a relative one of exp.
        gradient_scale=lambda x, slope: 1 + np.abs(x) * normal_pdf(x) * (1 + x**2),
        # erfc in Keras; 1 + erf in torch, whose float32 erf is a polynomial that is off by some 4 u.
        allowed=may(4, 12),
        gradient_allowed=may(4, 9),
    ),
    "gelu_tanh": Elementwise(
        value=lambda x, slope: x * (1 + np.tanh(gelu_argument(x)[0])) / 2,
        derivative=gelu_tanh_derivative,
        output_scale=lambda x, slope: np.abs(x),
        gradient_scale=gelu_tanh_gradient_scale,
        # Each framework's tanh, and the products after it; 1 - t**2 carries twice the error of t.
        allowed=may(6, 4),
        gradient_allowed=may(12, 6),
    ),
    "silu": Elementwise(
        value=lambda x, slope: x * sigmoid(x),
        derivative=lambda x, slope: sigmoid(x) * (1 + x * (1 - sigmoid(x))),
        output_scale=lambda x, slope: np.abs(x) * sigmoid(x),
        # 1 - h is computed from the rounded sigmoid h: an error of u h, until h is exactly 1.
        gradient_scale=lambda x, slope: sigmoid(x) * (1 + np.where(x < SATURATED, np.abs(x), 0.0)),
        # Each framework's sigmoid and a product; then two more products and sums.
        allowed=may(11, 6),
        gradient_allowed=may(13, 8),
    ),
    "softplus": Elementwise(
        value=lambda x, slope: np.logaddexp(0, x),
        derivative=lambda x, slope: sigmoid(x),
        output_scale=lambda x, slope: np.logaddexp(0, x),
        gradient_scale=lambda x, slope: sigmoid(x),
        # exp and log1p; a sigmoid, and a product with it, also where the sigmoid is smallest.
        allowed=may(12, 6),
        gradient_allowed=may(13, 7),
    ),
    "mish": Elementwise(
        value=lambda x, slope: x * mish_tanh(x),
        derivative=mish_derivative,
        output_scale=lambda x, slope: np.abs(x) * mish_tanh(x),
        # 1 - t**2 is computed from the rounded t: an error of u, until t is exactly 1.
        gradient_scale=lambda x, slope: (
            mish_tanh(x) + np.where(x < SATURATED / 2, np.abs(x), 0.0) * sigmoid(x)
        ),
        # The errors of a softplus and of a tanh; 1 - t**2 carries twice that of the tanh.
        allowed=may(14, 8),
        gradient_allowed=may(24, 14),
    ),
}  # fmt: skip


def elementwise(node: Activation | PReLU, realisation: Realisation) -> Elementwise:
    """The formulas of a node, any but a softmax."""
    if node.function == "selu" and realisation.selu_at_zero == "slope_above":
        return SELU_FROM_OUTPUT
    return FUNCTIONS[node.function]


def softmax(z: Array) -> tuple[Array, Array]:
    """The softmax of each row [batch, classes], and the scale of its relative error.

    It is computed as exp(z - m) / sum(exp(z - m)), m being the largest of a row: an error of exp's argument, u |z - m|,
    is a relative one of exp, and the sum carries the errors of all its terms.
    """
    shifted = z - z.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    total = exponentials.sum(axis=1, keepdims=True)
    p = exponentials / total
    # The sum itself rounds once for each class, whatever the order; the rows that use this allow at least 4 of it.
    own = 1 + z.shape[1] / 4
    return p, own + np.abs(shifted) + np.log(total) + (p * np.abs(shifted)).sum(axis=1, keepdims=True)


def softmax_moved(p: Array, extent: Array) -> Array:
    """How far softmax p moves where its arguments may move as far as `extent`, both [batch, classes]."""
    # p exp(d) / sum(p exp(d)), d being anything that is no larger: exp turns an error of its argument into a relative
    # one, for which the first order is not always enough.
    with np.errstate(over="ignore"):
        relative = extent + np.log1p((p * np.expm1(np.minimum(extent, LARGEST))).sum(axis=1, keepdims=True))
        return np.where(relative < LARGEST, np.minimum(p * np.expm1(relative), 1), 1.0)


def scales(
    node: Activation | PReLU, realisation: Realisation, slope: Any, x: Array, delta: Array
) -> tuple[Array, Array]:
    """The condition scale of a node's output at x [batch, units], and of the delta it passes back."""
    if node.function == "softmax":
        p, relative = softmax(x)
        error = (np.abs(delta) * p * (1 + relative)).sum(axis=1, keepdims=True)
        return p * relative, p * (np.abs(delta) * (1 + relative) + error * (1 + relative))
    function = elementwise(node, realisation)
    return function.output_scale(x, slope), np.abs(delta) * function.gradient_scale(x, slope)


def bounds(
    node: Activation | PReLU, realisation: Realisation, slope: Any, x: Array, delta: Array, u: float
) -> tuple[Array, Array]:
    """u times these scales, with what underflow may take on the way, and infinite where it overflows."""
    smallest, size = smallest_normal(u), np.abs(delta)
    output, backward = scales(node, realisation, slope, x, delta)
    if node.function in ("linear", "relu"):
        # Nothing is computed; but what is below the smallest number may be zero, and then a kink is at it.
        output_lost = np.where(np.abs(x) < smallest, np.abs(x), 0.0)
        kept = (np.abs(x) >= smallest) | (x == 0) | (node.function == "linear")
        delta_lost = np.where(kept & (size >= smallest), 0.0, size)
    else:
        # The longest formulas multiply three powers of x, where that is not yet so large that they are constant.
        reach = (1 + np.minimum(np.abs(x), LONGEST)) ** 3
        output_lost, delta_lost = smallest * reach, np.where(size > 0, smallest * reach * (1 + size), 0.0)
    if node.function == "softmax":
        # The deltas of all units reach each of them.
        delta_lost = delta_lost + smallest * (1 + size.max(axis=1, keepdims=True))
    powers = np.abs(x) ** 3 if node.function in CUBED else np.abs(x)
    return (
        within_range(u * output + output_lost, np.maximum(output, powers), u),
        within_range(u * backward + delta_lost, np.maximum(backward, powers), u),
    )


def slope_bound(node: PReLU, products: Array, u: float) -> Array:
    """How far the gradient of the node's slope may be off, the sum of products [batch, units] (see sums.py)."""
    return sum_bound(products, u, None if node.shared else 0).reshape(node.weight_shapes["slope"])


def slope_sum(node: PReLU, terms: Array) -> Array:
    """Terms [batch, units] summed to the shape of the node's slope."""
    return terms.sum(axis=None if node.shared else 0).reshape(node.weight_shapes["slope"])
