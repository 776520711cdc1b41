"""What does the diagnosis say of a fault, or of several?

The clean side replays the faulty one's checkpoints, too, as `parity.run` has both sides do, and either is asked for
replays under other choices; the faulty one with its fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.judged import jobs
from benchmarks.planted import Planter
from parity.diagnosis import Diagnosis, Sides, diagnose
from parity.experiment.spec import FRAMEWORKS, Experiment, Framework
from parity.recordings import recording
from parity.verdict import judge
from parity.workers.job import DiagnoseJob, PassJob, RecordJob, ReplayJob, TensorsJob
from parity.workers.processes import Progress


@dataclass(frozen=True)
class Faulty:
    """A planter that is asked with a fault planted."""

    planter: Planter
    faults: str | tuple[str, ...]

    def record(self, job: RecordJob, progress: Progress) -> None:
        """Record in the faulty implementation."""
        self.planter.plant(self.faults, job)

    def replay(self, job: ReplayJob) -> None:
        """Replay another recording's checkpoints there."""
        self.planter.plant(self.faults, job)

    def diagnose(self, job: DiagnoseJob | TensorsJob | PassJob) -> None:
        """Replay checkpoints as other realisations have them there, or write a step's tensors."""
        self.planter.plant(self.faults, job)


def diagnosed(
    planters: Mapping[Framework, Planter],
    side: Framework,
    faults: str | tuple[str, ...],
    experiment: Experiment,
    folders: Mapping[Framework, Path],
) -> Diagnosis | None:
    """The diagnosis of faults on a side, whose recordings are in `folders`; those of the other side may be added to."""
    (other,) = (framework for framework in FRAMEWORKS if framework != side)
    made = {other: jobs(experiment, other, folders[other], None), side: jobs(experiment, side, folders[side], None)}
    for job, faulty in zip(made[other], made[side], strict=True):
        planters[other].replay(ReplayJob(job, faulty.out))
    pair = [recording.read(folders[framework]) for framework in FRAMEWORKS]
    asked = {side: Faulty(planters[side], faults), other: planters[other]}
    return diagnose(pair, judge(*pair), Sides(asked, {framework: phases[-1] for framework, phases in made.items()}))
