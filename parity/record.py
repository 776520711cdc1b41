"""Train an experiment in one framework and record it, to be compared elsewhere."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity.commands import entry

    entry.run("parity.record")

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from parity.commands import folders
from parity.commands import options as opts
from parity.commands.keywords import RecordSettings, parsed
from parity.errors import UsageError
from parity.experiment.requested import one_of
from parity.experiment.spec import FRAMEWORKS, Framework
from parity.recordings import recording
from parity.recordings.recording import Recording
from parity.report import console
from parity.workers.installed import require_frameworks
from parity.workers.job import in_order
from parity.workers.processes import Worker, available_cpus

EPILOG = """\
example:
  python -m parity.record mnist_relu --framework tf --out a
  python -m parity.record mnist_relu --framework torch --out b
  python -m parity.compare a b
  python -m parity.record mnist_relu --framework tf --reference b --hand-over 10 --out c
"""


def record_experiment(name: str, framework: Framework, **settings: Unpack[RecordSettings]) -> Recording:
    """Train an experiment in one framework, "tf" or "torch", and record it, to be compared elsewhere.

    `name` is one of `list_experiments()`. The settings are the options of `python -m parity.record`, by their names and
    with their values: `reference="a"` for `--reference a`. The recording is written into `out`, by default a new folder
    under runs/; its `folder` is what `compare_recordings` takes.

    Raises UsageError where the request cannot be carried out (a bad setting, a missing framework, a folder that is
    taken), WorkerError where the framework's process crashed, hung or was killed, and IncomparableError where
    a `reference` cannot be read. Each says in one line what to do.
    """
    return recording.read(recorded(parsed(parser(), [name], {"framework": framework, **settings})))


def main(arguments: Sequence[str]) -> int:
    """Parse, train, write; returns the exit status."""
    options = parser().parse_args(arguments)
    out = recorded(options)
    if not options.quiet:
        print(f"recorded in {out}; compare it with: python -m parity.compare {out} OTHER")
    return 0


def parser() -> opts.Parser:
    """The parser of the options."""
    made = opts.Parser(prog="parity.record", description=__doc__, epilog=EPILOG)
    opts.add_experiment_options(made)
    made.add_argument("--framework", required=True, metavar="|".join(FRAMEWORKS))
    made.add_argument(
        "--reference",
        type=Path,
        metavar="DIR",
        help="a recording of the same experiment, to start from its state and replay its checkpoints",
    )
    made.add_argument(
        "--hand-over",
        type=int,
        metavar="STEP",
        help="train up to this step, then go on from the state that the --reference has there: weights, slots, "
        "statistics",
    )
    made.add_argument(
        "--no-evidence",
        action="store_true",
        help="drop what only a comparison without a common reference, or a --reference to this recording, would need",
    )
    return made


def recorded(options: argparse.Namespace) -> Path:
    """Train and record; returns the folder of the recording."""
    for option, given in (("--initial-weights", options.initial_weights), ("--init-from", options.init_from)):
        if options.reference is not None and given is not None:
            raise UsageError(f"--reference brings its own weights; leave {option} away")
    if options.hand_over is not None and options.reference is None:
        raise UsageError("--hand-over takes the state of a recording; name it with --reference")
    side = one_of(options.framework, FRAMEWORKS, "framework")
    experiment = opts.experiment(options)
    require_frameworks([name for name in FRAMEWORKS if name in (side, options.init_from)])
    opts.choose_data(options, experiment, [side])
    asked = opts.job(options, experiment, side, options.device, Path(), options.reference, options.hand_over)
    opts.choose_verdict(options, experiment.identity, opts.check_inputs(asked))
    with folders.written_to(options.out, options.experiment) as out:
        opts.say_what_is_not_mnist(options)
        job = opts.job(options, experiment, side, options.device, out, options.reference, options.hand_over)
        if options.init_from is not None:
            # Perhaps the other framework, so in a process of its own.
            with Worker(options.init_from, "cpu", available_cpus(), options.time_limit) as drawing:
                drawing.draw(opts.draw_job(experiment, out))
            job = replace(job, initial_weights=out / opts.INITIAL)
        with (
            console.Progress(options.quiet) as progress,
            Worker(side, options.device, available_cpus(), options.time_limit) as worker,
        ):
            bar = progress.of(side)
            for phase in in_order(job):
                worker.record(phase, bar)
    if options.no_evidence:
        recording.drop_evidence(out)
    return out
