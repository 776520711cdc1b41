"""Layer normalisation: that of a batch with samples and units exchanged, but for gamma and beta, which stay the units'.

Keras computes x g + (beta - mean g) with g = gamma / sqrt(variance + epsilon), torch gamma (x r - mean r) + beta with
r = 1 / sqrt(variance + epsilon): in both, x and the mean count by themselves (parity/bounds/normalisation.py).
"""

import numpy as np

from parity.bounds import normalisation
from parity.bounds.nodes.kind import Array, ByKind, Given, Kind
from parity.bounds.running_error import smallest_normal
from parity.bounds.sums import sum_bound, within_range
from parity.experiment.nodes import LayerNorm


class LayerNormalisation(Kind):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta."""

    def gradient_rows(self, node: LayerNorm) -> dict[str, str]:
        return {"gamma": "layer_norm gamma", "beta": "sum"}

    def value(self, given: Given) -> Array:
        return given.weight("gamma") * normalised(moments(given, exact=True)) + given.weight("beta")

    def gradients(self, given: Given, delta: Array) -> tuple[ByKind, Array | None]:
        m = moments(given, exact=True)
        found = {"gamma": (delta * normalised(m)).sum(axis=0), "beta": delta.sum(axis=0)}
        return found, passed_back(m, given.weight("gamma"), delta, np.zeros_like(delta))[0]

    def stage_bounds(self, given: Given, delta: Array) -> tuple[dict[str, Array], Array]:
        m, name, none = moments(given, stage=True), given.node.name, np.zeros_like(delta)
        gamma, beta = given.weight("gamma"), given.weight("beta")
        forward = normalisation.on_the_way(m, np.abs(gamma).max())[:, None]
        # Of gamma's own gradient, delta is not yet multiplied by it.
        size = np.maximum(np.abs(gamma), 1) * np.abs(delta)
        backward = forward + normalisation.on_the_way_back(m, size.T)[:, None]
        found = {
            f"outputs/{name}": within_range(output_error(m, gamma, beta), forward, given.u),
            f"gradients/{name}/gamma": within_range(gamma_error(m, delta, none), backward.sum(axis=0), given.u),
            f"gradients/{name}/beta": sum_bound(delta, given.u),
        }
        return found, within_range(passed_back(m, gamma, delta, none)[1], backward + 0 * delta, given.u)

    def output_error(self, given: Given) -> Array:
        return output_error(moments(given), given.weight("gamma"), given.weight("beta"))

    def gradient_errors(self, given: Given, delta: Array, error: Array) -> tuple[ByKind, tuple[Array, Array]]:
        m = moments(given)
        found = {"gamma": gamma_error(m, delta, error), "beta": sum_bound(delta, given.u) + error.sum(axis=0)}
        return found, passed_back(m, given.weight("gamma"), delta, error)


def moments(given: Given, exact: bool = False, stage: bool = False) -> normalisation.Moments:
    """The statistics of each sample, whose axis is the last; `exact` without errors, of a `stage` without that of x."""
    error = np.zeros_like(given.x) if exact or stage else given.error
    return normalisation.moments(given.node, given.x.T, error.T, 0.0 if exact else given.u)


def normalised(m: normalisation.Moments) -> Array:
    """[batch, units]: (x - mean) / sqrt(variance + epsilon)."""
    return (m.centred * m.inverse).T


def output_error(m: normalisation.Moments, gamma: Array, beta: Array) -> Array:
    """[batch, units]: the error of y."""
    return normalisation.output_error(m, gamma[:, None], beta[:, None]).T


def gamma_error(m: normalisation.Moments, delta: Array, error: Array) -> Array:
    """[units]: the error of gamma's gradient, the sum over the batch of delta times the normalised x."""
    off = m.inverse * (m.centred_error + m.u * m.magnitude) + np.abs(m.centred) * m.inverse_error
    z, size = np.abs(normalised(m)), np.abs(delta)
    added = np.count_nonzero(delta, axis=0) * m.u * (size * (m.magnitude * m.inverse).T).sum(axis=0)
    lost = len(delta) * smallest_normal(m.u) * (1 + m.inverse.max(initial=0))
    return added + (size * off.T + z * error + error * off.T).sum(axis=0) + lost


def passed_back(m: normalisation.Moments, gamma: Array, delta: Array, error: Array) -> tuple[Array, Array]:
    """[batch, units]: the cost's gradient by x, with its error: a batch's, of what gamma makes of delta."""
    scaled, none = gamma * delta, np.ones((m.x.shape[0], 1))
    scaled_error = np.abs(gamma) * error + m.u * np.abs(scaled) + smallest_normal(m.u)
    value, off = normalisation.delta_behind(m, none, scaled.T, scaled_error.T)
    # Of gamma / sqrt(variance + epsilon), which Keras multiplies delta by, underflow may take something, too.
    return value.T, off.T + smallest_normal(m.u) * np.abs(delta)
