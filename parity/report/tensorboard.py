"""Both sides' scalars and histograms as TensorBoard shows them: under the same tags, each side a run of its own.

cost                           of each step, before its update
epoch/<kind>                   by the number of the epoch: its cost, and accuracy and losses at its end
gradient_norm/<layer>          at the checkpoints, as flow.png shows it
dead_units/<layer>
weights/<layer>/<kind>         histograms, at the checkpoints
outputs/<layer>, deltas/<layer>, gradients/<layer>/<kind>
                               the same of the step that follows, where the recording still has its evidence
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tensorboardX import SummaryWriter

from parity.recordings.recording import Recording

PER_EPOCH = ("epoch_cost", "accuracy", "test_loss", "train_accuracy", "train_loss")
OF_A_STEP = ("outputs", "deltas", "gradients")


class Value(NamedTuple):
    """A scalar [], or the values of a histogram, of a step."""

    tag: str
    step: int
    array: NDArray[Any]


def write(recordings: Sequence[Recording], folder: Path) -> None:
    """Write each recording's events into a folder of its own, named as its side."""
    for name, side in zip(runs([side.label for side in recordings]), recordings, strict=True):
        with closing(SummaryWriter(str(folder / name))) as writer:
            for value in values(side):
                if value.array.ndim:
                    writer.add_histogram(value.tag, value.array, value.step)
                else:
                    writer.add_scalar(value.tag, float(value.array), value.step)


def runs(labels: Sequence[str]) -> list[str]:
    """The names of folders for labels, which may be paths, or versions that an untrusted manifest gives."""
    names = [re.sub(r"[^\w.-]+", "_", label).strip("._") for label in labels]
    return names if all(names) and len({*names}) == len(names) else [f"{i}_{name}" for i, name in enumerate(names, 1)]


def values(side: Recording) -> Iterator[Value]:
    """All that is shown of a recording."""
    yield from (Value("cost", step, cost) for step, cost in enumerate(side.trace["cost"]))
    for name in PER_EPOCH:
        numbered = enumerate(side.trace[name], start=1)
        yield from (Value(f"epoch/{name.removeprefix('epoch_')}", epoch, value) for epoch, value in numbered)
    flow = side.flow()
    for kind in ("gradient_norm", "dead_units"):
        for layer, column in zip(side.manifest.identity.dense, flow[kind].T, strict=True):
            at = zip(flow["steps"].tolist(), column, strict=True)
            yield from (Value(f"{kind}/{layer.name}", step, value) for step, value in at)
    for step in side.checkpoints:
        state, evidence = side.checkpoint(step) if side.has_evidence(step) else (side.state(step), {})
        yield from histograms(step, state, ("weights",))
        yield from histograms(step, evidence, OF_A_STEP)


def histograms(step: int, arrays: Mapping[str, NDArray[Any]], parts: Sequence[str]) -> Iterator[Value]:
    """The numbers of these parts' arrays; NaN and infinity have no place in a histogram."""
    for name in (name for name in arrays if name.partition("/")[0] in parts):
        numbers = arrays[name][np.isfinite(arrays[name])]
        if numbers.size:
            yield Value(name, step, numbers.astype(np.float64))
