"""Twins: what they are, and what is made of them."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import shortened

from parity.experiment import randomness
from parity.recordings import recording
from parity.recordings.recording import Recording
from parity.verdict import judge, noise, outcome, trajectory
from parity.verdict.judged import levels

STEPS = 80
SCRIPT = Path(__file__).parent / "twinned.py"


@pytest.fixture(scope="module")
def pair(record_pair, tmp_path_factory):
    """mnist_relu and two twins of each side."""
    return record_pair(shortened("mnist_relu", STEPS), tmp_path_factory.mktemp("twins"), twins=2)


@pytest.fixture(scope="module")
def xor(record_pair, tmp_path_factory):
    """XOR through ten layers of tanh, with two twins of each side."""
    return record_pair(shortened("xor_tanh", STEPS), tmp_path_factory.mktemp("xor"), twins=2)


@dataclass(frozen=True)
class Changed(Recording):
    """A recording of a program that computes something else: its run and its twins alike."""

    change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]

    def twins(self):
        found = super().twins()
        return None if found is None else found | self.change(found)


def changed(side: Recording, change) -> Recording:
    """The recording with what `change` makes of its trace, and of its twins', whose arrays have one axis more."""
    trace = dict(side.trace) | change(dict(side.trace))
    return Changed(side.folder, side.manifest, trace, side.label, change)


def without_twins(side: Recording) -> Recording:
    return replace(side, manifest=replace(side.manifest, twins=0, without_twins="no twins were asked for"))


def check(checks, name):
    return next(check for check in checks if check.name == name)


def test_impulses_have_mean_0_and_square_1():
    found = randomness.impulses(0, 0, 300_000, 1000)
    assert found.values.mean() == pytest.approx(0, abs=4 * len(found.values) ** -0.5)
    # The square is 256 with probability 1/256, so its deviation is 16.
    assert (found.values**2).mean() == pytest.approx(1, abs=4 * 16 * len(found.values) ** -0.5)
    assert found.offsets.min() >= 0
    assert found.offsets.max() + 300_000 <= len(found.values)
    assert len(set(found.offsets.tolist())) > 900


def test_each_twin_has_impulses_of_its_own():
    drawn = [randomness.impulses(seed, number, 10_000, 50).values for seed in (0, 1) for number in range(4)]
    assert all((a != b).any() for i, a in enumerate(drawn) for b in drawn[:i])


def test_twins_start_as_the_run_and_part_from_it_by_rounding(pair):
    for side in pair:
        twins, cost = side.twins()["cost"], side.trace["cost"]
        assert twins.shape == (2, STEPS)
        # The first cost is that of the same weights.
        assert (twins[:, 0] == cost[0]).all()
        apart = np.abs(twins.astype(float) - cost) / cost
        quiet, loud = apart
        assert 0 < quiet.max() < 1e-4
        # By the second step, what was added is what is seen; later, training itself amplifies.
        assert loud[1] > 16 * quiet[1]


@pytest.fixture(scope="module", params=["torch", pytest.param("tf", marks=pytest.mark.ci)])
def odd_twins(request, tmp_path_factory):
    """The folder of a side's recordings with odd twins."""
    folder = tmp_path_factory.mktemp("odd")
    subprocess.run([sys.executable, SCRIPT, request.param, folder], check=True, capture_output=True)
    return folder


def test_a_twin_without_noise_is_the_run(odd_twins):
    """To the bit: nothing but the impulses tells a twin's program from the run's."""
    found = recording.read(odd_twins / "silent")
    for name, twins in found.twins().items():
        if name != "cost_rounding":
            assert (twins[0] == found.trace[name]).all(), name


def test_a_twin_that_fails_leaves_the_run(odd_twins):
    found = recording.read(odd_twins / "failing")
    assert found.manifest.status == "complete"
    assert (found.manifest.twins, found.manifest.without_twins) == (0, "a twin failed with RuntimeError")
    alone = check(trajectory.checks(found, found), "cost against noise")
    assert (alone.result, alone.measured) == ("not_judged", None)
    assert "a twin failed with RuntimeError" in alone.reason


def test_honest_sides_are_as_far_apart_as_twins(pair, xor):
    for sides in (pair, xor):
        verdict = judge(*sides)
        assert verdict.verdict == "parity"
        judged = [c for c in verdict.checks if c.level in ("trajectory", "outcome") and c.bound is not None]
        assert {c.result for c in judged} == {"passed"}
        assert all(c.share < 0.5 for c in judged)
    assert "probabilities" in {c.name for c in judged}


def from_step(step: int, factor: float):
    """Costs that are `factor` times as large from a step on."""
    return lambda arrays: {"cost": (arrays["cost"] * np.where(np.arange(STEPS) < step, 1, factor)).astype(np.float32)}


@pytest.mark.parametrize("side", [0, 1])
def test_a_cost_that_leaves_the_noise_is_found(side, pair):
    """A hundredth of the cost from step 40 on, where the noise is a ten-thousandth."""
    sides = list(pair)
    sides[side] = changed(sides[side], from_step(40, 1 + 1e-2))
    failed = check(trajectory.checks(*sides), "cost against noise")
    assert failed.result == "failed"
    assert int(failed.where.removeprefix("step ")) >= 40
    # By itself it proves nothing: what parted the two is in the steps before (tests/test_parted.py).
    assert judge(*sides).verdict == "insufficient"


WORSE = {
    "predictions": lambda arrays: {"predictions": (arrays["predictions"] + 1) % 10},
    "accuracy": lambda arrays: {"accuracy": arrays["accuracy"] - 0.2},
    "test loss": lambda arrays: {"test_loss": arrays["test_loss"] * 1.01},
    "epoch cost": lambda arrays: {"epoch_cost": arrays["epoch_cost"] * 1.01},
}


@pytest.mark.parametrize("name", WORSE)
@pytest.mark.parametrize("side", [0, 1])
def test_an_outcome_unlike_any_twins_is_found(name, side, pair):
    sides = list(pair)
    sides[side] = changed(sides[side], WORSE[name])
    assert [c.name for c in outcome.checks(*sides) if c.result == "failed"] == [name]


def test_probabilities_unlike_any_twins_are_found(xor):
    ours, theirs = xor
    far = changed(theirs, lambda arrays: {"test_output": arrays["test_output"] + np.float32(1e-3)})
    assert [c.name for c in outcome.checks(ours, far) if c.result == "failed"] == ["probabilities"]


def ending_in(value: float):
    """Losses that end in that value."""
    return lambda arrays: {"test_loss": np.full_like(arrays["test_loss"], value)}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("twins", [True, False])
def test_an_end_in_no_number_on_one_side_alone_is_found(value, side, twins, pair):
    sides = list(pair)
    ended = changed(sides[side], ending_in(value))
    sides[side] = ended if twins else replace(without_twins(sides[side]), trace=ended.trace)
    assert check(outcome.checks(*sides), "test loss").result == "failed"


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("number", [0, 1])
def test_where_one_twin_ends_in_no_number_nothing_is_told(value, side, number, pair):
    @dataclass(frozen=True)
    class Ending(Recording):
        def twins(self):
            found = super().twins()
            found["test_loss"][number] = value
            return found

    sides = list(pair)
    sides[side] = Ending(sides[side].folder, sides[side].manifest, sides[side].trace, sides[side].label)
    assert check(outcome.checks(*sides), "test loss").result == "not_judged"


def test_what_could_not_be_too_much_does_not_pass(xor):
    """Of four points, all may be predicted otherwise, and that is within ten times a single one."""
    ours, theirs = xor
    wrong = changed(theirs, lambda arrays: {"predictions": 1 - arrays["predictions"]})
    found = check(outcome.checks(ours, wrong), "predictions")
    assert (found.result, found.measured) == ("not_judged", 4)


@pytest.mark.parametrize("side", [0, 1])
def test_a_cost_that_is_no_number_for_a_while_is_found(side, pair):
    sides = list(pair)
    cost = sides[side].trace["cost"].copy()
    cost[50] = np.nan
    sides[side] = replace(sides[side], trace=sides[side].trace | {"cost": cost})
    assert check(trajectory.checks(*sides), "cost is finite").result == "failed"
    bare = [without_twins(each) for each in sides]
    assert check(trajectory.checks(*bare), "cost is finite").result == "not_judged"


@pytest.mark.parametrize("side", [0, 1])
def test_a_run_that_ends_in_no_number_as_some_twins_of_the_other_do_is_honest(side, pair):
    @dataclass(frozen=True)
    class Unsure(Recording):
        def twins(self):
            found = super().twins()
            found["cost"][1, 60:] = np.nan
            return found

    sides = list(pair)
    sides[side] = changed(sides[side], from_step(60, np.nan))
    assert check(trajectory.checks(*sides), "cost is finite").result == "failed"
    other = sides[1 - side]
    sides[1 - side] = Unsure(other.folder, other.manifest, other.trace, other.label)
    assert check(trajectory.checks(*sides), "cost is finite").result == "not_judged"


def test_without_twins_nothing_is_judged(pair):
    bare = [without_twins(side) for side in pair]
    found = [c for level in (trajectory, outcome) for c in level.checks(*bare)]
    assert {c.result for c in found} == {"not_judged"}
    assert "no twins were asked for" in check(found, "cost against noise").reason
    assert judge(*bare).verdict == "parity"


@dataclass(frozen=True)
class EitherWay(Recording):
    """A recording whose last twin ends in no number."""

    def twins(self):
        found = super().twins()
        if found is not None:
            found["cost"][-1, 70:] = np.nan
        return found


def as_they_are(ours, theirs):
    return ours, theirs


def one_ends_in_no_number(ours, theirs):
    return changed(ours, from_step(60, np.nan)), theirs


def both_end_in_no_number(ours, theirs):
    return changed(ours, from_step(60, np.nan)), changed(theirs, from_step(70, np.inf))


def one_ends_in_no_number_as_a_twin_does(ours, theirs):
    cost = theirs.trace["cost"].copy()
    cost[60:] = np.nan
    return EitherWay(ours.folder, ours.manifest, ours.trace, ours.label), replace(
        theirs, trace=theirs.trace | {"cost": cost}
    )


def one_is_no_number_for_a_while(ours, theirs):
    cost = ours.trace["cost"].copy()
    cost[50] = np.nan
    return replace(ours, trace=ours.trace | {"cost": cost}), theirs


def one_costs_more(ours, theirs):
    return changed(
        ours, lambda arrays: {"cost": arrays["cost"] * 1.5, "epoch_cost": arrays["epoch_cost"] * 1.5}
    ), theirs


def one_predicts_otherwise(ours, theirs):
    return ours, changed(theirs, lambda arrays: {"predictions": 9 - arrays["predictions"]})


def one_took_other_samples(ours, theirs):
    key = "consumed/indices"
    return ours, replace(theirs, trace=theirs.trace | {key: theirs.trace[key] + 1})


CHANGES = (
    as_they_are, one_ends_in_no_number, both_end_in_no_number, one_ends_in_no_number_as_a_twin_does,
    one_is_no_number_for_a_while, one_costs_more, one_predicts_otherwise, one_took_other_samples,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_without_twins_less_is_said_and_nothing_else(change, pair):
    """What fails in a quick verdict fails in the full one; every check that it passes, the full one passes."""
    sides = change(*pair)
    full, quick = judge(*sides), judge(*map(without_twins, sides))
    results = {(check.level, check.name): check.result for check in full.checks}
    for check in quick.checks:
        assert check.result in ("not_judged", results[check.level, check.name]), check
        if check.level in ("trajectory", "outcome"):
            assert check.result == "not_judged", check
    assert (quick.verdict == "mismatch") <= (full.verdict == "mismatch")
    assert levels(sides, full)[0][:4] == levels([*map(without_twins, sides)], quick)[0]


def test_twins_without_a_checkpoint_judge_nothing(pair):
    """There is nothing that their noise was measured at."""

    @dataclass(frozen=True)
    class Bare(Recording):
        def twins(self):
            own = next(side for side in pair if side.folder == self.folder)
            return own.twins() | {"cost_rounding": np.zeros(0)}

    bare = [Bare(s.folder, replace(s.manifest, checkpoints={}), s.trace, s.label) for s in pair]
    found = [c for level in (trajectory, outcome) for c in level.checks(*bare)]
    assert {c.result for c in found} == {"not_judged"}
    assert "no checkpoint" in check(found, "cost against noise").reason


def test_one_sides_twins_are_enough(pair):
    ours, theirs = pair
    assert check(trajectory.checks(without_twins(ours), theirs), "cost against noise").result == "passed"


def test_behind_the_horizon_nothing_is_told(pair):
    """Twins that are far apart from step 30 on: what comes after is neither passed nor failed."""

    @dataclass(frozen=True)
    class Chaotic(Recording):
        def twins(self):
            found = super().twins()
            return found | from_step(30, 2.0)(found)

    ours = Chaotic(pair[0].folder, pair[0].manifest, pair[0].trace, pair[0].label)
    late = replace(pair[1], trace=pair[1].trace | from_step(30, 1.5)(pair[1].trace))
    found = check(trajectory.checks(ours, without_twins(late)), "cost against noise")
    assert found.result == "passed"
    assert "up to step 30 of 80" in found.reason
    assert "not informative after step 30" in found.reason
    early = replace(pair[1], trace=pair[1].trace | from_step(29, 1.5)(pair[1].trace))
    assert check(trajectory.checks(ours, without_twins(early)), "cost against noise").result == "failed"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_twins_without_a_finite_cost_judge_nothing(value, pair):
    @dataclass(frozen=True)
    class Diverged(Recording):
        def twins(self):
            found = super().twins()
            return {name: np.full_like(v, value) if v.dtype.kind == "f" else v for name, v in found.items()}

    sides = [Diverged(side.folder, side.manifest, side.trace, side.label) for side in pair]
    found = [c for level in (trajectory, outcome) for c in level.checks(*sides)]
    assert check(found, "cost against noise").result == "not_judged"
    assert "not informative" in check(found, "cost against noise").reason
    assert check(found, "test loss").result == "not_judged"


def test_noise_grows_only(pair):
    steps = noise.finite_steps(*pair)
    assert steps == STEPS
    assert (np.diff(noise.envelope(*pair, steps)) >= 0).all()


def test_an_accuracy_that_is_not_that_of_the_predictions_is_found(pair):
    ours, theirs = pair
    wrong = changed(theirs, lambda arrays: {"accuracy": arrays["accuracy"] + 1e-3})
    failed = [c for c in judge(ours, wrong).checks if c.result == "failed" and c.level == "loop"]
    assert [c.name for c in failed] == ["accuracy of the predictions, torch"]
