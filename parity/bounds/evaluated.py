"""A model's outputs in eval mode, in NumPy, and how far rounding may take them and what is measured of them.

The values are there for their errors, whose size they decide; what is judged are the frameworks' own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds.losses import rounding
from parity.bounds.nodes.kind import Given
from parity.bounds.nodes.table import kind
from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.bounds.whole_step import BOTH, loss
from parity.experiment.spec import Dtype, Identity, Realisation

Array = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
# So many samples at once.
AT_ONCE = 5000


class Outputs(NamedTuple):
    """[samples, units] each: what a model gives, and how far a computation of it may be off."""

    values: Array
    errors: Array


def outputs(
    identity: Identity, realisation: Realisation, state: Arrays, inputs: Array, dtype: Dtype = "float64"
) -> Outputs:
    """The outputs of a state's model for inputs [samples, features] in eval mode, all float64; errors are `dtype`'s."""
    parts = [
        some_outputs(identity, realisation, state, inputs[first : first + AT_ONCE], UNIT_ROUNDOFF[dtype])
        for first in range(0, len(inputs), AT_ONCE)
    ]
    return Outputs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def some_outputs(identity: Identity, realisation: Realisation, state: Arrays, inputs: Array, u: float) -> Outputs:
    """The same of so few samples that all fits into memory, with the unit roundoff that errors are made of."""
    x, error = inputs, np.zeros(inputs.shape)
    with np.errstate(all="ignore"):
        for node in identity.model:
            given = Given(node, realisation, state, x, u, error)
            x, error = kind(node).evaluated(given), kind(node).evaluated_error(given)
    return Outputs(x, error)


def undecided(identity: Identity, found: Outputs) -> NDArray[np.bool_]:
    """[samples]: whether rounding decides the class that is predicted: another computation may find another one."""
    values, errors = found
    with np.errstate(all="ignore"):
        if values.shape[1] == 1:
            return np.abs(values[:, 0] - identity.threshold) <= errors[:, 0]
        # The two best may change places; so may any that are as near to the best.
        best = np.argmax(np.where(np.isfinite(values), values, -np.inf), axis=1)[:, None]
        gaps = np.take_along_axis(values, best, 1) - values
        near = gaps <= np.take_along_axis(errors, best, 1) + errors
        return np.count_nonzero(near, axis=1) > 1


def measured_bounds(identity: Identity, found: Outputs, labels: NDArray[np.int64]) -> tuple[float, float]:
    """How far two measurements of accuracy and of loss may be apart, made of what a model gives for these labels."""
    with np.errstate(all="ignore"):
        share = float(np.count_nonzero(undecided(identity, found)) / len(labels))
        return share, loss_bound(identity, found, labels)


def loss_bound(identity: Identity, found: Outputs, labels: NDArray[np.int64]) -> float:
    """How far two measurements of the loss may be apart."""
    schedule, last, total = identity.schedule, identity.model[-1].name, 0.0
    whole = schedule.test_loss != "batch_means_by_samples"
    size = len(labels) if whole else schedule.batch_size
    for first in range(0, len(labels), size):
        values, errors = (array[first : first + size] for array in found)
        some = labels[first : first + size]
        given: dict[str, Any] = {f"outputs/{last}": values, "labels": some}
        total += float(loss(identity, given, errors, UNIT_ROUNDOFF["float64"])[0])
        # The means of batches are added up.
        total += (len(labels) / size) * UNIT_ROUNDOFF["float64"] * rounding(identity.loss, values, some).cost
    return BOTH * total / (1 if whole else len(labels))
