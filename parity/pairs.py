"""Record an experiment on both sides, in workers that live on."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parity import recording
from parity.job import RecordJob, ReplayJob
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
) -> tuple[Recording, Recording]:
    """Keras's recording and torch's, made at once; with `exchange`, each has replayed the other's checkpoints."""
    jobs = {
        side: RecordJob(
            experiment.name, experiment.identity, getattr(experiment, side), "cpu", folder / side, data,
            initial_weights=initial_weights, checkpoints=checkpoints,
        )
        for side in FRAMEWORKS
    }  # fmt: skip
    others: dict[Framework, Framework] = {"tf": "torch", "torch": "tf"}
    with ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
        list(pool.map(lambda side: workers[side].record(jobs[side], lambda done, steps: None), FRAMEWORKS))
        if exchange:
            list(pool.map(lambda s: workers[s].replay(ReplayJob(jobs[s], folder / others[s])), FRAMEWORKS))
    ours, theirs = (recording.read(folder / side) for side in FRAMEWORKS)
    return ours, theirs
