"""Judge two recordings against each other; no framework is needed for it."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity.commands import entry

    entry.run("parity.compare")

import argparse
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from parity.commands import folders
from parity.commands import options as opts
from parity.commands.repeated import repeated
from parity.diagnosis import Sides, diagnose
from parity.diagnosis.located import located
from parity.errors import UsageError
from parity.experiment.spec import FRAMEWORKS
from parity.page import PAGE
from parity.recordings import recording
from parity.recordings.recording import MANIFEST
from parity.report import console
from parity.report.value import Report
from parity.verdict import judge, judge_alone
from parity.workers.installed import require_library, require_page

EPILOG = """\
example:
  python -m parity.compare runs/mnist_relu-20260101-120000
  python -m parity.compare a/tf b/torch --junit checks.xml
  python -m parity.compare --alone a/tf --html a.html
exit status: 0 parity, 1 mismatch, 2 usage, 3 incomparable or insufficient
"""


def compare_recordings(
    first: str | PathLike[str], second: str | PathLike[str] | None = None, *, alone: bool = False
) -> Report:
    """Judge two recordings against each other; no framework is needed for it.

    `first` and `second` are folders that `record_experiment` or `parity.record` wrote, or `first` alone is one that
    `run_experiment` or `parity.run` wrote, which holds both. With `alone`, the recording `first` is judged by itself:
    its float32 stages against its own float64, and its training loop against both. The report's `write`, `draw` and
    `junit` put it into files.

    Raises UsageError where the folders do not say what to compare, or hold no recording, and IncomparableError where
    a recording is not whole, was changed, contradicts itself, or has another format. Recordings of different tasks
    raise nothing: their verdict is "incomparable", and the report says what differs.
    """
    return diagnosed(judged(*asked(Path(first), None if second is None else Path(second), alone)))


def main(arguments: Sequence[str]) -> int:
    """Parse, judge, report; returns the exit status."""
    parser = opts.Parser(prog="parity.compare", description=__doc__, epilog=EPILOG)
    parser.add_argument("first", type=Path, metavar="DIR_A", help="a folder that parity.record wrote, or parity.run")
    parser.add_argument("second", type=Path, metavar="DIR_B", nargs="?", help="another one that parity.record wrote")
    parser.add_argument(
        "--alone", action="store_true", help="judge DIR_A by itself: its float32 against its own float64, its loop"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write verdict.json, report.html and pictures there")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the checks as JUnit XML, one test case each")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write all of it as one page to look at")
    opts.add_tensorboard(parser)
    parser.add_argument("--no-figures", action="store_true", help="write no pictures and no page into --out")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors and the verdict")
    options = parser.parse_args(arguments)
    sides = asked(options.first, options.second, options.alone)
    require_page("use no --html", options.html is not None)
    require_library("junitparser", "use no --junit", options.junit is not None)
    command = repeated("parity.compare", arguments)
    with folders.events(options.tensorboard) as events:
        if options.out is None:
            return compared(sides, None, events, options, command)
        require_page("use --no-figures", not options.no_figures)
        with folders.written_to(options.out) as out:
            return compared(sides, out, events, options, command)


def compared(
    sides: tuple[Path, Path | None], out: Path | None, events: Path | None, options: argparse.Namespace, command: str
) -> int:
    """Judge, print, and write what is asked for; returns the exit status."""
    report = diagnosed(judged(*sides))
    figures = out is not None and not options.no_figures
    if out is not None:
        report.write(out)
    if options.junit is not None:
        report.junit(options.junit)
    if events is not None:
        report.tensorboard(events)
    console.show(report.recordings, report.judged, report.diagnosis, options.quiet)
    for file in [options.html] if out is None or not figures else [options.html, out / PAGE]:
        if file is not None:
            report.html(file, command)
    if out is not None and figures:
        report.draw(out)
    return report.status


def asked(first: Path, second: Path | None, alone: bool) -> tuple[Path, Path | None]:
    """The folders of the recordings to judge; of one alone, there is no second."""
    if alone and second is None:
        return first, None
    if second is not None and not alone:
        return first, second
    both = [first / side for side in FRAMEWORKS]
    if second is None and all((side / MANIFEST).exists() for side in both):
        return both[0], both[1]
    raise UsageError(
        "give two recordings, a folder that parity.run wrote, or one recording and --alone "
        "(see python -m parity.compare --help)"
    )


def judged(first: Path, second: Path | None) -> Report:
    """The verdict on two recordings, told apart, or on one alone."""
    a = recording.read(first)
    if second is None:
        return Report((a,), judge_alone(a))
    sides = recording.told_apart(a, recording.read(second))
    return Report(sides, judge(*sides))


def diagnosed(report: Report, ask: Sides | None = None) -> Report:
    """The report with the step where it began, and why; `ask` has sides replay other steps, or by other choices."""
    if ask is not None and len(report.recordings) == 2:
        report = replace(report, judged=located(*report.recordings, report.judged, ask))
    return replace(report, diagnosis=diagnose(report.recordings, report.judged, ask))
