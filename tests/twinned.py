"""Record one side with a twin of which something is off: python tests/twinned.py tf|torch silent|failing FOLDER

silent: its impulses are all zero; failing: it raises an error. A script, since a process loads one framework.
"""

import sys
from pathlib import Path

import numpy as np
from conftest import shortened

from parity import randomness, worker
from parity.job import RecordJob
from parity.spec import Framework


def silent(seed: int, number: int, weights: int, steps: int) -> randomness.Impulses:
    return randomness.Impulses(np.zeros(weights), np.zeros(steps, np.int64))


def failing(seed: int, number: int, weights: int, steps: int) -> randomness.Impulses:
    raise RuntimeError("a twin's own fault")


def main(side: Framework, kind: str, out: Path) -> None:
    randomness.impulses = {"silent": silent, "failing": failing}[kind]
    experiment = shortened("mnist_softmax", 12)
    job = RecordJob(experiment.name, experiment.identity, getattr(experiment, side), "cpu", out, checkpoints=2, twins=1)
    worker.perform(worker.load_side(side, threads=1), job, lambda message: None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))  # type: ignore[arg-type]
