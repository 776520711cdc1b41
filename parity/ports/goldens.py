"""Goldens made and held against a side: by one worker, of the side that is checked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.errors import IncomparableError
from parity.models.described import Side
from parity.ports import batch, golden, recording, sketch
from parity.ports.arrays import save_arrays
from parity.ports.golden import Drawn, Drift, Golden, Header
from parity.ports.job import InputsJob, OpenJob, SketchJob
from parity.ports.report import Report
from parity.workers.processes import Worker, silent

# Runs a rounding away, and samples of the batch.
RERUNS, SAMPLES = 4, 4
# Bytes of inputs that a golden keeps; larger ones are drawn again.
LARGEST = 100_000
# Steps of the optimizer, where there is one and the data file says nothing.
STEPS = 2
SHOWN = 4


@dataclass(frozen=True)
class Asked:
    """What a golden is made of: one side's file or function, and its inputs."""

    source: str
    side: Side
    data: str | None = None
    inputs: Path | None = None
    shapes: Mapping[str, tuple[int, ...]] | None = None
    samples: int = SAMPLES
    steps: int | None = None


def record(asked: Asked, worker: Worker, folder: Path, report: Report | None) -> Golden:
    """Make a golden of a side; `report` is of the pair that was found equal before, where there was one."""
    place = draw(asked, worker, folder, asked.samples)
    drawn_batch = batch.load(place)
    opened, built = open_side(asked.source, worker, folder)
    drawn = golden.recipes(opened.model, built)
    trains = "optimizer" in opened.functions
    steps = next(n for n in (asked.steps, drawn_batch.steps, STEPS) if n is not None) if trains else 0
    found = run(worker, folder, drawn, built, steps, RERUNS)
    arrays, structure = batch.contents(place)
    proof = None if report is None else proven(report)
    digest = digest_of(arrays) if sum(array.nbytes for array in arrays.values()) > LARGEST else None
    header = Header(golden.FORMAT, asked.side, drawn, steps, structure, asked.samples, digest, found.said, proof)
    return Golden(header, found, {} if digest else arrays)


def draw(asked: Asked, worker: Worker, folder: Path, samples: int) -> Path:
    """Let the worker draw the batch; the folder that it is in."""
    place = folder / "inputs"
    worker.run(InputsJob(place, asked.data, asked.inputs, dict(asked.shapes or {}), samples), silent)
    return place


def digest_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """The SHA-256 of arrays."""
    found = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        found.update(f"{name} {value.dtype} {value.shape}\n".encode() + value.tobytes())
    return found.hexdigest()


def repeat(kept: Golden, asked: Asked, worker: Worker, folder: Path) -> sketch.Sketches:
    """What the side does now, given what the golden gave it.

    Raises IncomparableError where that is another side's, or where inputs that it does not keep are drawn otherwise.
    """
    if kept.header.side != asked.side:
        raise IncomparableError(f"the golden is of the {kept.header.side} side")
    if kept.header.drawn_inputs is None:
        batch.put(folder / "inputs", dict(kept.inputs), kept.header.batch)
    elif digest_of(batch.contents(draw(asked, worker, folder, kept.header.samples))[0]) != kept.header.drawn_inputs:
        raise IncomparableError("the inputs are drawn otherwise than when the golden was recorded")
    _, built = open_side(asked.source, worker, folder)
    return run(worker, folder, kept.header.drawn, built, kept.header.steps, 0)


def open_side(source: str, worker: Worker, folder: Path) -> tuple[recording.Opened, Mapping[str, NDArray[Any]]]:
    """Let the worker open the side's model."""
    worker.run(OpenJob(source, folder / "inputs", folder), silent, "it took")
    return recording.load_opened(folder)


def run(
    worker: Worker, folder: Path, drawn: tuple[Drawn, ...], built: Mapping[str, NDArray[Any]], steps: int, reruns: int
) -> sketch.Sketches:
    """Run the open model from drawn weights."""
    start = golden.started(drawn, built)
    save_arrays(folder / "start.arrays", start)
    worker.run(SketchJob(folder / "start.arrays", folder, steps, reruns), silent)
    return golden.with_kept(sketch.load(folder), drawn, start)


def proven(report: Report) -> dict[str, Any]:
    """What was found of the pair, for the golden."""
    levels: dict[str, int] = {}
    for finding in report.findings:
        levels[finding.level] = levels.get(finding.level, 0) + (finding.result == "passed")
    environments = {"keras": report.keras.recorded.environment, "torch": report.torch.recorded.environment}
    return {"verdict": report.verdict, "passed": levels, "versions": {n: versions(e) for n, e in environments.items()}}


def versions(environment: Mapping[str, Any]) -> str:
    """The frameworks of an environment, "keras 3.15.1, tensorflow 2.21.0"."""
    return ", ".join(f"{name} {environment[name]}" for name in ("keras", "tensorflow", "torch") if name in environment)


def says(file: Path, kept: Golden, now: sketch.Sketches, found: Sequence[Drift]) -> str:
    """What a side's drift from its golden is: the first tensor, how far it is away, and how many there are."""
    first = found[0]
    made_by = now.said.made_by.get(first.name, "")
    lines = [
        f"drift: {kept.header.side}'s side is no longer what {file} has, first in {first.name.rstrip('/')}",
        *([f"  made by {made_by}"] if made_by else []),
        f"  {describe(first)}",
    ]
    whole = values(first, kept.sketches, now)
    lines += [f"  {whole}"] if whole else []
    others = [drift.name for drift in found[1:]]
    if others:
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        lines.append(f"  so do {', '.join(others[:SHOWN])}{more}")
    lines.append(
        f"  {len(kept.sketches.said.names) - len(found)} of {len(kept.sketches.said.names)} tensors are as then"
    )
    lines.append(f"  then: {versions(kept.sketches.said.environment)}; now: {versions(now.said.environment)}")
    leaks = [*kept.sketches.said.leaks, *now.said.leaks]
    lines += [f"  held to float32's rounding, since float64 has fewer digits at {leaks[0]}"] if leaks else []
    return "\n".join(lines)


def moved(old: Golden | None, new: Golden) -> str:
    """What is no longer as in the golden that was there before, where there was one."""
    if old is None:
        return f"recorded, {len(new.sketches.said.names)} tensors"
    if old.header.drawn != new.header.drawn:
        return "recorded anew, for other weights: everything moved"
    found = golden.drifts(old.sketches, new.sketches)
    if not found:
        return f"recorded anew, nothing moved: {len(new.sketches.said.names)} tensors are as before"
    names = ", ".join(drift.name for drift in found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    first = f"{found[0].name}: {describe(found[0])}"
    return f"recorded anew, {len(found)} of {len(new.sketches.said.names)} tensors moved: {names}; {first}"


def describe(drift: Drift) -> str:
    """One tensor's drift in words."""
    if drift.apart is None:
        return drift.reason
    return f"{drift.reason}: by {drift.apart:.3g}, allowed {drift.allowed:.2g}"


def values(drift: Drift, kept: sketch.Sketches, now: sketch.Sketches) -> str:
    """Of a tensor that is its own sketch, the number that is furthest away."""
    if drift.apart is None:
        return ""
    mine, theirs = kept.said.names.index(drift.name), now.said.names.index(drift.name)
    size = int(np.prod(kept.said.shapes[mine]))
    if size > sketch.WIDTH:
        return ""
    at = int(np.argmax(np.abs(kept.sketch[mine] - now.sketch[theirs])))
    return f"element {at}: {kept.sketch[mine][at]:.17g} then, {now.sketch[theirs][at]:.17g} now"
