"""A run in chunks of steps: how long they are, how a request to stop ends them, and their traces joined."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from parity.data.datasets import Batches
from parity.recordings.recording import Arrays
from parity.steps.phases import Phase

# How long a chunk of steps should take: short enough to stop within it, long enough to cost nothing.
CHUNK_SECONDS = 0.25
# Set by a request to stop, since a framework may turn the exception that it raises into one of its own.
STOPPING = threading.Event()
Tell = Callable[[dict[str, Any]], None]


def chunks(stops: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first step and the end of each chunk, from 0 to the last of the stops; none goes beyond a stop.

    A chunk is as long as CHUNK_SECONDS allow, by the time that the one before took.
    """
    first, length = 0, 1
    while first < stops[-1]:
        last, began = min(first + length, next(stop for stop in stops if stop > first)), time.perf_counter()
        yield first, last
        # The first chunk's time is that of its compilation, and says nothing of a step's.
        growth = 10 if first == 0 else CHUNK_SECONDS * (last - first) / length / (time.perf_counter() - began)
        first, length = last, max(1, int(length * min(growth, 10)))


def join(pieces: list[Arrays], batches: Batches, phase: Phase) -> dict[str, np.ndarray]:
    """The chunks' traces as the arrays of trace.safetensors, but for the predictions."""
    trace = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    ends = np.flatnonzero(batches.epoch_ends)
    samples = batches.stops - batches.starts
    weights = samples if phase.schedule.epoch_cost == "sample_mean" else np.ones_like(samples)
    epochs = [np.split(array, ends[:-1] + 1) for array in (trace["cost"].astype(np.float64), weights)]
    consumed = {f"consumed/{name}": trace[name] for name in phase.consumed}
    averages = np.array([np.average(costs, weights=shares) for costs, shares in zip(*epochs, strict=True)])
    evaluations: dict[str, np.ndarray] = {}
    if "evaluation" in trace:
        # Each in a column: accuracy and loss on the test set, then on the training set.
        names = ("accuracy", "test_loss", "train_accuracy", "train_loss")
        # Copied: safetensors saves an array as it lies in memory, which for a column is not what it reads.
        evaluations = dict(zip(names, trace["evaluation"][ends].T.copy(), strict=True))
        if not phase.schedule.evaluate_training:
            evaluations |= {name: values[:0] for name, values in evaluations.items() if name.startswith("train")}
    return {**consumed, "cost": trace["cost"], "epoch_cost": averages, **evaluations}
