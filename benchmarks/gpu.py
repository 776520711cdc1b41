"""Where does a training step's time go on torch's device? Against its launches, and against the memory it moves.

    python -m benchmarks.gpu mnist_relu xor_tanh

For each experiment and each device that torch finds: microseconds of a step of the loop, and of the same steps without
what the loop records of them (checksums, costs). On a GPU also how many kernels a step launches, what as many launches
of the smallest kernel take, and what it takes to move the bytes that an update reads and writes, at the rate at which
this device copies. A table in Markdown is printed.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.tables import markdown
from parity.experiment.experiments import EXPERIMENTS
from parity.worker.serving import load_function, load_side
from parity.worker.task import Task
from parity.workers.job import RecordJob
from parity.workers.processes import available_cpus

STEPS, REPEATS = 100, 5
COPIED = 2**28


def seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """The median over `repeats` runs, after one that prepares; the device has finished each."""
    import torch

    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def launches(run: Callable[[], object]) -> int:
    """How many kernels, copies and fills a run starts on the GPU."""
    import torch

    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        run()
        torch.cuda.synchronize()
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in profile.events())


def bare_steps(task: Task, side: Any, steps: int) -> Callable[[], None]:
    """The same batches trained on without a record of them, as a user writes a loop."""
    identity = task.identity
    model, updater = side.train.build(task.build, identity, task.job.realisation, task.place)
    loss = side.losses.loss(identity.loss)
    clip = side.clipping.clip_function(identity.clipping, task.job.realisation)

    def run() -> None:
        for step in range(steps):
            _, inputs, labels = side.data.batch(task.on_device, step)
            side.train.train_step(model, loss, clip, updater, inputs, labels, {})

    return run


def floors(place: str) -> tuple[float, float]:
    """Seconds that one launch takes among many, and bytes a second that a copy reads and writes."""
    import torch

    small = torch.zeros(1, device=place)
    source = torch.zeros(COPIED, dtype=torch.uint8, device=place)
    target = torch.empty_like(source)

    def many() -> None:
        for _ in range(1000):
            small.add_(1)

    return seconds(many) / 1000, 2 * COPIED / seconds(lambda: target.copy_(source))


def row(name: str, device: str, side: Any) -> list[str]:
    """One experiment on one device."""
    experiment = EXPERIMENTS[name]
    job = RecordJob(name, experiment.identity, experiment.torch, device, Path())
    task = Task(side, job, load_function(experiment.torch.model))
    side.runtime.set_dtype(task.identity.dtype)
    steps = min(STEPS, len(task.batches))
    loop, bare = task.loop, bare_steps(task, side, steps)
    recorded = seconds(lambda: loop.chunk(0, steps)) / steps
    plain = seconds(bare) / steps
    cells = [name, device, f"{recorded * 1e6:.0f}", f"{plain * 1e6:.0f}"]
    if device != "gpu":
        return [*cells, "-", "-", "-"]
    launch, rate = floors(task.place)
    count = launches(bare) / steps
    state = {part: array for part, array in loop.read(steps).items() if array.ndim}
    # An update reads the gradients, and reads and writes the weights and what the optimizer keeps of them.
    moved = 2 * sum(array.nbytes for array in state.values())
    moved += sum(array.nbytes for part, array in state.items() if part.startswith("weights/"))
    return [*cells, f"{count:.0f}", f"{count * launch * 1e6:.0f}", f"{moved / rate * 1e6:.2f}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=(__doc__ or "").split("\n")[0])
    # A user's dropout draws its own masks, which the steps without a record do not.
    known = sorted(name for name, experiment in EXPERIMENTS.items() if not experiment.identity.dropouts)
    parser.add_argument("experiment", nargs="+", choices=known, metavar="EXPERIMENT")
    options = parser.parse_args()
    side = load_side("torch", max(1, available_cpus() // 2))
    rows = [row(name, device, side) for name in options.experiment for device in side.runtime.devices()]
    times = ("step, us", "unrecorded, us")
    head = ("experiment", "device", *times, "launches", "their floor, us", "update's bytes, us")
    print(markdown(head, rows))


if __name__ == "__main__":
    main()
