"""One framework in a process of its own that takes jobs as parity.worker.serving does, also with a fault planted.

Started by `Planter`, never by hand: python -m benchmarks.planted tf|torch --threads N. One process serves for all
faults, since importing a framework takes longer than most of them.
"""

import contextlib
import gc
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import TypeAdapter

from benchmarks.faults import Edit, fault_called
from parity.experiment.spec import Framework
from parity.recordings import start
from parity.worker import serving
from parity.worker.chunks import Tell, join
from parity.worker.replays import convert_all
from parity.worker.task import Task
from parity.workers.job import DiagnoseJob, PassJob, RecordJob, ReplayJob, TensorsJob
from parity.workers.processes import Worker

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class PlantedJob:
    """A recording, or replays, made with the faults of these names in the framework's implementation."""

    faults: tuple[str, ...]
    job: RecordJob | ReplayJob | DiagnoseJob | TensorsJob | PassJob


@dataclass(frozen=True)
class PlainJob:
    """The run alone, from its own start, with a fault or with none, once for each entry of `moved`.

    Each weight it starts from is the next number above (1), the one below (-1), or as it is (0). The trace of the i-th
    goes into the file `trace` as `<i>/<name>`.
    """

    fault: str | None
    record: RecordJob
    moved: tuple[int, ...]
    trace: Path


class Planter(Worker):
    """The process of a framework in whose implementation faults can be planted, each for one job."""

    def __init__(self, framework: Framework, threads: int = 1, time_limit: float | None = None) -> None:
        super().__init__(framework, "cpu", threads, time_limit, module="benchmarks.planted")

    def plant(
        self, faults: str | tuple[str, ...], job: RecordJob | ReplayJob | DiagnoseJob | TensorsJob | PassJob
    ) -> None:
        """Do a job with a fault, or with several."""
        self.run(PlantedJob((faults,) if isinstance(faults, str) else faults, job), lambda done, steps: None)

    def traces(self, fault: str | None, job: RecordJob, moved: tuple[int, ...]) -> list[dict[str, NDArray[Any]]]:
        """The traces of the run alone, by way of a file."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "traces.safetensors"
            self.run(PlainJob(fault, job, moved, file), lambda done, steps: None)
            found = safetensors.numpy.load_file(file).items()
        return [
            {name.partition("/")[2]: values for name, values in found if name.startswith(f"{i}/")}
            for i in range(len(moved))
        ]


@contextlib.contextmanager
def planted(framework: Framework, *edits: Edit) -> Iterator[SimpleNamespace]:
    """The implementation with the edits made, which is also what Python finds under its name meanwhile."""
    package = f"{framework}_impl"
    own = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == package}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / package, Path(folder) / package, ignore=shutil.ignore_patterns("__pycache__"))
        for file, old, new in edits:
            path = Path(folder) / package / file
            assert old in path.read_text(), f"{file} does not hold: {old}"
            path.write_text(path.read_text().replace(old, new, 1))
        try:
            forget(package)
            yield serving.import_side(framework, Path(folder))
        finally:
            forget(package)
            sys.modules.update(own)
            gc.collect()


def forget(package: str) -> None:
    """Let Python import a package anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def run_plainly(side: SimpleNamespace, job: PlainJob) -> None:
    """Do all steps in one go, each time from another start, and write the traces."""
    task = Task(side, job.record, serving.load_function(job.record.realisation.model))
    program = task.loop
    traces = {}
    for i, towards in enumerate(job.moved):
        # Drawn in float32, whose next number is far away in float64.
        state = convert_all(start.state(task.identity, None, None, task.job.phase), task.identity.dtype)
        if towards:
            weights = [name for name in state if name.startswith("weights/")]
            state |= {name: np.nextafter(state[name], towards * np.inf, dtype=state[name].dtype) for name in weights}
        program.write(state)
        trace = join([program.chunk(0, len(task.batches))], task.batches, task.phase)
        traces |= {f"{i}/{name}": values for name, values in trace.items()}
    safetensors.numpy.save_file(traces, job.trace)


def perform(
    side: SimpleNamespace, job: serving.Job | PlantedJob | PlainJob, tell: Tell, last: Task | None
) -> Task | None:
    """Do one job, with its faults where it names any; return its task, where that may serve again."""
    if not isinstance(job, PlantedJob | PlainJob):
        return serving.perform(side, job, tell, last)
    faults = job.faults if isinstance(job, PlantedJob) else (job.fault,) if job.fault is not None else ()
    edits = [fault_called(fault).edits[side.name] for fault in faults]
    with planted(side.name, *edits) if edits else contextlib.nullcontext(side) as changed:
        if isinstance(job, PlainJob):
            run_plainly(changed, job)
        else:
            serving.perform(changed, job.job, tell)
    return None


if __name__ == "__main__":
    serving.main(TypeAdapter(PlantedJob | PlainJob | serving.Job), perform)
