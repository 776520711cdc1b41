"""Does the diagnosis name the cause of a fault that known choices express?

The clean side replays the faulty one's checkpoints, too, as `parity.run` has both sides do, and either is asked for
replays under other choices; the faulty one with its fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.judged import jobs
from benchmarks.planted import Planter
from parity.diagnosis import Sides, diagnose
from parity.experiment.spec import FRAMEWORKS, Experiment, Framework
from parity.recordings import recording
from parity.verdict import judge
from parity.workers.job import DiagnoseJob, RecordJob, ReplayJob, TensorsJob
from parity.workers.processes import Progress


@dataclass(frozen=True)
class Faulty:
    """A planter that is asked with a fault planted."""

    planter: Planter
    fault: str

    def record(self, job: RecordJob, progress: Progress) -> None:
        """Record in the faulty implementation."""
        self.planter.plant(self.fault, job)

    def replay(self, job: ReplayJob) -> None:
        """Replay another recording's checkpoints there."""
        self.planter.plant(self.fault, job)

    def diagnose(self, job: DiagnoseJob | TensorsJob) -> None:
        """Replay checkpoints as other realisations have them there, or write a step's tensors."""
        self.planter.plant(self.fault, job)


def named(
    planters: Mapping[Framework, Planter],
    side: Framework,
    fault: str,
    experiment: Experiment,
    folders: Mapping[Framework, Path],
) -> frozenset[str]:
    """The choices that the diagnosis names as the causes of a fault on a side, whose recordings are in `folders`."""
    (other,) = (framework for framework in FRAMEWORKS if framework != side)
    made = {other: jobs(experiment, other, folders[other], None)[-1]}
    made[side] = jobs(experiment, side, folders[side], folders[other])[-1]
    planters[other].replay(ReplayJob(made[other], folders[side]))
    pair = [recording.read(folders[framework]) for framework in FRAMEWORKS]
    asked = {side: Faulty(planters[side], fault), other: planters[other]}
    found = diagnose(pair, judge(*pair), Sides(asked, made))
    return frozenset(cause.field for cause in found.causes if cause.field is not None) if found else frozenset()
