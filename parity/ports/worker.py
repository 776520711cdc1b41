"""One framework in a process of its own, running users' models: python -m parity.ports.worker tf|torch --threads N

It takes jobs as parity.worker.serving does. Between two of them the model stays open.
"""

import importlib
import importlib.util
import itertools
import json
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

from pydantic import TypeAdapter

from parity.errors import UsageError
from parity.experiment.randomness import generator
from parity.ports import batch, converted, recording, sketch, tracing
from parity.ports.arrays import Writer, load_arrays, save_arrays
from parity.ports.job import (
    ForceJob,
    InputsJob,
    Job,
    KeptJob,
    LossJob,
    OpenJob,
    PortJob,
    RecordJob,
    SaveJob,
    SketchJob,
    TraceJob,
    WitnessJob,
)
from parity.ports.session import Plan, Session
from parity.ports.source import Source, modules_of, split, telling
from parity.recordings.files import write_whole
from parity.worker import serving
from parity.worker.chunks import Tell

JOBS: TypeAdapter[Job] = TypeAdapter(Job)
NUMBERS = itertools.count()


def load(path: str, name: str) -> ModuleType:
    """A user's file, under a name that no other has, or a module; what it imports beside it is forgotten again."""
    file = Path(path).resolve()
    folder = file.parent if path.endswith(".py") else Path(os.getcwd())
    with telling(f"{name}: importing it"), modules_of(folder):
        if not path.endswith(".py"):
            return importlib.import_module(path)
        spec = importlib.util.spec_from_file_location(f"_own_{next(NUMBERS)}_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def draw(job: InputsJob) -> None:
    """Make the batch and keep it."""
    if job.data is not None:
        module = load(job.data, Path(job.data).name)
        if not callable(getattr(module, "data", None)):
            raise UsageError(f"{job.data} has no function data(rng, n), which gives x or (x, y)")
        with telling(f"{Path(job.data).name}: data()"):
            made = batch.drawn(module.data(generator(0), job.samples), getattr(module, "STEPS", None))
    else:
        made = batch.random(job.shapes) if job.file is None else batch.from_file(job.file)
    batch.save(job.out, made)


def opened(side: SimpleNamespace, job: OpenJob, source: Source | None = None) -> Session:
    """Build the model and write down what it is: its layers, its weights. Without a `source` it is the job's file's."""
    name = job.source
    if source is None:
        path, build = split(job.source)
        name = Path(path).name if path.endswith(".py") else job.source
        source = Source.of(load(path, name), build, name)
    session = Session(side, source, batch.load(job.inputs), name)
    model, calls, outputs = session.described()
    found = recording.Opened(model, tuple(functions(session.source)), tuple(session.random), tuple(calls), outputs)
    recording.save_opened(job.out, found, side.own.read(session.model("float64")))
    return session


def functions(source: Source) -> list[str]:
    """What the user wrote on a side."""
    return [name for name in source.__dataclass_fields__ if getattr(source, name) is not None]


def port(session: Session, job: PortJob) -> None:
    """Let the user's port() fill the model."""
    given = load_arrays(job.weights)
    model = session.model("float64")
    if session.source.port is None:
        raise UsageError(f"{session.name} has no port()")
    if job.onto is not None:
        session.side.own.write(model, load_arrays(job.onto))
    with telling(f"{session.name}: port()"):
        session.source.port(model, [w.astype("float64") if w.dtype.kind == "f" else w for w in given.values()])
    save_arrays(job.out, session.side.own.read(model))


def traced(session: Session, job: LossJob | TraceJob) -> None:
    """Take the user's loss, or steps of their training, apart."""
    plan = Plan(load_arrays(job.weights), job.steps, job.frozen if isinstance(job, TraceJob) else ())
    with Writer(job.out) as write:
        if isinstance(job, LossJob):
            facts = tracing.losses(session, plan, load_arrays(job.outputs), list(job.variants), write)
        else:
            visits = None if job.visits is None else load_arrays(job.visits)
            with tracing.with_loss(session, job.variant):
                facts = tracing.trace(session, plan, visits, write)
    write_whole(job.out.with_suffix(".json"), json.dumps(facts).encode())


def perform(side: SimpleNamespace, job: Job, tell: Tell, session: Session | None = None) -> Session | None:
    """Do one job; the session that is open afterwards."""
    if isinstance(job, InputsJob):
        draw(job)
    elif isinstance(job, OpenJob):
        return opened(side, job)
    else:
        assert session is not None
        if isinstance(job, PortJob):
            port(session, job)
        elif isinstance(job, ForceJob):
            plan = Plan(load_arrays(job.weights), 0)
            with Writer(job.out) as write:
                session.forced(plan, load_arrays(job.forced), write, job.edits)
        elif isinstance(job, SaveJob):
            slots = None if job.slots is None else load_arrays(job.slots)
            converted.save(session, load_arrays(job.weights), slots, job.out, job.said)
        elif isinstance(job, WitnessJob):
            given = load_arrays(job.given)
            parts = ([v for name, v in given.items() if name.startswith(part)] for part in ("weights/", "inputs/"))
            save_arrays(job.out, {"made": side.own.witness(job.layer, job.settings, *parts)})
        elif isinstance(job, KeptJob):
            save_arrays(job.out, converted.kept(session))
        elif isinstance(job, SketchJob):
            sketch.record(session, job)
        elif isinstance(job, RecordJob):
            recording.record(session, job)
        else:
            traced(session, job)
    return session


if __name__ == "__main__":
    serving.main(JOBS, perform)
