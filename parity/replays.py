"""A worker's replays: a checkpoint's step, run again stage by stage in either precision, and what came of it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity import measure
from parity.data import Batches
from parity.errors import UsageError
from parity.job import RecordJob
from parity.phases import Phase, Pretraining
from parity.programs import Program
from parity.recording import Arrays
from parity.rounded import UNIT_ROUNDOFF
from parity.spec import DTYPES, Dtype

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

    That are labels [batch] int64, or in pre-training uniforms [batch, units] float32.
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
    """One side's programs, in one precision or in both, to run single steps with."""

    def __init__(self, side: SimpleNamespace, job: RecordJob, phase: Phase, programs: Mapping[Dtype, Program]) -> None:
        self.side, self.job, self.phase, self.programs = side, job, phase, programs

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
            # Either framework may take a denormal number for zero, in a factor or in a product, and each may be a term.
            largest = max(1.0, *map(measure.largest_finite, (*x.state.values(), *given.values(), x.inputs)))
            floors = {result.name: result.length * largest * float(np.finfo(dtype).tiny) for result in listed}
            columns = measure.summary(names, *results, allowed, floors)
            summaries |= {f"{dtype}/{column}": values for column, values in columns.items()}
        return summaries

    def loop(self, at: Checkpoint, evidence: Arrays, replayed: Arrays, looped: Arrays) -> dict[str, NDArray[Any]]:
        """The loop's own step from a checkpoint against the replayed one, both in the run's precision, as a summary.

        In units of the bound that parity/rounding.py derives for a whole step, since the loop shows only its end.
        """
        wide = at.converted("float64")
        dtype, realisation = self.job.identity.dtype, self.job.realisation
        bounds = self.phase.bounds(realisation, wide.state, evidence, wide.inputs, wide.given, dtype)
        return measure.summary(self.phase.looped(), looped, replayed, bounds, {})

    def rounding(self, whole: Mapping[Dtype, Arrays]) -> dict[str, NDArray[np.float64]]:
        """How far the run's precision moves each weight in one step, by its name, and the `cost` [].

        `whole` is the step in both precisions, of which float64 stands for the exact one. What float64 itself rounds
        off is float32's, scaled down.
        """
        scale = 1.0 if self.job.identity.dtype == "float32" else FINER
        names = {"cost": "cost"} | {name: f"weights/{name}" for name in self.job.identity.weights}
        with np.errstate(invalid="ignore", over="ignore"):
            moved = {name: np.abs(whole["float32"][key] - whole["float64"][key]) for name, key in names.items()}
        # Where a number is not finite, twins end as the run does.
        return {name: scale * np.where(np.isfinite(array), array, 0.0) for name, array in moved.items()}

    def segment(self, state: Arrays, first: int, last: int, dtype: Dtype) -> NDArray[np.float64]:
        """[last - first]: the costs of the training loop in `dtype`, started from the state before step `first`."""
        self.side.runtime.set_dtype(dtype)
        self.programs[dtype].write(convert_all(state, dtype))
        return self.programs[dtype].chunk(first, last)["cost"].astype(np.float64)

    def outputs(self, at: Checkpoint, dtype: Dtype) -> NDArray[np.float64]:
        """[batch, units]: what the model of a checkpoint makes of its batch in eval mode, in `dtype`."""
        self.side.runtime.set_dtype(dtype)
        at, program = at.converted(dtype), self.programs[dtype]
        assert program.infer is not None
        program.write(at.state)
        return program.infer(at.inputs).astype(np.float64)

    def evaluation(self, at: Checkpoint, dtype: Dtype) -> NDArray[np.float64]:
        """[4]: what the training loop's own evaluation says of a checkpoint's model in `dtype`."""
        self.side.runtime.set_dtype(dtype)
        program = self.programs[dtype]
        assert program.evaluate is not None
        program.write(at.converted(dtype).state)
        return program.evaluate()

    def own_evaluation(self, at: Checkpoint, whole: bool) -> dict[str, NDArray[np.float64]]:
        """`outputs` and, for the `whole` data, `evaluation` [4] or [0], in float64; and the noise of both.

        That is what float32 makes of them, scaled down to float64. Nothing where the phase has no model to evaluate.
        """
        if self.phase.evaluated is None:
            return {}
        wide, narrow = self.outputs(at, "float64"), self.outputs(at, "float32")
        evaluations = [self.evaluation(at, dtype) if whole else np.zeros(0) for dtype in DTYPES]
        with np.errstate(invalid="ignore"):
            return {
                "outputs": wide, "outputs_noise": np.abs(narrow - wide).max() * FINER,
                "evaluation": evaluations[0], "evaluation_noise": np.abs(evaluations[1] - evaluations[0]) * FINER,
            }  # fmt: skip

    def own_segment(
        self, at: Checkpoint, evidence: Arrays, first: int, last: int, costs: NDArray[np.floating]
    ) -> dict[str, NDArray[np.float64]]:
        """A segment's `costs` [last - first] in float64, and the `noise` that rounding may make of them.

        It is measured twice: as what float32 makes of the same steps, scaled down to float64's rounding; and by the
        same steps from weights that are each the next number, since what is divided by its own size does not scale
        down. It is no less than the rounding of the first cost, which may be larger than that of its size: torch's
        cross-entropy of logits cancels. `costs` [steps] are the run's own, in one of the two precisions.
        """
        state = at.state
        recorded = costs[first:last].astype(np.float64)
        other: Dtype = "float64" if self.job.identity.dtype == "float32" else "float32"
        found = self.segment(state, first, last, other)
        wide = found if other == "float64" else recorded
        moved = {
            name: np.nextafter(value.astype(np.float64), np.inf) if name.startswith("weights/") else value
            for name, value in state.items()
        }
        twin = self.segment(moved, first, last, "float64")
        with np.errstate(all="ignore"):
            rounding = UNIT_ROUNDOFF["float64"] * self.phase.cost_scale(evidence, at.given)
            noise = np.maximum(np.abs(found - recorded) * FINER, np.abs(twin - wide))
            return {"costs": wide, "noise": np.maximum(noise, rounding if np.isfinite(rounding) else 0.0)}


def convert_all(arrays: Arrays, dtype: Dtype) -> dict[str, NDArray[Any]]:
    """Each array as `convert` has it."""
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
