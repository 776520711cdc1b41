"""Train an experiment in one framework and record it, to be compared elsewhere."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity import command

    command.run("parity.record")

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from parity import options as opts
from parity import recording
from parity.changes import one_of
from parity.errors import UsageError
from parity.job import in_order
from parity.processes import Worker, available_cpus
from parity.report import console
from parity.spec import FRAMEWORKS

EPILOG = """\
example:
  python -m parity.record mnist_relu --framework tf --out a
  python -m parity.record mnist_relu --framework torch --out b
  python -m parity.compare a b
  python -m parity.record mnist_relu --framework tf --reference b --hand-over 10 --out c
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, train, write; returns the exit status."""
    parser = opts.Parser(prog="parity.record", description=__doc__, epilog=EPILOG)
    opts.add_experiment_options(parser)
    parser.add_argument("--framework", required=True, metavar="|".join(FRAMEWORKS))
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="DIR",
        help="a recording of the same experiment, to start from its state and replay its checkpoints",
    )
    parser.add_argument(
        "--hand-over",
        type=int,
        metavar="STEP",
        help="train up to this step, then go on from the state that the --reference has there: weights, slots, "
        "statistics",
    )
    parser.add_argument(
        "--no-evidence",
        action="store_true",
        help="drop what only a comparison without a common reference, or a --reference to this recording, would need",
    )
    options = parser.parse_args(arguments)
    for option, given in (("--initial-weights", options.initial_weights), ("--init-from", options.init_from)):
        if options.reference is not None and given is not None:
            raise UsageError(f"--reference brings its own weights; leave {option} away")
    if options.hand_over is not None and options.reference is None:
        raise UsageError("--hand-over takes the state of a recording; name it with --reference")
    side = one_of(options.framework, FRAMEWORKS, "framework")
    experiment = opts.experiment(options)
    opts.choose_data(options, experiment, [side])
    asked = opts.job(options, experiment, side, options.device, Path(), options.reference, options.hand_over)
    opts.choose_verdict(options, experiment.identity, opts.check_inputs(asked))
    out = opts.out_folder(options)
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
    if not options.quiet:
        print(f"recorded in {out}; compare it with: python -m parity.compare {out} OTHER")
    return 0
