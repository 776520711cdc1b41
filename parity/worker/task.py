"""A worker's task: what a job asks for, read and checked, and what runs it."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from parity.data import datasets, sources
from parity.errors import UsageError
from parity.experiment import randomness
from parity.experiment.spec import DTYPES, Dtype, Realisation
from parity.recordings import start
from parity.recordings.recording import Arrays
from parity.steps.phases import Pretraining, phase
from parity.worker import programs
from parity.worker.programs import Program
from parity.worker.replays import Checkpoint, Replayer, checkpoint_steps, layer_checkpoints
from parity.workers.job import RecordJob

# (identity, realisation) -> the framework's model
Build = Callable[..., Any]


class Task:
    """A job, read and checked: the data, the batches and the device; `build` makes the model."""

    def __init__(self, side: SimpleNamespace, job: RecordJob, build: Build) -> None:
        self.side, self.job, self.build, self.identity = side, job, build, job.identity
        self.device = choose_device(side, job.device)
        self.place = side.runtime.devices()[self.device]
        own = job.data_dir is not None and job.identity.data != "xor"
        source = side.data.mnist(job.data_dir) if own else job.data
        identity, scaling = job.identity, job.realisation.pixel_scaling
        self.content = datasets.load(identity.data, source, identity.dtype, scaling, identity.test_pixels)
        self.data_source = sources.named(identity.data, self.content.digest, job.data)
        self.batches = self.planned()
        self.phase = phase(job.phase, job.identity, len(self.batches))
        self.reference = None if job.reference is None else start.reference(job.reference, job.identity, job.phase)
        self.taken_over: dict[int, Arrays] = {}
        if self.reference is not None and job.hand_over is not None:
            self.taken_over[job.hand_over] = start.taken_over(self.reference, job.hand_over)
        self.checkpoints = self.kept()
        self.for_replays: dict[Dtype, Program] = {}
        self.for_segments: dict[Dtype, Program] = {}

    def planned(self) -> datasets.Batches:
        """The batches of the job's phase."""
        pretraining, samples = self.identity.pretraining, len(self.content.train_labels)
        if self.job.phase == "pretraining" and pretraining is not None:
            schedule = pretraining.schedule(len(self.identity.dense) - 1)
            return datasets.plan(schedule, start.pretraining_order(self.identity, samples))
        return datasets.planned(self.identity, start.order(self.identity, samples, self.job.batch_order))

    def kept(self) -> list[int]:
        """The steps of which the state before is kept and replayed."""
        if isinstance(self.phase, Pretraining):
            return layer_checkpoints(self.phase, self.job.checkpoints)
        return sorted({*checkpoint_steps(self.batches, self.job.checkpoints), *self.taken_over})

    def program(self, realisation: Realisation | None = None) -> Program:
        """The program that runs the job's phase in the dtype that is set, with the job's realisation or another."""
        job = replace(self.job, realisation=realisation or self.job.realisation)
        given = self.side, job, self.build, self.place, self.on_device
        if isinstance(self.phase, Pretraining):
            return programs.pretraining(*given, self.phase)
        return programs.training(*given)

    @cached_property
    def on_device(self) -> Any:
        """The data and the batches as the framework's tensors."""
        units = sum(self.identity.mask_widths.values())
        placed = self.side.data.place(self.content, self.batches, units, self.place)
        self.content = self.side.data.held(self.content, placed)
        return placed

    @cached_property
    def loop(self) -> Program:
        """The program that runs the job's phase, in the run's precision."""
        return self.programs((self.identity.dtype,))[self.identity.dtype]

    def replaying(self, dtypes: Sequence[Dtype]) -> dict[Dtype, Program]:
        """The programs that replay steps, each made when first needed; not those that loop, which may leave traces."""
        self.for_replays |= self.programs([dtype for dtype in dtypes if dtype not in self.for_replays])
        return {dtype: self.for_replays[dtype] for dtype in dtypes}

    @property
    def looping(self) -> dict[Dtype, Program]:
        """What runs steps of the training loop again, in the run's precision and in float64."""
        if self.identity.dtype != "float64" and not self.for_segments:
            self.for_segments |= self.programs(("float64",))
        return {self.identity.dtype: self.loop, **self.for_segments}

    def programs(self, dtypes: Sequence[Dtype], realisation: Realisation | None = None) -> dict[Dtype, Program]:
        """A program for each precision, the last of which stays set."""
        made = {}
        for dtype in dtypes:
            self.side.runtime.set_dtype(dtype)
            made[dtype] = self.program(realisation)
        return made

    @property
    def replayer(self) -> Replayer:
        """The replayer of checkpoints."""
        return Replayer(self.side, self.job, self.phase, self.replaying(DTYPES), self.looping, self.checkpoint)

    def replayer_as(self, realisation: Realisation, looping: bool = False) -> Replayer:
        """The replayer in float64 with a realisation, the job's own or another; if asked, with loops, too."""
        own = realisation == self.job.realisation
        programs = self.replaying(("float64",)) if own else self.programs(("float64",), realisation)
        loops: dict[Dtype, Program] = {}
        if looping:
            loops = self.looping if own else self.programs(("float64",), realisation)
        job = replace(self.job, realisation=realisation)
        return Replayer(self.side, job, self.phase, programs, loops, self.checkpoint)

    def restarted(self, job: RecordJob) -> "Task":
        """The task of a job that differs in nothing but its start (`but_for_start`): what is compiled serves again."""
        task = copy(self)
        task.job, task.identity = job, job.identity
        return task

    def checkpoint(self, step: int, state: Arrays) -> Checkpoint:
        """A state with the batch of the step that follows it."""
        used = self.batches.order[self.batches.starts[step] : self.batches.stops[step]]
        given: np.ndarray = self.content.train_labels[used]
        if isinstance(self.phase, Pretraining):
            units = self.identity.dense[self.phase.layer(step)].units
            given = randomness.hidden_uniforms(self.identity.seed, step, self.phase.batch, units)
        return Checkpoint(state, self.content.train_inputs[used], given)


def choose_device(side: SimpleNamespace, wanted: str) -> str:
    """ "cpu" or "gpu"; "auto" takes a GPU where the framework finds one."""
    found = side.runtime.devices()
    if wanted == "auto":
        return "gpu" if "gpu" in found else "cpu"
    if wanted not in found:
        raise UsageError(f"--device {wanted}: {side.name} finds none here (it finds {', '.join(found)})")
    return wanted
