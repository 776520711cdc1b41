"""One framework in a process of its own, taking jobs: python -m parity.worker tf|torch --threads N

Started by `parity.processes`, never by hand. Jobs come as lines of JSON on standard input; each is answered on
standard output by any number of {"progress": steps done, "of": steps} and one {"done": ...} or {"error": ...}. The
end of standard input ends the process, so it cannot outlive its parent for longer than a chunk of steps.
"""

import argparse
import importlib
import json
import os
import platform
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import numpy as np
from pydantic import TypeAdapter

from parity import data, recording, start
from parity.errors import ParityError, UsageError
from parity.recording import Manifest, Recorder
from parity.spec import Dtype, Framework, Identity, Realisation, digest

MODULES = ("runtime", "data", "losses", "optimizers", "state", "train", "replay")
# Training is cut into about this many chunks, so that progress is seen.
CHUNKS = 100
REPLAY_DTYPES: tuple[Dtype, ...] = ("float64", "float32")
Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class RecordJob:
    """Train one side and record it in the folder `out`; paths are None for the embedded digits and drawn values."""

    experiment: str
    identity: Identity
    realisation: Realisation
    data: Path | None
    initial_weights: Path | None
    batch_order: Path | None
    device: str
    out: Path


JOBS: TypeAdapter[RecordJob] = TypeAdapter(RecordJob)


def record(side: SimpleNamespace, job: RecordJob, tell: Tell) -> None:
    """Train as the job says, replay the first step in both precisions, and leave a complete recording."""
    began = time.perf_counter()
    identity = job.identity
    device = choose_device(side, job.device)
    content = data.load(identity.data, job.data, identity.dtype)
    batches = data.plan(identity.schedule, start.order(identity, content, job.batch_order))
    start_weights = start.weights(identity, job.initial_weights)

    side.runtime.set_dtype(identity.dtype)
    with_device = side.runtime.devices()[device]
    model, updater = side.train.build(load_function(job.realisation.model), identity, job.realisation, with_device)
    side.state.write(model, updater, start_weights)
    first_state = side.state.read(model, updater, 0)
    digests = {
        "identity": digest(identity),
        "data": content.digest,
        "start": recording.digest(first_state),
        "order": batches.digest,
    }
    recorder = Recorder(job.out, new_manifest(side, job, device, digests))
    try:
        recorder.save("states/0.safetensors", first_state)
        on_device = side.data.place(content, batches, with_device)
        chunk = side.train.chunk_function(model, side.losses.loss(identity.loss), updater, on_device)
        ready = time.perf_counter()
        pieces = []
        for first, last in chunks(len(batches)):
            pieces.append(chunk(first, last))
            tell({"progress": last, "of": len(batches)})
        trained = time.perf_counter()
        predictions = side.train.predictions(model, on_device)
        recorder.save(recording.TRACE, join(pieces, batches, predictions))
        recorder.save(f"states/{len(batches)}.safetensors", side.state.read(model, updater, len(batches)))
        used = batches.order[batches.starts[0] : batches.stops[0]]
        for dtype in REPLAY_DTYPES:
            arrays = replay(side, job, first_state, content.train_inputs[used], content.train_labels[used], dtype)
            recorder.save(recording.replay_file(digests["start"], dtype), arrays)
    except KeyboardInterrupt:
        recorder.finish("interrupted")
        raise
    except Exception:
        recorder.finish("failed")
        raise
    seconds = {"prepare": ready - began, "train": trained - ready, "replay": time.perf_counter() - trained}
    # Linux counts the peak resident size in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    recorder.finish("complete", seconds=seconds, peak_memory_bytes=peak)


def replay(
    side: SimpleNamespace, job: RecordJob, state: recording.Arrays, inputs: np.ndarray, labels: np.ndarray, dtype: Dtype
) -> dict[str, np.ndarray]:
    """One step from `state` on one batch, computed in `dtype`, from values that float32 holds exactly."""
    side.runtime.set_dtype(dtype)
    rounded = {
        name: value.astype(np.float32).astype(dtype) if value.dtype.kind == "f" else value
        for name, value in state.items()
    }
    inputs = inputs.astype(np.float32).astype(dtype)
    device = side.runtime.devices()[choose_device(side, job.device)]
    build = load_function(job.realisation.model)
    arrays = side.replay.replay(build, job.identity, job.realisation, rounded, inputs, labels, device)
    return {"inputs": inputs, "labels": labels} | arrays


def chunks(steps: int) -> Iterator[tuple[int, int]]:
    """The run cut into (first, last), last excluded."""
    length = -(-steps // CHUNKS)
    for first in range(0, steps, length):
        yield first, min(first + length, steps)


def join(pieces: list[dict[str, np.ndarray]], batches: data.Batches, predictions: np.ndarray) -> recording.Arrays:
    """The chunks' traces as the arrays of trace.safetensors."""
    trace = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    ends = np.flatnonzero(batches.epoch_ends)
    epochs = np.split(trace["cost"].astype(np.float64), ends[:-1] + 1)
    consumed = {f"consumed/{name}": trace[name] for name in ("indices", "inputs", "labels")}
    return consumed | {
        "cost": trace["cost"],
        "epoch_cost": np.array([epoch.mean() for epoch in epochs]),
        "accuracy": trace["accuracy"][ends],
        "predictions": predictions,
    }


def new_manifest(side: SimpleNamespace, job: RecordJob, device: str, digests: dict[str, str]) -> Manifest:
    """The manifest of a recording that has just begun."""
    environment = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "machine": platform.machine(),
    }
    return Manifest(
        format=recording.FORMAT,
        status="recording",
        experiment=job.experiment,
        framework=side.name,
        identity=job.identity,
        realisation=job.realisation,
        digests=digests,
        precision={"dtype": job.identity.dtype} | side.runtime.precision(device),
        device=device,
        environment=environment | side.runtime.describe(),
    )


def choose_device(side: SimpleNamespace, wanted: str) -> str:
    """ "cpu" or "gpu"; "auto" takes a GPU where the framework finds one."""
    found = side.runtime.devices()
    if wanted == "auto":
        return "gpu" if "gpu" in found else "cpu"
    if wanted not in found:
        raise UsageError(f"--device {wanted}: {side.name} finds none here (it finds {', '.join(found)})")
    return wanted


def load_function(path: str) -> Callable[..., Any]:
    """The function that "module:function" names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def load_side(framework: Framework, threads: int) -> SimpleNamespace:
    """Import one implementation, its modules as attributes, and configure its framework."""
    package = f"{framework}_impl"
    try:
        modules = {name: importlib.import_module(f"{package}.{name}") for name in MODULES}
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is not installed: pip install 'keras-torch-parity[{framework}]'") from error
    modules["runtime"].configure(threads)
    return SimpleNamespace(name=framework, **modules)


def serve(framework: Framework, threads: int, jobs: TextIO, tell: Tell) -> None:
    """Take jobs until there are no more."""
    try:
        side = load_side(framework, threads)
        tell({"done": "ready"})
        for line in jobs:
            record(side, JOBS.validate_json(line), tell)
            tell({"done": "record"})
    except ParityError as error:
        tell({"error": str(error), "status": error.status})
    except Exception as error:
        traceback.print_exc()
        tell({"error": f"{type(error).__name__}: {error}", "status": None})


def interrupt(*_: Any) -> None:
    """Let a request to stop unwind the job, so that the recording says so."""
    raise KeyboardInterrupt


def main() -> None:
    parser = argparse.ArgumentParser(prog="parity.worker", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("framework", choices=["tf", "torch"])
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    # Frameworks print to standard output as they like; the answers get a channel of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    try:
        serve(options.framework, options.threads, sys.stdin, tell)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)


if __name__ == "__main__":
    main()
