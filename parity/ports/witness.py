"""A third opinion on a stage that no known cause explains: Keras's own layer, run on torch.

Keras has its layers in one code for all backends, so what differs between its two is a kernel, and what does not is the
layer. Asked is a process that has torch loaded, and Keras on top of it; where that cannot be, nothing is said.
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.causes.cause import Cause
from parity.causes.rules import close
from parity.errors import ParityError
from parity.models.calls import INPUTS
from parity.models.described import Layer
from parity.ports.arrays import load_arrays, save_arrays
from parity.ports.job import WitnessJob
from parity.ports.judge import Judge, key_of
from parity.ports.stages import Stage
from parity.workers.processes import Doer, silent

# Stages that are asked about; each takes a build of its layer.
MOST = 4


def heard(
    judge: Judge, torch: Doer, out: Path, stage: Stage, layer: Layer | None, made: NDArray[Any] | None
) -> Cause | str | None:
    """What Keras's layer gives on torch of the tensors that it was given: a kernel's difference, or a sentence.

    `made` is what torch's stage gives of the same tensors.
    """
    given = inputs(judge, stage)
    if layer is None or made is None or not given or made.size != prod(stage.keras.shape):
        return None
    files = {f"inputs/{number}": value for number, value in enumerate(given)}
    files |= {f"weights/{number}": judge.keras.weights[w.name] for number, w in enumerate(layer.weights)}
    save_arrays(out / "torch" / "witness.given", files)
    # A layer's activation is a stage of its own.
    settings = {**layer.settings} | ({"activation": "linear"} if not stage.keras.kind else {})
    job = WitnessJob(layer.kind, settings, out / "torch" / "witness.given", out / "torch" / "witness.made")
    try:
        torch.run(job, silent, "asking a third took")
    except ParityError:
        return None
    third = load_arrays(job.out)["made"]
    ours, theirs = judge.keras.arrays[f"eval/{stage.keras.name}"], stage.layout.back(made, stage.keras.shape)
    names = f"eval/{stage.keras.name}", f"eval/{stage.torch.name}"
    # Keras's dense layer rounds through float32 on torch, in float64 too.
    rounding = max(judge.keras.recorded.narrow.get(names[0], 0.0), judge.torch.recorded.narrow.get(names[1], 0.0))
    if close(ours, theirs, rounding):
        return None
    if third.shape == ours.shape and close(ours, third, rounding):
        return f"{stage.name}: Keras's {layer.kind} gives the same on torch: no kernel differs, the two layers do"
    if third.shape == ours.shape and close(theirs, third, rounding):
        apart = float(np.max(np.abs(ours - third), initial=0.0))
        return Cause(
            "tensorflow_kernel", "forward",
            f"of the three, TensorFlow's kernel stands alone: on torch, Keras's {layer.kind} does as torch's layer",
            "no setting does it; take another operation on both sides, or write one side's formula by hand",
            "kernel", f"Keras's own layer on torch, {apart:.2g} away from itself on TensorFlow", layer.source,
            stage.torch.source,
        )  # fmt: skip
    return None


def inputs(judge: Judge, stage: Stage) -> list[NDArray[Any]]:
    """The tensors that Keras's layer was given; none where they are not known."""
    arrays, found = judge.keras.arrays, []
    for name in stage.keras.reads or (INPUTS,):
        key = key_of(name)
        if key not in arrays:
            return []
        found.append(np.asarray(arrays[key]))
    return found if [tuple(x.shape) for x in found] == [tuple(shape) for shape in stage.keras.inputs] else []
