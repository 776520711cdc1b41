"""Print, as JSON, which functions of one side its jobs execute: python tests/executed.py tf|torch FOLDER

A script of its own, since a process loads one framework, and the one that runs the tests loads none.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import open_loop
from conftest import both_sides, pretrained, shortened, with_activations
from own_pairs import PAIRS, SGD
from saturation import computed
from test_losses import OUTPUTS

from parity.experiment.experiments import KERAS_ACTIVATIONS, mlp, with_dropout
from parity.experiment.optimizers import Clipping
from parity.experiment.randomness import by_node
from parity.experiment.requested import initializer
from parity.experiment.spec import Experiment, Framework
from parity.ports import worker as own_worker
from parity.ports.arrays import load_arrays, save_arrays
from parity.ports.job import ForceJob, InputsJob, KeptJob, LossJob, OpenJob, SaveJob, TraceJob, WitnessJob
from parity.ports.job import RecordJob as OwnRecordJob
from parity.ports.live import InProcess
from parity.recordings import start
from parity.worker import serving
from parity.worker.task import Task
from parity.workers.job import DrawJob, RecordJob, in_order
from parity.workers.processes import silent

# The activations that have a function of their own.
CHOOSING = ("leaky_relu", "prelu", "elu", "selu", "gelu", "gelu_tanh", "hard_sigmoid", "softplus")


def unheard(message: Any) -> None:
    """Take a worker's message."""


def dropped(experiment: Experiment) -> Experiment:
    """The experiment with dropout."""
    model = with_dropout(experiment.identity.model, 0.5)
    return replace(experiment, identity=replace(experiment.identity, model=model))


def experiments() -> list[Experiment]:
    """Between them these reach every choice and every kind of node; the first by a whole job."""
    clipped = shortened("mnist_softmax", 2, clipping=Clipping("norm", 0.1))
    return [
        dropped(shortened("mnist_batchnorm", 2)),
        both_sides(dropped(shortened("mnist_batchnorm", 2)), moving_variance="biased"),
        with_activations(CHOOSING, 2),
        both_sides(with_activations(CHOOSING, 2), adam_epsilon="before_correction", **KERAS_ACTIVATIONS),
        shortened("xor_sigmoid", 2),
        shortened("mnist_tokens", 2),
        shortened("mnist_layernorm", 2),
        clipped,
        both_sides(clipped, clip_epsilon="none"),
    ]


def pretraining(side: Framework, folder: Path) -> RecordJob:
    """The pre-training of one small layer."""
    model = mlp([784, 4, 10], "sigmoid", "linear", initializer("normal:0.01"), initializer("zeros"))
    chosen = pretrained(1, model=model)
    job = RecordJob(chosen.name, chosen.identity, getattr(chosen, side), "cpu", folder / "rbm", checkpoints=1)
    return in_order(job)[0]


def step(side: Any, chosen: Experiment, folder: Path) -> None:
    """One step of an experiment, without the graph that takes a framework longest."""
    identity, realisation = chosen.identity, getattr(chosen, side.name)
    job = RecordJob(chosen.name, identity, realisation, "cpu", folder)
    task = Task(side, job, serving.load_function(realisation.model))
    model, updater = side.train.build(task.build, identity, realisation, task.place)
    side.state.write(model, updater, start.state(identity, None, None))
    clip, loss = side.clipping.clip_function(identity.clipping, realisation), side.losses.loss(identity.loss)
    _, inputs, labels = side.data.batch(task.on_device, 0)
    masks = by_node(identity, side.train.dropout_mask(identity, 0, inputs))
    side.train.train_step(model, loss, clip, updater, inputs, labels, masks)


# What a variant of torch's own convolution may need: its input padded, its output cut, a setting changed.
EDITED = ({"path": "0", "set": {"padding": [0, 0]}, "pad": [1, 2, 1, 2], "crop": [[0, 6], [0, 5]], "arguments": {}},)


def own_model(side: Framework, loaded: Any, name: str, folder: Path) -> None:
    """A user's own model, and everything that is asked of it."""
    momentum = tuple(text.replace("0.1", "0.1, momentum=0.9") for text in SGD)
    paths = replace(PAIRS[name], optimizer=(momentum[0], momentum[1])).write(folder)
    path = paths["keras" if side == "tf" else "torch"]
    path.write_text(path.read_text() + "\n\ndef predict(model, x):\n    return model(x)\n")
    weights, kept, forced = folder / "side" / "weights.arrays", folder / "kept.arrays", folder / "forced.arrays"
    opened = own_worker.perform(loaded, InputsJob(folder / "in", data=str(paths["data"])), unheard, None)
    opened = own_worker.perform(loaded, OpenJob(str(path), folder / "in", folder / "side"), unheard, opened)
    slot = "momentum" if side == "tf" else "-lr * momentum_buffer"
    kernels = {f"{slot}/{key}": value for key, value in load_arrays(weights).items() if value.ndim == 2}
    save_arrays(kept, {"count": np.array(1), **kernels})
    save_arrays(forced, {})
    for job in (
        OwnRecordJob(weights, folder / "side", 1, 1),
        TraceJob(weights, 1, folder / "trace", None, {"shape": "targets"}),
        TraceJob(weights, 1, folder / "again", folder / "trace"),
        KeptJob(folder / "found.arrays"),
        SaveJob(weights, folder / ("side.weights.h5" if side == "tf" else "side.safetensors"), "", kept),
        LossJob(weights, weights, ({}, {"call": {"reduction": "sum"}}), 1, folder / "losses"),
    ):
        own_worker.perform(loaded, job, unheard, opened)
    if side == "torch" and name == "conv_batchnorm":
        given = {"inputs/0": np.ones((1, 2)), "weights/0": np.ones((2, 1)), "weights/1": np.ones(1)}
        save_arrays(folder / "given.arrays", given)
        for job in (
            ForceJob(weights, forced, folder / "out.arrays", EDITED),
            WitnessJob("Dense", {"units": 1}, folder / "given.arrays", folder / "made.arrays"),
        ):
            own_worker.perform(loaded, job, unheard, opened)


def live_model(side: Framework, folder: Path) -> None:
    """A live model: its weights are read of a copy."""
    if side == "tf":
        import keras
        from keras import layers

        steps = [layers.Reshape((3, 1)), layers.MaxPooling1D(), layers.Flatten(), layers.Dense(2)]
        model: Any = keras.Sequential([keras.Input((3,)), *steps])
    else:
        import torch

        model = torch.nn.Linear(3, 2)
    with ThreadPoolExecutor(1) as thread:
        live = InProcess(side, model, thread)
        for job in (
            InputsJob(folder / "in", shapes={"x": (4, 3)}),
            OpenJob("live", folder / "in", folder / "side"),
        ):
            live.run(job, silent)


def main(side: Framework, folder: Path) -> None:
    executed = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call":
            # AutoGraph runs a rewritten copy of a function, under a prefixed name but with the function's globals.
            package, _, module = (frame.f_globals.get("__name__") or "").partition(".")
            if package == f"{side}_impl":
                executed.add(f"{module}.{code.co_name.removeprefix('tf__')}")

    # Told of calls of Python functions alone, which a profiler is not.
    sys.settrace(note)
    threading.settrace(note)
    loaded = serving.load_side(side, threads=1)
    whole, *others = experiments()
    job = RecordJob(whole.name, whole.identity, getattr(whole, side), "cpu", folder / "whole", checkpoints=1)
    for asked in (DrawJob(whole.identity, "own", folder / "initial.safetensors"), job, pretraining(side, folder)):
        serving.perform(loaded, asked, unheard)
    for chosen in others:
        step(loaded, chosen, folder)
    computed(side, loaded, {"table": [], "outputs": {name: outputs[:1] for name, outputs in OUTPUTS.items()}})
    for case in open_loop.CASES:
        for way in open_loop.WAYS:
            open_loop.built(loaded, open_loop.experiment(case, way))
    for case in (
        "lbfgs",
        "sparse_adam",
        "sgd:momentum=0.9,nesterov=true,weight_decay=0.01",
        "adam",
        "nadam:momentum_decay=1",
    ):
        open_loop.run(loaded, open_loop.experiment(case, "tf"), steps=1)
    for name in ("conv_batchnorm", "own_step"):
        own_model(side, loaded, name, folder / name)
    live_model(side, folder / "live")
    sys.settrace(None)
    print(json.dumps(sorted(executed)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))  # type: ignore[arg-type]
