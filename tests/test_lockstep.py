"""Stages at checkpoints: which are replayed, how they are summed up, and what the judge makes of it."""

import hashlib
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from conftest import shortened

from parity.bounds import measure
from parity.bounds.measure import summary
from parity.bounds.rows import ALLOWED
from parity.bounds.stages import results
from parity.data.datasets import plan
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.requested import initializer, with_activation, with_initializer
from parity.experiment.spec import DTYPES, Schedule
from parity.recordings import recording
from parity.recordings.recording import Recording
from parity.verdict import judge, judge_alone, lockstep
from parity.verdict.checks import ulps
from parity.worker.replays import checkpoint_steps
from parity.workers.job import RecordJob

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("steps", "count", "expected"),
    [
        (600, 12, [0, 1, 2, 5, 10, 94, 178, 262, 347, 431, 515, 599]),
        (1, 12, [0]),
        (3, 12, [0, 1, 2]),
        (600, 1, [0]),
        (600, 2, [0, 599]),
        (600, 3, [0, 1, 599]),
        (8, 6, [0, 1, 2, 5, 6, 7]),
    ],
)
def test_checkpoint_steps(steps, count, expected):
    schedule = Schedule(10, False, True, 1, steps, "steps", "batch_mean", "sample_mean", False)
    assert checkpoint_steps(plan(schedule, np.arange(100)[None].repeat(60, 0)), count) == expected


def test_checkpoints_have_whole_batches():
    schedule = Schedule(30, False, False, 1, 8, "steps", "batch_mean", "sample_mean", False)
    batches = plan(schedule, np.arange(100)[None].repeat(2, 0))
    assert (batches.stops - batches.starts).tolist() == [30, 30, 30, 10] * 2
    assert checkpoint_steps(batches, 12) == [0, 1, 2, 4, 5, 6]


@pytest.mark.parametrize(
    ("x", "y", "scale", "measured"),
    [
        ([1.0, 2.0], [1.0, 2.5], [1.0, 0.25], 2.0),
        ([1.0, 2.0], [1.0, 2.0], [0.0, 0.0], 0.0),
        ([1.0, 2.0], [1.0, 2.5], [0.0, 0.0], INF),
        ([1.0, 2.0], [1.0, 2.5], [1.0, NAN], 0.0),
        ([NAN, 2.0], [NAN, 2.5], [1.0, 0.5], 1.0),
        ([NAN, 2.0], [1.0, 2.0], [1.0, 1.0], INF),
        ([INF, 2.0], [INF, 2.0], [1.0, 1.0], 0.0),
        ([INF, 2.0], [-INF, 2.0], [1.0, 1.0], INF),
        ([INF, 2.0], [1e300, 2.0], [INF, 1.0], 0.0),
        ([INF, 2.0], [1e300, 2.0], [1.0, 1.0], INF),
        ([1e-320, 2.0], [0.0, 2.0], [1e-308, 1.0], 1e-12),
        ([1.0], [1.0, 2.0], [1.0, 1.0], INF),
        ([], [], [], INF),
    ],
)
def test_summary(x, y, scale, measured):
    arrays = [{"t": np.array(values)} for values in (x, y)]
    columns = summary(["t"], *arrays, {"t": measure.Tolerance(np.array(scale))})
    assert {name: column.dtype.name for name, column in columns.items()} == measure.COLUMNS
    assert columns["measured"].tolist() == [pytest.approx(measured, rel=1e-3)]
    whole = len(x) == len(y) > 0
    assert columns["compared"].tolist() == [2 if whole else 0]
    # NaN or the same infinity on both sides, and whatever has no scale, prove nothing.
    proves_nothing = whole and (str(x[0]) == str(y[0]) in ("nan", "inf") or not np.isfinite(scale).all())
    assert columns["unjudged"].tolist() == [int(proves_nothing)]


def test_summary_names_the_worst_element():
    x = np.zeros((2, 3))
    y = x.copy()
    y[1, 1], y[0, 2] = 3, 1
    (entry,) = measure.entries(
        {f"p/{k}": v for k, v in summary(["t"], {"t": x}, {"t": y}, {"t": measure.Tolerance(x + 2)}).items()}, "p"
    )
    assert entry[:-1] == measure.Worst(1.5, 4, 0.0, 3.0, 2.0, 6, 0, 0, NAN)[:-1]
    assert np.isnan(entry.precision)


def test_ulps():
    one = np.float32(1)
    assert ulps(float(np.nextafter(one, np.float32(2))), 1.0, "float32") == 1
    assert ulps(1 + 2**-52, 1.0, "float64") == 1
    assert ulps(1.0, INF, "float32") == 0


def test_every_result_of_every_replay_is_judged(clean_pair):
    ours, theirs = clean_pair
    assert list(ours.checkpoints) == list(theirs.checkpoints) == [0, 1, 39]
    tensors = len(results(ours.manifest.identity))
    found = lockstep.checks(ours, theirs)
    # Three checkpoints of either side, each replayed by both sides in both precisions.
    assert len(found) == 3 * 2 * 2 * len(DTYPES) * tensors == len({check.name for check in found})
    assert {check.result for check in found} == {"passed"}
    assert {check.side for check in found} == {"Keras", "torch"}
    # Rounding is there, and it is not far from what is allowed.
    assert 0.1 < max(check.share for check in found) <= 1


def test_every_kind_of_stage_has_a_bound(clean_pair):
    for recorded in clean_pair:
        assert {result.kind for result in results(recorded.manifest.identity)} <= set(ALLOWED)


class Edited(Recording):
    """A recording whose summaries are changed as they are read."""

    def replayed(self, key):
        arrays = super().replayed(key)
        if arrays is not None and key == self.checkpoints[1]:
            arrays[self.column][20] = self.value
        return arrays


@pytest.mark.parametrize(
    ("column", "value", "result", "reason"),
    [
        ("float64/measured", NAN, "failed", "so both must be equal"),
        ("float64/measured", INF, "failed", "so both must be equal"),
        ("float32/measured", 1e3, "failed", "times what rounding explains"),
        ("float32/precision", 4.1, "failed", "it is computed with fewer digits"),
        ("float64/compared", 7, "failed", "7 of 256 values could be compared"),
        ("float64/unjudged", 7, "not_judged", "7 of 256 elements prove nothing: NaN on both sides"),
        ("float64/position", -1, "passed", "within rounding"),
        ("float64/position", 2**62, "passed", "within rounding"),
    ],
)
def test_a_changed_entry(column, value, result, reason, clean_pair):
    ours, theirs = clean_pair
    changed = Edited(ours.folder, ours.manifest, ours.trace, ours.label)
    object.__setattr__(changed, "column", column)
    object.__setattr__(changed, "value", value)
    identity = ours.manifest.identity
    dtype, name = column.partition("/")[0], results(identity)[20].name
    found = {check.name: check for check in lockstep.checks(changed, theirs)}
    check = found.pop(f"step 1 {dtype} {name}, Keras on Keras's checkpoint")
    assert check.result == result
    assert reason in check.reason
    assert {check.result for check in found.values()} == {"passed"}
    expected = {"failed": "mismatch", "not_judged": "insufficient", "passed": "parity"}[result]
    assert judge(changed, theirs).verdict == expected


@pytest.fixture(scope="module")
def with_reference(workers, tmp_path_factory):
    """torch's run as a reference, and what replayed it: Keras, and torch twice with Keras's Adam."""
    folder = tmp_path_factory.mktemp("reference")
    experiment = shortened("mnist_softmax", 6)
    other = replace(experiment.torch, adam_epsilon="before_correction")
    for name, side, realisation, seed_of in (
        ("reference", "torch", experiment.torch, None), ("keras", "tf", experiment.tf, folder / "reference"),
        ("same", "torch", experiment.torch, folder / "reference"),
        ("other", "torch", other, folder / "reference"), ("another", "torch", other, folder / "reference"),
    ):  # fmt: skip
        job = RecordJob("mnist_softmax", experiment.identity, realisation, "cpu", folder / name,
                        reference=seed_of, checkpoints=3)  # fmt: skip
        workers[side].record(job, lambda done, steps: None)
    return lambda name: recording.read(folder / name)


def test_two_sides_meet_at_a_reference(with_reference):
    """Neither has replayed the other's checkpoints, and both the reference's."""
    ours, theirs = with_reference("keras"), with_reference("same")
    theirs = without_own(theirs)
    found = lockstep.checks(ours, theirs)
    assert {check.name.rpartition(" on ")[2] for check in found} == {"the reference's checkpoint"}
    assert {check.result for check in found} == {"passed"}


def without_own(recorded):
    """The recording as if its own checkpoints were of no run: a torch of the reference's version has the same keys."""
    return replace(recorded, manifest=replace(recorded.manifest, checkpoints={}))


def test_a_reference_shows_which_side_differs(with_reference):
    ours, theirs = with_reference("keras"), with_reference("other")
    failed = [check for check in lockstep.checks(ours, theirs) if check.result == "failed"]
    assert {check.side for check in failed} == {"torch"}
    assert failed[0].where.startswith("step 0, optimizer, weights/dense_1/kernel[")
    assert {check.where.partition(",")[0] for check in failed} == {"step 0", "step 1", "step 5"}
    assert judge(ours, theirs).verdict == "mismatch"


def test_a_reference_that_both_differ_from_says_nothing(with_reference):
    ours, theirs = (without_own(with_reference(name)) for name in ("other", "another"))
    found = lockstep.checks(ours, theirs)
    results = {check.result for check in found}
    assert results == {"passed", "not_judged"}
    assert any("both sides differ from the reference here" in check.reason for check in found)


def test_recordings_made_apart_share_the_first_step(pair_apart):
    found = lockstep.checks(*pair_apart)
    assert {check.result for check in found} == {"passed"}
    assert found[0].name == "float64 outputs/dense_1"
    assert not [recorded for recorded in pair_apart if len(recorded.manifest.replays) != len(recorded.checkpoints)]


def test_loop_that_was_not_kept(clean_pair, tmp_path):
    """A file without a checkpoint's step, though it is what the manifest says it is."""
    ours, theirs = clean_pair
    folder = shutil.copytree(ours.folder, tmp_path / "copy")
    file, last = folder / recording.LOOP, max(ours.checkpoints)
    arrays = safetensors.numpy.load_file(file).items()
    safetensors.numpy.save_file({name: array for name, array in arrays if not name.startswith(f"{last}/")}, file)
    files = ours.manifest.files | {recording.LOOP: hashlib.sha256(file.read_bytes()).hexdigest()}
    verdict = judge(replace(ours, folder=folder, manifest=replace(ours.manifest, files=files)), theirs)
    failed = [check for check in verdict.checks if check.result == "failed"]
    assert [(check.level, check.name) for check in failed] == [("loop", "Keras loop")]


def test_a_recording_alone(pair_apart):
    for recorded in pair_apart:
        verdict = judge_alone(recorded)
        assert verdict.verdict == "parity"
        assert {check.level for check in verdict.checks} == {"lockstep", "loop"}
        assert {check.side for check in verdict.checks} >= {recorded.label}


def test_a_recording_alone_without_replays_is_insufficient(pair_apart):
    recorded = pair_apart[0]
    assert judge_alone(replace(recorded, manifest=replace(recorded.manifest, replays={}))).verdict == "insufficient"


def with_biases(name, bias, **changes):
    """An experiment of a few steps with another initializer of the biases."""
    experiment = shortened(name, 12, **changes)
    model = tuple(
        replace(node, bias=initializer(bias)) if hasattr(node, "bias") else node for node in experiment.identity.model
    )
    return replace(experiment, identity=replace(experiment.identity, model=model))


ILL_CONDITIONED = {
    # The input (0, 0) leaves every pre-activation exactly at the kink.
    "zero biases at a kink": lambda: with_biases("xor_relu", "zeros"),
    "zero biases at a leaky kink": lambda: with_biases("xor_leaky_relu", "zeros"),
    # Gradients that are zero but for rounding, which Adam divides by their own size.
    "Adam on vanishing gradients": lambda: shortened("xor_sigmoid", 12, optimizer=OPTIMIZERS["adam"]),
    # The first step of these divides a gradient by its own size; Rprop takes nothing but its sign.
    "Adagrad on vanishing gradients": lambda: shortened("xor_sigmoid", 12, optimizer=OPTIMIZERS["adagrad"]),
    "RMSprop on vanishing gradients": lambda: shortened("xor_sigmoid", 12, optimizer=OPTIMIZERS["rmsprop"]),
    "Rprop on vanishing gradients": lambda: shortened("xor_sigmoid", 12, optimizer=OPTIMIZERS["rprop"]),
    # Zero kernels: no unit passes anything on.
    "dead units": lambda: replace(
        relu := shortened("mnist_relu", 12),
        identity=replace(relu.identity, model=with_initializer(relu.identity.model, initializer("zeros"))),
    ),
    # Logits in the thousands: the softmax is 0 or 1, the gradient underflows.
    "saturated outputs": lambda: shortened("mnist_relu", 12, dtype="float64"),
    "saturated activations": lambda: replace(
        relu := shortened("mnist_relu", 12),
        identity=replace(relu.identity, model=with_activation(relu.identity.model, "tanh")),
    ),
}


# The one that takes least, and those that CI runs besides.
ALWAYS = {"zero biases at a kink"}
IN_CI = {"Adagrad on vanishing gradients", "dead units"}
MARKS = {case: pytest.mark.ci if case in IN_CI else pytest.mark.slow for case in ILL_CONDITIONED}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in ALWAYS else [MARKS[case]]) for case in ILL_CONDITIONED]
)
def test_ill_conditioned_steps_do_not_alarm(case, record_pair, tmp_path):
    verdict = judge(*record_pair(ILL_CONDITIONED[case](), tmp_path))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]
