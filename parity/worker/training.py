"""A worker's jobs: train and record, replay its own checkpoints, replay another recording's."""

import platform
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy

from parity.bounds import evaluated
from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.errors import IncomparableError
from parity.experiment.spec import Dtype, digest
from parity.recordings import recording, start
from parity.recordings.files import inside, unpack, write_whole
from parity.recordings.recording import Arrays, Manifest, Recorder, Recording
from parity.worker import twins
from parity.worker.chunks import STOPPING, Tell, chunks, join
from parity.worker.gradient_flow import flow
from parity.worker.neighbours import noise
from parity.worker.programs import Program
from parity.worker.replays import Checkpoint, convert, convert_all, segment_stops
from parity.worker.task import Task
from parity.worker.watch import watched
from parity.workers.job import DiagnoseJob, PassJob, TensorsJob

# How many times as far off as the outputs that were recorded another computation of them may be.
MARGIN = 8.0


class Trained(NamedTuple):
    """The results of training: the chunks' traces, and for each checkpoint its state and what its step gave."""

    pieces: list[Arrays]
    states: dict[int, Arrays]
    looped: dict[int, Arrays]
    # The states at which the loop arrived at these steps, before another one took their place, and at the end.
    arrived: dict[int, Arrays]


def record(task: Task, tell: Tell) -> None:
    """Train as the task's job says, replay the checkpoints, and leave a complete recording."""
    began = time.perf_counter()
    side, job, identity, batches = task.side, task.job, task.identity, task.batches
    program = task.loop
    side.runtime.set_dtype(identity.dtype)
    program.write(start.state(identity, job.initial_weights, task.reference, job.phase))
    recorder = Recorder.begin(job.out, new_manifest(task, program.read(0)))
    try:
        if task.reference is not None:
            require_same_data(task, task.reference, recorder)
        ready = time.perf_counter()
        trained = train(program, len(batches), task.checkpoints, task.taken_over, recorder, tell)
        done = time.perf_counter()
        trace = join(trained.pieces, batches, task.phase)
        if program.tested is not None:
            trace |= program.tested() | {"test_labels": task.content.test_labels}
            trace["undecided"] = undecided(task, program.read(len(batches)), trace["test_output"])
        else:
            recorder.save(recording.PRETRAINED, start.named_weights(identity, program.read(len(batches))))
        recorder.save(recording.TRACE, trace)
        rounding = replay_own(task, trained, trace["cost"], recorder)
        recorder.save(recording.WATCH, watched(task, trained.states, trained.arrived, trace["cost"]))
        if task.reference is not None:
            replay_other(task, task.reference, recorder)
        replayed = time.perf_counter()
        count, without = twins.record(task, program, rounding, recorder, tell)
    except (KeyboardInterrupt, BrokenPipeError):
        recorder.abandon("interrupted")
        raise
    except Exception:
        recorder.abandon("interrupted" if STOPPING.is_set() else "failed")
        raise
    seconds = {
        "prepare": ready - began, "train": done - ready, "replay": replayed - done,
        "twins": time.perf_counter() - replayed,
    }  # fmt: skip
    recorder.finish("complete", seconds=seconds, peak_memory_bytes=peak_memory(), twins=count, without_twins=without)


def undecided(task: Task, state: Arrays, measured: np.ndarray) -> np.ndarray:
    """[test samples] bool: the samples of the test set that a state's model classifies by rounding, in the run's dtype.

    The loop's accuracy and its predictions come of two computations, and may differ in these. `measured` [test samples,
    units] are the outputs that one of them had: the other is taken to be no further than MARGIN times as far off, nor
    further than rounding can take it at all.
    """
    dtype = task.identity.dtype
    inputs = convert(task.content.test_inputs, "float64")
    given = task.identity, task.job.realisation, convert_all(state, "float64")
    values, errors = evaluated.outputs(*given, inputs, dtype)
    with np.errstate(all="ignore"):
        off = np.abs(measured - values)
        seen = off[np.isfinite(off)].max(initial=0) + UNIT_ROUNDOFF[dtype] * np.abs(values)
        return evaluated.undecided(task.identity, evaluated.Outputs(values, np.minimum(errors, MARGIN * seen)))


def train(
    program: Program,
    steps: int,
    checkpoints: list[int],
    taken_over: Mapping[int, Arrays],
    recorder: Recorder,
    tell: Tell,
) -> Trained:
    """Train all steps in chunks that end at checkpoints and one step later; save checkpoints and the last state.

    Before a checkpoint that `taken_over` names, the state becomes the one given there.
    """
    trained = Trained([], {}, {}, {})
    stops = sorted({*checkpoints, *(step + 1 for step in checkpoints), steps})

    def pass_by(step: int) -> None:
        """Keep what is asked for of the state before `step`."""
        state = program.read(step)
        if step in checkpoints or step == steps:
            trained.arrived[step] = state
        if step - 1 in checkpoints:
            trained.looped[step - 1] = {**state, "cost": trained.pieces[-1]["cost"][-1]}
        if step in taken_over:
            program.write(taken_over[step])
            state = program.read(step)
        if step in checkpoints:
            trained.states[step] = state
        if step in checkpoints or step == steps:
            recorder.save(recording.state_file(step), state)

    for first, last in chunks(stops):
        if first in stops:
            pass_by(first)
        trained.pieces.append(program.chunk(first, last))
        tell({"progress": last, "of": steps})
    pass_by(steps)
    return trained


def replay_own(task: Task, trained: Trained, costs: np.ndarray, recorder: Recorder) -> dict[int, Arrays]:
    """Replay the run's own checkpoints: what their stages give, their rounding, and whether the loop did the same.

    `costs` [steps] are the run's. Returned is the rounding of each checkpoint's step (`Replayer.rounding`).
    """
    replayer = task.replayer
    loop: dict[str, Any] = {}
    rounding: dict[int, Arrays] = {}
    stops = segment_stops(list(trained.states), len(costs))
    flows: list[Arrays] = []
    for step, state in trained.states.items():
        at = task.checkpoint(step, state)
        whole = replayer.whole(at)
        rounding[step] = replayer.rounding(whole)
        evidence = replayer.evidence(at, whole["float64"])
        key = recording.key(state, evidence)
        recorder.save_evidence(step, key, evidence)
        if task.job.phase == "training":
            flows.append(flow(task.identity, task.job.realisation, at.state, evidence))
        recorder.save_replay(step, key, replayer.judged(at, evidence, whole["float64"]))
        following = stops[step], costs, rounding[step]
        loop |= own_steps(task, at, key, whole, trained.looped[step], following, recorder)
        if step == 0 and task.job.phase == "training":
            for dtype, arrays in whole.items():
                used = at.converted(dtype)
                recorder.save(recording.start_file(dtype), {"inputs": used.inputs, "labels": used.given} | arrays)
    recorder.save(recording.LOOP, loop)
    if flows:
        rows = {name: np.stack([row[name] for row in flows]) for name in flows[0]}
        recorder.save(recording.FLOW, {"steps": np.array(list(trained.states), np.int64), **rows})
    return rounding


def own_steps(
    task: Task,
    at: Checkpoint,
    key: str,
    whole: Mapping[Dtype, Arrays],
    looped: Arrays,
    following: tuple[int, np.ndarray, Arrays],
    recorder: Recorder,
) -> dict[str, Any]:
    """The loop's own step from a checkpoint, in the run's precision and in float64, as summaries.

    And, saved, the costs of the segment that follows, and what the model gives in eval mode. `whole` is the
    replayed step in both precisions, `following` where the segment ends, the run's costs, and the step's
    rounding.
    """
    replayer, (stop, costs, rounding) = task.replayer, following
    steps, wide, bounds = replayer.steps_of_loop(at, whole, looped, stop)
    segment = costs[at.step : stop].astype(np.float64) if wide is None else wide
    found = {
        "costs": segment,
        "noise": noise(replayer, at, bounds, segment, rounding, whole),
        "rounding": bounds["cost"].scale,
    }
    # The whole test set takes its time, so it is gone through once.
    last = at.step == task.checkpoints[-1]
    recorder.save_segment(key, found | replayer.own_evaluation(at, task.content if last else None))
    return steps


def require_same_data(task: Task, reference: Recording, recorder: Recorder) -> None:
    """Refuse a reference whose steps took other samples, or that has more or fewer of them."""
    theirs, ours = len(reference.trace["cost"]), len(task.batches)
    for name in ("data", "order"):
        if reference.manifest.digests.get(name) != recorder.manifest.digests[name]:
            steps = f", {theirs} steps of it and {ours} here" if theirs != ours else ""
            raise IncomparableError(f"{reference.folder} was recorded with another {name}{steps}")


def replay_other(task: Task, reference: Recording, recorder: Recorder) -> None:
    """Replay the checkpoints of another recording, each stage on what was recorded there."""
    for step, key in reference.checkpoints.items():
        if key in recorder.manifest.replays:
            # Both sides gave the very same bits here, so it has been replayed as this side's own.
            continue
        state, evidence = reference.checkpoint(step)
        at = task.checkpoint(step, state)
        recorder.save_replay(step, key, task.replayer.judged(at, evidence))
        segment = reference.segment(key)
        if segment is not None:
            costs = task.replayer.segment(state, step, min(step + len(segment["costs"]), len(task.batches)), "float64")
            found = {"costs": costs}
            if task.phase.evaluated is not None:
                found["outputs"] = task.replayer.outputs(at)
                if segment["evaluation"].size:
                    found["evaluation"] = task.replayer.evaluation(at)
            recorder.save_segment(key, segment | found)


def replay(task: Task, folder: Path) -> None:
    """Add the replay of the recording in `folder` to the task's own, which is complete."""
    recorder = Recorder(task.job.out, recording.read(task.job.out, task.job.phase).manifest)
    reference = start.reference(folder, task.identity, task.job.phase)
    require_same_data(task, reference, recorder)
    replay_other(task, reference, recorder)
    recorder.finish("complete")


def diagnose(task: Task, asked: DiagnoseJob) -> None:
    """Replay another recording's checkpoints in float64 as other realisations have them."""
    checkpoints: list[tuple[int, Arrays, Arrays]]
    if asked.owner.is_file():
        arrays = unpack(asked.owner, asked.owner.read_bytes())
        parts = ((step, inside(arrays, f"{step}/")) for step in asked.steps)
        checkpoints = [(step, inside(part, "state/"), inside(part, "whole/")) for step, part in parts]
    else:
        owner = start.reference(asked.owner, task.identity, task.job.phase)
        checkpoints = [(step, *owner.checkpoint(step)) for step in asked.steps]
    found: dict[str, Any] = {}
    for position, realisation in enumerate(asked.realisations):
        replayer = task.replayer_as(realisation)
        for number, (step, state, evidence) in enumerate(checkpoints):
            at = task.checkpoint(step, state)
            summaries = {"samples": np.array(len(at.inputs)), **replayer.judged(at, evidence)}
            found |= {f"{position}/{number}/{name}": column for name, column in summaries.items()}
    write_whole(asked.out, safetensors.numpy.save(found))


def tensors(task: Task, asked: TensorsJob) -> None:
    """Write what a step from another recording's checkpoint, or this one's, gives: all tensors of it."""
    owner = start.reference(asked.owner, task.identity, task.job.phase)
    state, recorded = owner.checkpoint(asked.step)
    replayer = task.replayer_as(asked.realisation, looping=True)
    at = replayer.gone_on(state, asked.step, asked.step + asked.ahead)
    whole = replayer.evidence(at, replayer.step(at, None, "float64"))
    given = whole if asked.ahead else recorded
    # Twice, the second time with whatever another step left behind.
    looped, _ = replayer.step_and_segment(at.state, at.step, min(at.step + 2, len(task.batches)))
    repeated, _ = replayer.step_and_segment(at.state, at.step, at.step + 1)
    scales = task.phase.scales(asked.realisation, at.state, given, at.inputs, at.given, "float64")
    parts = {
        "state": at.state, "stages": replayer.step(at, given, "float64"), "whole": whole, "loop": looped,
        "repeated": repeated, "used": used_by(task, at.step),
        "bounds": {name: tolerance.scale for name, tolerance in scales.items()},
        "loop_bounds": {name: tolerance.scale for name, tolerance in replayer.bounds(at, whole, "float64").items()},
    }  # fmt: skip
    named = {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}
    prepared = task.batches.order[task.batches.starts[at.step] : task.batches.stops[at.step]]
    found = {"inputs": at.inputs, "given": at.given, "indices": prepared} | named
    write_whole(asked.out, safetensors.numpy.save({name: np.asarray(x, order="C") for name, x in found.items()}))


def passed(task: Task, asked: PassJob) -> None:
    """Write what other sides' stages are fed of steps to which this side goes on from a checkpoint of its own."""
    owner = start.reference(asked.owner, task.identity, task.job.phase)
    replayer = task.replayer_as(task.job.realisation, looping=True)
    before = asked.start
    state: Arrays = owner.checkpoint(before)[0]
    found: dict[str, np.ndarray] = {}
    for step in asked.steps:
        at = replayer.gone_on(state, before, step)
        before, state = step, at.state
        whole = replayer.evidence(at, replayer.step(at, None, "float64"))
        parts = {"state": state, "whole": whole}.items()
        named = {f"{step}/{part}/{name}": array for part, arrays in parts for name, array in arrays.items()}
        found |= {name: np.asarray(array, order="C") for name, array in named.items()}
    write_whole(asked.out, safetensors.numpy.save(found))


def used_by(task: Task, step: int) -> dict[str, np.ndarray]:
    """The samples of a step as they lie on the device."""
    side = task.side
    given = zip(("indices", "inputs", "labels"), side.data.batch(task.on_device, step), strict=True)
    return {name: side.state.to_array(name, value) for name, value in given}


def new_manifest(task: Task, first_state: Arrays) -> Manifest:
    """The manifest of a recording that has just begun."""
    side, job = task.side, task.job
    digests = {
        "identity": digest(job.identity),
        "data": task.content.digest,
        "start": recording.digest(first_state),
        "order": task.batches.digest,
    }
    environment = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "machine": platform.machine(),
    }
    return Manifest(
        format=recording.FORMAT,
        status="recording",
        experiment=job.experiment,
        phase=job.phase,
        framework=side.name,
        identity=job.identity,
        realisation=job.realisation,
        digests=digests,
        precision={"dtype": job.identity.dtype} | side.runtime.precision(task.device),
        device=task.device,
        hand_over=job.hand_over,
        environment=environment | side.runtime.describe(),
        data_source=task.data_source,
    )


def peak_memory() -> int:
    """Bytes of the largest resident size so far."""
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
