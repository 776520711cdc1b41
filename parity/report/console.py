"""What a person sees: progress while training, then the verdict and what it rests on."""

import sys
from collections.abc import Callable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from parity.diagnosis.value import Diagnosis
from parity.recording import Recording
from parity.spec import DTYPES, LABELS, Framework
from parity.verdict import Check, Verdict
from parity.verdict.judged import remark

COLOURS = {
    "passed": "green", "failed": "red", "not_judged": "yellow",
    "parity": "bold green", "mismatch": "bold red", "incomparable": "bold yellow", "insufficient": "bold yellow",
}  # fmt: skip
# More failures than this say nothing new.
FAILURES_SHOWN = 5


class Progress:
    """A bar for each side while it trains; nothing where the output is no terminal."""

    def __init__(self, quiet: bool) -> None:
        columns = (
            TextColumn("{task.description:6}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
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
        task: TaskID = self.bars.add_task(LABELS[side], total=None)
        return lambda done, steps: self.bars.update(task, completed=done, total=steps)


def show(recordings: Sequence[Recording], verdict: Verdict, diagnosis: Diagnosis | None, quiet: bool) -> None:
    """Print the verdict; unless quiet, also one line for each level and each of the first failures, and their cause."""
    # Wide enough for a line to stay a line where the output is a file.
    # No markup: a recording is untrusted, and "[/x]" would end the program.
    console = Console(
        highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160
    )
    if not quiet:
        console.print(header(recordings))
        console.print(sides(recordings))
        console.print(levels(verdict))
        failed = [check for check in verdict.checks if check.result == "failed"]
        for check in failed[:FAILURES_SHOWN]:
            start = f"failed: {check.level} {check.name}"
            if check is failed[0] and check.level != "preflight":
                start = f"first divergence: {check.level}, {check.where or check.name}"
            console.print(Text(f"{start}: {check.reason}", "red"))
        if len(failed) > FAILURES_SHOWN:
            console.print(Text(f"and {len(failed) - FAILURES_SHOWN} more", "red"))
    console.print(Text.assemble("verdict: ", (verdict.verdict, COLOURS[verdict.verdict]), remark(recordings, verdict)))
    if diagnosis is not None and not quiet:
        console.print("\n".join(diagnosis.lines()))


def header(recordings: Sequence[Recording]) -> str:
    """What was trained, in one line, and on what, in another."""
    a = recordings[0]
    identity = a.manifest.identity
    widths = "-".join(str(n) for n in [identity.layers[0].inputs, *(node.units for node in identity.layers)])
    steps = len(a.trace["cost"])
    data = " and ".join(dict.fromkeys(side.data_source for side in recordings))
    trained = f"{a.manifest.experiment}: {widths}, {identity.optimizer.kind}, {identity.dtype}, {steps} steps"
    return f"\n{trained}\ndata: {data}"


def sides(recordings: Sequence[Recording]) -> Table:
    """Versions, device, time, and how each side ended."""
    table = Table(box=None, pad_edge=False)
    for column in ("", "versions", "device", "training", "last epoch's cost", "accuracy"):
        table.add_column(column)
    for recording in recordings:
        environment = recording.manifest.environment
        versions = [f"{name} {environment[name]}" for name in ("tensorflow", "keras", "torch") if name in environment]
        cost, accuracy = recording.trace["epoch_cost"], recording.trace["accuracy"]
        table.add_row(
            recording.label,
            ", ".join(versions),
            recording.manifest.device,
            f"{recording.manifest.seconds.get('train', 0):.1f} s",
            f"{cost[-1]:.9g}" if len(cost) else "",
            f"{accuracy[-1]:.4f}" if len(accuracy) else "",
        )
    return table


def levels(verdict: Verdict) -> Table:
    """One or more lines for each level that was reached."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for level in dict.fromkeys(check.level for check in verdict.checks):
        checks = [check for check in verdict.checks if check.level == level]
        results = {check.result for check in checks}
        result = next(name for name in ("failed", "not_judged", "passed") if name in results)
        table.add_row(level, Text(result.replace("_", " "), COLOURS[result]), SUMMARIES[level](checks))
    return table


def counted(checks: Sequence[Check]) -> str:
    """How many passed, and which."""
    passed = [check.name for check in checks if check.result == "passed"]
    return f"{len(passed)} of {len(checks)} equal: {', '.join(passed)}"


def by_precision(checks: Sequence[Check]) -> str:
    """For each precision, how many tensors are within rounding, and each side's that uses most of its bound."""
    return "\n".join(f"{dtype}: {worst([c for c in checks if dtype in c.name.split()])}" for dtype in DTYPES)


def worst(checks: Sequence[Check]) -> str:
    """How many tensors are within rounding, and each side's that uses most of its bound."""
    passed = sum(check.result == "passed" for check in checks)
    line = f"{passed} of {len(checks)} tensors within rounding"
    for side in dict.fromkeys(check.side for check in checks):
        top = max((check for check in checks if check.side == side), key=lambda check: check.share)
        if top.share and top.result == "passed":
            share = f"{top.share:.0%}" if top.share >= 0.01 else "under 1%"
            nobody = "any segment" if top.level == "loop" else "at most"
            line += f"; {side or nobody} {share} of its bound ({top.where})"
    return line


def reasons(checks: Sequence[Check]) -> str:
    """What each check says."""
    return "\n".join(f"{check.name}: {check.reason}" for check in checks)


def stated(checks: Sequence[Check]) -> str:
    """What each check says, where that names its subject."""
    return "\n".join(check.reason for check in checks)


def of_pretraining(checks: Sequence[Check]) -> str:
    """What is counted in both precisions and in the loops, and where the training starts."""
    stages = [check for check in checks if check.measured is not None and check.bound]
    line = worst(stages) if stages else reasons(checks)
    return "\n".join([line, *(check.reason for check in checks if check.name == "start of the training")])


SUMMARIES = {
    "pretraining": of_pretraining,
    "preflight": counted, "consumed": counted, "lockstep": by_precision, "loop": worst, "trajectory": stated,
    "outcome": reasons,
}  # fmt: skip
