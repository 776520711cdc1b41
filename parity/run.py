"""Train an experiment in both frameworks and say whether they computed the same."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity import command

    command.run("parity.run")

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from parity import options as opts
from parity import recording
from parity.compare import read_and_judge, report, require_library
from parity.diagnosis import diagnose
from parity.errors import IncomparableError, ParityError, UsageError
from parity.files import unpack
from parity.job import PRETRAINED_BY, DiagnoseJob, RecordJob, ReplayJob, in_order
from parity.processes import Worker, available_cpus, started
from parity.recording import Arrays, Recording
from parity.report import console
from parity.spec import FRAMEWORKS, Experiment, Framework, Realisation

EPILOG = """\
example:
  python -m parity.run mnist_relu --epochs 5 --seed 1

writes DIR/tf and DIR/torch (one recording each), DIR/verdict.json,
DIR/costs.png, DIR/accuracy.png, DIR/flow.png and, where there are twins,
DIR/noise.png; where there is pre-training, each recording holds that of its
own, and DIR/pretraining.png shows both
exit status: 0 parity, 1 mismatch, 2 usage, 3 incomparable or insufficient, 4 a worker failed, 130 interrupted
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, train, judge, report; returns the exit status."""
    parser = opts.Parser(prog="parity.run", description=__doc__, epilog=EPILOG)
    opts.add_experiment_options(parser)
    parser.add_argument("--no-figures", action="store_true", help="write no pictures")
    options = parser.parse_args(arguments)
    experiment = opts.experiment(options)
    opts.choose_data(options, experiment, FRAMEWORKS)
    steps = opts.check_inputs(opts.job(options, experiment, "tf", options.device, Path()))
    opts.choose_verdict(options, experiment.identity, steps)
    require_library("matplotlib", "use --no-figures", not options.no_figures)
    out = opts.out_folder(options)
    opts.say_what_is_not_mnist(options)
    try:
        for side in FRAMEWORKS:
            # Of two runs that are given the same folder, one finds it taken.
            (out / side).mkdir()
    except FileExistsError:
        raise UsageError(f"--out {out} is in use by another run; give a new folder") from None
    cpus = available_cpus()
    at_once = min(len(FRAMEWORKS), cpus)
    # Left in reverse: the workers end before the pool waits for its threads, which listen to them.
    with (
        console.Progress(options.quiet) as progress,
        ThreadPoolExecutor(at_once) as pool,
        started(options.device, cpus // at_once, options.time_limit) as workers,
    ):
        jobs, refused = record_both(options, experiment, out, workers, pool, progress)
        judged = read_and_judge(out / "tf", out / "torch")
        if refused and judged[1].verdict != "incomparable":
            # What was not replayed is not judged as if it had been.
            raise together(refused)
        diagnosis = diagnose(*judged, partial(replayed, workers, jobs))
    for side in FRAMEWORKS:
        recording.drop_evidence(out / side)
    status = report(judged, diagnosis, out, not options.no_figures, options.quiet)
    if not options.quiet:
        print(f"written to {out}")
    return status


def record_both(
    options: argparse.Namespace,
    experiment: Experiment,
    out: Path,
    workers: Mapping[Framework, Worker],
    pool: ThreadPoolExecutor,
    progress: console.Progress,
) -> tuple[dict[Framework, RecordJob], list[ParityError]]:
    """Record both sides, at once where there are threads: the jobs of training, and replays refused as incomparable."""
    failures = outcome([pool.submit(worker.wait_until_ready) for worker in workers.values()])
    if any(isinstance(error, UsageError) for error in failures):
        raise together(failures)
    device = common_device(options.device, workers)
    if options.init_from is not None:
        workers[options.init_from].draw(opts.draw_job(experiment, out))
    ready = [side for side, worker in workers.items() if worker.devices is not None]
    refused: list[ParityError] = []
    jobs, bars = {}, {side: progress.of(side) for side in ready}
    for side in ready:
        job = opts.job(options, experiment, side, device, out / side)
        if options.init_from is not None:
            job = replace(job, initial_weights=out / opts.INITIAL)
        jobs[side] = in_order(job, out / PRETRAINED_BY)
    for phase in zip(*jobs.values(), strict=True):
        # A side that fails does not take the other one's recording with it.
        here = dict(zip(ready, phase, strict=True))
        failures += outcome([pool.submit(workers[s].record, job, bars[s]) for s, job in here.items()])
        if failures:
            break
        told = replay_each_other(here, workers, pool)
        if all(job.phase == "training" for job in here.values()):
            # Both recordings are whole by now, and can be held against each other.
            refused = [error for error in told if isinstance(error, IncomparableError)]
        failures += [error for error in told if error not in refused]
        if failures:
            break
    if failures:
        raise together(failures)
    return {side: phases[-1] for side, phases in jobs.items()}, refused


def replay_each_other(
    jobs: Mapping[Framework, RecordJob], workers: Mapping[Framework, Worker], pool: ThreadPoolExecutor
) -> list[ParityError]:
    """Have each side replay the other one's checkpoints; what failed is returned."""
    replays = [(s, ReplayJob(job, jobs[o].out)) for s, job in jobs.items() for o in jobs if o != s]
    return outcome([pool.submit(workers[s].replay, job) for s, job in replays])


def replayed(
    workers: Mapping[Framework, Worker],
    jobs: Mapping[Framework, RecordJob],
    side: Framework,
    owner: Recording,
    steps: Sequence[int],
    realisations: Sequence[Realisation],
) -> list[list[Arrays]]:
    """What a side makes of another one's checkpoints under other realisations, as parity/diagnosis asks for it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "replays.safetensors"
        workers[side].diagnose(DiagnoseJob(jobs[side], owner.folder, tuple(steps), tuple(realisations), file))
        arrays = unpack(file, file.read_bytes())
    return [[inside(arrays, f"{i}/{j}/") for j in range(len(steps))] for i in range(len(realisations))]


def inside(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def common_device(wanted: str, workers: Mapping[Framework, Worker]) -> str:
    """What "auto" means for a pair: a GPU only if both frameworks find one."""
    if wanted != "auto":
        return wanted
    return "gpu" if all("gpu" in (worker.devices or []) for worker in workers.values()) else "cpu"


def outcome(futures: Sequence[Future[Any]]) -> list[ParityError]:
    """Wait for all and return the failures; what is no failure of a worker is raised."""
    wait(futures)
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None and not isinstance(error, ParityError):
            raise error
    return [error for error in errors if isinstance(error, ParityError)]


def together(failures: list[ParityError]) -> ParityError:
    """All failures as one, of the first one's kind."""
    return type(failures[0])("\n".join(str(failure) for failure in failures))
