"""One framework in a process of its own, taking jobs: python -m parity.worker tf|torch --threads N

Started by `parity.processes`, never by hand. Jobs come as lines of JSON on standard input; each is answered on
standard output by any number of {"progress": steps done, "of": steps} and one {"done": ...} or {"error": ...}. Before
the first job comes {"done": the devices found}. The end of standard input ends the process, so it cannot outlive its
parent by more than a chunk of steps.
"""

import argparse
import importlib
import json
import os
import platform
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TextIO

import numpy as np
from pydantic import TypeAdapter

from parity import data, recording, start
from parity.errors import ParityError, UsageError
from parity.job import RecordJob
from parity.recording import Arrays, Manifest, Recorder
from parity.spec import DTYPES, Dtype, Framework, digest

MODULES = ("runtime", "data", "losses", "optimizers", "state", "train", "replay")
PACKAGES = {"tensorflow", "keras", "torch"}
JOBS: TypeAdapter[RecordJob] = TypeAdapter(RecordJob)
# How long a chunk of steps should take: short enough to stop within it, long enough to cost nothing.
CHUNK_SECONDS = 0.25
# Set by a request to stop, since a framework may turn the exception that it raises into one of its own.
STOPPING = threading.Event()
Tell = Callable[[dict[str, Any]], None]


def record(side: SimpleNamespace, job: RecordJob, tell: Tell) -> None:
    """Train as the job says, replay the first step in both precisions, and leave a complete recording."""
    began = time.perf_counter()
    identity, device = job.identity, choose_device(side, job.device)
    content = data.load(identity.data, job.data, identity.dtype)
    batches = data.plan(identity.schedule, start.order(identity, content, job.batch_order))
    side.runtime.set_dtype(identity.dtype)
    place = side.runtime.devices()[device]
    model, updater = side.train.build(load_function(job.realisation.model), identity, job.realisation, place)
    side.state.write(model, updater, start.state(identity, job.initial_weights, job.reference))
    first_state = side.state.read(model, updater, 0)
    digests = {
        "identity": digest(identity),
        "data": content.digest,
        "start": recording.digest(first_state),
        "order": batches.digest,
    }
    recorder = Recorder(job.out, new_manifest(side, job, device, digests))
    try:
        recorder.save(recording.state_file(0), first_state)
        on_device = side.data.place(content, batches, place)
        chunk = side.train.chunk_function(model, side.losses.loss(identity.loss), updater, on_device)
        ready = time.perf_counter()
        read = lambda step: side.state.read(model, updater, step)  # noqa: E731
        pieces = train(chunk, read, len(batches), recorder, tell)
        trained = time.perf_counter()
        recorder.save(recording.TRACE, join(pieces, batches, side.train.predictions(model, on_device)))
        used = batches.order[batches.starts[0] : batches.stops[0]]
        for dtype in DTYPES:
            arrays = replay(side, job, first_state, content.train_inputs[used], content.train_labels[used], dtype)
            recorder.save(recording.replay_file(digests["start"], dtype), arrays)
    except (KeyboardInterrupt, BrokenPipeError):
        recorder.abandon("interrupted")
        raise
    except Exception:
        recorder.abandon("interrupted" if STOPPING.is_set() else "failed")
        raise
    seconds = {"prepare": ready - began, "train": trained - ready, "replay": time.perf_counter() - trained}
    recorder.finish("complete", seconds=seconds, peak_memory_bytes=peak_memory())


def train(
    chunk: Callable[[int, int], Arrays], read: Callable[[int], Arrays], steps: int, recorder: Recorder, tell: Tell
) -> list[Arrays]:
    """Train all steps in chunks, save the state after the first step and the last, return the chunks' traces."""
    pieces, first, length = [], 0, 1
    while first < steps:
        last, began = min(first + length, steps), time.perf_counter()
        pieces.append(chunk(first, last))
        if last in (1, steps):
            recorder.save(recording.state_file(last), read(last))
        tell({"progress": last, "of": steps})
        # The first chunk's time is that of its compilation, and says nothing of a step's.
        growth = 10 if first == 0 else CHUNK_SECONDS / (time.perf_counter() - began)
        first, length = last, max(1, int(length * min(growth, 10)))
    return pieces


def replay(
    side: SimpleNamespace, job: RecordJob, state: Arrays, inputs: np.ndarray, labels: np.ndarray, dtype: Dtype
) -> dict[str, np.ndarray]:
    """One step from `state` on one batch, computed in `dtype`."""
    side.runtime.set_dtype(dtype)
    device = side.runtime.devices()[choose_device(side, job.device)]
    converted = {name: convert(value, dtype) if value.dtype.kind == "f" else value for name, value in state.items()}
    inputs = convert(inputs, dtype)
    build = load_function(job.realisation.model)
    arrays = side.replay.replay(build, job.identity, job.realisation, converted, inputs, labels, device)
    return {"inputs": inputs, "labels": labels} | arrays


def convert(values: np.ndarray, dtype: Dtype) -> np.ndarray:
    """The values in `dtype`; denormals of float32 become zero, as the frameworks take them in float32."""
    # Said here, since torch's switch makes NumPy flush them too, but only in torch's process.
    if values.dtype == np.float32:
        values = np.where(np.abs(values) < np.finfo(np.float32).tiny, np.float32(0), values)
    return values.astype(dtype)


def join(pieces: list[Arrays], batches: data.Batches, predictions: np.ndarray) -> Arrays:
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


def peak_memory() -> int:
    """Bytes of the largest resident size so far."""
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


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
        if error.name not in PACKAGES:
            raise
        needed = "tensorflow keras" if framework == "tf" else "torch"
        raise UsageError(f"{error.name} is not installed: pip install {needed}") from error
    modules["runtime"].configure(threads)
    return SimpleNamespace(name=framework, **modules)


def serve(framework: Framework, threads: int, jobs: TextIO, tell: Tell) -> None:
    """Take jobs until there are no more; one that fails does not keep the next from running."""
    side = load_side(framework, threads)
    tell({"done": sorted(side.runtime.devices())})
    for line in jobs:
        try:
            record(side, JOBS.validate_json(line), tell)
            tell({"done": "record"})
        except Exception as error:
            if STOPPING.is_set():
                raise KeyboardInterrupt from error
            tell(described(error))


def described(error: Exception) -> dict[str, Any]:
    """The answer that says what went wrong; what the user cannot mend leaves its traceback in the log."""
    if isinstance(error, BrokenPipeError):
        raise error
    if isinstance(error, ParityError):
        return {"error": str(error), "status": error.status}
    traceback.print_exception(error)
    # NumPy's MemoryError may have no text; the frameworks' own errors say what they could not allocate.
    said = "out of memory; close other programs, or ask for less" if isinstance(error, MemoryError) else str(error)
    return {"error": f"{type(error).__name__}: {said}", "status": None}


def interrupt(*_: Any) -> None:
    """Let a request to stop unwind the job, so that the recording says so."""
    STOPPING.set()
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
        try:
            serve(options.framework, options.threads, sys.stdin, tell)
        except Exception as error:
            tell(described(error))
    except (KeyboardInterrupt, BrokenPipeError):
        # Not sys.exit: the frameworks' own threads may hold the interpreter back, and there is nothing left to save.
        os._exit(130)


if __name__ == "__main__":
    main()
