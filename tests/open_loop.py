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

from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.nodes import Dense, Embedding, Initializer, Layer
from parity.experiment.optimizers import SparseAdam
from parity.experiment.randomness import Purpose, normals, uniforms, words
from parity.experiment.requested import chosen_optimizer
from parity.experiment.spec import Experiment, Framework, Identity, own_choices
from parity.recordings import start
from parity.worker import serving

NORMAL = Initializer("normal", 1.0)
STEPS = 200
CASES = (
    "sgd", "sgd:momentum=0.9", "sgd:momentum=0.9,nesterov=true,weight_decay=0.01", "adam", "adam:weight_decay=0.01",
    "adamw", "sparse_adam", "adamax", "adamax:weight_decay=0.01", "nadam", "nadam:momentum_decay=1", "adagrad",
    "adagrad:initial_accumulator=0.1,weight_decay=0.01", "adadelta", "rmsprop", "rmsprop:momentum=0.9,centered=true",
    "rprop", "asgd", "asgd:averaging_from=100", "lbfgs", "lbfgs:history_size=3,learning_rate=1.5",
)  # fmt: skip
# One of each optimizer; all take a minute.
ALWAYS = {
    "sgd:momentum=0.9,nesterov=true,weight_decay=0.01", "adamw", "sparse_adam", "nadam:momentum_decay=1", "adadelta",
    "rmsprop:momentum=0.9,centered=true", "rprop", "asgd:averaging_from=100", "lbfgs",
}  # fmt: skip
# torch's way in everything, and Keras's; these have one way only.
WAYS: tuple[Framework, ...] = ("torch", "tf")
ONE_WAY = (
    "sparse_adam",
    "rprop",
    "asgd",
    "asgd:averaging_from=100",
    "lbfgs",
    "lbfgs:history_size=3,learning_rate=1.5",
)


def experiment(case: str, way: Framework) -> Experiment:
    """One dense layer, 16 to 16, or an embedding of as many words and units, with the case's optimizer."""
    optimizer = chosen_optimizer(case)
    layer: Layer = Dense("dense", 16, 16, NORMAL, NORMAL)
    if isinstance(optimizer, SparseAdam):
        layer = Embedding("embedding", 4, 16, 16, NORMAL)
    identity = EXPERIMENTS["mnist_softmax"].identity
    identity = replace(identity, model=(layer,), optimizer=optimizer, dtype="float64")
    return both_sides(replace(EXPERIMENTS["mnist_softmax"], identity=identity), **own_choices(way))


def gradients(identity: Identity) -> list[dict[str, np.ndarray]]:
    """For each step the gradients of kernel or table (16, 16), and bias (16,): normal, each of a size of its own."""
    raw = words(7, Purpose.WEIGHTS, 0, STEPS * 272)
    sizes = 10 ** (-8 * uniforms(words(7, Purpose.WEIGHTS, 1, 272)))
    # Zeros too: a unit that is dead for a while.
    values = np.where(np.arange(STEPS)[:, None] % 7 == np.arange(272) % 7, 0, normals(raw).reshape(STEPS, 272) * sizes)
    pieces = [(row[:256].reshape(16, 16), row[256:]) for row in values]
    return [{f"gradients/{name}": part for name, part in zip(identity.weights, row, strict=False)} for row in pieces]


def tokens(step: int) -> np.ndarray:
    """[4, 4]: which rows of a table have a gradient in a step, some of them more than once."""
    return (words(7, Purpose.WEIGHTS, 2 + step, 16) % np.uint64(16)).astype(np.int64).reshape(4, 4)


def built(side: Any, chosen: Experiment) -> Any:
    """The experiment's model and optimizer."""
    side.runtime.set_dtype("float64")
    realisation = getattr(chosen, side.name)
    place = side.runtime.devices()["cpu"]
    return side.train.build(serving.load_function(realisation.model), chosen.identity, realisation, place)


def run(side: Any, chosen: Experiment, steps: int = STEPS) -> dict[str, np.ndarray]:
    """The state after all steps."""
    model, updater = built(side, chosen)
    place = side.runtime.devices()["cpu"]
    side.state.write(model, updater, start.state(chosen.identity, None, None))
    for step, taken in enumerate(gradients(chosen.identity)[:steps]):
        given = {name: side.state.to_tensor(name, gradient, place) for name, gradient in taken.items()}
        side.replay.update(model, updater, given, side.state.to_tensor("inputs", tokens(step), place))
    return side.state.read(model, updater, steps)


def main(framework: Framework, file: Path, cases: list[str]) -> None:
    side = serving.load_side(framework, threads=1)
    found = {}
    for case in cases:
        for way in WAYS[: 1 if case in ONE_WAY else None]:
            for name, value in run(side, experiment(case, way)).items():
                found[f"{case}|{way}|{name}"] = value
    file.write_bytes(safetensors.numpy.save(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])  # type: ignore[arg-type]
