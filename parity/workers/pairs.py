"""Both sides of an experiment in workers that live on: each records, and replays the other's checkpoints.

The one place where a pair is made: the commands, the tests and the benchmarks come here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from parity.errors import IncomparableError, ParityError
from parity.experiment.spec import FRAMEWORKS, Experiment, Framework
from parity.recordings import recording
from parity.recordings.recording import Recording
from parity.workers.job import PRETRAINED_BY, RecordJob, ReplayJob, in_order
from parity.workers.processes import Progress, Worker, available_cpus, silent


def record_pair(
    workers: Mapping[Framework, Worker],
    experiment: Experiment,
    folder: Path,
    data: Path | None = None,
    checkpoints: int = 12,
    exchange: bool = True,
    initial_weights: Path | None = None,
    data_dir: Path | None = None,
    twins: int = 0,
) -> tuple[Recording, Recording]:
    """Keras's recording and torch's, made at once; with `exchange`, each has replayed the other's checkpoints."""
    jobs = {
        side: in_order(
            RecordJob(
                experiment.name, experiment.identity, getattr(experiment, side), "cpu", folder / side, data,
                data_dir, initial_weights=initial_weights, checkpoints=checkpoints, twins=twins,
            ),
            folder / PRETRAINED_BY,
        )
        for side in FRAMEWORKS
    }  # fmt: skip
    raise_together(record_jobs(workers, jobs, exchange))
    ours, theirs = (recording.read(folder / side) for side in FRAMEWORKS)
    return ours, theirs


def record_jobs(
    workers: Mapping[Framework, Worker],
    jobs: Mapping[Framework, Sequence[RecordJob]],
    exchange: bool = True,
    progress: Callable[[Framework], Progress] = lambda side: silent,
) -> list[IncomparableError]:
    """Have both sides do their jobs, phase by phase and both at once; with `exchange`, each then replays the other's.

    A side that fails does not take the other one's recording with it: what failed is raised when both have ended.
    Returned are the replays of whole recordings that were refused, of which a judge can say why.
    """
    bars = {side: progress(side) for side in jobs}
    refused: list[IncomparableError] = []
    for phase in zip(*jobs.values(), strict=True):
        here = dict(zip(jobs, phase, strict=True))
        raise_together(at_once(partial(workers[side].record, job, bars[side]) for side, job in here.items()))
        if exchange:
            failures = at_once(
                partial(workers[side].replay, ReplayJob(job, here[other].out))
                for side, job in here.items()
                for other in here
                if other != side
            )
            if all(job.phase == "training" for job in phase):
                refused = [error for error in failures if isinstance(error, IncomparableError)]
            raise_together([error for error in failures if error not in refused])
    return refused


def at_once(calls: Iterable[Callable[[], object]]) -> list[ParityError]:
    """Make all calls, at once where there are cores; returns the failures, and raises what is no ParityError."""
    pool = ThreadPoolExecutor(min(len(FRAMEWORKS), available_cpus()))
    try:
        futures = [pool.submit(call) for call in calls]
        wait(futures)
    finally:
        # After Ctrl-C its threads still listen to workers, which whoever started them ends.
        pool.shutdown(wait=False)
    errors = [error for error in (future.exception() for future in futures) if error is not None]
    for error in errors:
        if not isinstance(error, ParityError):
            raise error
    return [error for error in errors if isinstance(error, ParityError)]


def raise_together(failures: Sequence[ParityError]) -> None:
    """Raise all failures as one, of the first one's kind; where there is none, do nothing."""
    if failures:
        raise type(failures[0])("\n".join(map(str, failures)))
