"""What there is to know of a kind of node: its rows, its formulas in NumPy, and their errors.

Errors are sizes, elementwise, of what rounding may do at worst. Those of a *stage* are of exact inputs, recorded ones;
those of a *whole step* carry the inputs' own errors on (parity/bounds/whole_step.py).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds.precision import Sum
from parity.experiment.spec import Realisation

Array = NDArray[Any]
# By kind of weight, as "kernel", or of statistic.
ByKind = dict[str, Array]


class Given(NamedTuple):
    """What a node is run on.

    `state` holds weights and running statistics by their names in a replay; x [batch, features] is the input, float64
    or int64 tokens, and `x_error` its error; `factor` is what a dropout multiplies by, `u` the unit roundoff, and
    `before` the name of the node before, None for the first one, where nobody asks for a delta.
    """

    node: Any
    realisation: Realisation
    state: Mapping[str, Array]
    x: Array
    u: float = 0.0
    x_error: Array | None = None
    factor: Array | None = None
    before: str | None = None

    def weight(self, kind: str) -> Array:
        """One of the node's weights."""
        return self.state[f"weights/{self.node.name}/{kind}"]

    def statistic(self, kind: str) -> Array:
        """One of the node's running statistics."""
        return self.state[f"statistics/{self.node.name}/{kind}"]

    @property
    def first(self) -> bool:
        """Whether no node comes before."""
        return self.before is None

    @property
    def error(self) -> Array:
        """The error of x, which is exact where nothing is said."""
        return np.zeros(self.x.shape) if self.x_error is None else self.x_error


class Kind(ABC):
    """A kind of node. Rows are those of ALLOWED (parity/bounds/stages.py)."""

    def forward_row(self, node: Any) -> str:
        """The row of the output."""
        return str(node.function)

    def backward_row(self, node: Any) -> str:
        """The row of the delta before the node."""
        return f"{node.function} gradient"

    def gradient_rows(self, node: Any) -> dict[str, str]:
        """The row of each weight's gradient."""
        return {}

    @abstractmethod
    def value(self, given: Given) -> Array:
        """The output [batch, units] in training."""

    def evaluated(self, given: Given) -> Array:
        """The output in eval mode."""
        return self.value(given)

    @abstractmethod
    def gradients(self, given: Given, delta: Array) -> tuple[ByKind, Array | None]:
        """The cost's gradient by each weight and by x, from that by the output, `delta`; None by tokens."""

    def statistic_names(self, node: Any) -> tuple[str, ...]:
        """The running statistics that a step leaves."""
        return ()

    def statistics(self, given: Given) -> ByKind:
        """The running statistics after the step."""
        return {}

    @abstractmethod
    def stage_bounds(self, given: Given, delta: Array) -> tuple[dict[str, Array], Array]:
        """The errors of a stage by the names of its results, and that of the delta before it."""

    def sums(self, given: Given, delta: Array) -> tuple[dict[str, Sum], Sum | None]:
        """The terms that are added in each result that is a tensor of sums, by its name, and in the delta before it."""
        return {}, None

    @abstractmethod
    def output_error(self, given: Given) -> Array:
        """The error of the output in training, of a whole step."""

    def evaluated_error(self, given: Given) -> Array:
        """The same in eval mode."""
        return self.output_error(given)

    def statistics_errors(self, given: Given) -> ByKind:
        """The errors of the running statistics after the step, of a whole step."""
        return {}

    @abstractmethod
    def gradient_errors(self, given: Given, delta: Array, error: Array) -> tuple[ByKind, tuple[Array, Array]]:
        """The errors of the weights' gradients, of a whole step, and the delta before the node with its error.

        `error` is that of `delta`.
        """
