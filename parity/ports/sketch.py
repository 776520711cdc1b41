"""A few numbers of each tensor of a run, which differ where the tensors do: what a golden keeps of a side.

A tensor of at most WIDTH numbers is its own sketch. Of a larger one there are WIDTH sums of all its elements, each with
signs drawn at random: another element, or another order of them, changes the sums. What rounding does to a tensor, it
does to its sums, so that is measured in the same way: by running again a rounding away.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from parity.experiment.randomness import Purpose, words
from parity.experiment.validation import STRICT
from parity.ports.arrays import load_arrays, save_arrays
from parity.ports.job import SketchJob
from parity.ports.session import Plan, Session
from parity.recordings.files import write_whole

WIDTH = 8
# Elements that are summed at once; each such block has signs of its own besides, so that none can be exchanged.
BLOCK = 2**12
SAID, NUMBERS = "sketches.json", "sketches.arrays"


@dataclass(frozen=True)
class Said:
    """What is said of a run: its tensors by name, their shapes, who made them, versions, and where digits were lost."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    made_by: dict[str, str]
    environment: dict[str, Any]
    leaks: tuple[str, ...]
    __pydantic_config__ = STRICT


@dataclass
class Sketches:
    """The sketches of a run; a sink for its tensors.

    By a tensor's name: its sketch, the norm of its numbers, and how many are none; by how much the sketch moved at most
    when weights and inputs were a unit in the last place away, and in float32.
    """

    said: Said
    sketch: NDArray[np.float64]
    size: NDArray[np.float64]
    strange: NDArray[np.int64]
    moved: NDArray[np.float64]
    narrow: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The numbers by name."""
        return {name: getattr(self, name) for name in ("sketch", "size", "strange", "moved", "narrow")}


@dataclass
class Sink:
    """Takes the tensors of a run and keeps their sketches."""

    found: dict[str, tuple[NDArray[np.float64], float, int, tuple[int, ...]]] = field(default_factory=dict)

    def __call__(self, name: str, value: NDArray[Any]) -> None:
        """Take a tensor."""
        numbers = np.asarray(value).astype(np.float64)
        finite = np.isfinite(numbers)
        numbers = np.where(finite, numbers, 0.0)
        size = float(np.sqrt(np.sum(numbers**2)))
        self.found[name] = sketch(numbers), size, int(np.sum(~finite)), np.shape(value)

    def away(self, other: "Sink") -> NDArray[np.float64]:
        """By how much each sketch is away from another run's, at most."""
        return np.array([
            np.max(np.abs(own - other.found[name][0])) if name in other.found else np.inf
            for name, (own, *_) in self.found.items()
        ])  # fmt: skip


def signs(index: int, rows: int) -> NDArray[np.float64]:
    """[rows, WIDTH] of +1 and -1, drawn."""
    raw = words(0, Purpose.SKETCH, index, rows)
    bits = raw[:, None] >> np.arange(WIDTH, dtype=np.uint64) & np.uint64(1)
    return np.where(bits == 1, 1.0, -1.0)


def sketch(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sketch of finite numbers of any shape: float64, [WIDTH]."""
    flat = numbers.reshape(-1)
    if flat.size <= WIDTH:
        return np.pad(flat, (0, WIDTH - flat.size))
    blocks = -(-flat.size // BLOCK)
    padded = np.pad(flat, (0, blocks * BLOCK - flat.size)).reshape(blocks, BLOCK)
    return np.sum((padded @ signs(0, BLOCK)) * signs(1, blocks), axis=0)


def record(session: Session, job: SketchJob) -> None:
    """Run a model from given weights, again for each rerun and in float32, and keep the sketches."""
    plan = Plan(load_arrays(job.weights), job.steps)
    session.calls.clear()
    session.leaks.clear()
    session.lacking.clear()
    base = Sink()
    session.watch = True
    session.run("float64", plan, base)
    session.watch = False
    moved, narrow = np.zeros(len(base.found)), np.zeros(len(base.found))
    for number in range(job.reruns):
        other = Sink()
        session.run("float64", plan, other, nudge=number)
        moved = np.maximum(moved, base.away(other))
    if job.reruns:
        other = Sink()
        session.run("float32", plan, other)
        narrow = base.away(other)
    said = Said(
        names=tuple(base.found),
        shapes=tuple(shape for *_, shape in base.found.values()),
        made_by={
            f"{level}/{call.name}": " ".join(filter(None, [call.kind, call.source]))
            for level, calls in session.calls.items()
            for call in calls
        },
        environment=session.side.runtime.describe(),
        leaks=tuple(dict.fromkeys(leak.place for leaks in session.leaks.values() for leak in leaks)),
    )
    found = Sketches(
        said,
        np.array([own for own, *_ in base.found.values()]).reshape(-1, WIDTH),
        np.array([size for _, size, *_ in base.found.values()]),
        np.array([strange for *_, strange, _ in base.found.values()]),
        moved,
        narrow,
    )
    write_whole(job.out / SAID, json.dumps(asdict(said)).encode())
    save_arrays(job.out / NUMBERS, found.arrays())


def load(folder: Path) -> Sketches:
    """What `record` kept."""
    return Sketches(TypeAdapter(Said).validate_json((folder / SAID).read_bytes()), **load_arrays(folder / NUMBERS))
