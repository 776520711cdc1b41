"""Batch normalisation in NumPy (Ioffe and Szegedy, arXiv 1502.03167), and how far rounding may take it.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta

with the mean and the biased variance of the batch, unit by unit. Errors are sizes, elementwise, of what rounding to `u`
and the errors of what is given may add up to. Sums of n rounded terms are off by sqrt(n) u times their magnitudes, as
in parity/stages.py. Both frameworks compute x g + (beta - mean g), g = gamma / sqrt(variance + epsilon), whose terms
may be far larger than what is left of them: so x and the mean count by themselves, not by their difference.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.nodes import BatchNorm
from parity.spec import Realisation

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """What a batch x [batch, units] is normalised with, [units] each, and the errors of all; `u` as above."""

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
        """What x - mean is the difference of."""
        return np.abs(self.x) + np.abs(self.mean)


def moments(node: BatchNorm, x: Array, x_error: Array, u: float) -> Moments:
    """The statistics of a batch whose values have the errors `x_error`."""
    n = len(x)
    mean = x.mean(axis=0)
    mean_error = np.sqrt(n) * u * np.abs(x).mean(axis=0) + np.sqrt((x_error**2).sum(axis=0)) / n
    centred = x - mean
    variance = (centred**2).mean(axis=0)
    # Around a mean that is off by e, the squares have the mean variance + e**2.
    passed = 2 * np.sqrt((centred**2 * x_error**2).sum(axis=0)) / n + (x_error**2).mean(axis=0)
    variance_error = np.sqrt(n) * u * variance + passed + mean_error**2
    shifted = variance + node.epsilon
    # A mean of squares is not below zero, whatever its error.
    smallest = np.maximum(shifted - variance_error, node.epsilon)
    inverse = 1 / np.sqrt(shifted)
    inverse_error = u * inverse + (variance_error + u * shifted) / (2 * smallest * np.sqrt(smallest))
    return Moments(x, x_error, mean, mean_error, variance, variance_error, inverse, inverse_error, u)


def output_error(m: Moments, gamma: Array, beta: Array) -> Array:
    """[batch, units]: the error of y."""
    g = np.abs(gamma) * m.inverse
    return (
        m.u * (g * m.magnitude + np.abs(beta))
        + g * (m.mean_error + m.x_error)
        + np.abs(gamma * m.centred) * m.inverse_error
    )


def statistics_errors(
    node: BatchNorm, realisation: Realisation, m: Moments, moving_mean: Array, moving_variance: Array
) -> dict[str, Array]:
    """[units] each: the errors of the running statistics after the step, by name."""
    share, n = 1 - node.momentum, len(m.x)
    correction = n / (n - 1) if realisation.moving_variance == "unbiased" else 1.0
    kept_mean, kept_variance = node.momentum * np.abs(moving_mean), node.momentum * np.abs(moving_variance)
    return {
        "moving_mean": m.u * (kept_mean + share * np.abs(m.mean)) + share * m.mean_error,
        "moving_variance": m.u * (kept_variance + share * correction * m.variance)
        + share * correction * m.variance_error,
    }


def gamma_error(m: Moments, delta: Array, delta_error: Array) -> Array:
    """[units]: the error of gamma's gradient, the sum of delta (x - mean) / sqrt(variance + epsilon)."""
    roots = np.sqrt(len(m.x))
    own = roots * m.u * (m.magnitude * np.abs(delta)).sum(axis=0)
    moved = np.abs(delta.sum(axis=0)) * m.mean_error
    passed = np.sqrt((m.centred**2 * delta_error**2).sum(axis=0)) + np.sqrt((m.x_error**2 * delta**2).sum(axis=0))
    return m.inverse * (own + moved + passed) + np.abs((delta * m.centred).sum(axis=0)) * m.inverse_error


def delta_behind(m: Moments, gamma: Array, delta: Array, delta_error: Array) -> tuple[Array, Array]:
    """[batch, units]: the cost's gradient by x, with its error.

    g (delta - mean(delta) - z mean(delta z)), z being the normalised x.
    """
    n = len(m.x)
    g, z = gamma * m.inverse, m.centred * m.inverse
    mean, share = delta.mean(axis=0), (delta * z).mean(axis=0)
    mean_error = np.sqrt(n) * m.u * np.abs(delta).mean(axis=0) + np.sqrt((delta_error**2).sum(axis=0)) / n
    share_error = gamma_error(m, delta, delta_error) / n
    magnitude = np.abs(delta) + np.abs(mean) + np.abs(z * share)
    error = np.abs(g) * (
        m.u * magnitude
        + delta_error
        + mean_error
        + np.abs(z) * share_error
        + np.abs(share) * m.inverse * m.centred_error
    )
    # The last term has the root three times.
    error += np.abs(gamma) * m.inverse_error * (np.abs(delta) + np.abs(mean) + 3 * np.abs(z * share))
    return g * (delta - mean - z * share), error


def scales(
    node: BatchNorm, realisation: Realisation, state: Mapping[str, Array], x: Array, delta: Array, u: float
) -> tuple[dict[str, Array], Array]:
    """The condition scales of all that a node gives, by name, and of the delta behind it: what exact x and delta leave.

    In units of u, but of more than the first order in it, since the mean's error enters the variance squared.
    """
    name, none = node.name, np.zeros_like(x)
    gamma, beta = state[f"weights/{name}/gamma"], state[f"weights/{name}/beta"]
    found = moments(node, x, none, u)
    moving = (state[f"statistics/{name}/{kind}"] for kind in node.statistic_shapes)
    errors = statistics_errors(node, realisation, found, *moving)
    given = {f"statistics/{name}/{kind}": error / u for kind, error in errors.items()}
    given[f"outputs/{name}"] = output_error(found, gamma, beta) / u
    given[f"gradients/{name}/gamma"] = gamma_error(found, delta, none) / u
    given[f"gradients/{name}/beta"] = np.abs(delta).sum(axis=0)
    return given, delta_behind(found, gamma, delta, none)[1] / u
