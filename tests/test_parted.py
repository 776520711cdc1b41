"""Costs that part by more than noise, where every step that was looked at is right: who looks at the steps before."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from conftest import shortened
from test_located import Faulty
from test_noise import changed

from benchmarks.campaign import OTHER
from benchmarks.families import family
from benchmarks.judged import jobs
from benchmarks.planted import Planter
from parity.commands.options import checkpoints
from parity.compare import diagnosed
from parity.diagnosis import Sides
from parity.recordings import recording
from parity.recordings.recording import Recording
from parity.report.value import Report
from parity.verdict import judge
from parity.verdict.order import step_of
from parity.workers.job import ReplayJob

STEPS = 30


@pytest.fixture(scope="module")
def pair(record_pair, tmp_path_factory):
    """mnist_relu and two twins of each side, with few checkpoints, the first at step 0."""
    return record_pair(shortened("mnist_relu", STEPS), tmp_path_factory.mktemp("parted"), twins=2)


@dataclass(frozen=True)
class Moved(Recording):
    """A recording of a run whose costs, and its twins', are others from a step on."""

    step: int
    factor: float

    def twins(self):
        found = super().twins()
        return found | {"cost": self.moved(found["cost"])}

    def moved(self, cost):
        later = np.arange(cost.shape[-1]) >= self.step
        return np.where(later, cost * np.float32(self.factor), cost).astype(np.float32)


def moved(side, step, factor=1.01):
    found = Moved(side.folder, side.manifest, side.trace, side.label, step, factor)
    return replace(found, trace=side.trace | {"cost": found.moved(side.trace["cost"])})


def check(verdict):
    return next(c for c in verdict.checks if c.name == "cost against noise")


@pytest.mark.parametrize("side", [0, 1])
def test_costs_that_part_behind_steps_that_were_looked_at_accuse_nobody(side, pair):
    sides = list(pair)
    sides[side] = moved(sides[side], 1)
    verdict = judge(*sides)
    assert check(verdict).result == "not_judged"
    assert "by itself every step before is within rounding" in check(verdict).reason
    assert verdict.verdict == "parity"


@pytest.mark.parametrize("side", [0, 1])
def test_costs_that_part_where_nobody_looked_prove_nothing_and_the_steps_are_named(side, pair):
    sides = list(pair)
    sides[side] = moved(sides[side], 25)
    verdict = judge(*sides)
    unseen = [step for step in range(25) if step not in sides[0].checkpoints]
    assert verdict.verdict == "insufficient"
    asked = re.search(r"record again with --checkpoints (\S+) \(", check(verdict).reason)[1]
    assert list(checkpoints(asked)) == unseen
    # Once these are seen, too, rounding is all that is left.
    right = next(c for c in verdict.checks if c.level == "lockstep")
    looked = [replace(right, name=f"step {step} float64 cost", where=f"step {step}") for step in unseen]
    assert judge(*sides, looked).verdict == "parity"
    assert judge(*sides, looked[1:]).verdict == "insufficient"


def test_ends_apart_behind_costs_that_could_be_told_are_a_difference(pair):
    ours, theirs = pair
    worse = changed(theirs, lambda arrays: {"test_loss": arrays["test_loss"] * 1.01})
    verdict = judge(ours, worse)
    assert verdict.verdict == "mismatch"
    assert [c.name for c in verdict.checks if c.level == "outcome" and c.result == "failed"] == ["test loss"]


@pytest.mark.parametrize(
    "side", [pytest.param("tf", marks=pytest.mark.ci), pytest.param("torch", marks=pytest.mark.slow)]
)
def test_a_step_that_loop_and_replay_take_alike_is_found_by_the_costs(side, workers, tmp_path):
    """Between checkpoints and outside of segments, so that nothing but the costs shows it."""
    experiment, other, step = family("mnist_narrow", 60), OTHER[side], 45
    both = {name: jobs(experiment, name, tmp_path / name, None, 3, twins=2)[-1] for name in workers}
    workers[other].record(both[other], lambda done, steps: None)
    with Planter(side, time_limit=300) as planter:
        asked = {other: workers[other], side: Faulty(planter, f"the optimizer's steps are a tenth at step {step} only")}
        asked[side].record(replace(both[side], reference=tmp_path / other), None)
        workers[other].replay(ReplayJob(both[other], tmp_path / side))
        sides = tuple(recording.read(tmp_path / name) for name in ("tf", "torch"))
        verdict = judge(*sides)
        # From the recordings alone.
        assert (verdict.verdict, check(verdict).where) == ("insufficient", f"step {step + 1}")
        report = diagnosed(Report(sides, verdict), Sides(asked, both))
    first = report.judged.checks[0]
    assert (report.judged.verdict, first.level, step_of(first)) == ("mismatch", "lockstep", step)
    assert str(report).splitlines()[0].startswith(f"Keras and torch part first at step {step}, in the optimizer")
