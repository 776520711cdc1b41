"""Dropout of one side against the framework's own class: python tests/dropped.py tf|torch FILE

FILE is written with what the stock class and the side's layer, given the stock class's masks, make of `cases`, and
their gradients: `<dtype> <rate> stock y`, `... stock gradient`, `... own y`, `... own gradient` and `... mask`; and
with `philox <i>`, the words of COUNTERS. A script of its own, since a process loads one framework.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from parity.experiment.nodes import Dropout
from parity.experiment.randomness import LOW, Purpose, normals, words
from parity.experiment.spec import DTYPES, Framework
from parity.worker import serving

# Salmon et al.'s known answers for Philox4x32-10 are of these (Random123, tests/kat_vectors): counter and key.
COUNTERS = (
    ((0, 0, 0, 0), (0, 0)),
    ((LOW, LOW, LOW, LOW), (LOW, LOW)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)),
)
# 1 / (1 - 0.45) in float32 is not 1 / float32(1 - 0.45).
RATES = (0.3, 0.45, 0.9)
COUNT = 20_000
SPECIAL = (np.inf, -np.inf, np.nan, 0.0, -0.0, 1e30, -1e-30)
# (x, mask) -> y, and its derivative times the delta of `cases`
Computed = Callable[[np.ndarray, np.ndarray | None], tuple[np.ndarray, np.ndarray]]


def cases(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """[COUNT] each: values, many of them special, and the cost's gradients by what is made of them."""
    x, delta = normals(words(7, Purpose.WEIGHTS, 0, 2 * COUNT)).reshape(2, COUNT).astype(dtype)
    x[::10], delta[5::10] = np.resize(SPECIAL, COUNT // 10), np.resize(SPECIAL, COUNT // 10)
    return x, delta


def tf_layers(own: Any, rate: float, dtype: str) -> dict[str, Computed]:
    """The stock layer and the side's own."""
    keras, tf = importlib.import_module("keras"), importlib.import_module("tensorflow")

    def differentiated(function: Callable[[Any, Any], Any]) -> Computed:
        def run(x: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
            given = tf.constant(x)
            with tf.GradientTape() as tape:
                tape.watch(given)
                y = function(given, mask)
            return y.numpy(), tape.gradient(y, given, output_gradients=tf.constant(cases(dtype)[1])).numpy()

        return run

    return {
        "stock": differentiated(lambda x, mask: keras.layers.Dropout(rate, seed=3)(x, training=True)),
        "own": differentiated(lambda x, mask: own(x, training=True, kept=tf.constant(mask))),
    }


def torch_layers(own: Any, rate: float, dtype: str) -> dict[str, Computed]:
    """The stock layer and the side's own."""
    torch = importlib.import_module("torch")

    def differentiated(function: Callable[[Any, Any], Any]) -> Computed:
        def run(x: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
            given = torch.tensor(x, requires_grad=True)
            torch.manual_seed(3)
            y = function(given, mask)
            y.backward(torch.tensor(cases(dtype)[1]))
            return y.detach().numpy(), given.grad.numpy()

        return run

    return {
        "stock": differentiated(lambda x, mask: torch.nn.Dropout(rate)(x)),
        "own": differentiated(lambda x, mask: own(x, kept=torch.tensor(mask))),
    }


def main(side: Framework, file: Path) -> None:
    loaded = serving.load_side(side, threads=1)
    layers, randomness = (importlib.import_module(f"{side}_impl.{name}") for name in ("layers", "randomness"))
    tensor = importlib.import_module("tensorflow").constant if side == "tf" else importlib.import_module("torch").tensor
    found: dict[str, np.ndarray] = {}
    for i, (counter, key) in enumerate(COUNTERS):
        given = [tensor(np.array([word], np.int64)) for word in counter]
        found[f"philox {i}"] = np.concatenate([word.numpy() for word in randomness.philox(given, key)])
    for dtype in DTYPES:
        loaded.runtime.set_dtype(dtype)
        for rate in RATES:
            own = layers.dropout(Dropout("dropout", rate))
            functions = (tf_layers if side == "tf" else torch_layers)(own, rate, dtype)
            found[f"{dtype} {rate} mask"] = mask = functions["stock"](np.ones(COUNT, dtype), None)[0] != 0
            for name, function in functions.items():
                y, gradient = function(cases(dtype)[0], mask)
                found |= {f"{dtype} {rate} {name} y": y, f"{dtype} {rate} {name} gradient": gradient}
    file.write_bytes(safetensors.numpy.save(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))  # type: ignore[arg-type]
