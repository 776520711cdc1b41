"""A framework's process that builds what it is given as code, says what it is, and runs it: tests/models.py asks it.

python -m tests.built tf|torch --threads N
"""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import safetensors.numpy
from pydantic import TypeAdapter

from parity.worker import serving
from parity.worker.chunks import Tell


@dataclass(frozen=True)
class BuildJob:
    """Code with a function `build`, and a folder. With weights.safetensors there, the model gets these weights; with
    inputs.safetensors, it is run on these, by number. The model's description, its weights and its outputs are written
    there."""

    code: str
    folder: Path


def perform(side: SimpleNamespace, job: BuildJob, tell: Tell, last: None) -> None:
    """Do one job, in float64."""
    (build_keras if side.name == "tf" else build_torch)(job)


def given(path: Path) -> dict[str, Any]:
    """The arrays of a file, none if there is none."""
    return safetensors.numpy.load_file(path) if path.exists() else {}


def build_keras(job: BuildJob) -> None:
    import keras

    from tf_impl import describe

    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    space: dict[str, Any] = {}
    exec(job.code, space)
    model = space["build"]()
    inputs = given(job.folder / "inputs.safetensors")
    arrays = [keras.ops.convert_to_tensor(inputs[name]) for name in sorted(inputs)]
    if arrays and not model.built:
        model(*arrays)
    variables = describe.variables(model)
    for name, value in given(job.folder / "weights.safetensors").items():
        variables[name].assign(value)
    if arrays:
        made = model(*arrays, training=False)
        safetensors.numpy.save_file({"output": keras.ops.convert_to_numpy(made)}, job.folder / "outputs.safetensors")
    write(job.folder, describe.described(model, [], {}), {n: v.numpy() for n, v in variables.items()})


def build_torch(job: BuildJob) -> None:
    import torch

    from torch_impl import describe

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    space: dict[str, Any] = {}
    exec(job.code, space)
    model = space["build"]().eval()
    variables = describe.variables(model)
    inputs = given(job.folder / "inputs.safetensors")
    with torch.no_grad():
        for name, value in given(job.folder / "weights.safetensors").items():
            variables[name].copy_(torch.from_numpy(value))
        if inputs:
            made = model(*[torch.from_numpy(inputs[name]) for name in sorted(inputs)])
            safetensors.numpy.save_file({"output": made.contiguous().numpy()}, job.folder / "outputs.safetensors")
    write(job.folder, describe.described(model, [], {}), {n: v.detach().numpy() for n, v in variables.items()})
    torch.set_default_dtype(torch.float32)


def write(folder: Path, model: Any, weights: dict[str, Any]) -> None:
    """The description and the weights, as they are now."""
    (folder / "model.json").write_text(model.to_json())
    safetensors.numpy.save_file({name: value.copy() for name, value in weights.items()}, folder / "values.safetensors")


if __name__ == "__main__":
    serving.main(TypeAdapter(BuildJob), perform)
