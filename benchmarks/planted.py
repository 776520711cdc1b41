"""One framework in a process of its own that takes jobs as parity.worker does, also with a fault planted.

Started by `Planter`, never by hand: python -m benchmarks.planted tf|torch --threads N. One process serves for all
faults, since importing a framework takes longer than most of them.
"""

import contextlib
import gc
import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from pydantic import TypeAdapter

from benchmarks.faults import FAULTS, Edit
from parity import worker
from parity.job import RecordJob
from parity.processes import Worker
from parity.spec import Framework
from parity.task import Task
from parity.training import Tell

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class PlantedJob:
    """A recording that is made with the fault of that name in the framework's implementation."""

    fault: str
    record: RecordJob


class Planter(Worker):
    """The process of a framework in whose implementation faults can be planted, each for one recording."""

    def __init__(self, framework: Framework, threads: int = 1, time_limit: float | None = None) -> None:
        super().__init__(framework, "cpu", threads, time_limit, module="benchmarks.planted")

    def plant(self, fault: str | None, job: RecordJob) -> None:
        """Make a recording with a fault, or with none."""
        self.run(job if fault is None else PlantedJob(fault, job), lambda done, steps: None)


@contextlib.contextmanager
def planted(framework: Framework, edit: Edit) -> Iterator[SimpleNamespace]:
    """The implementation with the edit made, which is also what Python finds under its name meanwhile."""
    package = f"{framework}_impl"
    file, old, new = edit
    own = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == package}
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / package, Path(folder) / package, ignore=shutil.ignore_patterns("__pycache__"))
        path = Path(folder) / package / file
        assert old in path.read_text(), f"{file} does not hold: {old}"
        path.write_text(path.read_text().replace(old, new, 1))
        try:
            forget(package)
            sys.path.insert(0, folder)
            importlib.invalidate_caches()
            yield worker.import_side(framework)
        finally:
            sys.path.remove(folder)
            forget(package)
            sys.modules.update(own)
            gc.collect()


def forget(package: str) -> None:
    """Let Python import a package anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


def perform(side: SimpleNamespace, job: worker.Job | PlantedJob, tell: Tell, last: Task | None) -> Task | None:
    """Do one job, a planted one with its fault; return its task, where that may serve again."""
    if not isinstance(job, PlantedJob):
        return worker.perform(side, job, tell, last)
    edit = FAULTS[job.fault].edits[side.name]
    with planted(side.name, edit) as changed:
        worker.perform(changed, job.record, tell)
    return None


if __name__ == "__main__":
    worker.main(TypeAdapter(PlantedJob | worker.Job), perform)
