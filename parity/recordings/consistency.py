"""Does a recording contradict itself? What one of its files says that another one says, too, must be the same.

Of what is held against each other here, the recording program made both from the same numbers, whatever the framework
computed: a difference is damage, and says nothing of the computation. What two parts of an implementation computed is
the verdict's to judge.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.measure import entries
from parity.data import digits, mnist, sources
from parity.data.datasets import steps_per_pass
from parity.errors import IncomparableError
from parity.experiment.spec import Schedule

if TYPE_CHECKING:
    from parity.recordings.recording import Recording

Arrays = Mapping[str, NDArray[Any]]
Steps = NDArray[np.int64]
# By the digest of the data; of XOR there are four.
SAMPLES = {digits.EMBEDDED_DIGEST: 4000, mnist.DIGEST: mnist.TRAIN_SAMPLES}
# For what the order of a sum does to a mean.
ROUNDING = 1e-12


def check(recording: "Recording") -> None:
    """Raise IncomparableError where two parts of a recording say different things."""
    check_manifest(recording)
    check_costs_of_the_loop(recording)
    check_costs_of_segments(recording)
    check_stretches(recording)
    check_epochs(recording)
    check_files(recording)


def refuse(recording: "Recording", what: str) -> IncomparableError:
    """The error that says so."""
    return IncomparableError(f"{recording.folder} contradicts itself: {what}; record the run again")


def check_manifest(recording: "Recording") -> None:
    """The run's precision, what its data are called, and its checkpoints."""
    manifest, steps = recording.manifest, recording.trace["cost"].size
    if manifest.precision.get("dtype") != manifest.identity.dtype:
        raise refuse(recording, f"it was computed in {manifest.precision.get('dtype')}, not {manifest.identity.dtype}")
    told, digest = manifest.data_source, manifest.digests.get("data", "")
    if told and sources.contradicted(told, manifest.identity.data, digest):
        raise refuse(recording, f"its data are called {told!r:.100}, and their digest is {digest:.12}")
    for step, key in recording.checkpoints.items():
        if step >= steps:
            raise refuse(recording, f"there is a checkpoint at step {step} of {steps}")
        if manifest.replays.get(key, step) != step:
            raise refuse(recording, f"the checkpoint of step {step} was replayed as that of {manifest.replays[key]}")
    if manifest.hand_over is not None and manifest.hand_over not in recording.checkpoints:
        raise refuse(recording, f"another run was taken over at step {manifest.hand_over}, where no checkpoint is")


def check_costs_of_the_loop(recording: "Recording") -> None:
    """The trace's costs at checkpoints are those that the loop kept there, to the bit."""
    costs, loop, place = recording.trace["cost"], recording.loop(), recording.phase.looped().index("cost")
    for step in recording.checkpoints:
        prefix = f"{step}/{recording.manifest.identity.dtype}"
        # What was not kept is the verdict's to tell.
        kept = entries(loop, prefix)[place] if f"{prefix}/ours" in loop else None
        if kept is not None and kept.compared and not same(float(costs[step]), kept.ours):
            said = f"step {step} cost {kept.ours:.17g} in the loop's check, and {costs[step]:.17g} in its trace"
            raise refuse(recording, said)


def check_costs_of_segments(recording: "Recording") -> None:
    """Check that in float64 the costs of a segment are the run's own."""
    if recording.manifest.identity.dtype != "float64":
        return
    costs = recording.trace["cost"]
    for step, key in recording.checkpoints.items():
        segment = recording.segment(key)
        if segment is not None and not np.array_equal(
            costs[step : step + segment["costs"].size], segment["costs"], equal_nan=True
        ):
            raise refuse(recording, f"the costs from step {step} on are not those of its segment")


def check_stretches(recording: "Recording") -> None:
    """What was watched are the steps between checkpoints, all of them, each in its stretch."""
    watch, steps = recording.watch(), recording.trace["cost"].size
    if watch["stops"].tolist() != [*recording.checkpoints, steps]:
        raise refuse(recording, "the stretches that were watched are not those between checkpoints")
    if not ((watch["stops"][:-1] <= watch["until"]) & (watch["until"] <= watch["stops"][1:])).all():
        raise refuse(recording, "a stretch was watched up to a step that is not in it")
    for name in watch:
        step = name.partition("/")[0]
        if "/" in name and not (step.isdigit() and int(step) < steps and int(step) not in recording.checkpoints):
            raise refuse(recording, f"{name!r:.60} is of no step between checkpoints")


def check_epochs(recording: "Recording") -> None:
    """An epoch's cost is the mean of its steps', of the run and of each twin."""
    trace = recording.trace
    cut = epochs_of(recording.phase.schedule, samples(recording), trace["cost"].size, trace["epoch_cost"].size)
    if cut is None:
        return
    starts, shares = cut
    if len(starts) != trace["epoch_cost"].size:
        raise refuse(recording, f"{trace['cost'].size} steps are {len(starts)} epochs, not {trace['epoch_cost'].size}")
    twins = recording.twins()
    runs: list[tuple[NDArray[Any], NDArray[Any]]] = [(trace["cost"], trace["epoch_cost"])]
    if twins is not None:
        runs += zip(twins["cost"], twins["epoch_cost"], strict=True)
    weights = np.split(shares, starts[1:])
    for number, (costs, means) in enumerate(runs):
        for epoch, inside in enumerate(np.split(costs.astype(np.float64), starts[1:])):
            if not mean_is(inside, weights[epoch], float(means[epoch])):
                whose = f"twin {number - 1}" if number else "the run"
                said = f"the cost {means[epoch]:.17g} of epoch {epoch} of {whose} is not the mean of its steps'"
                raise refuse(recording, said)


def samples(recording: "Recording") -> int | None:
    """How many samples an epoch trains on, where the data are known."""
    if recording.manifest.identity.data == "xor":
        return 4
    return SAMPLES.get(recording.manifest.digests.get("data", ""))


def epochs_of(schedule: Schedule, samples: int | None, steps: int, epochs: int) -> tuple[Steps, Steps] | None:
    """The first step of each epoch, and the share of each step in its epoch's cost; None where that is not known."""
    weighted = schedule.epoch_cost == "sample_mean" and not schedule.drop_last
    if samples is None:
        # Unless the run ends within an epoch, each has as many steps.
        if weighted or schedule.unit == "steps" or steps % epochs:
            return None
        return np.arange(0, steps, steps // epochs), np.ones(steps, np.int64)
    each = steps_per_pass(schedule, samples)
    if each == 0:
        return None
    shares = np.full(steps, schedule.batch_size if weighted else 1)
    if weighted:
        shares[each - 1 :: each] = samples - (each - 1) * schedule.batch_size
    return np.arange(0, steps, each * schedule.passes_per_epoch), shares


def mean_is(costs: NDArray[Any], shares: NDArray[Any], told: float) -> bool:
    """Whether that is their mean, but for what the order of a sum does to it."""
    with np.errstate(all="ignore"):
        mean = float(np.average(costs, weights=shares))
        return same(mean, told) or bool(abs(mean - told) <= ROUNDING * np.abs(costs).max())


def same(x: float, y: float) -> bool:
    """Whether two numbers are equal, or both none."""
    return bool(x == y or (np.isnan(x) and np.isnan(y)))


def check_files(recording: "Recording") -> None:
    """Every file that is listed is whole, its digest right, also where no level of the verdict comes to read it."""
    steps, manifest = recording.trace["cost"].size, recording.manifest
    states = {step: recording.state(step) for step in {*recording.checkpoints, steps}}
    for dtype in recording.starts:
        recording.start(dtype)
    for key in {*manifest.replays, *manifest.checkpoints.values()}:
        recording.replayed(key)
        recording.segment(key)
    if manifest.phase == "training":
        if recording.flow()["steps"].tolist() != list(recording.checkpoints):
            raise refuse(recording, "the steps whose gradients are shown are not the checkpoints'")
    elif any(not np.array_equal(states[steps][name], value) for name, value in recording.pretrained().items()):
        raise refuse(recording, "the weights that pre-training gave are not those of its last state")
