"""Compute every loss of one side by itself: python tests/saturation.py tf|torch JOB.json FOLDER

The job's `table` lists logits: each passes the stock sigmoid, where a loss takes probabilities, and the cost and its
gradient by the logit are computed. Its `outputs` lists, for each loss, outputs that it is given as they are. Each entry
is a batch of one sample, with every label. `faults` are edits (file, text, replacement) of the implementation with the
loss that is computed once more under them. Each set of results is written to FOLDER/<the fault's number or clean>.json.
A script of its own, since a process loads one framework.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.planted import planted
from parity.experiment.experiments import EXPERIMENTS, activation
from parity.experiment.spec import DTYPES, ENDINGS, Framework
from parity.worker import serving
from parity.worker.replays import convert

# (x [1, units], label) -> cost, its gradient by x [units]
Computed = Callable[[np.ndarray, int], tuple[float, list[float]]]


def differentiated(side: Framework, loss: Any, last: Any) -> Computed:
    """The cost of last(x), with its gradient by x."""
    if side == "torch":
        torch = importlib.import_module("torch")

        def eager(x: np.ndarray, label: int) -> tuple[float, list[float]]:
            given = torch.tensor(x, requires_grad=True)
            cost = loss(last(given), torch.tensor([label]))
            cost.backward()
            return cost.item(), given.grad[0].tolist()

        return eager
    tf = importlib.import_module("tensorflow")

    @tf.function(autograph=False)
    def compiled(given: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(given)
            cost = loss(last(given), labels)
        return cost, tape.gradient(cost, given)[0]

    def run(x: np.ndarray, label: int) -> tuple[float, list[float]]:
        cost, gradient = compiled(tf.constant(x), tf.constant([label], tf.int64))
        return float(cost), gradient.numpy().tolist()

    return run


def computed(side: Framework, loaded: SimpleNamespace, job: dict[str, Any]) -> dict[str, Any]:
    """The costs and gradients of `outputs` and `table`: a list for each loss, kind and precision."""
    layers = importlib.import_module(f"{side}_impl.layers")
    realisation = getattr(EXPERIMENTS["xor_tanh"], side)
    found: dict[str, Any] = {}
    for dtype in DTYPES:
        loaded.runtime.set_dtype(dtype)
        for name, outputs in job["outputs"].items():
            loss = loaded.losses.loss(name)
            given = {"outputs": (outputs, differentiated(side, loss, lambda x: x))}
            if len(outputs[0]) == 1:
                node = layers.layer(activation(1, ENDINGS.get(name, "sigmoid"), 1), realisation)
                given["table"] = ([[z] for z in job["table"]], differentiated(side, loss, node))
            for kind, (values, function) in given.items():
                found[f"{name} {kind} {dtype}"] = [
                    function(convert(np.array([value]), dtype), label)
                    for value in values
                    for label in range(max(2, len(value)))
                ]
    return found


def main(side: Framework, job: dict[str, Any], folder: Path) -> None:
    loaded = serving.load_side(side, threads=1)
    (folder / "clean.json").write_text(json.dumps(computed(side, loaded, job)))
    for number, (edit, name) in enumerate(job["faults"][side]):
        of_one = job | {"outputs": {name: job["outputs"][name]}}
        with planted(side, edit) as changed:
            (folder / f"{number}.json").write_text(json.dumps(computed(side, changed, of_one)))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3]))  # type: ignore[arg-type]
