"""What is kept of one side of a user's pair: its model, its weights, and all tensors of its runs.

A folder with `model.json` and `weights.arrays` (the opened model), `recording.json` and `run.arrays` (what it did), and
the inputs. Of the runs that are a rounding away, and of float32, only by how much each tensor moved.
"""

import json
import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from parity.errors import IncomparableError
from parity.experiment.validation import STRICT
from parity.models.calls import Call, Leak
from parity.models.described import Model
from parity.ports.arrays import Arrays, Writer, load_arrays, save_arrays
from parity.ports.job import RecordJob
from parity.ports.probes import probe
from parity.ports.session import Plan, Session
from parity.recordings.files import write_whole
from parity.worker.training import peak_memory

FORMAT = 2
# Elements that are compared at once.
BLOCK = 2**20
OPENED, WEIGHTS, RECORDED, ARRAYS = "model.json", "weights.arrays", "recording.json", "run.arrays"


@dataclass(frozen=True)
class Opened:
    """A model as its side built it; `functions` are those that the user wrote, `random` what draws numbers in it.

    `calls` are what its first pass made, `outputs` the shapes of what it gave.
    """

    model: Model
    functions: tuple[str, ...]
    random: tuple[str, ...]
    calls: tuple[Call, ...]
    outputs: tuple[tuple[int, ...], ...]
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Recorded:
    """What a side did. Each number is the largest by which a tensor, by its name in the arrays, moved.

    `nudged`: when weights, and inputs that are not whole numbers, are moved by a unit in the last place; `narrow`: in
    float32; `constants`: when the framework's own code rounds its constants through float32, as it ships. `leaks` are
    where float64 has fewer digits, `lacking` says of levels why the framework cannot do them, and `drawn` of each mode
    which functions, and in train mode which layers, would drop numbers in it.
    """

    format: int
    steps: int
    calls: dict[str, tuple[Call, ...]]
    nudged: dict[str, float]
    narrow: dict[str, float]
    constants: dict[str, float]
    leaks: dict[str, tuple[Leak, ...]]
    lacking: dict[str, str]
    environment: dict[str, Any]
    seconds: dict[str, float]
    peak_memory_bytes: int
    drawn: dict[str, tuple[str, ...]] = field(default_factory=dict)
    __pydantic_config__ = STRICT


@dataclass
class Moved:
    """By how much the tensors of other runs are away from those of the first, at most."""

    base: Arrays
    by: dict[str, float] = field(default_factory=dict)

    def __call__(self, name: str, value: NDArray[Any]) -> None:
        """Take a tensor of another run."""
        base = self.base.get(name)
        if base is not None and base.dtype.kind == "f":
            self.by[name] = max(self.by.get(name, 0.0), distance(base, value))


def distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference of two tensors; where a number is missing on one side alone, no number is larger."""
    if a.shape != b.shape:
        return math.inf
    largest = 0.0
    # Of a large model's weights, a whole difference would be as much memory as all else.
    for start in range(0, a.size, BLOCK):
        ours, theirs = (x.reshape(-1)[start : start + BLOCK].astype(np.float64, copy=False) for x in (a, b))
        with np.errstate(all="ignore"):
            apart = np.abs(ours - theirs)
        most = float(np.max(apart))
        if math.isfinite(most):
            largest = max(largest, most)
            continue
        apart[(ours == theirs) | (np.isnan(ours) & np.isnan(theirs))] = 0
        largest = max(largest, float(np.max(np.nan_to_num(apart, nan=np.inf), initial=0)))
    return largest


def save_opened(folder: Path, opened: Opened, values: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Keep an opened model, and the weights that it was built with."""
    write_whole(folder / OPENED, json.dumps(asdict(opened)).encode())
    save_arrays(folder / WEIGHTS, values)


def load_opened(folder: Path) -> tuple[Opened, Arrays]:
    """An opened model, and its weights."""
    return parsed(Opened, folder / OPENED), load_arrays(folder / WEIGHTS)


def load_recorded(folder: Path) -> tuple[Recorded, Arrays]:
    """What a side did, and its arrays."""
    found = parsed(Recorded, folder / RECORDED)
    if found.format != FORMAT:
        raise IncomparableError(f"{folder} was recorded in format {found.format}, not {FORMAT}; record it again")
    return found, load_arrays(folder / ARRAYS)


def parsed(kind: Any, path: Path) -> Any:
    """A file as the dataclass that it holds."""
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise IncomparableError(f"{path} cannot be read ({reason}); record it again") from error


def record(session: Session, job: RecordJob) -> None:
    """Run a model from given weights, and keep what it did."""
    began = time.perf_counter()
    plan = Plan(load_arrays(job.weights), job.steps, job.frozen, job.output_shapes)
    session.calls.clear()
    session.leaks.clear()
    session.lacking.clear()
    session.drawn.clear()
    session.watch = True
    with Writer(job.out / ARRAYS) as write:
        rounds = session.run("float64", plan, write)
        session.watch = False
        probe(session, plan, write)
    base = load_arrays(job.out / ARRAYS)
    first = time.perf_counter()
    constants, nudges, narrow = Moved(base), Moved(base), Moved(base)
    if rounds:
        session.run("float64", plan, constants, exact=False)
    for number in range(job.reruns):
        session.run("float64", plan, nudges, nudge=number)
    session.run("float32", plan, narrow)
    recorded = Recorded(
        format=FORMAT,
        steps=job.steps,
        calls={level: tuple(calls) for level, calls in session.calls.items()},
        nudged=nudges.by,
        narrow=narrow.by,
        constants={name: by for name, by in constants.by.items() if by},
        lacking=session.lacking,
        leaks={mode: tuple(leaks) for mode, leaks in session.leaks.items() if leaks},
        environment=session.side.runtime.describe(),
        seconds={"first": first - began, "all": time.perf_counter() - began},
        peak_memory_bytes=peak_memory(),
        drawn={mode: tuple(found) for mode, found in session.drawn.items()},
    )
    write_whole(job.out / RECORDED, json.dumps(asdict(recorded)).encode())
