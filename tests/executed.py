"""Print, as JSON, which functions of one side its jobs execute: python tests/executed.py tf|torch FOLDER

A script of its own, since a process loads one framework, and the one that runs the tests loads none.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import open_loop
from conftest import both_sides, shortened, with_activations
from saturation import computed
from test_losses import OUTPUTS

from parity import worker
from parity.experiments import KERAS_ACTIVATIONS, with_dropout
from parity.job import DrawJob, RecordJob
from parity.spec import Experiment, Framework

# The activations that have a function of their own.
CHOOSING = ("leaky_relu", "prelu", "elu", "selu", "gelu", "gelu_tanh", "hard_sigmoid", "softplus")


def dropped(experiment: Experiment) -> Experiment:
    """The experiment with dropout."""
    model = with_dropout(experiment.identity.model, 0.5)
    return replace(experiment, identity=replace(experiment.identity, model=model))


def jobs(side: Framework, folder: Path) -> list[RecordJob | DrawJob]:
    """Jobs that between them reach every choice and every kind of node."""
    experiments = [
        with_activations(CHOOSING, 2),
        both_sides(with_activations(CHOOSING, 2), adam_epsilon="before_correction", **KERAS_ACTIVATIONS),
        shortened("xor_sigmoid", 2),
        dropped(shortened("mnist_batchnorm", 2)),
        both_sides(dropped(shortened("mnist_batchnorm", 2)), moving_variance="biased", dropout="selection"),
    ]
    drawing = DrawJob(experiments[0].identity, "own", folder / "initial.safetensors")
    return [drawing] + [
        RecordJob(e.name, e.identity, getattr(e, side), "cpu", folder / str(i), checkpoints=1)
        for i, e in enumerate(experiments)
    ]


def main(side: Framework, folder: Path) -> None:
    executed = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call":
            # AutoGraph runs a rewritten copy of a function, under a prefixed name but with the function's globals.
            package, _, module = (frame.f_globals.get("__name__") or "").partition(".")
            if package == f"{side}_impl":
                executed.add(f"{module}.{code.co_name.removeprefix('tf__')}")

    sys.setprofile(note)
    loaded = worker.load_side(side, threads=1)
    for job in jobs(side, folder):
        worker.perform(loaded, job, lambda message: None)
    computed(side, loaded, {"table": [], "outputs": {name: outputs[:1] for name, outputs in OUTPUTS.items()}})
    for case in open_loop.CASES:
        for way in open_loop.WAYS:
            open_loop.built(loaded, open_loop.experiment(case, way))
    for case in ("sgd:momentum=0.9,nesterov=true,weight_decay=0.01", "adam", "nadam:momentum_decay=1"):
        open_loop.run(loaded, open_loop.experiment(case, "tf"), steps=1)
    sys.setprofile(None)
    print(json.dumps(sorted(executed)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))  # type: ignore[arg-type]
