"""Compare recordings of many versions, each with each, and print a table in Markdown."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity.commands import entry

    entry.run("parity.matrix")

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from parity.commands import options as opts
from parity.errors import IncomparableError, UsageError
from parity.recordings import recording
from parity.recordings.files import write_whole
from parity.recordings.recording import MANIFEST, Recording
from parity.verdict import Verdict, judge
from parity.verdict.checks import EXIT_STATUS
from parity.verdict.judged import lacking

EPILOG = """\
example:
  python -m parity.record mnist_relu --framework torch --out matrix/torch-2.15.0/mnist_relu
  python -m parity.record mnist_relu --framework tf --out matrix/tf-2.21.0/mnist_relu \\
      --reference matrix/torch-2.15.0/mnist_relu
  python -m parity.matrix matrix
exit status: 0 all parity, 1 a mismatch, 2 usage, 3 a pair that is incomparable or insufficient
"""
Cell = tuple[str, int]


def main(arguments: Sequence[str]) -> int:
    """Parse, judge every pair, write the table; returns the exit status."""
    parser = opts.Parser(prog="parity.matrix", description=__doc__, epilog=EPILOG)
    parser.add_argument("folder", type=Path, metavar="DIR", help="holds VERSION/EXPERIMENT, each a recording")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there instead of printing it")
    options = parser.parse_args(arguments)
    table, status = compared(find(options.folder))
    if options.out is None:
        print(table, end="")
    else:
        write_whole(options.out, table.encode())
    return status


def find(folder: Path) -> dict[str, dict[str, Path]]:
    """The folders of recordings by version and experiment, both in alphabetical order."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob(f"*/*/{MANIFEST}")):
        version, experiment = path.parts[-3:-1]
        found.setdefault(version, {})[experiment] = path.parent
    if len(found) < 2:
        raise UsageError(f"{folder} holds recordings of {len(found)} versions, and a comparison takes two")
    return found


def compared(found: dict[str, dict[str, Path]]) -> tuple[str, int]:
    """A table with a row for each pair of versions and a column for each experiment, and the exit status."""
    experiments = sorted({name for recordings in found.values() for name in recordings})
    lines = [row(["", *(f"`{name}`" for name in experiments)]), row(["---"] * (1 + len(experiments)))]
    statuses = set()
    for first, second in combinations(found, 2):
        cells = [cell(found[first].get(name), found[second].get(name)) for name in experiments]
        lines.append(row([f"{first}, {second}", *(text for text, _ in cells)]))
        statuses |= {status for _, status in cells}
    # A mismatch says more than a pair that cannot be compared.
    worst = next(status for status in (1, 3, 0) if status in statuses)
    return "\n".join(lines) + "\n", worst


def row(cells: Sequence[str]) -> str:
    """One line of a table; what could end a cell is escaped, since recordings are untrusted."""
    return f"| {' | '.join(text.replace('|', '&#124;') for text in cells)} |"


def cell(first: Path | None, second: Path | None) -> Cell:
    """The text on one pair, and its exit status."""
    if first is None or second is None:
        return "not recorded", EXIT_STATUS["incomparable"]
    try:
        a, b = recording.told_apart(recording.read(first), recording.read(second))
        verdict = judge(a, b)
    except (IncomparableError, UsageError) as error:
        return str(error), IncomparableError.status
    return described(a, b, verdict), EXIT_STATUS[verdict.verdict]


def described(a: Recording, b: Recording, verdict: Verdict) -> str:
    """The verdict, and what to know of it: how close, or what differs first."""
    failed = next((check for check in verdict.checks if check.result == "failed"), None)
    if failed is not None:
        return f"**{verdict.verdict}**: {failed.level} {failed.name}: {failed.reason}"
    if verdict.verdict != "parity":
        return f"**{verdict.verdict}**: {lacking(verdict.checks)}"
    used = max(check.share for check in verdict.checks if check.level == "lockstep")
    agreed = next(check for check in verdict.checks if check.name == "cost to 6 digits")
    return f"{verdict.verdict}; {used:.0%} of the bound; {agreed.reason}"
