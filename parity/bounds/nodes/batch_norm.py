"""Batch normalisation: the formulas and their errors are those of parity/bounds/normalisation.py."""

import numpy as np

from parity.bounds import normalisation
from parity.bounds.nodes.kind import Array, ByKind, Given, Kind
from parity.bounds.sums import sum_bound
from parity.experiment.nodes import BatchNorm


def moments(given: Given, exact: bool = False) -> normalisation.Moments:
    """The statistics of the batch, with the errors of x; `exact` without any error."""
    error = np.zeros_like(given.x) if exact else given.error
    return normalisation.moments(given.node, given.x, error, 0.0 if exact else given.u)


class BatchNormalisation(Kind):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta."""

    def statistic_names(self, node: BatchNorm) -> tuple[str, ...]:
        return tuple(node.statistic_shapes)

    def gradient_rows(self, node: object) -> dict[str, str]:
        return {"gamma": "batch_norm gamma", "beta": "sum"}

    def value(self, given: Given) -> Array:
        m = moments(given, exact=True)
        return given.weight("gamma") * m.centred * m.inverse + given.weight("beta")

    def evaluated(self, given: Given) -> Array:
        return normalisation.evaluated(normalisation.Evaluated.of(given.node, given.state), given.x)

    def gradients(self, given: Given, delta: Array) -> tuple[ByKind, Array | None]:
        m = moments(given, exact=True)
        found = {"gamma": (delta * m.centred * m.inverse).sum(axis=0), "beta": delta.sum(axis=0)}
        return found, normalisation.delta_behind(m, given.weight("gamma"), delta, np.zeros_like(given.x))[0]

    def statistics(self, given: Given) -> ByKind:
        unbiased = given.realisation.moving_variance == "unbiased"
        new = {"moving_mean": given.x.mean(axis=0), "moving_variance": given.x.var(axis=0, ddof=int(unbiased))}
        share = given.node.momentum
        return {kind: share * given.statistic(kind) + (1 - share) * value for kind, value in new.items()}

    def stage_bounds(self, given: Given, delta: Array) -> tuple[dict[str, Array], Array]:
        return normalisation.scales(given.node, given.realisation, given.state, given.x, delta, given.u)

    def output_error(self, given: Given) -> Array:
        return normalisation.output_error(moments(given), given.weight("gamma"), given.weight("beta"))

    def evaluated_error(self, given: Given) -> Array:
        how = normalisation.Evaluated.of(given.node, given.state)
        return normalisation.evaluated_error(how, given.x, given.error, given.u)

    def statistics_errors(self, given: Given) -> ByKind:
        moving = (given.statistic(kind) for kind in given.node.statistic_shapes)
        return normalisation.statistics_errors(given.node, given.realisation, moments(given), *moving)

    def gradient_errors(self, given: Given, delta: Array, error: Array) -> tuple[ByKind, tuple[Array, Array]]:
        m = moments(given)
        found = {
            "gamma": normalisation.gamma_error(m, delta, error),
            "beta": sum_bound(delta, given.u) + error.sum(axis=0),
        }
        return found, normalisation.delta_behind(m, given.weight("gamma"), delta, error)
