"""Honest pairs: one experiment, seed and precision, recorded by both frameworks in several ways.

A way is a process with other threads, kernels or compilers, which round otherwise. All recordings of a cell replay the
checkpoints of its first one, so each can be judged against each. What gives the very same costs as another one of the
same framework is the same run: it is counted and left out.
"""

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.families import FAMILIES, family, shortened
from benchmarks.judged import Judgement, jobs, judged, tidy
from parity.experiment.spec import Dtype, Experiment, Framework
from parity.recordings import recording
from parity.recordings.recording import Recording
from parity.workers.processes import Worker

Say = Callable[[str], None]


class Way(NamedTuple):
    """A process of a framework: its threads, and what its environment says besides."""

    framework: Framework
    threads: int
    environment: Mapping[str, str]


# Both of torch's, and threads that sleep while they wait: spinning, they take the core from what is recorded beside.
COMPATIBLE = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OMP_WAIT_POLICY": "PASSIVE"}
# A second thread alone changes no bit of these runs (`same_costs`): each goes with other kernels.
WAYS = {
    "Keras": Way("tf", 1, {}),
    "torch": Way("torch", 1, {}),
    "Keras, XLA": Way("tf", 1, {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"}),
    "torch, no vector kernels": Way("torch", 1, {"ATEN_CPU_CAPABILITY": "default"}),
    "Keras, no oneDNN": Way("tf", 1, {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "torch, MKL's compatible code": Way("torch", 1, {"MKL_CBWR": "COMPATIBLE"}),
    "Keras, oneDNN for SSE4.1, 2 threads": Way("tf", 2, {"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "torch, both of these, 2 threads": Way("torch", 2, COMPATIBLE),
}


class Cell(NamedTuple):
    """What is recorded in every way."""

    experiment: str
    steps: int
    seed: int
    dtype: Dtype

    @property
    def name(self) -> str:
        """As it is called in reports."""
        return f"{self.experiment}, seed {self.seed}, {self.dtype}"

    @property
    def made(self) -> Experiment:
        """Its experiment."""
        made = family(self.experiment, self.steps) if self.experiment in FAMILIES else shortened(*self[:2])
        return replace(made, identity=replace(made.identity, seed=self.seed, dtype=self.dtype))


DIGITS, XOR = 200, 400
REDUCED_WAYS = ("Keras", "torch", "Keras, no oneDNN", "torch, no vector kernels")


class Selection(NamedTuple):
    """What is recorded, and in which ways."""

    cells: Sequence[Cell]
    ways: Sequence[str]


def cells(seed: int) -> list[Cell]:
    """Cells of seeds from this one on."""
    return [
        Cell("mnist_relu", DIGITS, seed, "float32"),
        Cell("mnist_relu", DIGITS, seed + 1, "float64"),
        *(Cell(name, DIGITS, seed + 2, "float32") for name in ("mnist_softmax", "mnist_sigmoid")),
        Cell("mnist_dropout", DIGITS, seed + 3, "float32"),
        *(Cell("mnist_batchnorm", DIGITS, seed + n, dtype) for n, dtype in ((4, "float32"), (5, "float64"))),
        Cell("mnist_gelu", DIGITS, seed + 2, "float32"),
        Cell("xor_sigmoid", XOR, seed + 6, "float32"),
        *(Cell("xor_tanh", XOR, seed + n, dtype) for n, dtype in ((7, "float32"), (8, "float64"))),
    ]


# What factors were chosen by is not what is asked for false alarms.
CALIBRATION, WHOLE = Selection(cells(0), tuple(WAYS)), Selection(cells(10), tuple(WAYS))
REDUCED = Selection([Cell("mnist_softmax", 60, 0, "float32"), Cell("xor_tanh", 200, 0, "float32")], REDUCED_WAYS)


class NullPair(NamedTuple):
    """Two honest recordings of a cell, judged."""

    cell: Cell
    ways: tuple[str, str]
    judgement: Judgement

    @property
    def across(self) -> bool:
        """Whether the two are of different frameworks."""
        return WAYS[self.ways[0]].framework != WAYS[self.ways[1]].framework


class Nulls(NamedTuple):
    """All pairs that were judged, and what was left out: how many recordings, and how many pairs, are which."""

    pairs: list[NullPair]
    recordings: int
    repeated: int
    identical: int


def recorded(
    workers: Mapping[str, Worker], locks: Mapping[str, threading.Lock], cell: Cell, folder: Path, say: Say
) -> dict[str, Recording]:
    """The cell's recordings by way, each with its own checkpoints and the first one's replayed."""
    found: dict[str, Recording] = {}
    first = folder / next(iter(workers))
    for way, worker in workers.items():
        out = folder / way
        with locks[way]:
            for job in jobs(cell.made, worker.framework, out, None if out == first else first):
                worker.record(job, lambda done, steps: None)
        found[way] = recording.read(out)
        say(f"{cell.name}: {way}")
    return found


def distinct(found: Mapping[str, Recording]) -> dict[str, Recording]:
    """Those whose costs no earlier recording of the same framework has, to the bit."""
    kept: dict[str, Recording] = {}
    for way, made in found.items():
        if not any(WAYS[way].framework == WAYS[other].framework and same_costs(made, kept[other]) for other in kept):
            kept[way] = made
    return kept


def same_costs(a: Recording, b: Recording) -> bool:
    """Whether all costs are the same numbers."""
    return np.array_equal(a.trace["cost"], b.trace["cost"], equal_nan=True)


def of_cell(
    workers: Mapping[str, Worker], locks: Mapping[str, threading.Lock], folder: Path, keep: bool, say: Say, cell: Cell
) -> Nulls:
    """Record a cell, and judge each of its recordings against each."""
    place = folder / cell.name
    found = recorded(workers, locks, cell, place, say)
    kept = distinct(found)
    both = list(itertools.combinations(kept, 2))
    pairs = [
        NullPair(cell, (x, y), judged(*recording.told_apart(kept[x], kept[y])))
        for x, y in both
        if not same_costs(kept[x], kept[y])
    ]
    tidy(place, keep)
    say(f"{cell.name}: {len(pairs)} pairs, {sum(pair.judgement.found for pair in pairs)} false alarms")
    return Nulls(pairs, len(found), len(found) - len(kept), len(both) - len(pairs))


def measure(folder: Path, selection: Selection, at_once: int, keep: bool, say: Say) -> Nulls:
    """All cells of a selection, so many `at_once`; with `keep`, the recordings stay in the folder."""
    names = selection.ways
    locks = {name: threading.Lock() for name in names}
    with ExitStack() as stack, ThreadPoolExecutor(at_once) as pool:
        workers = {
            name: stack.enter_context(Worker(way.framework, "cpu", way.threads, environment=way.environment))
            for name, way in ((name, WAYS[name]) for name in names)
        }
        done = list(pool.map(partial(of_cell, workers, locks, folder, keep, say), selection.cells))
    pairs, *counts = zip(*done, strict=True)
    return Nulls([pair for some in pairs for pair in some], *(sum(count) for count in counts))
