"""Train an experiment in both frameworks and say whether they computed the same."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity.commands import entry

    entry.run("parity.run")

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from parity.commands import folders
from parity.commands import options as opts
from parity.commands.keywords import RunSettings, typed
from parity.commands.repeated import repeated
from parity.compare import diagnosed, judged
from parity.diagnosis import Sides
from parity.errors import UsageError
from parity.experiment.spec import FRAMEWORKS, Experiment, Framework
from parity.page import PAGE
from parity.recordings import recording
from parity.report import console
from parity.report.value import Report
from parity.workers.installed import require_frameworks, require_page
from parity.workers.job import PRETRAINED_BY, RecordJob, in_order
from parity.workers.pairs import at_once, raise_together, record_jobs
from parity.workers.processes import Worker, available_cpus, started

EPILOG = """\
example:
  python -m parity.run mnist_relu --epochs 5 --seed 1

writes DIR/tf and DIR/torch (one recording each), DIR/verdict.json,
DIR/report.html, which shows all of it, DIR/costs.png, DIR/accuracy.png,
DIR/flow.png and, where there are twins, DIR/noise.png; where there is pre-training, each recording holds that of its
own, and DIR/pretraining.png shows both
exit status: 0 parity, 1 mismatch, 2 usage, 3 incomparable or insufficient, 4 a worker failed, 130 interrupted
"""


def run_experiment(name: str, **settings: Unpack[RunSettings]) -> Report:
    """Train an experiment in Keras and torch, from the same weights on the same batches, and judge whether they agree.

    `name` is one of `list_experiments()`. The settings are the options of `python -m parity.run`, by their names and
    with their values: `batch_size=50` for `--batch-size 50`, `no_figures=True` for `--no-figures`, a sequence where an
    option takes several. As the command does, it writes recordings, verdict.json, report.html and pictures into `out`,
    by default a new folder under runs/, and says what it trains on unless `quiet`; the report itself is returned, not
    printed.

    Raises UsageError where the request cannot be carried out (a bad setting, a missing library or framework, a folder
    that is taken), WorkerError where a framework's process crashed, hung or was killed, and IncomparableError where
    a recording cannot be judged. Each says in one line what to do.
    """
    made = parser()
    arguments = typed(made, [name], settings)
    options = made.parse_args(arguments)
    report = trained(options, arguments)
    if report.folder is not None and not options.no_figures:
        report.draw(report.folder)
    return report


def main(arguments: Sequence[str]) -> int:
    """Parse, train, judge, report; returns the exit status."""
    options = parser().parse_args(arguments)
    report = trained(options, arguments)
    console.show(report.recordings, report.judged, report.diagnosis, options.quiet)
    if report.folder is not None and not options.no_figures:
        report.draw(report.folder)
    if not options.quiet:
        print(f"written to {report.folder}")
    return report.status


def parser() -> opts.Parser:
    """The parser of the options."""
    made = opts.Parser(prog="parity.run", description=__doc__, epilog=EPILOG)
    opts.add_experiment_options(made)
    opts.add_tensorboard(made)
    made.add_argument("--no-figures", action="store_true", help="write no pictures and no page")
    return made


def trained(options: argparse.Namespace, arguments: Sequence[str]) -> Report:
    """Train both sides and judge them; the recordings, verdict.json and report.html are written."""
    experiment = opts.experiment(options)
    require_frameworks()
    opts.choose_data(options, experiment, FRAMEWORKS)
    steps = opts.check_inputs(opts.job(options, experiment, "tf", options.device, Path()))
    opts.choose_verdict(options, experiment.identity, steps)
    require_page("use --no-figures", not options.no_figures)
    with (
        folders.events(options.tensorboard) as events,
        folders.written_to(options.out, options.experiment, FRAMEWORKS) as out,
    ):
        opts.say_what_is_not_mnist(options)
        threads = max(1, available_cpus() // len(FRAMEWORKS))
        with started(options.device, threads, options.time_limit) as workers:
            report = recorded(options, experiment, out, workers)
        # Before the evidence goes, which holds the activations.
        if events is not None:
            report.tensorboard(events)
    if not options.no_figures:
        places = filter(None, opts.sources(options))
        report.html(out / PAGE, repeated("parity.run", arguments), [*places])
    for side in FRAMEWORKS:
        recording.drop_evidence(out / side)
    report.write(out)
    return report


def recorded(
    options: argparse.Namespace, experiment: Experiment, out: Path, workers: Mapping[Framework, Worker]
) -> Report:
    """Record both sides, judge them, and ask both why they differ, where they do."""
    failures = at_once(worker.wait_until_ready for worker in workers.values())
    if any(isinstance(error, UsageError) for error in failures):
        raise_together(failures)
    jobs = both_jobs(options, experiment, out, workers)
    with console.Progress(options.quiet) as progress:
        refused = record_jobs(workers, jobs, progress=progress.of)
        report = replace(judged(out / "tf", out / "torch"), folder=out)
        if report.verdict != "incomparable":
            # What was not replayed is not judged as if it had been.
            raise_together(refused)
        last = {side: phases[-1] for side, phases in jobs.items()}
        return diagnosed(report, Sides(workers, last, progress.named))


def both_jobs(
    options: argparse.Namespace, experiment: Experiment, out: Path, workers: Mapping[Framework, Worker]
) -> dict[Framework, list[RecordJob]]:
    """The jobs of either side, in order; with --init-from, after that framework has drawn the weights."""
    device = common_device(options.device, workers)
    jobs = {side: opts.job(options, experiment, side, device, out / side) for side in FRAMEWORKS}
    if options.init_from is not None:
        workers[options.init_from].draw(opts.draw_job(experiment, out))
        jobs = {side: replace(job, initial_weights=out / opts.INITIAL) for side, job in jobs.items()}
    return {side: in_order(job, out / PRETRAINED_BY) for side, job in jobs.items()}


def common_device(wanted: str, workers: Mapping[Framework, Worker]) -> str:
    """The device that "auto" means for a pair: a GPU only if both frameworks find one."""
    if wanted != "auto":
        return wanted
    return "gpu" if all("gpu" in (worker.devices or []) for worker in workers.values()) else "cpu"
