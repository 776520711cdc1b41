"""One framework in a process of its own, taking jobs: python -m parity.worker tf|torch --threads N

Started by `parity.workers.processes`, never by hand. Jobs come as lines of JSON on standard input; each is answered on
standard output by any number of {"progress": steps done, "of": steps} and one {"done": ...} or {"error": ...}. Before
the first job comes {"done": the devices found}. The end of standard input ends the process, so it cannot outlive its
parent by more than a chunk of steps.
"""

import argparse
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

from pydantic import TypeAdapter

from parity.errors import ParityError, UsageError
from parity.experiment.spec import Framework
from parity.recordings import start
from parity.worker import training
from parity.worker.chunks import STOPPING, Tell
from parity.worker.task import Task
from parity.workers.installed import PACKAGES
from parity.workers.job import DiagnoseJob, DrawJob, PassJob, RecordJob, ReplayJob, TensorsJob, but_for_start

MODULES = (
    "runtime",
    "data",
    "losses",
    "clipping",
    "optimizers",
    "state",
    "noise",
    "train",
    "replay",
    "rbm",
    "initializers",
    "describe",
    "capture",
    "own",
    "costs",
    "updates",
    "modes",
    "live",
    "kept",
)
HERE = Path(__file__).parents[2]
Job = RecordJob | ReplayJob | DiagnoseJob | TensorsJob | PassJob | DrawJob
JOBS: TypeAdapter[Job] = TypeAdapter(Job)
# (side, job, tell, what the last job left open) -> what this one does
Perform = Callable[[SimpleNamespace, Any, Tell, Any], Any]


def load_function(path: str) -> Callable[..., Any]:
    """The function that "module:function" names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def load_side(framework: Framework, threads: int, folder: Path = HERE) -> SimpleNamespace:
    """Import one implementation, the package in `folder`, and configure its framework."""
    side = import_side(framework, folder)
    side.runtime.configure(threads)
    return side


def import_side(framework: Framework, folder: Path = HERE) -> SimpleNamespace:
    """One implementation, its modules as attributes: the package in `folder`, whatever `sys.path` begins with."""
    package = f"{framework}_impl"
    found = PathFinder.find_spec(package, [str(folder)])
    assert found is not None
    assert found.loader is not None
    sys.modules[package] = module_from_spec(found)
    found.loader.exec_module(sys.modules[package])
    try:
        modules = {name: importlib.import_module(f"{package}.{name}") for name in MODULES}
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES[framework]:
            raise
        raise UsageError(f"{error.name} is not installed: pip install {' '.join(PACKAGES[framework])}") from error
    return SimpleNamespace(name=framework, **modules)


def perform(side: SimpleNamespace, job: Job, tell: Tell, last: Task | None = None) -> Task | None:
    """Do one job, and return its task; `last`, of the job before, serves again as far as it is the same."""
    if isinstance(job, DrawJob):
        start.draw_weights(job.out, job.identity, partial(side.initializers.draw, calling=job.calling))
        return last
    asked = job if isinstance(job, RecordJob) else job.record
    if last is not None and last.job == asked:
        task = last
    elif last is not None and asked.reference is None and but_for_start(last.job) == but_for_start(asked):
        task = last.restarted(asked)
    else:
        task = Task(side, asked, load_function(asked.realisation.model))
    if isinstance(job, RecordJob):
        training.record(task, tell)
    elif isinstance(job, DiagnoseJob):
        training.diagnose(task, job)
    elif isinstance(job, TensorsJob):
        training.tensors(task, job)
    elif isinstance(job, PassJob):
        training.passed(task, job)
    else:
        training.replay(task, job.reference)
    return task


def serve(framework: Framework, threads: int, jobs: TextIO, tell: Tell, kinds: TypeAdapter[Any], do: Perform) -> None:
    """Take jobs until there are no more; one that fails does not keep the next from running."""
    side = load_side(framework, threads)
    tell({"done": sorted(side.runtime.devices())})
    last: Any = None
    for line in jobs:
        try:
            last = do(side, kinds.validate_json(line), tell, last)
            tell({"done": "job"})
        except Exception as error:
            if STOPPING.is_set():
                raise KeyboardInterrupt from error
            tell(described(error))


def described(error: Exception) -> dict[str, Any]:
    """The answer that says what went wrong; what the user cannot mend leaves its traceback in the log."""
    if isinstance(error, BrokenPipeError):
        raise error
    if isinstance(error, ParityError):
        return {"error": str(error), "status": error.status}
    traceback.print_exception(error)
    # NumPy's MemoryError may have no text; the frameworks' own errors say what they could not allocate.
    said = "out of memory; close other programs, or ask for less" if isinstance(error, MemoryError) else str(error)
    return {"error": f"{type(error).__name__}: {said}", "status": None}


def interrupt(*_: Any) -> None:
    """Let a request to stop unwind the job, so that the recording says so."""
    STOPPING.set()
    raise KeyboardInterrupt


def main(kinds: TypeAdapter[Any] = JOBS, do: Perform = perform) -> None:
    """Take jobs of these kinds, each done by `do`."""
    parser = argparse.ArgumentParser(prog="parity.worker", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("framework", choices=["tf", "torch"])
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    # Frameworks print to standard output as they like; the answers get a channel of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    try:
        try:
            serve(options.framework, options.threads, sys.stdin, tell, kinds, do)
        except Exception as error:
            tell(described(error))
        status = 0
    except (KeyboardInterrupt, BrokenPipeError):
        status = 130
    # Not sys.exit: the frameworks' own threads hold the interpreter back, and there is nothing left to save.
    os._exit(status)
