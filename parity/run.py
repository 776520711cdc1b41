"""Train an experiment in both frameworks and say whether they computed the same."""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from parity import options as opts
from parity.compare import compare
from parity.processes import Worker, available_cpus
from parity.report import console
from parity.spec import Experiment, Framework

EPILOG = """\
example:
  python -m parity.run mnist_relu --epochs 5 --seed 1

writes DIR/tf and DIR/torch (one recording each), DIR/verdict.json, DIR/costs.png and DIR/accuracy.png
exit status: 0 parity, 1 mismatch, 2 usage, 3 incomparable or insufficient, 4 a worker failed, 130 interrupted
"""
SIDES: tuple[Framework, ...] = get_args(Framework)


def main(arguments: Sequence[str]) -> int:
    """Parse, train, judge, report; returns the exit status."""
    parser = opts.Parser(prog="parity.run", description=__doc__, epilog=EPILOG)
    opts.add_experiment_options(parser)
    parser.add_argument("--no-figures", action="store_true", help="write no pictures")
    options = parser.parse_args(arguments)
    experiment = opts.experiment(options)
    opts.check_inputs(opts.job(options, experiment, "tf", Path()))
    out = opts.out_folder(options)
    record_both(options, experiment, out)
    return compare(out / "tf", out / "torch", out, not options.no_figures, options.quiet)


def record_both(options: argparse.Namespace, experiment: Experiment, out: Path) -> None:
    """Record both sides: at once where there is a core for each, else one after the other."""
    cpus = available_cpus()
    at_once = min(len(SIDES), cpus)
    threads = cpus // at_once
    with (
        console.Progress(options.quiet) as progress,
        ThreadPoolExecutor(at_once) as pool,
        # Left first: a worker that is stopped ends the thread that listens to it.
        ExitStack() as stack,
    ):
        workers = {side: stack.enter_context(Worker(side, options.device, threads)) for side in SIDES}
        futures = [
            pool.submit(worker.record, opts.job(options, experiment, side, out / side), progress.of(side))
            for side, worker in workers.items()
        ]
        # A side that fails does not take the other one's recording with it.
        wait(futures)
        for future in futures:
            future.result()


if __name__ == "__main__":
    opts.run_command(main)
