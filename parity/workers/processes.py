"""The parent's side of the workers: start, ask, listen, stop."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from parity.errors import IncomparableError, ParityError, UsageError, WorkerError, plain
from parity.experiment.spec import FRAMEWORKS, Framework
from parity.workers.job import DiagnoseJob, DrawJob, PassJob, RecordJob, ReplayJob, TensorsJob

Progress = Callable[[int, int], None]
# Where this package is, and the implementations beside it.
PACKAGES = Path(__file__).parents[2]
# Runs a module as -m does, with the `parity` of that folder, whatever other one the current folder holds.
BEGIN = (
    "import runpy, sys; sys.path.insert(0, {folder!r}); import parity; del sys.path[0]; "
    "runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
)
# Seconds that a worker gets to finish an interrupted recording before it is killed.
GRACE_SECONDS = 3
# How long a thread of torch's waits busily for the others (libgomp's own is 30 times as long). Beside two busy programs
# on two cores, `parity.record mnist_softmax --framework torch --epochs 1` takes twice as long as alone; else ten times.
PATIENT = {"GOMP_SPINCOUNT": "10000"}
# An import takes seconds, from a cold network disk a minute; one that takes longer hangs.
IMPORT_SECONDS = 300
LAST_LINES = 5
# What TensorFlow writes while it is imported, whatever becomes of it: hints and warnings of its own log, with the time
# in front in either of two forms, and what follows them. Its errors of a later time have the same form, and E or F.
STARTING = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] |[IW]\d{4} \d\d:\d\d:[\d.]+ |"
    r".*Unable to register cu\w+ (factory|\w+ plugin)|.*computation placer already registered|"
    r"WARNING: All log messages before absl::InitializeLog|To enable the following instructions: "
)


def silent(done: int, steps: int) -> None:
    """Show no progress."""


def telling(lines: Iterable[str]) -> list[str]:
    """The lines of a framework's log that say something of this run: not those that TensorFlow begins with."""
    found = (plain(line).rstrip() for line in lines)
    return [line for line in found if line.strip() and not STARTING.match(line)]


def available_cpus() -> int:
    """The cores this process may be scheduled on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Doer(Protocol):
    """What does a side's jobs: a process of its own, or this one."""

    def run(self, job: Any, progress: Progress, what: str = ...) -> None:
        """Do a job, a dataclass."""


class Worker:
    """One framework's process. Use it as a context manager; it is gone when the block ends, however it ends.

    `time_limit` is how many seconds the import, and then each job, may take; None stops only an import that hangs.
    `environment` are variables that the process gets besides this one's own, `module` is what it runs, and `packages`
    is the folder that holds `parity` and the implementations.
    """

    def __init__(
        self,
        framework: Framework,
        device: str,
        threads: int,
        time_limit: float | None = None,
        environment: Mapping[str, str] | None = None,
        module: str = "parity.worker",
        packages: Path = PACKAGES,
    ) -> None:
        self.framework = framework
        self.time_limit = time_limit
        # Why the process was stopped from here, once it was.
        self.stopped: str | None = None
        # None until the framework has been imported, which takes seconds; or what that failed with.
        self.devices: list[str] | None = None
        self.failure: ParityError | None = None
        self.log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115, closed in `stop`
        # Keras would take the backend that a user's own settings name.
        variables = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1", "KERAS_BACKEND": "tensorflow"}
        # NumPy's products take all cores otherwise, and wait busily where those do other work: four times as long.
        variables["OPENBLAS_NUM_THREADS"] = str(threads)
        if device == "cpu":
            # Spares TensorFlow its search for a GPU, and torch the memory of a context on one.
            variables["CUDA_VISIBLE_DEVICES"] = ""
        begin = BEGIN.format(folder=str(packages), module=module)
        self.process = subprocess.Popen(
            [sys.executable, "-c", begin, framework, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            bufsize=1,
            env=PATIENT | os.environ | variables | dict(environment or {}),
            # Ctrl-C reaches this process alone, which then stops the workers in order.
            start_new_session=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        stop([self])

    def wait_until_ready(self) -> list[str]:
        """The devices that the framework found, once it has been imported; one that failed fails again alike."""
        if self.failure is not None:
            raise self.failure
        if self.devices is None:
            try:
                with self._limited(min(IMPORT_SECONDS, self.time_limit or IMPORT_SECONDS), "importing it took"):
                    found = self._answer(silent)
            except ParityError as error:
                self.failure = error
                raise
            assert isinstance(found, list)
            self.devices = found
        return self.devices

    def record(self, job: RecordJob, progress: Progress) -> None:
        """Record to the end; `progress` is called with (steps done, steps in all)."""
        self.run(job, progress)

    def replay(self, job: ReplayJob) -> None:
        """Add the replay of another recording to one of this side's."""
        self.run(job, silent)

    def draw(self, job: DrawJob) -> None:
        """Draw initial weights with this framework's own initializers."""
        self.run(job, silent)

    def diagnose(self, job: DiagnoseJob | TensorsJob | PassJob) -> None:
        """Replay checkpoints as other realisations have them, or write all tensors of a step, or of several."""
        self.run(job, silent, "the diagnosis took")

    def run(self, job: Any, progress: Progress, what: str = "recording took") -> None:
        """Have a job done, a dataclass of a kind that the process takes; `what` names it when time is up."""
        self.wait_until_ready()
        try:
            assert self.process.stdin
            self.process.stdin.write(json.dumps(asdict(job), default=str) + "\n")
        except BrokenPipeError:
            raise self._died() from None
        with self._limited(self.time_limit, what):
            self._answer(progress)

    @contextlib.contextmanager
    def _limited(self, seconds: float | None, what: str) -> Iterator[None]:
        """End the process if the block takes longer than `seconds`."""

        def expire() -> None:
            self.stopped = f"was stopped: {what} longer than {seconds:g} s"
            end([self.process])

        if seconds is None:
            yield
            return
        timer = threading.Timer(seconds, expire)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _answer(self, progress: Progress) -> str | list[str]:
        assert self.process.stdout
        for line in self.process.stdout:
            answer = json.loads(line)
            if "done" in answer:
                return answer["done"]
            if "error" in answer:
                raise self._reported(answer["error"], answer["status"])
            progress(answer["progress"], answer["of"])
        raise self._died()

    def _reported(self, message: str, status: int | None) -> ParityError:
        for kind in (UsageError, IncomparableError):
            if status == kind.status:
                return kind(message)
        said = " ".join(plain(message).split())
        return self._error(f"failed: {said}")

    def _died(self) -> WorkerError:
        code = self.process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        if code == -signal.SIGKILL:
            how += " (what the system does when memory runs out)"
        how = self.stopped or how
        return self._error(how)

    def _error(self, how: str) -> WorkerError:
        """An error that says what happened to the worker, with its last lines."""
        self.log.seek(0)
        lines = [f"  {self.framework}: {line}" for line in telling(self.log)[-LAST_LINES:]]
        return WorkerError("\n".join([f"the {self.framework} worker {how}", *lines]))


@contextlib.contextmanager
def started(
    device: str,
    threads: int,
    time_limit: float | None,
    sides: Sequence[Framework] = FRAMEWORKS,
    module: str = "parity.worker",
) -> Iterator[dict[Framework, Worker]]:
    """A worker of each of these frameworks, which runs `module`; gone when the block ends."""
    workers: dict[Framework, Worker] = {}
    try:
        for side in sides:
            with uninterrupted():
                workers[side] = Worker(side, device, threads, time_limit, module=module)
        yield workers
    finally:
        stop(list(workers.values()))


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off Ctrl-C and requests to stop to the end of the block: what has half begun would be stopped by no one."""
    if threading.current_thread() is not threading.main_thread():
        # Python has signals handled by the main thread alone.
        yield
        return
    came: list[int] = []
    # Not by a mask, which is one thread's: NumPy's threads would take the signal, and Python's handler run after all.
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for late in came:
            signal.raise_signal(late)


def stop(workers: list[Worker]) -> None:
    """End the workers' processes."""
    for worker in workers:
        with contextlib.suppress(BrokenPipeError):
            assert worker.process.stdin
            worker.process.stdin.close()
    try:
        end([worker.process for worker in workers])
    finally:
        for worker in workers:
            worker.log.close()


def end(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Ask all processes to end, and after a grace period end what is left by force."""
    try:
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, deadline - time.monotonic()))
    finally:
        # Also when a second Ctrl-C cuts the grace short.
        for process in processes:
            process.kill()
            process.wait()
