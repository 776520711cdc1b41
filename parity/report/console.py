"""Output for a terminal: progress while training, then the verdict and what it rests on."""

import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from parity.diagnosis.value import Diagnosis
from parity.experiment.spec import LABELS, Framework
from parity.recordings.recording import Recording
from parity.report.levels import details, rows
from parity.report.sentence import sentence
from parity.report.wrapped import Line, wrapped
from parity.verdict import Check, Verdict
from parity.verdict.judged import lacking, remark

COLOURS = {
    "passed": "green", "failed": "red", "not_judged": "yellow",
    "parity": "bold green", "mismatch": "bold red", "incomparable": "bold yellow", "insufficient": "bold yellow",
}  # fmt: skip
# What heads the cells of `Ended`.
SIDES = ("", "versions", "device", "training", "epoch's cost", "accuracy")
# The longest name of a level.
WIDEST = len("pretraining")


class Progress:
    """A bar for each side while it trains, or for other work; nothing where the output is no terminal."""

    def __init__(self, quiet: bool, unit: str = "steps") -> None:
        columns = (
            TextColumn("{task.description:6}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
            TimeElapsedColumn(),
        )  # fmt: skip
        console = Console(stderr=True)
        self.bars = RichProgress(*columns, console=console, disable=quiet or not console.is_terminal)

    def __enter__(self) -> "Progress":
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bars.stop()

    def of(self, side: Framework) -> Callable[[int, int], None]:
        """A function (steps done, steps in all) that moves the side's bar."""
        return self.named(LABELS[side])

    def named(self, label: str) -> Callable[[int, int], None]:
        """A function (done, in all) that moves a new bar."""
        task: TaskID = self.bars.add_task(label, total=None)
        return lambda done, steps: self.bars.update(task, completed=done, total=steps)


def show(recordings: Sequence[Recording], verdict: Verdict, diagnosis: Diagnosis | None, quiet: bool) -> None:
    """Print the verdict; unless quiet, also what came of it in one sentence, and what it rests on."""
    # No markup: a recording is untrusted, and "[/x]" would end the program.
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    # What goes to a file or another program keeps its lines.
    width = console.width if sys.stdout.isatty() else None
    lines = [ending(recordings, verdict)] if quiet else page(recordings, verdict, diagnosis, width)
    for text in texts(lines, width):
        console.print(text)


def texts(lines: Sequence[Line], width: int | None) -> Iterator[Text]:
    """The lines, broken where they are too long and in their colours."""
    for line in lines:
        for number, piece in enumerate(wrapped(line, width)):
            text = Text(piece, "" if line.style is None or line.part is not None else line.style)
            if line.style is not None and line.part is not None and not number:
                text.stylize(line.style, *line.part)
            yield text


def page(
    recordings: Sequence[Recording], verdict: Verdict, diagnosis: Diagnosis | None, width: int | None
) -> list[Line]:
    """All lines: a sentence, what was trained, a row for each side and level, what failed, the verdict, its cause."""
    lines = [Line(sentence(recordings, verdict, diagnosis)), Line(""), *header(recordings), *sides(recordings, width)]
    for level, result, said in rows(verdict):
        start = f"{level:{WIDEST}}  "
        status = result.replace("_", " ")
        text = f"{start}{status:10}  {said}"
        lines.append(Line(text, WIDEST + 14, COLOURS[result], (len(start), len(start) + len(status))))
    lines += [Line(f"  {said}", 4) for said in details(verdict)]
    lines += failures(verdict)
    lines.append(ending(recordings, verdict))
    if verdict.verdict == "insufficient":
        lines.append(Line(f"not judged: {lacking(verdict.checks)}", 2))
    if diagnosis is not None:
        lines += [Line(said, len(said) - len(said.lstrip()) + 2) for said in diagnosis.lines()]
    return lines


def ending(recordings: Sequence[Recording], verdict: Verdict) -> Line:
    """The line that says the verdict in one word."""
    start = "verdict: "
    text = f"{start}{verdict.verdict}{remark(recordings, verdict)}"
    return Line(text, 2, COLOURS[verdict.verdict], (len(start), len(start) + len(verdict.verdict)))


def failures(verdict: Verdict) -> list[Line]:
    """The first failure, and how many checks failed with it; of preflight, whose checks are few and separate, all."""
    failed = [check for check in verdict.checks if check.result == "failed"]
    told = [check for check in failed if check.level == "preflight"] or failed[:1]
    said = []
    for check in told:
        start = f"failed: {check.level} {check.name}"
        if check.level != "preflight":
            start = f"first divergence: {check.level}, {check.place}"
        began = f"; it began in {check.stretch}, none of which was looked at before" if check.stretch else ""
        said.append(f"{start}: {check.reason}{began}")
    left = [check for check in failed if check not in told]
    if left:
        alone, following = ([c for c in left if (c.follows is None) == own] for own in (True, False))
        line = f"and {len(left)} more check{'s' * (len(left) > 1)} failed with it: "
        line += f"{by_levels(alone)}{'; ' * bool(alone and following)}"
        said.append(line + (f"{len(following)} that follow from others ({by_levels(following)})" if following else ""))
    return [Line(text, 2, "red") for text in said]


def by_levels(checks: Sequence[Check]) -> str:
    """How many checks there are of each level."""
    levels = [check.level for check in checks]
    return ", ".join(f"{levels.count(level)} of {level}" for level in dict.fromkeys(levels))


def header(recordings: Sequence[Recording]) -> list[Line]:
    """One line on what was trained, and one on the data."""
    a = recordings[0]
    identity = a.manifest.identity
    widths = "-".join(str(n) for n in [identity.layers[0].inputs, *(node.units for node in identity.layers)])
    steps = " and ".join(dict.fromkeys(str(len(side.trace["cost"])) for side in recordings))
    data = " and ".join(dict.fromkeys(side.data_source for side in recordings))
    trained = f"{a.manifest.experiment}: {widths}, {identity.optimizer.kind}, {identity.dtype}, {steps} steps"
    return [Line(trained, 2), Line(f"data: {data}", 2)]


def sides(recordings: Sequence[Recording], width: int | None) -> list[Line]:
    """Versions, device, time, and how each side ended: as a table, or where that is too wide a paragraph each."""
    table = [SIDES, *(ended(recording).cells() for recording in recordings)]
    columns = [max(map(len, column)) for column in zip(*table, strict=True)]
    if width is not None and sum(columns) + 2 * len(columns) - 2 > width:
        names = table[0]
        rest = [", ".join(f"{n} {x}" for n, x in zip(names[2:], row[2:], strict=True)) for row in table[1:]]
        return [Line(f"{row[0]}: {row[1]}, {said}", 2) for row, said in zip(table[1:], rest, strict=True)]
    aligned = (zip(row, columns, strict=True) for row in table)
    return [Line("  ".join(f"{cell:{size}}" for cell, size in row).rstrip()) for row in aligned]


class Ended(NamedTuple):
    """With what one side trained, and how it ended: seconds of training, the last epoch's cost, and the accuracy."""

    side: str
    versions: str
    device: str
    seconds: float
    epoch_cost: float | None
    accuracy: float | None

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """As text."""
        cost = "" if self.epoch_cost is None else f"{self.epoch_cost:.7g}"
        accuracy = "" if self.accuracy is None else f"{self.accuracy:.4f}"
        return self.side, self.versions, self.device, f"{self.seconds:.1f} s", cost, accuracy


def ended(recording: Recording) -> Ended:
    """How one side ended."""
    environment = recording.manifest.environment
    versions = [f"{name} {environment[name]}" for name in ("tensorflow", "keras", "torch") if name in environment]
    cost, accuracy = recording.trace["epoch_cost"], recording.trace["accuracy"]
    return Ended(
        recording.label,
        ", ".join(versions),
        recording.manifest.device,
        recording.manifest.seconds.get("train", 0),
        float(cost[-1]) if len(cost) else None,
        float(accuracy[-1]) if len(accuracy) else None,
    )
