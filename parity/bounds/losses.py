"""How rounding acts in each loss: on the cost of one batch, and on its gradient by the model's outputs.

Each function takes outputs [batch, units] in float64 and labels [batch] int64.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds.activations import LARGEST, Allowed, may, softmax, softmax_moved
from parity.experiment.spec import LossName

Array = NDArray[Any]

# keras.config.epsilon(), the place of Keras's clip.
CLIP = 1e-7
# Where torch.nn.BCELoss clamps a logarithm, and the smallest h (1 - h) that its gradient divides by.
CLAMP, DIVISOR = -100.0, 1e-12


class Rounding(NamedTuple):
    """The scales by which the rounding of one batch's loss is measured.

    Condition scales (parity/bounds/stages.py): of the cost, the mean of `losses`, which are those of its terms, and of
    its gradient, `gradient_scale`. For errors that outputs bring along (parity/bounds/whole_step.py): the gradient
    itself, the size of the cost's derivative, `slope`, where the gradient is another one or has a kink, and `moved`, a
    function that tells how far the gradient moves where outputs may move so far. All but the losses are [batch, units].
    """

    losses: Array
    gradient_scale: Array
    gradient: Array
    slope: Array
    moved: Callable[[Array], Array]

    @property
    def cost(self) -> float:
        """The condition scale of the cost."""
        return float(self.losses.mean())

    @property
    def terms(self) -> int:
        """How many terms the cost is the mean of."""
        return self.losses.size


def rounding(name: LossName, outputs: Array, labels: Array) -> Rounding:
    """The rounding of the loss called `name`."""
    return LOSSES[name](outputs, labels.astype(np.int64))


def softmax_cross_entropy(z: Array, labels: Array) -> Rounding:
    """The scales of mean(log(sum(exp(z - m))) - (z_y - m)), and of (softmax - one_hot) / batch."""
    batch, y = len(z), one_hot(z, labels)
    p, relative = softmax(z)
    gradient = (p - y) / batch
    # What softmax loses of an element, its logarithm loses too; its 1 is here the rounding of the sum of exponentials,
    # which is all there is where one of them is 1 and the others are nothing beside it.
    losses = (relative * y).sum(axis=1)
    moved = lambda extent: softmax_moved(p, extent) / batch  # noqa: E731
    return Rounding(losses, (p * relative + y) / batch, gradient, np.abs(gradient), moved)


def softmax_cross_entropy_naive(p: Array, labels: Array) -> Rounding:
    """The scales of mean(-log(p_y)), and of -1 / p_y / batch."""
    chosen = one_hot(p, labels) == 1
    slope = np.where(chosen, 1 / p, 0) / len(p)
    losses = np.abs(np.log(p[chosen]))
    return Rounding(losses, slope, -slope, slope, lambda extent: np.where(chosen, steeper(p, extent), 0) / len(p))


def softmax_cross_entropy_clipped(p: Array, labels: Array) -> Rounding:
    """Scales of softmax cross-entropy from logits log(c), c = clipped p, and (c / sum(c) - one_hot) / c / batch."""
    batch, y, (c, inside) = len(p), one_hot(p, labels), clipped(p)
    q, relative = softmax(np.log(c))
    # The logits' own rounding, and that of a bound.
    logits = np.abs(np.log(c)) + 1
    relative = relative + logits + (q * logits).sum(axis=1, keepdims=True)
    losses = ((relative - 1) * y).sum(axis=1)
    gradient = (q - y) / c / batch

    def moved(extent: Array) -> Array:
        least = np.maximum(c - extent, CLIP)
        shares = softmax_moved(q, np.maximum(np.log(c / least), np.log1p(extent / c)))
        followed = (shares + np.abs(q - y) * (c - least) / c) / least / batch
        # Across a bound, the whole gradient comes or goes.
        jump = (shares + np.abs(q - y)) / least / batch
        return np.where(near_a_clip(p, extent), jump, np.where(inside, followed, 0))

    scale = np.where(inside, (q * relative + y) / c / batch, 0)
    return Rounding(losses, scale, np.where(inside, gradient, 0), np.abs(gradient), moved)


def binary_cross_entropy_logits(z: Array, labels: Array) -> Rounding:
    """The scales of mean(max(z, 0) - z y + log(1 + exp(-|z|))), and of (sigmoid(z) - y) / batch."""
    batch, y = len(z), labels[:, None]
    small = np.exp(-np.abs(z))
    p, rest = np.where(z >= 0, 1, small) / (1 + small), np.where(z >= 0, small, 1) / (1 + small)
    # torch computes (1 - y) z - log(sigmoid(z)), which cancels where y is 0 and z negative.
    losses = np.log1p(small) + np.where((y == 1) & (z > 0), 0, np.abs(z))
    gradient = np.where(y == 1, -rest, p) / batch

    def moved(extent: Array) -> Array:
        followed = np.minimum(p, rest) * np.expm1(np.minimum(extent, LARGEST))
        return np.where(extent < LARGEST, np.minimum(followed, 1), 1) / batch

    return Rounding(losses, (p + y) / batch, gradient, np.abs(gradient), moved)


def binary_cross_entropy_naive(h: Array, labels: Array) -> Rounding:
    """The scales of mean(-log(h) or -log(1 - h)), and of (-1 / h or 1 / (1 - h)) / batch."""
    y = labels[:, None]
    right = np.where(y == 1, h, 1 - h)
    slope = 1 / np.abs(right) / len(h)
    # 1 - h is rounded, which changes its logarithm by u.
    losses = np.abs(np.log(right)) + (y == 0)
    return Rounding(losses, slope, np.where(y == 1, -slope, slope), slope, lambda e: steeper(right, e) / len(h))


def binary_cross_entropy_clipped(h: Array, labels: Array) -> Rounding:
    """The scales of the naive cost of h clipped, and of its gradient, which is 0 where h was clipped."""
    y, (c, inside) = labels[:, None], clipped(h)
    right = np.where(y == 1, c, 1 - c)
    slope = 1 / right / len(h)
    # In float32, 1 - 1e-7 is off by a fifth of 1e-7.
    bound = np.where(inside, 0, c)
    losses = np.abs(np.log(right)) + (y == 0) + bound / right
    scale = np.where(inside, slope, 0)

    def moved(extent: Array) -> Array:
        # Inside, what a logarithm is taken of is hardly less than the clip.
        least = np.maximum(right - extent, CLIP / 2)
        followed = scale * np.maximum(right - least, 0) / least
        return np.where(near_a_clip(h, extent), 1 / least / len(h), followed)

    return Rounding(losses, scale, np.where(y == 1, -scale, scale), slope, moved)


def binary_cross_entropy_clamped(h: Array, labels: Array) -> Rounding:
    """Scales of mean(-max(log(h), -100) or -max(log(1 - h), -100)) and (h - y) / max(h (1 - h), 1e-12) / batch."""
    batch, y = len(h), labels[:, None]
    right = np.where(y == 1, h, 1 - h)
    divisor = h * (1 - h)
    losses = np.minimum(np.abs(np.where(y == 1, np.log(h), np.log1p(-h))), -CLAMP)
    gradient = (h - y) / np.maximum(divisor, DIVISOR) / batch
    slope = 1 / np.maximum(right, np.exp(CLAMP)) / batch

    def moved(extent: Array) -> Array:
        # The size of the gradient, min(1 / right, (1 - right) / DIVISOR), falls as right grows.
        low, high = np.maximum(right - extent, 0), np.minimum(right + extent, 1)
        kink = (low * (1 - low) <= DIVISOR) | (high * (1 - high) <= DIVISOR)
        largest = 1 / np.maximum(low, DIVISOR)
        steepest = np.maximum(largest**2, 1 / DIVISOR)
        return np.where(kink, np.minimum(extent * steepest, largest), steeper(right, extent)) / batch

    return Rounding(losses, np.abs(gradient), gradient, slope, moved)


def mean_squared_error(outputs: Array, labels: Array) -> Rounding:
    """The scales of mean((output - target)**2), and of 2 (output - target) / (batch units)."""
    target = labels[:, None] if outputs.shape[1] == 1 else one_hot(outputs, labels)
    difference = outputs - target
    gradient = 2 * difference / outputs.size
    moved = lambda extent: 2 * extent / outputs.size  # noqa: E731
    return Rounding(difference**2, np.abs(gradient), gradient, np.abs(gradient), moved)


LOSSES: dict[LossName, Callable[[Array, Array], Rounding]] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "softmax_cross_entropy_naive": softmax_cross_entropy_naive,
    "softmax_cross_entropy_clipped": softmax_cross_entropy_clipped,
    "binary_cross_entropy_logits": binary_cross_entropy_logits,
    "binary_cross_entropy_naive": binary_cross_entropy_naive,
    "binary_cross_entropy_clipped": binary_cross_entropy_clipped,
    "binary_cross_entropy_clamped": binary_cross_entropy_clamped,
    "mean_squared_error": mean_squared_error,
}
# What each framework may round of the cost and of its gradient by the outputs, in units of u times their scales.
ALLOWED: dict[LossName, tuple[Allowed, Allowed]] = {
    # exp, log, a sum over the classes, and a mean over the samples.
    "softmax_cross_entropy": (may(7, 7), may(9, 9)),
    # log, and a mean over the samples; a quotient, where TensorFlow's kernel multiplies by Eigen's reciprocal.
    "softmax_cross_entropy_naive": (may(7, 7), may(8, 4)),
    # As from logits; that these are rounded logarithms is in the scale.
    "softmax_cross_entropy_clipped": (may(4, 4), may(9, 9)),
    # exp, log, and a difference; exp, a quotient and a difference.
    "binary_cross_entropy_logits": (may(4, 4), may(4, 4)),
    # log, and the rounding of 1 - h.
    "binary_cross_entropy_naive": (may(3, 3), may(4, 4)),
    # The same of what is clipped, where a bound's rounding is in the scale.
    "binary_cross_entropy_clipped": (may(3, 3), may(4, 4)),
    # log; two differences, a product and a quotient.
    "binary_cross_entropy_clamped": (may(4, 4), may(6, 6)),
    # A difference, its square, and a mean over the samples; a difference, and three factors.
    "mean_squared_error": (may(6, 6), may(6, 6)),
}


def steeper(x: Array, extent: Array) -> Array:
    """By how much 1 / x, the slope of log(x), may grow where x may be less by `extent`; infinite where it may be 0."""
    return np.where(extent < x, extent / (x * (x - extent)), np.where(extent > 0, np.inf, 0.0))


def one_hot(outputs: Array, labels: Array) -> Array:
    """[batch, classes]: 1 at each label."""
    return np.eye(outputs.shape[1])[labels]


def clipped(p: Array) -> tuple[Array, Array]:
    """Probabilities as Keras clips them, and where they were inside already."""
    return np.clip(p, CLIP, 1 - CLIP), (p >= CLIP) & (p <= 1 - CLIP)


def near_a_clip(p: Array, extent: Array) -> Array:
    """Where a probability that may be off by `extent` may lie on either side of a bound."""
    return np.minimum(np.abs(p - CLIP), np.abs(p - (1 - CLIP))) <= extent
