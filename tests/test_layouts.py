"""Weights of real layers, carried from either framework to the other: the same function, and to the bit back again."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from parity.models.described import from_json
from parity.pairing.proof import proven
from parity.pairing.rules import pair
from parity.pairing.transfer import moved
from parity.workers.processes import Worker
from tests.built import BuildJob
from tests.layer_pairs import KINDS, LayerPair

# One of each family; CI has them all.
QUICK = (
    "dense",
    "convolution_2d",
    "transposed_2d",
    "depthwise_2d",
    "separable_2d",
    "embedding",
    "batch_norm",
    "map_norm",
    "prelu",
    "gru",
    "bidirectional_lstm",
    "attention",
)


@pytest.fixture(scope="session")
def builders() -> Iterator[dict[str, Worker]]:
    """A process of each framework that builds what it is given."""
    with (
        Worker("tf", "cpu", 1, module="tests.built") as keras,
        Worker("torch", "cpu", 1, module="tests.built") as torch,
    ):
        yield {"keras": keras, "torch": torch}


class Built:
    """One side of a pair, built again with the weights and inputs that it is given."""

    def __init__(self, worker: Worker, code: str, folder: Path) -> None:
        self.worker, self.code, self.folder = worker, code, folder
        folder.mkdir()

    def run(self, inputs: np.ndarray | None = None, weights: dict[str, Any] | None = None) -> dict[str, Any]:
        """Its weights as they are then, its model, and its output."""
        for name, arrays in (("inputs", {"x": inputs} if inputs is not None else None), ("weights", weights)):
            path = self.folder / f"{name}.safetensors"
            path.unlink(missing_ok=True)
            if arrays is not None:
                save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, path)
        self.worker.run(BuildJob(self.code, self.folder), lambda done, steps: None)
        outputs = self.folder / "outputs.safetensors"
        return {
            "model": from_json((self.folder / "model.json").read_text()),
            "values": load_file(self.folder / "values.safetensors"),
            "output": load_file(outputs)["output"] if inputs is not None else None,
        }


def generic(values: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Other numbers of the same shapes: none stands out, and variances are positive. Counters stay."""
    return {
        name: value
        if value.dtype.kind != "f"
        else rng.uniform(0.5, 1.5, value.shape) * (1 if "var" in name else rng.choice([-1.0, 1.0], value.shape))
        for name, value in values.items()
    }


@pytest.fixture
def both(builders, tmp_path):
    """A function that builds both sides of a pair of layers."""

    def build(case: LayerPair) -> tuple[Built, Built]:
        return (
            Built(builders["keras"], case.keras, tmp_path / "keras"),
            Built(builders["torch"], case.torch, tmp_path / "torch"),
        )

    return build


def drawn(case: LayerPair, rng: np.random.Generator) -> np.ndarray:
    """An input of the case's shape."""
    return rng.integers(0, case.tokens, case.shape) if case.tokens else rng.normal(size=case.shape)


def assert_same(one: np.ndarray, other: np.ndarray) -> None:
    """Equal but for the rounding of float64."""
    assert one.shape == other.shape
    assert np.max(np.abs(one - other)) <= 1e-12 * max(1, np.max(np.abs(one)))


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.ci) for kind in KINDS]
)
def test_weights_go_both_ways(kind, both):
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    case = KINDS[kind](rng)
    keras, torch = both(case)
    x = drawn(case, rng)
    ours, theirs = keras.run(x), torch.run(x)
    pairing = pair(ours["model"], theirs["model"])
    assert not any(pairing.unpaired.values()), pairing.messages

    values = generic(ours["values"], rng)
    over = moved(pairing, values, "keras")
    assert not over.lost
    floats = {name for name, value in theirs["values"].items() if value.dtype.kind == "f"}
    assert set(over.values) == floats
    assert_same(keras.run(x, values)["output"], torch.run(x, over.values)["output"])
    back = moved(pairing, over.values, "torch").values
    assert set(back) == {name for name in values if values[name].dtype.kind == "f"}
    for name, value in back.items():
        assert value.tobytes() == values[name].tobytes()
    assert {proof.status for proof in proven(pairing, values, over.values)} <= {"equal"}

    if case.torch_values:
        values = generic(theirs["values"], rng)
        over = moved(pairing, values, "torch")
        assert not over.lost
        assert_same(torch.run(x, values)["output"], keras.run(x, over.values)["output"])
        assert {proof.status for proof in proven(pairing, over.values, values)} <= {"equal"}
