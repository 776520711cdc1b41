"""The phases of a recording: what a step of the training gives and of pre-training, and how it may round.

A phase knows its identity and, of pre-training, how many steps there are; what is asked of it is asked of one step.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from parity.bounds import rbm, stages, whole_step
from parity.bounds.measure import Tolerance
from parity.bounds.precision import Sum
from parity.bounds.stages import Result
from parity.experiment.spec import Dtype, Identity, Realisation, Schedule
from parity.steps import layout

Array = NDArray[Any]
Arrays = Mapping[str, Array]
PhaseName = Literal["pretraining", "training"]


class Phase(ABC):
    """The interface of all phases."""

    def __init__(self, identity: Identity, schedule: Schedule, consumed: Sequence[str]) -> None:
        # Of what each step uses, named in `consumed`, there are checksums.
        self.identity, self.schedule, self.consumed = identity, schedule, consumed
        # Of the model's outputs in eval mode on one batch; None where there is nothing to evaluate.
        self.evaluated: tuple[int, int] | None = None

    @abstractmethod
    def results(self, step: int) -> list[Result]:
        """The results of the step's stages, in the order of the computation."""

    @abstractmethod
    def shapes(self, step: int) -> dict[str, tuple[int, ...]]:
        """The shape of each float of the step, and of the state before it."""

    @abstractmethod
    def looped(self) -> list[str]:
        """The tensors of a loop's step that can be held against a replayed one: its cost, and the state after it."""

    @abstractmethod
    def scales(
        self, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, given: Array, dtype: Dtype
    ) -> dict[str, Tolerance]:
        """u S for every result in `dtype`; `given` holds the step's labels, or its uniforms."""

    @abstractmethod
    def sums(self, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array) -> dict[str, Sum]:
        """The terms that are added in each result that is a tensor of sums, by its name."""

    @abstractmethod
    def bounds(
        self, realisation: Realisation, state: Arrays, replay: Arrays, inputs: Array, given: Array, dtype: Dtype
    ) -> dict[str, Tolerance]:
        """How far a run of the whole step may be off in what is looped, elementwise."""

    @abstractmethod
    def traced(self, steps: int, epochs: int) -> dict[str, layout.Traced]:
        """The shape and dtype of each array of a trace; a length that is nowhere said is None."""


class Training(Phase):
    """The steps of gradient descent on the cost."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity, identity.schedule, identity.consumed)
        self.evaluated = identity.schedule.batch_size, identity.layers[-1].units

    def results(self, step: int) -> list[Result]:
        return stages.results(self.identity)

    def shapes(self, step: int) -> dict[str, tuple[int, ...]]:
        return layout.step_shapes(self.identity)

    def looped(self) -> list[str]:
        return layout.looped(self.identity)

    def scales(
        self, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, given: Array, dtype: Dtype
    ) -> dict[str, Tolerance]:
        return stages.scales(self.identity, realisation, state, recorded, inputs, given, dtype)

    def sums(self, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array) -> dict[str, Sum]:
        return stages.sums(self.identity, realisation, state, recorded, inputs)

    def bounds(
        self, realisation: Realisation, state: Arrays, replay: Arrays, inputs: Array, given: Array, dtype: Dtype
    ) -> dict[str, Tolerance]:
        followed = {**replay, "inputs": inputs, "labels": given}
        return whole_step.step_bounds(self.identity, realisation, state, followed, dtype)

    def traced(self, steps: int, epochs: int) -> dict[str, layout.Traced]:
        return layout.traced(self.identity.dtype, self.consumed, steps, epochs) | {
            "accuracy": ((epochs,), "float64"),
            "test_loss": ((epochs,), "float64"),
            "train_accuracy": ((epochs * self.schedule.evaluate_training,), "float64"),
            "train_loss": ((epochs * self.schedule.evaluate_training,), "float64"),
            "predictions": ((None,), "int64"),
            "test_labels": ((None,), "int64"),
            "undecided": ((None,), "bool"),
            "test_output": ((None, self.identity.layers[-1].units), self.identity.dtype),
        }


class Pretraining(Phase):
    """The `steps` of contrastive divergence, the same number for each hidden layer in turn."""

    def __init__(self, identity: Identity, steps: int) -> None:
        assert identity.pretraining is not None
        self.layers = len(identity.dense) - 1
        super().__init__(identity, identity.pretraining.schedule(self.layers), ("indices", "inputs", "uniforms"))
        self.batch = identity.pretraining.batch_size
        self.steps_per_layer = max(1, steps // self.layers)

    def layer(self, step: int) -> int:
        """Which layer the step trains; after the last step, the last one."""
        return min(step // self.steps_per_layer, self.layers - 1)

    def results(self, step: int) -> list[Result]:
        return rbm.results(self.identity, self.layer(step))

    def shapes(self, step: int) -> dict[str, tuple[int, ...]]:
        return rbm.shapes(self.identity, self.layer(step), self.batch)

    def looped(self) -> list[str]:
        return ["cost", *(f"weights/{name}" for name in rbm.weight_shapes(self.identity))]

    def scales(
        self, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, given: Array, dtype: Dtype
    ) -> dict[str, Tolerance]:
        layer = self.layer(int(state["step"]))
        return rbm.scales(self.identity, realisation, layer, state, recorded, inputs, dtype)

    def sums(self, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array) -> dict[str, Sum]:
        return rbm.sums(self.identity, self.layer(int(state["step"])), state, recorded, inputs)

    def bounds(
        self, realisation: Realisation, state: Arrays, replay: Arrays, inputs: Array, given: Array, dtype: Dtype
    ) -> dict[str, Tolerance]:
        layer = self.layer(int(state["step"]))
        return rbm.step_bounds(self.identity, realisation, layer, state, replay, inputs, given, dtype)

    def traced(self, steps: int, epochs: int) -> dict[str, layout.Traced]:
        return layout.traced(self.identity.dtype, self.consumed, steps, epochs)


def phase(name: PhaseName, identity: Identity, steps: int) -> Phase:
    """The phase called `name`, of so many steps."""
    return Training(identity) if name == "training" else Pretraining(identity, steps)
