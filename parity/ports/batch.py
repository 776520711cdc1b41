"""The batch that both sides are given: drawn by the user's function, read from a file, or random, and kept."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from parity.errors import UsageError
from parity.experiment.randomness import Purpose, of_shape
from parity.models.trees import leaves
from parity.recordings.files import write_whole

ARRAYS, STRUCTURE = "inputs.safetensors", "inputs.json"


@dataclass(frozen=True)
class Batch:
    """Inputs and targets, nested as the user nests them, in Keras's layout; `steps` where the user's file says."""

    x: Any
    y: Any
    steps: int | None = None

    def in_precision(self, dtype: str) -> "Batch":
        """The same batch with its floats in `dtype`."""
        return Batch(converted(self.x, dtype), converted(self.y, dtype), self.steps)


def converted(tree: Any, dtype: str) -> Any:
    """A tree of arrays, its floats in `dtype`."""
    if isinstance(tree, dict):
        return {name: converted(value, dtype) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return tuple(converted(value, dtype) for value in tree)
    return tree.astype(dtype) if isinstance(tree, np.ndarray) and tree.dtype.kind == "f" else tree


def structure(tree: Any, prefix: str) -> Any:
    """A tree's shape as JSON, its leaves named as `leaves` names them."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {"dict": {str(k): structure(v, f"{prefix}/{k}") for k, v in tree.items()}}
    if isinstance(tree, list | tuple):
        return {"tuple": [structure(v, f"{prefix}/{i}") for i, v in enumerate(tree)]}
    return prefix


def rebuilt(shape: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """The tree of which `structure` gave the shape."""
    if shape is None:
        return None
    if isinstance(shape, str):
        return arrays[shape]
    if "dict" in shape:
        return {name: rebuilt(value, arrays) for name, value in shape["dict"].items()}
    return tuple(rebuilt(value, arrays) for value in shape["tuple"])


def save(folder: Path, batch: Batch) -> None:
    """Keep a batch; read again by `load`."""
    arrays = {}
    for part, tree in (("x", batch.x), ("y", batch.y)):
        for name, value in leaves(tree).items():
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                raise UsageError(f"the inputs hold {array.dtype}, not numbers")
            arrays[f"{part}/{name}" if name else part] = np.ascontiguousarray(array)
    shape = {"x": structure(batch.x, "x"), "y": structure(batch.y, "y"), "steps": batch.steps}
    put(folder, arrays, shape)


def load(folder: Path) -> Batch:
    """The batch that `save` kept."""
    arrays, shape = contents(folder)
    return Batch(rebuilt(shape["x"], arrays), rebuilt(shape["y"], arrays), shape["steps"])


def contents(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays of a batch that `save` kept, and their structure."""
    arrays = safetensors.numpy.load((folder / ARRAYS).read_bytes())
    return arrays, json.loads((folder / STRUCTURE).read_text())


def put(folder: Path, arrays: dict[str, NDArray[Any]], shape: dict[str, Any]) -> None:
    """Keep a batch of which `contents` gave arrays and structure."""
    write_whole(folder / ARRAYS, safetensors.numpy.save(arrays))
    write_whole(folder / STRUCTURE, json.dumps(shape).encode())


def drawn(returned: Any, steps: int | None) -> Batch:
    """What a user's data() returned: x, or (x, y)."""
    if isinstance(returned, tuple) and len(returned) == 2:
        return Batch(*returned, steps)
    return Batch(returned, None, steps)


def from_file(path: Path) -> Batch:
    """The arrays of an .npz file: those named y or y_... are targets, all others inputs."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as an .npz file: {error}") from error
    targets = {name: value for name, value in arrays.items() if name == "y" or name.startswith("y_")}
    inputs = {name: value for name, value in arrays.items() if name not in targets}
    if not inputs:
        raise UsageError(f"{path} holds no inputs: name an array x")
    return Batch(alone(inputs), alone(targets) if targets else None)


def random(shapes: dict[str, tuple[int, ...]]) -> Batch:
    """Standard normals of these shapes."""
    found = {n: of_shape(Purpose.INPUTS, i, s).astype("float32") for i, (n, s) in enumerate(shapes.items())}
    return Batch(alone(found), None)


def alone(named: dict[str, Any]) -> Any:
    """The only one of some arrays, or all by name."""
    return next(iter(named.values())) if len(named) == 1 else named
