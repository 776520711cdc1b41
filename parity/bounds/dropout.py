"""Dropout in NumPy (Srivastava et al., JMLR 15, 2014), and how far rounding may take it.

    y = x mask / (1 - rate)

Forward and backward are the same product, so one factor serves both.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import smallest_normal
from parity.experiment.randomness import by_node, dropout_mask
from parity.experiment.spec import Identity

Array = NDArray[Any]


def factors(identity: Identity, state: Mapping[str, Array], samples: int) -> dict[str, Array]:
    """[samples, units] float64 of each dropout by its name: what its values are multiplied with in the state's step."""
    masks = by_node(identity, dropout_mask(identity, int(state["step"]), samples)) if identity.dropouts else {}
    return {node.name: masks[node.name] / (1 - node.rate) for node in identity.dropouts}


def passed_on(values: Array, error: Array, factor: Array, u: float) -> tuple[Array, Array]:
    """Values times their factor, with their error: that passed on, and the rounding of 1 - rate and two operations."""
    return values * factor, error * factor + 3 * u * (np.abs(values) + error) * factor + smallest_normal(u)
