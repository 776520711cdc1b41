"""Say where a port goes wrong: your own Keras model against your own torch model, layer by layer, in float64."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity.commands import entry

    entry.run("parity.check")

import argparse
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from parity.commands import folders
from parity.commands import options as opts
from parity.errors import UsageError
from parity.experiment.randomness import generator
from parity.experiment.spec import Framework
from parity.ports import check, saving, template
from parity.ports.batch import Batch, drawn
from parity.ports.live import WEAKER, InProcess, is_live
from parity.ports.report import Report
from parity.ports.source import split
from parity.workers.installed import require_frameworks
from parity.workers.processes import available_cpus, started

MODULE = "parity.ports.worker"
EPILOG = """\
example:
  python -m parity.check --new port            # writes commented files to start with
  python -m parity.check port/my_keras.py port/my_torch.py --data port/data.py

a side is a Python file, or module:function; both have build(), which makes the model,
and may have loss, optimizer, step and predict; torch's side also inputs, outputs and
port: docs/own-pair.md explains each
exit status: 0 parity, 1 mismatch, 2 usage, 3 incomparable or insufficient, 4 a worker failed, 130 interrupted
"""
Source = str | Path | Callable[..., Any] | Mapping[str, Any]
LIVE = "the live {} model"
SIDES: Mapping[str, Framework] = {"keras": "tf", "torch": "torch"}


def check_models(
    keras: Source,
    torch: Source,
    *,
    data: Any = None,
    inputs: str | Path | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    samples: int = check.SAMPLES,
    weights: check.Weights | None = None,
    map: str | Path | None = None,
    steps: int | None = None,
    strict: bool = False,
    save_weights: str | Path | None = None,
    out: str | Path | None = None,
    time_limit: float | None = None,
) -> Report:
    """Hold a Keras model against a torch model, each in a process of its own, and say where they part.

    A side is a file, "module:function", a function in a file, or the folder of a recording; or a live
    model, or a dict of what a file would have, whose "build" may be one: these are copied, and run in this process.
    `data` is a file, a function (rng, n), or arrays: x, or (x, y). All else is as in `python -m parity.check --help`,
    by the same names. Raises UsageError where the request cannot be carried out, which
    what the user's own code raises is, and WorkerError where a framework's process crashed or ran out of memory.
    """
    request = requested(
        keras, torch, data=data, inputs=inputs, shapes=shapes, samples=samples, weights=weights, map=map, steps=steps,
        strict=strict, save_weights=save_weights,
    )  # fmt: skip
    given = {SIDES[side]: model for side, model in (("keras", keras), ("torch", torch)) if is_live(model)}
    live = [SIDES[side] for side in check.KINDS if side not in request.recorded() and SIDES[side] not in given]
    require_frameworks(live)
    with folders.written_to(None if out is None else Path(out), "check") as folder, ThreadPoolExecutor(1) as thread:
        here = {side: InProcess(side, model, thread) for side, model in given.items()}
        threads = max(1, available_cpus() // len(live)) if live else 1
        with started("cpu", threads, time_limit, live, MODULE) as workers:
            return check.checked(request, {**workers, **here}, folder)


def requested(
    keras: Source,
    torch: Source,
    *,
    data: Any = None,
    inputs: str | Path | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    samples: int = 16,
    weights: check.Weights | None = None,
    map: str | Path | None = None,
    steps: int | None = None,
    strict: bool = False,
    save_weights: str | Path | None = None,
) -> check.Request:
    """What `check_models` is asked for, looked at; raises UsageError where it cannot be carried out."""
    live = [side for side, given in (("keras", keras), ("torch", torch)) if is_live(given)]
    batch = given_batch(data, samples, bool(live))
    request = check.Request(
        keras=LIVE.format("Keras") if is_live(keras) else named(keras),
        torch=LIVE.format("torch") if is_live(torch) else named(torch),
        data=None if data is None or batch is not None else named(data),
        inputs=None if inputs is None else Path(inputs),
        shapes={name: tuple(shape) for name, shape in (shapes or {}).items()},
        samples=samples,
        weights=weights,
        map=None if map is None else Path(map),
        steps=steps,
        strict=strict,
        save_weights=None if save_weights is None else Path(save_weights),
        given=batch,
        notes=(WEAKER,) if live else (),
    )
    require_inputs(request)
    if request.save_weights is not None:
        saving.require(request.save_weights, weights)
        if saving.target(request.save_weights) in request.recorded():
            raise UsageError(f"{save_weights}: that side is a recording, and no model that could save its weights")
    for side in check.KINDS:
        if side not in request.recorded() and side not in live:
            split(request.source(side))
    return request


def given_batch(data: Any, samples: int, live: bool) -> Batch | None:
    """The batch, where it is given as arrays, or by a function that is called here, as beside live models."""
    if data is None or isinstance(data, str | Path):
        return None
    if callable(data):
        return drawn(data(generator(0), samples), None) if live else None
    return drawn(data, None)


def named(side: Source) -> str:
    """A side as the command line gives it."""
    if isinstance(side, str | Path):
        return str(side)
    if is_live(side) or isinstance(side, Mapping):
        raise UsageError(f"a live {type(side).__name__} is not taken here: give its file, or module:function")
    file = inspect.getsourcefile(side)
    if file is None or "<" in side.__qualname__ or "." in side.__qualname__:
        raise UsageError(f"{side!r} is no function of a file: give the file, or module:function")
    return f"{Path(file).resolve()}:{side.__name__}"


def require_inputs(request: check.Request) -> None:
    """Raise UsageError unless there is one source of inputs, and numbers of samples and steps that can be."""
    for name, value, least in (("samples", request.samples, 1), ("steps", request.steps or 0, 0)):
        if value < least:
            raise UsageError(f"{name} must be at least {least}, not {value}")
    given = [request.data is not None or request.given is not None, request.inputs is not None, bool(request.shapes)]
    if request.recorded():
        if any(given):
            raise UsageError("a recording brings its own inputs: give no --data, --inputs or --shape")
    elif sum(given) != 1:
        raise UsageError("give inputs: one of --data data.py, --inputs FILE.npz and --shape image=2,12,10,3")


def main(arguments: Sequence[str]) -> int:
    """Parse, check, print; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.new is not None:
        return new(options.new)
    if options.samples is not None and options.data is None:
        raise UsageError("--samples is what data() is asked for: give --data, too (a --shape begins with the samples)")
    if options.samples is None:
        options.samples = check.SAMPLES
    if options.record_side is not None:
        return record(options)
    if options.keras is None or options.torch is None:
        raise UsageError("give both sides: a Python file, or module:function (see python -m parity.check --help)")
    report = check_models(
        options.keras, options.torch, data=options.data, inputs=options.inputs, shapes=dict(options.shape or []),
        samples=options.samples, weights=options.weights, map=options.map, steps=options.steps, strict=options.strict,
        save_weights=options.save_weights, out=options.out, time_limit=options.time_limit,
    )  # fmt: skip
    print(f"verdict: {report.verdict}" if options.quiet else report)
    if options.junit is not None:
        report.junit(options.junit)
    return report.status


def new(folder: Path) -> int:
    """Write the files to start with."""
    template.write(folder)
    files = " ".join(str(folder / name) for name in ("my_keras.py", "my_torch.py"))
    print(f"written to {folder}; put your models in, then:")
    print(f"  python -m parity.check {files} --data {folder / 'data.py'}")
    return 0


def record(options: argparse.Namespace) -> int:
    """Record one side alone."""
    if options.keras is None or options.torch is not None:
        raise UsageError("--record-side takes one side alone")
    request = check.Request(
        options.keras, options.keras, options.data, options.inputs, dict(options.shape or []), options.samples,
        steps=options.steps,
    )  # fmt: skip
    split(options.keras)
    require_inputs(request)
    framework = SIDES[options.record_side]
    require_frameworks([framework])
    with (
        folders.written_to(options.out, f"{options.record_side}-side") as folder,
        started("cpu", available_cpus(), options.time_limit, [framework], MODULE) as workers,
    ):
        check.record_side(options.keras, options.record_side, request, workers, folder)
        print(f"recorded in {folder}: give that folder in place of {options.keras}")
    return 0


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """ "image=2,12,10,3" as a name and a shape."""
    name, equals, sizes = text.partition("=")
    try:
        found = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        found = ()
    if not equals or not name or not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not as in image=2,12,10,3")
    return name, found


def parser() -> opts.Parser:
    """The parser of the options."""
    made = opts.Parser(prog="parity.check", description=__doc__, epilog=EPILOG)
    add = made.add_argument
    add("keras", nargs="?", metavar="KERAS", help="Keras's side: a file, module:function, or a recording's folder")
    add("torch", nargs="?", metavar="TORCH", help="torch's side, the same")
    add("--data", metavar="FILE", help="a file with data(rng, n), which gives x or (x, y), in Keras's layout")
    add("--inputs", type=Path, metavar="FILE.npz", help="arrays by name; those called y or y_... are targets")
    add("--shape", type=shape, action="append", metavar="NAME=N,...", help="a random input, samples first; repeatable")
    add("--samples", type=int, metavar="N", help=f"samples that data() is asked for (default {check.SAMPLES})")
    add(
        "--weights",
        choices=["port", "keras", "torch", "as-is"],
        help="torch's own port(module, weights) fills it (default where there is one); Keras's, or torch's, are moved "
        "to the other side; or each keeps its own, which are then proven",
    )
    add("--map", type=Path, metavar="FILE", help="which layer is which, as map.toml of a report says it")
    add("--steps", type=int, metavar="N", help=f"steps of the optimizer (default what data.py says, or {check.STEPS})")
    add("--strict", action="store_true", help="call it a mismatch where a framework's own constants are rounded")
    add("--new", type=Path, metavar="DIR", help="write commented files to start with, which run as they are")
    add("--record-side", choices=list(SIDES), help="record the one side that is given, to stand in for it elsewhere")
    add(
        "--save-weights",
        type=Path,
        metavar="FILE",
        help="write what was moved, if it is proven: torch's state_dict (.safetensors) or Keras's .weights.h5",
    )
    add("--out", type=Path, metavar="DIR", help="default runs/check-TIME; must be new or empty")
    add("--junit", type=Path, metavar="FILE", help="write the checks as JUnit XML, one test case each")
    add("--time-limit", type=float, metavar="SECONDS", help="end a framework that takes longer")
    add("--quiet", action="store_true", help="print the verdict alone")
    return made
