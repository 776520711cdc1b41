"""A worker's replays: a checkpoint's step, run again stage by stage in either precision, and what came of it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds import evaluated, measure, precision, whole_step
from parity.bounds.measure import Tolerance
from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.data.datasets import Batches, Data
from parity.errors import UsageError
from parity.experiment.spec import Dtype
from parity.recordings.recording import Arrays
from parity.steps.phases import Phase, Pretraining
from parity.worker.programs import Program
from parity.workers.job import RecordJob

# Steps of the training loop that are run again in float64 from a checkpoint.
SHORTEST, LONGEST = 10, 100
# float64's rounding against float32's.
FINER = UNIT_ROUNDOFF["float64"] / UNIT_ROUNDOFF["float32"]
# The first steps, where the slots fill and a bias correction is largest.
EARLY = (0, 1, 2, 5, 10)


def checkpoint_steps(batches: Batches, wanted: int | Sequence[int]) -> list[int]:
    """About so many steps: the first ones, then evenly spread to the last, all with whole batches.

    Or the steps that are wanted, and the first one. Raises UsageError where one of them has no whole batch.
    """
    sizes = batches.stops - batches.starts
    whole = np.flatnonzero(sizes == sizes[0]).tolist()
    if not isinstance(wanted, int):
        for step in sorted(set(wanted) - set(whole)):
            reason = f"the run has steps 0 to {len(sizes) - 1}" if step >= len(sizes) else "its batch is a smaller one"
            raise UsageError(f"no checkpoint at step {step}: {reason}")
        return sorted({0, *wanted})
    if len(whole) <= wanted:
        return whole
    early = [step for step in EARLY if step < len(whole)][: max(1, wanted - 1)]
    spread = np.linspace(early[-1], len(whole) - 1, wanted - len(early) + 1)[1:]
    return [whole[step] for step in sorted({*early, *(round(float(step)) for step in spread)})]


def layer_checkpoints(phase: Pretraining, asked: int | tuple[int, ...]) -> list[int]:
    """Half as many as are `asked` for, or six: the first and the last of each layer's, and evenly between them."""
    count = (asked if isinstance(asked, int) else 12) // (2 * phase.layers)
    within = np.linspace(0, phase.steps_per_layer - 1, max(2, count)).round().astype(int)
    return sorted({layer * phase.steps_per_layer + int(step) for layer in range(phase.layers) for step in within})


def segment_stops(checkpoints: Sequence[int], steps: int) -> dict[int, int]:
    """Where the segment that begins at each checkpoint ends: at the next one, or after a sixteenth of their share.

    So segments add at most an eighth to the steps of a long run, once for either side's checkpoints, and cover the
    early steps of every run.
    """
    length = min(max(steps // (16 * max(1, len(checkpoints))), SHORTEST), LONGEST)
    return {step: min(step + length, stop) for step, stop in pairwise([*checkpoints, steps])}


class Checkpoint(NamedTuple):
    """A state on the way, and the batch of the step that follows: inputs [batch, features] and what is `given` with it.

    `given` holds labels [batch] int64, or in pre-training uniforms [batch, units] float32.
    """

    state: Arrays
    inputs: NDArray[Any]
    given: NDArray[Any]

    @property
    def step(self) -> int:
        """The number of updates made."""
        return int(self.state["step"])

    def converted(self, dtype: Dtype) -> "Checkpoint":
        """The same in `dtype`."""
        return Checkpoint(convert_all(self.state, dtype), convert(self.inputs, dtype), self.given)


class Replayer:
    """One side's programs, in one precision or in both: to replay single steps with, and `loops` to train with."""

    def __init__(
        self,
        side: SimpleNamespace,
        job: RecordJob,
        phase: Phase,
        programs: Mapping[Dtype, Program],
        loops: Mapping[Dtype, Program],
        at: Callable[[int, Arrays], Checkpoint],
    ) -> None:
        # `at` makes a checkpoint of a step and its state.
        self.side, self.job, self.phase, self.at = side, job, phase, at
        self.programs, self.loops = programs, loops

    def step(self, at: Checkpoint, recorded: Arrays | None, dtype: Dtype) -> dict[str, NDArray[Any]]:
        """What the stages give, each fed what `recorded` holds, or the stage before it where that is None."""
        self.side.runtime.set_dtype(dtype)
        at = at.converted(dtype)
        recorded = None if recorded is None else convert_all(recorded, dtype)
        return self.programs[dtype].step(at.state, at.inputs, at.given, recorded)

    def evidence(self, at: Checkpoint, found: Arrays) -> dict[str, NDArray[Any]]:
        """What other sides' stages are fed: `found`, the step in float64, made complete.

        What a stage does not give, as the gradient of a weight that is not trained, is zero to the stages after it.
        """
        shapes = self.phase.shapes(at.step)
        names = [result.name for result in self.phase.results(at.step)]
        return {name: found.get(name, np.zeros(shapes[name])) for name in names} | {"step": found["step"]}

    def judged(self, at: Checkpoint, evidence: Arrays, found: Arrays | None = None) -> dict[str, NDArray[Any]]:
        """The step, each stage on recorded inputs, summed up for each precision as `<dtype>/<column>`.

        float64: this side's result (`found`, where this side made the evidence) against the recorded one. float32: this
        side's result on rounded inputs against its own in float64 on the same rounded inputs. Both in units of u times
        the condition scale.
        """
        # What each precision is fed; of float32, widened again, since float64 is fed the same.
        rounded = at.converted("float32").converted("float64")
        fed: dict[Dtype, tuple[Checkpoint, Arrays]] = {
            "float64": (at.converted("float64"), evidence),
            "float32": (rounded, convert_all(convert_all(evidence, "float32"), "float64")),
        }
        listed = self.phase.results(at.step)
        names = [result.name for result in listed]
        summaries: dict[str, Any] = {}
        for dtype in self.programs:
            x, given = fed[dtype]
            results: tuple[Arrays, Arrays]
            if dtype == "float32":
                results = self.step(x, given, "float32"), self.step(x, given, "float64")
            else:
                results = (self.step(at, evidence, "float64") if found is None else found), evidence
            allowed = self.phase.scales(self.job.realisation, x.state, given, x.inputs, x.given, dtype)
            precisions = None
            if dtype == "float32":
                added = self.phase.sums(self.job.realisation, x.state, given, x.inputs)
                precisions = precision.of_sums(added, *results)
            columns = measure.summary(names, *results, allowed, precisions)
            summaries |= {f"{dtype}/{column}": values for column, values in columns.items()}
        return summaries

    def whole(self, at: Checkpoint) -> dict[Dtype, dict[str, NDArray[Any]]]:
        """The whole step in both precisions, each stage fed what the one before it gave."""
        return {dtype: self.step(at, None, dtype) for dtype in self.programs}

    def bounds(self, at: Checkpoint, evidence: Arrays, dtype: Dtype) -> dict[str, Tolerance]:
        """How far a run of a checkpoint's whole step may be off in `dtype` (parity/bounds/whole_step.py)."""
        wide = at.converted("float64")
        # The loop may have kept denormal numbers, as on a GPU, which a replay does not get.
        state = {name: widened(array) for name, array in at.state.items()}
        return self.phase.bounds(self.job.realisation, state, evidence, wide.inputs, wide.given, dtype)

    def steps_of_loop(
        self, at: Checkpoint, whole: Mapping[Dtype, Arrays], looped: Arrays, stop: int
    ) -> tuple[dict[str, Any], NDArray[np.float64] | None, dict[str, Tolerance]]:
        """The loop's own step from a checkpoint against the replayed one, as summaries `<step>/<dtype>/<column>`.

        In the run's precision it is what was `looped`, and in float64 it is taken again: with it come the costs in
        float64 up to `stop`, where those are not the run's own; and the bounds of float64. `whole` is the replayed step
        in both precisions.
        """
        evidence, costs = self.evidence(at, whole["float64"]), None
        steps: dict[Dtype, dict[str, Any]] = {}
        bounds = self.bounds(at, evidence, "float64")
        if self.job.identity.dtype == "float64":
            steps["float64"] = self.loop(bounds, looped, whole["float64"])
        else:
            wide, costs = self.step_and_segment(at.state, at.step, stop)
            steps["float64"] = self.loop(bounds, wide, whole["float64"])
            narrow = self.bounds(at, evidence, "float32")
            steps["float32"] = self.loop(narrow, looped, whole["float32"], whole["float64"])
        columns = {f"{at.step}/{dtype}/{name}": column for dtype, c in steps.items() for name, column in c.items()}
        return columns, costs, bounds

    def loop(
        self, bounds: Mapping[str, Tolerance], looped: Arrays, replayed: Arrays, exact: Arrays | None = None
    ) -> dict[str, NDArray[Any]]:
        """The loop's own step from a checkpoint against the replayed one, both in one precision, as a summary.

        In units of `bounds`, since the loop shows only its end. With the `exact` step, the sizes of both errors are
        held against each other, too.
        """
        precisions = None if exact is None else precision.of_step(looped, replayed, exact, bounds)
        return measure.summary(self.phase.looped(), looped, replayed, bounds, precisions)

    def rounding(self, whole: Mapping[Dtype, Arrays]) -> dict[str, NDArray[np.float64]]:
        """How far float32 moves each weight in one step, as `weights/<name>`, and the `cost` [].

        `whole` is the step in both precisions, of which float64 stands for the exact one.
        """
        names = ["cost", *(name for name in self.phase.looped() if name.startswith("weights/"))]
        with np.errstate(invalid="ignore", over="ignore"):
            moved = {name: np.abs(whole["float32"][name].astype(np.float64) - whole["float64"][name]) for name in names}
        # Where a number is not finite, twins end as the run does.
        return {name: np.where(np.isfinite(array), array, 0.0) for name, array in moved.items()}

    def segment(self, state: Arrays, first: int, last: int, dtype: Dtype) -> NDArray[np.float64]:
        """[last - first]: the costs of the training loop in `dtype`, started from the state before step `first`."""
        self.side.runtime.set_dtype(dtype)
        self.loops[dtype].write(convert_all(state, dtype))
        return self.loops[dtype].chunk(first, last)["cost"].astype(np.float64)

    def step_and_segment(self, state: Arrays, first: int, last: int) -> tuple[Arrays, NDArray[np.float64]]:
        """What the training loop's own step from a state gives in float64, and the `segment` that begins with it."""
        program = self.loops["float64"]
        self.side.runtime.set_dtype("float64")
        program.write(convert_all(state, "float64"))
        cost = program.chunk(first, first + 1)["cost"].astype(np.float64)
        after = {**program.read(first + 1), "cost": cost[0]}
        rest = program.chunk(first + 1, last)["cost"].astype(np.float64) if last > first + 1 else cost[:0]
        return after, np.concatenate([cost, rest])

    def gone_on(self, state: Arrays, first: int, last: int) -> Checkpoint:
        """The checkpoint in float64 before step `last`, to which the training loop goes on from that before `first`."""
        if last > first:
            self.segment(state, first, last, "float64")
            state = self.loops["float64"].read(last)
        return self.at(last, state).converted("float64")

    def outputs(self, at: Checkpoint) -> NDArray[np.float64]:
        """[batch, units]: what the model of a checkpoint makes of its batch in eval mode, in float64."""
        self.side.runtime.set_dtype("float64")
        at, program = at.converted("float64"), self.loops["float64"]
        assert program.infer is not None
        program.write(at.state)
        return program.infer(at.inputs).astype(np.float64)

    def evaluation(self, at: Checkpoint) -> NDArray[np.float64]:
        """[4]: what the training loop's own evaluation says of a checkpoint's model in float64."""
        self.side.runtime.set_dtype("float64")
        program = self.loops["float64"]
        assert program.evaluate is not None
        program.write(at.converted("float64").state)
        return program.evaluate()

    def own_evaluation(self, at: Checkpoint, content: Data | None) -> dict[str, NDArray[np.float64]]:
        """`outputs` and, with the whole `content`, `evaluation` [4] or [0], in float64; and the bounds of both.

        Nothing where the phase has no model to evaluate.
        """
        if self.phase.evaluated is None:
            return {}
        wide = at.converted("float64")
        given = self.job.identity, self.job.realisation, wide.state
        found = {
            "outputs": self.outputs(at),
            "outputs_bound": whole_step.BOTH * evaluated.outputs(*given, wide.inputs).errors,
            "evaluation": np.zeros(0), "evaluation_bound": np.zeros(0),
        }  # fmt: skip
        if content is not None:
            sets = [(content.test_inputs, content.test_labels)]
            if self.job.identity.schedule.evaluate_training:
                sets.append((content.train_inputs, content.train_labels))
            bounds = [
                evaluated.measured_bounds(self.job.identity, evaluated.outputs(*given, convert(x, "float64")), labels)
                for x, labels in sets
            ]
            # What nobody asks for is not measured.
            bounds += [(np.nan, np.nan)] * (2 - len(bounds))
            found |= {"evaluation": self.evaluation(at), "evaluation_bound": np.array(bounds).reshape(-1)}
        return found


def widened(values: NDArray[Any]) -> NDArray[Any]:
    """Floats in float64, integers as they are; each denormal number of float32 as half the smallest normal one.

    By their bits, since torch's switch lets a processor take them for zero as it widens them.
    """
    if values.dtype != np.float32:
        return values
    bits, wide = np.ascontiguousarray(values).view(np.uint32).reshape(values.shape), values.astype(np.float64)
    denormal = (bits & 0x7FFFFFFF > 0) & (bits & 0x7F800000 == 0)
    return np.where(denormal, np.where(bits >> 31, -0.5, 0.5) * np.finfo(np.float32).tiny, wide)


def convert_all(arrays: Arrays, dtype: Dtype) -> dict[str, NDArray[Any]]:
    """Apply `convert` to every array."""
    return {name: convert(value, dtype) for name, value in arrays.items()}


def convert(values: NDArray[Any], dtype: Dtype) -> NDArray[Any]:
    """Floats in `dtype`, integers as they are; denormals of float32 become zero, as the frameworks take them there."""
    # Said here, since torch's switch makes NumPy flush them too, but only in torch's process.
    if values.dtype.kind != "f" or values.dtype == dtype == "float64":
        return values
    with np.errstate(over="ignore"):
        converted = np.array(values, dtype)
    converted[np.abs(converted) < np.finfo(np.float32).tiny] = 0
    return converted
