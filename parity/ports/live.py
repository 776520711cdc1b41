"""Live models of this very process: the jobs that a side's worker does, done here, on copies.

The process is the user's, so all that is set for it is put back after each job. Both sides take turns in a thread of
their own, whose settings no other sees.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

from parity.errors import UsageError
from parity.experiment.spec import Framework
from parity.ports import worker
from parity.ports.job import Job, OpenJob
from parity.ports.session import Session
from parity.ports.source import Source
from parity.worker import serving
from parity.workers.installed import require_frameworks
from parity.workers.processes import Progress

WEAKER = (
    "weaker than files: live models run in this process, as copies that are converted to float64 and not built in it, "
    "and no lines of code are known"
)
CRASH = (
    "TensorFlow is loaded here and triton is not: torch's optimizers would crash this process (tensorflow#124205). "
    "Import triton before TensorFlow, or give files, which run in processes of their own"
)


def is_live(side: Any) -> bool:
    """Whether a side is a model, or a dict with one or with functions, and no file or function of a file."""
    return isinstance(side, Mapping) or not (isinstance(side, str) or hasattr(side, "__fspath__") or is_function(side))


def is_function(value: Any) -> bool:
    """Whether it makes a model, and is none."""
    return inspect.isroutine(value) or inspect.isclass(value)


def require_one_process() -> None:
    """Raise UsageError where torch's side would crash this process, by what is loaded in it.

    TensorFlow's wheels from 2.20 to 2.21 lend their LLVM to triton from 3.7 on, where that is loaded later.
    """
    if "tensorflow" not in sys.modules or "triton" in sys.modules or find_spec("triton") is None:
        return
    tensorflow, triton = (tuple(int(n) for n in version(name).split(".")[:2]) for name in ("tensorflow", "triton"))
    if triton >= (3, 7) and (2, 20) <= tensorflow <= (2, 21):
        raise UsageError(CRASH)


def version(name: str) -> str:
    """The installed version of a package; 0.0 where it is not known."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "0.0"


class InProcess:
    """Does one side's jobs in this process; in place of a worker's process.

    `given` is a live model, or a dict of what a side's file has: "build" is then the model, or a function.
    """

    def __init__(self, framework: Framework, given: Any, thread: ThreadPoolExecutor) -> None:
        functions = dict(given) if isinstance(given, Mapping) else {"build": given}
        unknown = sorted(set(functions) - set(Source.__dataclass_fields__))
        if unknown or "build" not in functions:
            known = ", ".join(Source.__dataclass_fields__)
            raise UsageError(f"a live side is a model, or a dict with build and any of {known}; not {unknown or given}")
        require_frameworks([framework])
        if framework == "torch":
            require_one_process()
        self.framework, self.functions, self.thread = framework, functions, thread
        self.session: Session | None = None
        self.side: SimpleNamespace | None = None

    def run(self, job: Any, progress: Progress, what: str = "") -> None:
        """Do a job, as Worker.run has it done."""
        self.thread.submit(self.perform, job).result()

    def perform(self, job: Job) -> None:
        """Do a job in this thread; all that it sets for the process is put back."""
        if self.side is None:
            self.side = serving.import_side(self.framework)
            self.side.live.ready()
        with self.side.live.undisturbed():
            if isinstance(job, OpenJob):
                self.session = worker.opened(self.side, job, self.source(self.side))
            else:
                self.session = worker.perform(self.side, job, lambda message: None, self.session)
            if self.session is not None:
                # The precision that it was built in is put back.
                self.session.built = None

    def source(self, side: SimpleNamespace) -> Source:
        """The side's functions, of which build() gives a copy of a live model."""
        build = self.functions["build"]
        make: Callable[[], Any] = build if is_function(build) else lambda: side.live.copied(build)
        return Source(**{**self.functions, "build": make})
