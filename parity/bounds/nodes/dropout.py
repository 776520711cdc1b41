"""Dropout in NumPy (Srivastava et al., JMLR 15, 2014), and how far rounding may take it.

    y = x mask / (1 - rate)

Forward and backward are the same product, so one factor serves both. In eval mode nothing is done.
"""

from collections.abc import Mapping

import numpy as np

from parity.bounds.nodes.kind import Array, ByKind, Given, Kind
from parity.bounds.running_error import smallest_normal
from parity.bounds.sums import within_range
from parity.experiment.randomness import by_node, dropout_mask
from parity.experiment.spec import Identity


class DropoutLayer(Kind):
    """x times its factor."""

    def value(self, given: Given) -> Array:
        return given.x * factor(given)

    def evaluated(self, given: Given) -> Array:
        return given.x

    def gradients(self, given: Given, delta: Array) -> tuple[ByKind, Array | None]:
        return {}, delta * factor(given)

    def stage_bounds(self, given: Given, delta: Array) -> tuple[dict[str, Array], Array]:
        outputs, backward = (small(np.abs(values) * factor(given), given.u) for values in (given.x, delta))
        return {f"outputs/{given.node.name}": outputs}, backward

    def output_error(self, given: Given) -> Array:
        return passed_on(given.x, given.error, factor(given), given.u)[1]

    def evaluated_error(self, given: Given) -> Array:
        return given.error

    def gradient_errors(self, given: Given, delta: Array, error: Array) -> tuple[ByKind, tuple[Array, Array]]:
        return {}, passed_on(delta, error, factor(given), given.u)


def factor(given: Given) -> Array:
    """[batch, units]: what values are multiplied by."""
    assert given.factor is not None
    return given.factor


def factors(identity: Identity, state: Mapping[str, Array], samples: int) -> dict[str, Array]:
    """[samples, units] float64 of each dropout by its name: what its values are multiplied by in the state's step."""
    masks = by_node(identity, dropout_mask(identity, int(state["step"]), samples)) if identity.dropouts else {}
    return {node.name: masks[node.name] / (1 - node.rate) for node in identity.dropouts}


def passed_on(values: Array, error: Array, factor: Array, u: float) -> tuple[Array, Array]:
    """Values times their factor, with their error: that passed on, and the rounding of 1 - rate and two operations."""
    return values * factor, error * factor + 3 * u * (np.abs(values) + error) * factor + smallest_normal(u)


def small(scale: Array, u: float) -> Array:
    """u times a condition scale, and what underflow may take; where the scale is 0, nothing is computed."""
    return within_range(np.where(scale > 0, u * scale + smallest_normal(u), 0.0), scale, u)
