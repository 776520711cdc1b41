"""No step of a run is unwatched: replayed steps arrive where the loop arrived, and what they do not is found."""

import numpy as np
import pytest
from conftest import shortened
from safetensors.numpy import load_file, save_file

from benchmarks import steps
from benchmarks.faults.steps import KINDS
from parity.errors import IncomparableError
from parity.recordings import consistency, recording
from parity.recordings.recording import EQUAL, PARTED, UNREPEATED, UNWATCHED
from parity.verdict import conclude, judge, judge_alone, watched
from parity.workers.job import RecordJob


def test_every_step_of_both_runs_is_the_replayed_one(clean_pair):
    for side in clean_pair:
        watch = side.watch()
        assert watch["stops"].tolist() == [*side.checkpoints, 40]
        assert watch["outcome"].tolist() == [EQUAL] * len(side.checkpoints)
        assert watch["until"].tolist() == watch["stops"][1:].tolist()
        found = watched.stretches(side)
        assert [check.result for check in found] == ["passed"] * len(side.checkpoints)
        assert found[0].reason == "each is the replayed step, bit for bit"


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(shortened("xor_sigmoid", 60), id="sigmoid"),
        pytest.param(shortened("mnist_tokens", 25), id="tokens"),
        pytest.param(shortened("mnist_batchnorm", 25, dtype="float64"), id="float64"),
        pytest.param(shortened("mnist_dropout", 15), id="dropout", marks=pytest.mark.slow),
    ],
)
def test_the_replay_rounds_as_the_loop_does(experiment, record_pair, tmp_path):
    """To the bit, so that nothing has to be allowed: also where compilers fuse, and where gradients are sparse."""
    for side in record_pair(experiment, tmp_path, exchange=False):
        assert side.watch()["outcome"].tolist() == [EQUAL] * len(side.checkpoints), side.label


@pytest.mark.ci
def test_a_fault_at_any_step_is_found_at_its_step():
    """Of each kind one, between few checkpoints."""
    found = steps.campaign(len(KINDS), seed=5, steps=60, checkpoints=3)
    assert len(found) == len(KINDS)
    for one in found:
        assert (one.verdict, one.level, one.seen) == ("mismatch", "loop", one.step), one


@pytest.mark.slow
def test_a_fault_at_any_step_of_a_longer_run_is_found():
    found = steps.campaign(60, seed=0)
    assert [one for one in found if one.verdict != "mismatch"] == []
    assert sum(one.at_its_step for one in found) >= 54


def with_watch(side, **columns):
    """The recording of which other things came of watching."""

    class Changed(type(side)):
        def watch(self):
            return super().watch() | {name: np.array(column, np.int64) for name, column in columns.items()}

    return Changed(side.folder, side.manifest, side.trace, side.label)


def stretch(side, outcome, until):
    watch = side.watch()
    changed = with_watch(side, outcome=[EQUAL, outcome, EQUAL], until=[watch["until"][0], until, watch["until"][2]])
    return changed, watched.stretches(changed)[1]


def test_a_loop_that_does_not_repeat_itself_fails(clean_pair):
    ours, theirs = clean_pair
    first = list(ours.checkpoints)[1]
    changed, check = stretch(ours, UNREPEATED, first + 3)
    assert (check.result, check.where, check.since) == ("failed", f"step {first + 3}, cost", first)
    verdict = judge(changed, theirs)
    assert (verdict.verdict, verdict.checks[0].name) == ("mismatch", check.name)
    assert verdict.checks[0].stretch == f"steps {first} to {first + 3}"


def test_what_was_not_watched_is_said_and_lacks_nothing(clean_pair):
    ours, theirs = clean_pair
    changed, check = stretch(ours, UNWATCHED, list(ours.checkpoints)[1])
    assert (check.result, check.supplement) == ("not_judged", True)
    assert "nobody" in check.reason
    assert judge(changed, theirs).verdict == "parity"
    assert conclude(judge_alone(changed).checks, ("lockstep", "loop")) == "parity"


def parted_at(side, step, times=0.5):
    """The recording whose loop and replay gave other bits at a step between checkpoints, so many times the bound."""
    first = min(side.checkpoints)
    loop = {name.partition("/")[2]: column for name, column in side.loop().items() if name.startswith(f"{first}/")}

    class Changed(type(side)):
        def watch(self):
            found = super().watch() | {f"{step}/{name}": column.copy() for name, column in loop.items()}
            found[f"{step}/float64/measured"][0] = 2 * times
            place = int(np.searchsorted(found["stops"], step, "right")) - 1
            found["outcome"] = found["outcome"].copy()
            found["outcome"][place] = PARTED
            return found

    return Changed(side.folder, side.manifest, side.trace, side.label)


@pytest.mark.parametrize(("times", "verdict"), [(0.5, "parity"), (1.5, "mismatch")])
def test_a_step_that_rounds_otherwise_is_judged_by_itself(times, verdict, clean_pair):
    ours, theirs = clean_pair
    changed = parted_at(ours, 30, times)
    found = judge(changed, theirs)
    assert found.verdict == verdict
    check = next(check for check in found.checks if check.name == "step 30 float64 cost, Keras")
    assert check.result == ("passed" if verdict == "parity" else "failed")
    name = f"steps {list(ours.checkpoints)[1]} to 38, Keras"
    said = next(check.reason for check in found.checks if check.name == name)
    assert said == "each is the replayed step, bit for bit but for step 30, judged by itself"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda watch: watch | {"stops": watch["stops"] + 1}, "the stretches that were watched"),
        (lambda watch: watch | {"until": watch["until"] + 1}, "watched up to a step that is not in it"),
        (lambda watch: {name: column for name, column in watch.items() if name != "outcome"}, "outcome is "),
        (lambda watch: watch | {"7/float64/measured": np.zeros(3)}, "does not hold the summaries"),
    ],
)
def test_what_contradicts_itself_is_refused(change, said, clean_pair, tmp_path):
    side = clean_pair[0]
    file = tmp_path / "watch.safetensors"
    save_file(change(load_file(side.folder / recording.WATCH)), file)

    class Changed(type(side)):
        def load(self, name):
            return load_file(file) if name == recording.WATCH else super().load(name)

    with pytest.raises(IncomparableError, match=said):
        consistency.check(Changed(side.folder, side.manifest, side.trace, side.label))


def test_a_hand_over_is_watched_on_both_sides_of_it(workers, clean_pair, tmp_path):
    """What the loop arrived at is held against the replay, not what took its place."""
    keras, torch = clean_pair
    middle = list(torch.checkpoints)[1]
    job = RecordJob("mnist_relu", keras.manifest.identity, keras.manifest.realisation, "cpu", tmp_path / "tf",
                    reference=torch.folder, checkpoints=3, hand_over=middle)  # fmt: skip
    workers["tf"].record(job, lambda done, steps: None)
    assert set(recording.read(tmp_path / "tf").watch()["outcome"].tolist()) == {EQUAL}
