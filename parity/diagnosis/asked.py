"""Whom a diagnosis asks: live workers of both sides, which replay what was recorded, or record it again."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from parity.bounds.rows import ALLOWED
from parity.diagnosis.expected import Given
from parity.experiment.spec import Framework, Realisation
from parity.experiment.workload import LIMIT, estimated
from parity.recordings import recording
from parity.recordings.files import inside, unpack
from parity.recordings.recording import Arrays, Recording
from parity.workers.job import DiagnoseJob, PassJob, RecordJob, ReplayJob, TensorsJob, in_order
from parity.workers.processes import Progress, silent


class Asked(Protocol):
    """What a worker of parity/workers/processes.py does here; one of benchmarks/ does it with a fault."""

    def record(self, job: RecordJob, progress: Progress) -> None: ...
    def replay(self, job: ReplayJob) -> None: ...
    def diagnose(self, job: DiagnoseJob | TensorsJob | PassJob) -> None: ...


@dataclass(frozen=True)
class Tensors:
    """All of a step that the recording `owner` has a checkpoint of, as one `side` gives it (`TensorsJob`)."""

    side: Recording
    owner: Recording
    step: int
    realisation: Realisation
    arrays: Arrays
    # What the owner recorded; nothing where the step is further on.
    recorded: Arrays

    def part(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of one part, by their own names."""
        return inside(self.arrays, f"{name}/")

    @cached_property
    def given(self) -> Given:
        """What the stages were given."""
        identity, a = self.side.manifest.identity, self.arrays
        recorded = self.recorded or self.part("whole")
        return Given(identity, self.realisation, self.part("state"), recorded, a["inputs"], a["given"])

    @cached_property
    def allowed(self) -> dict[str, NDArray[Any]]:
        """By how much each stage's result may be apart on two sides."""
        kinds = {result.name: result.kind for result in self.side.phase.results(self.step)}
        factors = {name: sum(ALLOWED[kind].values()) for name, kind in kinds.items()}
        return {name: factors[name] * bound for name, bound in self.part("bounds").items() if name in factors}


@dataclass(frozen=True)
class Sides:
    """The workers of both sides, and the jobs by which they recorded; `bar` shows how far a longer work is."""

    workers: Mapping[Framework, Asked]
    jobs: Mapping[Framework, RecordJob]
    bar: Callable[[str], Progress] = lambda label: silent

    def replayed(
        self, side: Framework, owner: Recording, steps: Sequence[int], realisations: Sequence[Realisation]
    ) -> list[list[Arrays]]:
        """What a side makes of another one's checkpoints: summaries by the positions of realisation and step."""
        return self.summaries(side, owner.folder, steps, realisations)

    def summaries(
        self, side: Framework, owner: Path, steps: Sequence[int], realisations: Sequence[Realisation]
    ) -> list[list[Arrays]]:
        """The same of a recording's folder, or of what a PassJob wrote."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "replays.safetensors"
            self.workers[side].diagnose(DiagnoseJob(self.jobs[side], owner, tuple(steps), tuple(realisations), file))
            arrays = unpack(file, file.read_bytes())
        return [[inside(arrays, f"{i}/{j}/") for j in range(len(steps))] for i in range(len(realisations))]

    def tensors(
        self, side: Recording, owner: Recording, step: int, realisation: Realisation | None = None, ahead: int = 0
    ) -> Tensors:
        """All tensors of a step, as `side` gives them under its own realisation or another one."""
        taken = realisation or side.manifest.realisation
        with tempfile.TemporaryDirectory() as folder:
            file, framework = Path(folder) / "tensors.safetensors", side.manifest.framework
            job = TensorsJob(self.jobs[framework], owner.folder, step, taken, file, ahead)
            self.workers[framework].diagnose(job)
            arrays = unpack(file, file.read_bytes())
        recorded = {} if ahead else owner.checkpoint(step)[1]
        return Tensors(side, owner, step + ahead, taken, arrays, recorded)

    def passed(self, side: Recording, owner: Recording, start: int, steps: Sequence[int]) -> list[Arrays]:
        """What a side makes of ascending steps between checkpoints, to which the owner goes on from the one at `start`.

        Of each the summary `float64/<column>` of its stages, each fed what the owner's gave; and the batch's `samples`.
        """
        with tempfile.TemporaryDirectory() as folder:
            given, theirs = Path(folder) / "tensors.safetensors", owner.manifest.framework
            self.workers[theirs].diagnose(PassJob(self.jobs[theirs], owner.folder, start, tuple(steps), given))
            return self.summaries(side.manifest.framework, given, steps, [side.manifest.realisation])[0]

    def before(self) -> "Sides":
        """Whom to ask about the pre-training of both."""
        jobs = {name: in_order(replace(job, initial_weights=None))[0] for name, job in self.jobs.items()}
        return Sides(self.workers, jobs)

    @contextmanager
    def again(
        self, side: Recording, other: Recording, realisation: Realisation
    ) -> Iterator[tuple[dict[Framework, Recording], "Sides"]]:
        """Both recordings, `side` made again as another realisation has it, each with the other's checkpoints.

        And whom to ask about these.
        """
        ours, theirs = side.manifest.framework, other.manifest.framework
        with tempfile.TemporaryDirectory() as place:
            folders = {ours: Path(place) / ours, theirs: Path(shutil.copytree(other.folder, Path(place) / theirs))}
            jobs = {ours: replace(self.jobs[ours], realisation=realisation), theirs: self.jobs[theirs]}
            jobs = {name: replace(job, out=folders[name], twins=0, reference=None) for name, job in jobs.items()}
            self.workers[ours].record(jobs[ours], lambda done, steps: None)
            for name, beside in ((ours, theirs), (theirs, ours)):
                self.workers[name].replay(ReplayJob(jobs[name], folders[beside]))
            yield {name: recording.read(folder) for name, folder in folders.items()}, Sides(self.workers, jobs)


def is_cheap(side: Recording) -> bool:
    """Whether a run is recorded again without being asked for: where its training is little work, and all there is."""
    if side.manifest.identity.pretraining is not None:
        return False
    return estimated(side.manifest.identity, len(side.trace["cost"])) <= LIMIT
