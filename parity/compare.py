"""Judge two recordings against each other; no framework is needed for it."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity import command

    command.run("parity.compare")

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from parity import options as opts
from parity import recording
from parity.diagnosis import Diagnosis, diagnose
from parity.errors import UsageError
from parity.files import write_whole
from parity.recording import Recording
from parity.report import console
from parity.verdict import Verdict, judge, judge_alone
from parity.verdict.checks import EXIT_STATUS
from parity.verdict.judged import levels

EPILOG = """\
example:
  python -m parity.compare runs/mnist_relu-20260101-120000/tf runs/mnist_relu-20260101-120000/torch
  python -m parity.compare --check runs/mnist_relu-20260101-120000/tf
exit status: 0 parity, 1 mismatch, 2 usage, 3 incomparable or insufficient
"""
VERDICT_FORMAT = 2


def main(arguments: Sequence[str]) -> int:
    """Parse, judge, report; returns the exit status."""
    parser = opts.Parser(prog="parity.compare", description=__doc__, epilog=EPILOG)
    parser.add_argument("first", type=Path, metavar="DIR_A", help="a folder that parity.record wrote")
    parser.add_argument("second", type=Path, metavar="DIR_B", nargs="?", help="another one")
    parser.add_argument(
        "--check", action="store_true", help="judge DIR_A alone: its float32 against its own float64, its loop"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write verdict.json and the pictures there")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the checks as JUnit XML, one test case each")
    parser.add_argument("--no-figures", action="store_true", help="write no pictures")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors and the verdict")
    options = parser.parse_args(arguments)
    if options.check == (options.second is not None):
        raise UsageError("give two recordings, or one and --check (see python -m parity.compare --help)")
    if options.out is not None:
        require_library("matplotlib", "use --no-figures", not options.no_figures)
        opts.make_empty(options.out)
    require_library("junitparser", "use no --junit", options.junit is not None)
    judged = read_and_judge(options.first, options.second)
    return report(judged, diagnose(*judged), options.out, not options.no_figures, options.quiet, options.junit)


def read_and_judge(first: Path, second: Path | None) -> tuple[list[Recording], Verdict]:
    """Two recordings, told apart, or one alone, and the verdict on them."""
    a = recording.read(first)
    if second is None:
        return [a], judge_alone(a)
    sides = recording.told_apart(a, recording.read(second))
    return list(sides), judge(*sides)


def report(
    judged: tuple[list[Recording], Verdict],
    diagnosis: Diagnosis | None,
    out: Path | None,
    figures: bool,
    quiet: bool,
    junit: Path | None = None,
) -> int:
    """Report what was judged, with files where asked for; returns the exit status."""
    sides, verdict = judged
    if out is not None:
        write_whole(out / "verdict.json", verdict_json(sides, verdict, diagnosis).encode())
    if junit is not None:
        from parity.report.junit import xml

        write_whole(junit, xml(sides[0].manifest.experiment, verdict))
    console.show(sides, verdict, diagnosis, quiet)
    if out is not None and figures and len(sides) == 2 and sides[0].lengths == sides[1].lengths:
        # Imported late: it costs as much as everything else here together.
        from parity.report.figures import draw

        draw(sides[0], sides[1], out)
    return EXIT_STATUS[verdict.verdict]


def verdict_json(sides: Sequence[Recording], verdict: Verdict, diagnosis: Diagnosis | None) -> str:
    """The verdict and its cause, where that was sought, as JSON: an output, never read back."""
    data = {side.label: side.data_source for side in sides}
    content = {"format": VERDICT_FORMAT, "experiment": sides[0].manifest.experiment, "data": data, **asdict(verdict)}
    content["judged"], content["not_judged"] = levels(sides, verdict)
    content["diagnosis"] = None if diagnosis is None else asdict(diagnosis)
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def require_library(name: str, otherwise: str, wanted: bool = True) -> None:
    """Refuse, before anything is trained or judged, what needs a library of an extra that is not installed."""
    if wanted and find_spec(name) is None:
        raise UsageError(f"{name} is not installed: {otherwise}, or pip install {name}")
