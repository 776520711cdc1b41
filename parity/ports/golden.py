"""A golden: what one side did, once, in a small file that is kept beside a test; and what of it is no longer so.

It has sketches of all tensors, what rounding may do to each, and the inputs, but no weights: those are drawn anew, each
number around what the model's own had, from a stream that is the same on every machine. So the file grows by about 150
bytes with each tensor, whatever its size.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from parity.errors import IncomparableError
from parity.experiment.randomness import Purpose, of_shape
from parity.experiment.validation import STRICT
from parity.models.described import Model, Side
from parity.ports import sketch
from parity.ports.judge import FACTOR, FINER, LAST
from parity.recordings.files import write_whole

FORMAT = 1
# Weights are drawn as multiples of this share of their spread: no machine's cosine is a bit away then.
GRAIN = 2.0**-10
# Of a weight that has one value everywhere: by how much of it, or of 1, the drawn ones are around it.
SPREAD = 0.1
# Tensors without which there is no judging what a model does; others come and go with names of layers.
NEEDED = ("outputs/", "loss", "costs", "weight-gradient/", "buffers/", "step/", "steps/", "slots/", "start/")


@dataclass(frozen=True)
class Drawn:
    """How a weight is drawn: normal around `center` with the standard deviation `spread`, cut to [low, high]."""

    name: str
    shape: tuple[int, ...]
    center: float
    spread: float
    low: float
    high: float
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Header:
    """What a golden says of itself: whose it is, the weights, the steps, the batch, the sketches, and what was proven.

    `batch` is the structure of the inputs, `samples` how many were asked for; inputs that are too large to be kept are
    drawn again, and must have the digest `drawn_inputs`. `proven` is None where no other side was held against it.
    """

    format: int
    side: Side
    drawn: tuple[Drawn, ...]
    steps: int
    batch: dict[str, Any]
    samples: int
    drawn_inputs: str | None
    sketches: sketch.Said
    proven: dict[str, Any] | None
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Golden:
    """A golden as it is read."""

    header: Header
    sketches: sketch.Sketches
    inputs: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Drift:
    """A tensor that is not what the golden has: by how much its sketch is away, and by how much it may be."""

    name: str
    reason: str
    apart: float | None = None
    allowed: float | None = None


def recipes(model: Model, built: Mapping[str, NDArray[Any]]) -> tuple[Drawn, ...]:
    """How the weights of a model are drawn: those that are trained, and those that are the same everywhere.

    All others (tables of positions, masks, counters) stay as the model is built.
    """
    found = []
    for name, weight in model.weights().items():
        value = built[name]
        if value.dtype.kind != "f" or not value.size or not np.isfinite(value).all():
            continue
        low, high = float(value.min()), float(value.max())
        if low == high:
            spread = SPREAD * (abs(low) or 1.0)
            found.append(Drawn(name, value.shape, low, spread, low - 2 * spread, low + 2 * spread))
        elif weight.trainable:
            found.append(Drawn(name, value.shape, float(value.mean()), float(value.std()), low, high))
    return tuple(found)


def started(drawn: tuple[Drawn, ...], built: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The weights: drawn, or as built, in float32; raises IncomparableError where the model has others."""
    shapes = {entry.name: entry.shape for entry in drawn}
    gone = [f"{name} {list(shape)}" for name, shape in shapes.items() if built.get(name, np.empty(0)).shape != shape]
    if gone:
        raise IncomparableError(f"the model no longer has the weight {', '.join(gone[:3])}")
    found = {name: value.astype(np.float32) if value.dtype.kind == "f" else value for name, value in built.items()}
    for position, entry in enumerate(drawn):
        normal = np.round(of_shape(Purpose.GOLDEN, position, entry.shape).clip(-2, 2) / GRAIN) * GRAIN
        value = (entry.center + entry.spread * normal).clip(entry.low, entry.high)
        found[entry.name] = value.astype(np.float32)
    return found


def with_kept(found: sketch.Sketches, drawn: tuple[Drawn, ...], start: Mapping[str, NDArray[Any]]) -> sketch.Sketches:
    """The sketches with those of the weights that stay as the model is built, before all others."""
    names = {entry.name for entry in drawn}
    sink = sketch.Sink()
    for name, value in start.items():
        if name not in names:
            sink(f"start/{name}", value)
    if not sink.found:
        return found
    none = np.zeros(len(sink.found))
    more = {
        "sketch": np.array([own for own, *_ in sink.found.values()]),
        "size": np.array([size for _, size, *_ in sink.found.values()]),
        "strange": np.array([strange for *_, strange, _ in sink.found.values()]),
        "moved": none,
        "narrow": none,
    }
    said = replace(
        found.said,
        names=(*sink.found, *found.said.names),
        shapes=(*(shape for *_, shape in sink.found.values()), *found.said.shapes),
    )
    return sketch.Sketches(said, **{n: np.concatenate([more[n], array]) for n, array in found.arrays().items()})


def save(file: Path, golden: Golden) -> int:
    """Write a golden; returns its bytes."""
    arrays = {f"input {name}": np.ascontiguousarray(value) for name, value in golden.inputs.items()}
    header = {"golden": json.dumps(asdict(golden.header), separators=(",", ":"))}
    content = safetensors.numpy.save({**golden.sketches.arrays(), **arrays}, header)
    write_whole(file, content)
    return len(content)


def load(file: Path) -> Golden:
    """The golden in a file; raises IncomparableError where it is none, or one of another format."""
    try:
        with safe_open(file, "np") as opened:
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118, it is no mapping
            found = json.loads((opened.metadata() or {})["golden"])
        if found.get("format") != FORMAT:
            raise IncomparableError(f"{file} has the format {found.get('format')}, not {FORMAT}")
        header = TypeAdapter(Header).validate_json(json.dumps(found))
        inputs = {name.removeprefix("input "): value for name, value in arrays.items() if name.startswith("input ")}
        numbers = {name: value for name, value in arrays.items() if not name.startswith("input ")}
        return Golden(header, sketch.Sketches(header.sketches, **numbers), inputs)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, ValidationError) as error:
        raise IncomparableError(f"{file} is no golden ({str(error).splitlines()[0]})") from error


def drifts(golden: sketch.Sketches, now: sketch.Sketches) -> list[Drift]:
    """The tensors that are no longer what the golden has, in the order in which they are made.

    What differs by no more than rounding did when the golden was recorded has not drifted. A tensor that is needed and
    not there has.
    """
    there = {name: n for n, name in enumerate(now.said.names)}
    # Where float64 had fewer digits then. Where it has them only now, that is a drift.
    leaks = bool(golden.said.leaks)
    found = []
    for n, name in enumerate(golden.said.names):
        if name not in there:
            if needed(name):
                found.append(Drift(name, "it is no longer made"))
            continue
        other = there[name]
        shapes = golden.said.shapes[n], now.said.shapes[other]
        if shapes[0] != shapes[1]:
            found.append(Drift(name, f"its shape was {list(shapes[0])}, and is {list(shapes[1])}"))
        elif golden.strange[n] != now.strange[other]:
            strange = golden.strange[n], now.strange[other]
            found.append(Drift(name, f"{strange[0]} of its numbers were NaN or infinite, and {strange[1]} are"))
        else:
            apart = float(np.max(np.abs(golden.sketch[n] - now.sketch[other])))
            finer = 1.0 if leaks else FINER
            allowed = FACTOR * max(float(golden.moved[n]), float(golden.narrow[n]) * finer)
            allowed += LAST * max(float(golden.size[n]), float(now.size[other]))
            if not apart <= allowed:
                found.append(Drift(name, "it differs by more than rounding explains", apart, allowed))
    known = {*golden.said.names}
    return found + [Drift(name, "the golden has none") for name in there if name not in known and needed(name)]


def needed(name: str) -> bool:
    """Whether a tensor has to be on both sides."""
    return name.startswith(NEEDED)


def unjudged(golden: sketch.Sketches, now: sketch.Sketches) -> list[str]:
    """The tensors between layers that one of the two alone has, as where a layer has another name."""
    return sorted(name for name in {*golden.said.names} ^ {*now.said.names} if not needed(name))
