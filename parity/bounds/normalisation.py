"""Batch normalisation in NumPy (Ioffe and Szegedy, arXiv 1502.03167), and how far rounding may take it.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta

with the mean and the biased variance of the batch, unit by unit. Errors are sizes, elementwise, of what rounding to `u`
and the errors of what is given may add up to at worst. Sums of n terms are off by n u times their magnitudes, as in
parity/bounds/sums.py. Both frameworks compute x g + (beta - mean g), g = gamma / sqrt(variance + epsilon), whose terms
may be far larger than what is left of them: so x and the mean count by themselves, not by their difference.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import smallest_normal
from parity.bounds.sums import sum_bound, within_range
from parity.experiment.nodes import BatchNorm
from parity.experiment.spec import Realisation

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """The statistics that normalise a batch x [batch, units], [units] each, and their errors; `u` as above."""

    x: Array
    x_error: Array
    mean: Array
    mean_error: Array
    variance: Array
    variance_error: Array
    # 1 / sqrt(variance + epsilon)
    inverse: Array
    inverse_error: Array
    u: float

    @property
    def centred(self) -> Array:
        """x - mean."""
        return self.x - self.mean

    @property
    def centred_error(self) -> Array:
        """That of x - mean."""
        return self.x_error + self.mean_error + self.u * np.abs(self.centred)

    @property
    def magnitude(self) -> Array:
        """The two numbers of which x - mean is the difference."""
        return np.abs(self.x) + np.abs(self.mean)


def moments(node: BatchNorm, x: Array, x_error: Array, u: float) -> Moments:
    """The statistics of a batch whose values have the errors `x_error`."""
    n, smallest = len(x), smallest_normal(u)
    mean = x.mean(axis=0)
    mean_error = n * u * np.abs(x).mean(axis=0) + x_error.mean(axis=0) + smallest
    centred = x - mean
    variance = (centred**2).mean(axis=0)
    # Around a mean that is off by e, the squares have the mean variance + e**2.
    off = x_error + u * np.abs(centred)
    passed = (2 * np.abs(centred) * off + off**2).mean(axis=0) + 2 * off.mean(axis=0) * mean_error
    variance_error = (n + 2) * u * variance + passed + mean_error**2 + smallest
    inverse = 1 / np.sqrt(variance + node.epsilon)
    inverse_error = inverse_off(variance, variance_error, node.epsilon, u)
    return Moments(x, x_error, mean, mean_error, variance, variance_error, inverse, inverse_error, u)


def inverse_off(variance: Array, variance_error: Array, epsilon: float, u: float) -> Array:
    """The error of 1 / sqrt(variance + epsilon)."""
    shifted = variance + epsilon
    # A mean of squares is not below zero, whatever its error.
    smallest = np.maximum(shifted - variance_error, epsilon)
    return 2 * u / np.sqrt(shifted) + (variance_error + u * shifted) / (2 * smallest * np.sqrt(smallest))


def output_error(m: Moments, gamma: Array, beta: Array) -> Array:
    """[batch, units]: the error of y."""
    g = np.abs(gamma) * m.inverse
    return (
        m.u * (g * m.magnitude + np.abs(beta))
        + (g + np.abs(gamma) * m.inverse_error) * (m.mean_error + m.x_error)
        + np.abs(gamma * m.centred) * m.inverse_error
        + lost(m, gamma)
    )


def lost(m: Moments, gamma: Array) -> Array:
    """How much underflow may take from x, from gamma / sqrt(variance + epsilon), and from their products."""
    return smallest_normal(m.u) * ((1 + np.abs(gamma)) * (1 + m.inverse) + m.magnitude)


def lost_back(m: Moments, gamma: Array, delta: Array) -> Array:
    """How much underflow may take from what is passed back of delta: each product on the way, times what follows."""
    gamma, z = np.abs(gamma), np.abs(m.centred) * m.inverse
    once = 1 + m.inverse
    share = z * (once + m.inverse**2)
    return smallest_normal(m.u) * (1 + gamma * (once + share) + share + np.abs(m.centred) + np.abs(delta))


def statistics_errors(
    node: BatchNorm, realisation: Realisation, m: Moments, moving_mean: Array, moving_variance: Array
) -> dict[str, Array]:
    """[units] each: the errors of the running statistics after the step, by name."""
    share, n = 1 - node.momentum, len(m.x)
    correction = n / (n - 1) if realisation.moving_variance == "unbiased" else 1.0
    kept_mean, kept_variance = node.momentum * np.abs(moving_mean), node.momentum * np.abs(moving_variance)
    smallest = smallest_normal(m.u)
    return {
        "moving_mean": m.u * (kept_mean + share * np.abs(m.mean)) + share * m.mean_error + smallest,
        "moving_variance": m.u * (kept_variance + share * correction * m.variance)
        + share * correction * m.variance_error
        + smallest,
    }


def gamma_error(m: Moments, delta: Array, delta_error: Array) -> Array:
    """[units]: the error of gamma's gradient, the sum of delta (x - mean) / sqrt(variance + epsilon)."""
    size = np.abs(delta)
    own = sum_terms(delta) * (m.u * (m.magnitude * size).sum(axis=0) + smallest_normal(m.u))
    moved = np.abs(delta.sum(axis=0)) * m.mean_error
    passed = ((np.abs(m.centred) + m.centred_error) * delta_error).sum(axis=0) + (m.x_error * size).sum(axis=0)
    product = np.abs((delta * m.centred).sum(axis=0))
    return (m.inverse + m.inverse_error) * (own + moved + passed) + product * m.inverse_error


def sum_terms(delta: Array) -> Array:
    """[units]: how many terms are added up in a sum over the batch."""
    return np.count_nonzero(delta, axis=0)


def delta_behind(m: Moments, gamma: Array, delta: Array, delta_error: Array) -> tuple[Array, Array]:
    """[batch, units]: the cost's gradient by x, with its error.

    g (delta - mean(delta) - z mean(delta z)), z being the normalised x.
    """
    n = len(m.x)
    g, z = gamma * m.inverse, m.centred * m.inverse
    mean, share = delta.mean(axis=0), (delta * z).mean(axis=0)
    mean_error = sum_terms(delta) * m.u * np.abs(delta).mean(axis=0) + delta_error.mean(axis=0) + smallest_normal(m.u)
    share_error = gamma_error(m, delta, delta_error) / n
    magnitude = np.abs(delta) + np.abs(mean) + np.abs(z * share)
    error = np.abs(g) * (
        m.u * magnitude
        + delta_error
        + mean_error
        + (np.abs(z) + m.inverse * m.centred_error) * share_error
        + np.abs(share) * m.inverse * m.centred_error
    )
    # The last term has the root three times.
    error += np.abs(gamma) * m.inverse_error * (np.abs(delta) + np.abs(mean) + 3 * np.abs(z * share))
    return g * (delta - mean - z * share), error + lost_back(m, gamma, delta)


def on_the_way(m: Moments, gamma: Array) -> Array:
    """[units]: numbers on the way to y, which may leave the range where y does not: squares, and gamma x by parts."""
    return np.maximum((m.x**2).sum(axis=0), np.abs(gamma) * m.inverse * np.maximum(np.abs(m.x).max(axis=0), 1))


def on_the_way_back(m: Moments, size: Array) -> Array:
    """[units]: numbers on the way to what is passed back of `size` [batch, units], that of gamma delta.

    The frameworks multiply sums of delta and of delta x by the root up to three times, and by x - mean, which times the
    root is at most the square root of the batch's size.
    """
    root = np.maximum(m.inverse, 1)
    products = (m.magnitude * size).sum(axis=0) * np.sqrt(len(m.x))
    return (m.x**2).sum(axis=0) + root * size.sum(axis=0) + root**3 * products


def scales(
    node: BatchNorm, realisation: Realisation, state: Mapping[str, Array], x: Array, delta: Array, u: float
) -> tuple[dict[str, Array], Array]:
    """How far all that a node gives may be off, by name, and the delta it passes back: what exact x and delta leave.

    Of more than the first order in u, since the mean's error enters the variance squared.
    """
    name, none = node.name, np.zeros_like(x)
    gamma, beta = state[f"weights/{name}/gamma"], state[f"weights/{name}/beta"]
    found = moments(node, x, none, u)
    moving = (state[f"statistics/{name}/{kind}"] for kind in node.statistic_shapes)
    errors = statistics_errors(node, realisation, found, *moving)
    squares = (x**2).sum(axis=0)
    given = {f"statistics/{name}/{kind}": within_range(error, squares, u) for kind, error in errors.items()}
    forward = on_the_way(found, gamma)
    given[f"outputs/{name}"] = within_range(output_error(found, gamma, beta), forward + 0 * x, u)
    # torch multiplies by gamma last, Keras first.
    backward = forward + on_the_way_back(found, np.maximum(np.abs(gamma), 1) * np.abs(delta))
    given[f"gradients/{name}/gamma"] = within_range(gamma_error(found, delta, none), backward, u)
    given[f"gradients/{name}/beta"] = sum_bound(delta, u)
    return given, within_range(delta_behind(found, gamma, delta, none)[1], backward + 0 * x, u)


class Evaluated(NamedTuple):
    """The statistics that eval mode normalises with, [units] each."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    epsilon: float

    @classmethod
    def of(cls, node: BatchNorm, state: Mapping[str, Array]) -> "Evaluated":
        """The node's weights and running statistics."""
        gamma, beta = (state[f"weights/{node.name}/{kind}"] for kind in ("gamma", "beta"))
        mean, variance = (state[f"statistics/{node.name}/{kind}"] for kind in ("moving_mean", "moving_variance"))
        return cls(gamma, beta, mean, variance, node.epsilon)


def evaluated(e: Evaluated, x: Array) -> Array:
    """[batch, units]: y in eval mode."""
    return e.gamma * (x - e.mean) / np.sqrt(e.variance + e.epsilon) + e.beta


def evaluated_error(e: Evaluated, x: Array, x_error: Array, u: float) -> Array:
    """[batch, units]: the error of y in eval mode."""
    none = np.zeros_like(e.mean)
    inverse = 1 / np.sqrt(e.variance + e.epsilon)
    off = inverse_off(e.variance, none, e.epsilon, u)
    m = Moments(x, x_error, e.mean, none, e.variance, none, inverse, off, u)
    # Each of the four operations rounds once, whichever way the formula is written.
    return 4 * output_error(m, e.gamma, e.beta)
