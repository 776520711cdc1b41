"""Record an experiment on both sides, in workers that live on."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from parity import recording
from parity.job import PRETRAINED_BY, RecordJob, ReplayJob, in_order
from parity.processes import Worker
from parity.recording import Recording
from parity.spec import FRAMEWORKS, Experiment, Framework


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
    record_jobs(workers, jobs, exchange)
    ours, theirs = (recording.read(folder / side) for side in FRAMEWORKS)
    return ours, theirs


def record_jobs(
    workers: Mapping[Framework, Worker], jobs: Mapping[Framework, Sequence[RecordJob]], exchange: bool = True
) -> None:
    """Have both sides do their jobs, phase by phase, each at once; with `exchange`, each then replays the other's."""
    others: dict[Framework, Framework] = {"tf": "torch", "torch": "tf"}

    def record(side: Framework, phase: int) -> None:
        workers[side].record(jobs[side][phase], lambda done, steps: None)

    def replay(side: Framework, phase: int) -> None:
        workers[side].replay(ReplayJob(jobs[side][phase], jobs[others[side]][phase].out))

    with ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
        for phase in range(len(jobs["tf"])):
            for step in (record, replay) if exchange else (record,):
                list(pool.map(partial(step, phase=phase), FRAMEWORKS))
