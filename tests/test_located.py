"""Where only a stretch is known in which a stage went wrong, the step is found by asking both sides."""

from dataclasses import dataclass, replace

import pytest

from benchmarks.campaign import OTHER
from benchmarks.families import family
from benchmarks.judged import jobs
from benchmarks.planted import Planter
from parity.compare import diagnosed
from parity.diagnosis import Sides
from parity.recordings import recording
from parity.report.value import Report
from parity.verdict import judge
from parity.verdict.order import step_of
from parity.workers.job import ReplayJob

LATE, ONCE = "the optimizer's steps are a tenth from step 30 on", "the optimizer's steps are a tenth at step 6 only"


@dataclass
class Faulty:
    """The worker of a side in whose implementation a fault stays planted."""

    planter: Planter
    fault: str

    def record(self, job, progress):
        self.planter.plant(self.fault, job)

    def replay(self, job):
        self.planter.plant(self.fault, job)

    def diagnose(self, job):
        self.planter.plant(self.fault, job)


@pytest.mark.parametrize(
    ("side", "fault", "known", "step"),
    [
        # Of a stage that is wrong at the next checkpoint, and of costs that part behind one.
        ("torch", LATE, ("lockstep", 2, 59), 30),
        pytest.param("tf", LATE, ("lockstep", 2, 59), 30, marks=pytest.mark.slow),
        pytest.param("torch", ONCE, ("loop", None, 7), 6, marks=pytest.mark.slow),
        pytest.param("tf", ONCE, ("loop", None, 7), 6, marks=pytest.mark.ci),
    ],
)
def test_a_stretch_is_halved_until_the_step_is_found(side, fault, known, step, workers, tmp_path):
    experiment, other = family("mnist_narrow", 60), OTHER[side]
    both = {name: jobs(experiment, name, tmp_path / name, None, 3, twins=0)[-1] for name in workers}
    workers[other].record(both[other], lambda done, steps: None)
    with Planter(side, time_limit=300) as planter:
        asked = {other: workers[other], side: Faulty(planter, fault)}
        asked[side].record(replace(both[side], reference=tmp_path / other), None)
        workers[other].replay(ReplayJob(both[other], tmp_path / side))
        sides = tuple(recording.read(tmp_path / name) for name in ("tf", "torch"))
        verdict = judge(*sides)
        # From the recordings alone.
        first = verdict.checks[0]
        assert (verdict.verdict, (first.level, first.since, step_of(first))) == ("mismatch", known)
        report = diagnosed(Report(sides, verdict), Sides(asked, both))
    first = report.judged.checks[0]
    assert (first.level, step_of(first), first.since) == ("lockstep", step, None)
    assert "; found by halving steps 2 to " in first.reason
    assert report.judged.verdict == "mismatch"
    assert str(report).splitlines()[0].startswith(f"Keras and torch part first at step {step}, in the optimizer")
