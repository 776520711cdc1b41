"""Record one side with odd twins: python tests/twinned.py tf|torch FOLDER

FOLDER/silent: its impulses are all zero; FOLDER/failing: it raises an error. A script, since a process loads one
framework.
"""

import sys
from pathlib import Path

import numpy as np
from conftest import shortened

from parity.experiment import randomness
from parity.experiment.spec import Framework
from parity.worker import serving
from parity.workers.job import RecordJob


def silent(seed: int, number: int, weights: int, steps: int) -> randomness.Impulses:
    return randomness.Impulses(np.zeros(weights), np.zeros(steps, np.int64))


def failing(seed: int, number: int, weights: int, steps: int) -> randomness.Impulses:
    raise RuntimeError("a twin's own fault")


def main(side: Framework, folder: Path) -> None:
    loaded, experiment = serving.load_side(side, threads=1), shortened("mnist_softmax", 12)
    for kind in (silent, failing):
        randomness.impulses = kind
        out = folder / kind.__name__
        job = RecordJob(
            experiment.name, experiment.identity, getattr(experiment, side), "cpu", out, checkpoints=2, twins=1
        )
        serving.perform(loaded, job, lambda message: None)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))  # type: ignore[arg-type]
