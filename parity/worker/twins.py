"""Twins: the same run again, its weights moved after every step by as much as rounding moved them.

How far they end up from the run, and from each other, is the noise that its trajectory and outcome are judged by. The
last twin of a side is moved further: some roundings rarely matter, but then much, such as that of a sum whose sign
decides whether a ReLU passes it. There may be one of them in a few hundred steps; quiet twins may miss it, a loud one
does not.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.experiment import randomness
from parity.experiment.spec import FRAMEWORKS, Dtype
from parity.recordings import start
from parity.recordings.recording import TWINS, Arrays, Recorder
from parity.steps.layout import OF_TWINS
from parity.worker.chunks import STOPPING, Tell, chunks, join
from parity.worker.programs import Program
from parity.worker.replays import FINER
from parity.worker.task import Task

# So many times as far as rounding moves a run, its last twin is moved. With 16, honest runs of mnist_dropout were 1,000
# times the noise apart, since one sum near zero had parted them and no twin had met the like; with 64, they were not.
LOUD = 256.0


def record(
    task: Task, program: Program, rounding: Mapping[int, Arrays], recorder: Recorder, tell: Tell
) -> tuple[int, str]:
    """Run the twins that the job asks for; how many there are, and if none, why.

    A twin that fails takes nothing else of the recording with it.
    """
    job = task.job
    if not job.twins:
        return 0, job.without_twins
    found: list[dict[str, np.ndarray]] = []
    try:
        task.side.runtime.set_dtype(task.identity.dtype)
        for pieces, tested in runs(task, program, rounding, tell):
            found.append({**join(pieces, task.batches, task.phase), **tested})
    except Exception as error:
        if STOPPING.is_set() or isinstance(error, BrokenPipeError):
            raise
        traceback.print_exception(error)
        return 0, f"a twin failed with {type(error).__name__}"
    recorder.save(TWINS, together(found, rounding, task.identity.dtype))
    return job.twins, ""


def runs(
    task: Task, program: Program, rounding: Mapping[int, Arrays], tell: Tell
) -> Iterator[tuple[list[Arrays], Arrays]]:
    """The chunks' traces of each twin, and what it makes of the test set.

    The impulses are of the size that the rounding of the last checkpoint's step has, weight by weight.
    """
    job, identity, steps = task.job, task.identity, len(task.batches)
    assert program.twin is not None
    assert program.tested is not None
    noise, chunk = program.twin()
    weights = sum(int(np.prod(shape)) for shape in identity.weight_shapes.values())
    for twin in range(job.twins):
        # Each side's are its own.
        number = FRAMEWORKS.index(task.side.name) + len(FRAMEWORKS) * twin
        impulses = randomness.impulses(identity.seed, number, weights, steps)
        loudness = LOUD if twin == job.twins - 1 else 1.0
        noise.draw(impulses._replace(values=loudness * impulses.values))
        program.write(start.state(identity, job.initial_weights, task.reference, job.phase))
        pieces: list[Arrays] = []
        for first, last in chunks([*(step for step in rounding if step), steps]):
            if first in task.taken_over:
                program.write(task.taken_over[first])
            if first in rounding:
                noise.resize(of_weights(rounding[first], identity.dtype))
            pieces.append(chunk(first, last))
            tell({"progress": (1 + twin) * steps + last, "of": (1 + job.twins) * steps})
        yield pieces, program.tested()


def together(found: Sequence[Arrays], rounding: Mapping[int, Arrays], dtype: Dtype) -> dict[str, NDArray[Any]]:
    """The arrays of twins.safetensors, of each twin's trace and float32's rounding of checkpoints' steps."""
    stacked = {name: np.stack([twin[name] for twin in found]) for name in OF_TWINS}
    costs = np.array([step["cost"] for step in rounding.values()], np.float64)
    return stacked | {"cost_rounding": scale(dtype) * costs}


def of_weights(rounding: Arrays, dtype: Dtype) -> dict[str, NDArray[Any]]:
    """How far a step's rounding in `dtype` moves each weight, by its name."""
    weights = {name.removeprefix("weights/"): moved for name, moved in rounding.items() if name != "cost"}
    return {name: scale(dtype) * moved for name, moved in weights.items()}


def scale(dtype: Dtype) -> float:
    """The rounding of a precision in float32's."""
    return 1.0 if dtype == "float32" else FINER
