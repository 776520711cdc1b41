"""A command's pair, recorded in live workers and judged."""

import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import draws
from parity.bounds.measure import entries
from parity.commands import options as opts
from parity.errors import UsageError
from parity.experiment.spec import FRAMEWORKS, Framework
from parity.recordings import recording
from parity.recordings.recording import Recording
from parity.verdict import Check, Verdict, judge, lockstep, loop
from parity.verdict.checks import DECISIVE
from parity.workers.job import PRETRAINED_BY, in_order
from parity.workers.pairs import record_jobs
from parity.workers.processes import Worker, stop

Workers = Mapping[Framework, Worker]
# Frameworks keep some of what they compiled: after so many pairs, other processes go on.
SERVICES = 40
# A hanging job ends after so many seconds.
TIME_LIMIT = 600
# What is told of a failure.
SAID = 1000
RESULT = re.compile(r"step (\d+) float(?:32|64) ([^ ,]+), ")
# Beside the rows of parity/bounds/rows.py.
SUMS, STEPS = "digits of float32 sums", "digits of the loops' float32 steps"
ALARMS = ("mismatch", "incomparable", "failed")
JUDGED = ("parity", "mismatch", "incomparable", "insufficient")


class Outcome(NamedTuple):
    """What came of a command: a verdict, "refused", or "failed" where a process did; and why it is not parity.

    `level`, `name` and `where` are those of the first check that failed, or of the first that should have passed.
    `shares` are the largest shares of their bounds, by level, and by row of parity/bounds/rows.py.
    """

    arguments: list[str]
    threads: int
    outcome: str
    level: str = ""
    name: str = ""
    where: str = ""
    reason: str = ""
    levels: Mapping[str, float] = {}
    rows: Mapping[str, float] = {}
    seconds: float = 0.0

    @property
    def alarm(self) -> bool:
        """Whether an honest pair was called different, or not carried out although nothing refused it."""
        return self.outcome in ALARMS

    @property
    def kind(self) -> tuple[str, str, str]:
        """What makes two alarms the same: the level, and of a stage, whether it is outputs, deltas, weights or so."""
        match = RESULT.match(self.name)
        return self.outcome, self.level, match[2].partition("/")[0] if match else ""


class Lane:
    """A worker of each framework, replaced when they are worn out, when one failed, and for other threads."""

    def __init__(self) -> None:
        self.workers: dict[Framework, Worker] = {}
        self.threads = self.services = 0

    def __enter__(self) -> "Lane":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; the next command starts others."""
        stop([*self.workers.values()])
        self.workers.clear()

    def ready(self, threads: int) -> Workers:
        """Workers for one more command."""
        if self.services >= SERVICES or self.threads != threads:
            self.close()
        if not self.workers:
            self.services, self.threads = 0, threads
            self.workers.update({side: Worker(side, "cpu", threads, TIME_LIMIT) for side in FRAMEWORKS})
        self.services += 1
        return self.workers

    def judged(self, arguments: Sequence[str], threads: int) -> tuple[Outcome, Verdict | None]:
        """What comes of a command, and the verdict if there is one. Its recordings are gone."""
        began = time.monotonic()
        verdict = None
        try:
            with tempfile.TemporaryDirectory() as folder:
                pair = record(self, arguments, threads, Path(folder))
                verdict = judge(*pair)
                found = summary(arguments, threads, pair, verdict)
        except UsageError as error:
            found = Outcome([*arguments], threads, "refused", reason=str(error)[:SAID])
        except Exception as error:
            # What is left of the processes may be in any state.
            self.close()
            said = f"{type(error).__name__}: {error}"[:SAID]
            found = Outcome([*arguments], threads, "failed", level=type(error).__name__, reason=said)
        return found._replace(seconds=round(time.monotonic() - began, 2)), verdict


def record(lane: Lane, arguments: Sequence[str], threads: int, folder: Path) -> tuple[Recording, Recording]:
    """Both recordings of a command, each with the other's checkpoints replayed, as `parity.run` makes them."""
    options = draws.parser().parse_args(arguments)
    experiment = opts.experiment(options)
    options.data = opts.EMBEDDED
    opts.check_inputs(opts.job(options, experiment, "tf", "cpu", folder))
    workers = lane.ready(threads)
    jobs = {side: opts.job(options, experiment, side, "cpu", folder / side) for side in FRAMEWORKS}
    if options.init_from is not None:
        workers[options.init_from].draw(opts.draw_job(experiment, folder))
        jobs = {side: replace(job, initial_weights=folder / opts.INITIAL) for side, job in jobs.items()}
    record_jobs(workers, {side: in_order(job, folder / PRETRAINED_BY) for side, job in jobs.items()})
    ours, theirs = (recording.read(folder / side) for side in FRAMEWORKS)
    return ours, theirs


def summary(arguments: Sequence[str], threads: int, pair: tuple[Recording, Recording], verdict: Verdict) -> Outcome:
    """What is kept of a pair."""
    found = Outcome(
        [*arguments], threads, verdict.verdict, levels=levels(verdict), rows=rows(pair[0], verdict) | digits(pair)
    )
    check = decisive(verdict)
    if check is None:
        return found
    return found._replace(level=check.level, name=check.name, where=check.where or "", reason=check.reason)


def decisive(verdict: Verdict) -> Check | None:
    """The check that keeps a verdict from parity: the first one that failed, or that had to pass and was not judged."""
    failed = [check for check in verdict.checks if check.result == "failed"]
    # What only adds to others lacks nothing; a cost that ends in no number on one side does.
    levels = (*DECISIVE, "pretraining")
    open_ = [
        check
        for check in verdict.checks
        if check.result == "not_judged" and not check.supplement and (check.level in levels or check.decisive)
    ]
    return next(iter(failed or (open_ if verdict.verdict != "parity" else [])), None)


def levels(verdict: Verdict) -> dict[str, float]:
    """The largest share of its bound that a check of each level uses."""
    found: dict[str, float] = defaultdict(float)
    for check in verdict.checks:
        found[check.level] = max(found[check.level], check.share)
    return dict(found)


def rows(side: Recording, verdict: Verdict) -> dict[str, float]:
    """The same of each row of parity/bounds/rows.py, over the stages of the training."""
    found: dict[str, float] = defaultdict(float)
    for check in verdict.checks:
        match = RESULT.match(check.name) if check.level == "lockstep" else None
        if match and check.share:
            kinds = {result.name: result.kind for result in side.phase.results(int(match[1]))}
            found[kinds[match[2]]] = max(found[kinds[match[2]]], check.share)
    return dict(found)


def digits(pair: tuple[Recording, Recording]) -> dict[str, float]:
    """How much of what is allowed the size of float32's rounding uses, of sums and of the loops' steps."""
    found = {SUMS: 0.0, STEPS: 0.0}
    for side in pair:
        replayed = [entry for key in side.manifest.replays for entry in entries(side.replayed(key) or {}, "float32")]
        steps = [f"{step}/float32" for step in side.checkpoints if side.manifest.identity.dtype == "float32"]
        looped = [entry for step in steps for entry in entries(side.loop(), step)]
        for name, some, most in ((SUMS, replayed, lockstep.PRECISE), (STEPS, looped, loop.PRECISE)):
            found[name] = max([found[name], *(e.precision / most for e in some if np.isfinite(e.precision))])
    return {name: share for name, share in found.items() if share}
