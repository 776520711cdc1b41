"""Feed recorded gradients to optimizers of one side: python tests/open_loop.py tf|torch FILE CASE...

No model is trained: each optimizer gets the same gradients, of sizes from 1e-8 to 1, whatever its weights become. FILE
is written with each case's weights and slots after the last step, `<case>|<way>|<name>`, in float64. A script of its
own, since a process loads one framework.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from conftest import both_sides

from parity import start, worker
from parity.changes import chosen_optimizer
from parity.experiments import EXPERIMENTS
from parity.nodes import Dense, Initializer
from parity.randomness import Purpose, normals, uniforms, words
from parity.spec import Experiment, Framework, own_choices

NORMAL = Initializer("normal", 1.0)
STEPS = 200
CASES = (
    "sgd", "sgd:momentum=0.9", "sgd:momentum=0.9,nesterov=true,weight_decay=0.01", "adam", "adam:weight_decay=0.01",
    "adamw", "adamax", "adamax:weight_decay=0.01", "nadam", "nadam:momentum_decay=1", "adagrad",
    "adagrad:initial_accumulator=0.1,weight_decay=0.01", "adadelta", "rmsprop", "rmsprop:momentum=0.9,centered=true",
    "rprop", "asgd", "asgd:averaging_from=100", "lbfgs", "lbfgs:history_size=3,learning_rate=1.5",
)  # fmt: skip
# One of each optimizer; all take a minute.
ALWAYS = {
    "sgd:momentum=0.9,nesterov=true,weight_decay=0.01", "adam:weight_decay=0.01", "adamw", "adamax", "nadam",
    "nadam:momentum_decay=1", "adagrad", "adadelta", "rmsprop:momentum=0.9,centered=true", "rprop",
    "asgd:averaging_from=100", "lbfgs",
}  # fmt: skip
# torch's way in everything, and Keras's; these have one way only.
WAYS: tuple[Framework, ...] = ("torch", "tf")
ONE_WAY = (
    "nadam",
    "adadelta",
    "rprop",
    "asgd",
    "asgd:averaging_from=100",
    "lbfgs",
    "lbfgs:history_size=3,learning_rate=1.5",
)


def experiment(case: str, way: Framework) -> Experiment:
    """One dense layer, 16 to 16, with the case's optimizer."""
    layer = Dense("dense", 16, 16, NORMAL, NORMAL)
    identity = replace(EXPERIMENTS["mnist_softmax"].identity, model=(layer,), dtype="float64")
    identity = replace(identity, optimizer=chosen_optimizer(case))
    return both_sides(replace(EXPERIMENTS["mnist_softmax"], identity=identity), **own_choices(way))


def gradients() -> list[dict[str, np.ndarray]]:
    """For each step the gradients of kernel (16, 16) and bias (16,): normal, each coordinate of a size of its own."""
    shapes = {"dense/kernel": (16, 16), "dense/bias": (16,)}
    raw = words(7, Purpose.WEIGHTS, 0, STEPS * 272)
    sizes = 10 ** (-8 * uniforms(words(7, Purpose.WEIGHTS, 1, 272)))
    # Zeros too: a unit that is dead for a while.
    values = np.where(np.arange(STEPS)[:, None] % 7 == np.arange(272) % 7, 0, normals(raw).reshape(STEPS, 272) * sizes)
    pieces = [np.split(row, [256]) for row in values]
    return [
        {f"gradients/{name}": part.reshape(shape) for part, (name, shape) in zip(row, shapes.items(), strict=True)}
        for row in pieces
    ]


def built(side: Any, chosen: Experiment) -> Any:
    """The experiment's model and optimizer."""
    side.runtime.set_dtype("float64")
    realisation = getattr(chosen, side.name)
    place = side.runtime.devices()["cpu"]
    return side.train.build(worker.load_function(realisation.model), chosen.identity, realisation, place)


def run(side: Any, chosen: Experiment, steps: int = STEPS) -> dict[str, np.ndarray]:
    """The state after all steps."""
    model, updater = built(side, chosen)
    place = side.runtime.devices()["cpu"]
    side.state.write(model, updater, start.state(chosen.identity, None, None))
    for step in gradients()[:steps]:
        side.replay.update(model, updater, {name: side.state.to_tensor(name, g, place) for name, g in step.items()})
    return side.state.read(model, updater, steps)


def main(framework: Framework, file: Path, cases: list[str]) -> None:
    side = worker.load_side(framework, threads=1)
    found = {}
    for case in cases:
        for way in WAYS[: 1 if case in ONE_WAY else None]:
            for name, value in run(side, experiment(case, way)).items():
                found[f"{case}|{way}|{name}"] = value
    file.write_bytes(safetensors.numpy.save(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])  # type: ignore[arg-type]
