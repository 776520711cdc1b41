"""Say how Keras and torch differ in one thing, how to align them, and measure what it does to training."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity.commands import entry

    entry.run("parity.explain")

import shlex
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from parity.book.lab import Costs, Lab, costs_of
from parity.book.language import LANGUAGES, Language, told_in
from parity.commands import folders
from parity.commands import options as opts
from parity.differences import DIFFERENCES, Difference, Effect
from parity.differences.text import listing, markdown, plain
from parity.errors import UsageError
from parity.experiment.requested import choose, one_of
from parity.experiment.spec import FRAMEWORKS, Experiment, own_choices
from parity.verdict import Verdict, judge
from parity.workers.installed import missing_frameworks
from parity.workers.processes import available_cpus, started

if TYPE_CHECKING:
    from parity.ports.report import Report

EPILOG = """\
example:
  python -m parity.explain adam_epsilon_position
  python -m parity.explain adam
  python -m parity.explain --html book   # all of it as pages, and chapters for classes; start with book/index.html
without ID it lists all of them
exit status: 0 explained, 2 usage, 4 a worker failed, 130 interrupted
"""
# The cost before the 101st update is that after 100.
SHOWN = (1, 100)


class Pair(NamedTuple):
    """The result of one pair of recordings: its name, the verdict, and each side's cost in every step."""

    name: str
    verdict: Verdict
    costs: Costs


@dataclass(frozen=True)
class Explanation:
    """A known difference, and what came of it where that was measured. Printed, it is what the command prints.

    `pairs` are both sides each in its own way, and both in torch's; `remark` says how that was measured, or why not.
    """

    difference: Difference
    remark: str | None = None
    pairs: tuple[Pair, ...] = ()

    def __str__(self) -> str:
        remark = [] if self.remark is None else ["", self.remark]
        return "\n".join([plain(self.difference), *remark, *self.effect()])

    def effect(self) -> list[str]:
        """The lines on what came of it."""
        return [line for pair in self.pairs for line in described(pair)]


def explain_difference(id: str, *, no_run: bool = False, time_limit: float | None = None) -> Explanation:
    """Say how Keras and torch differ in one thing, how to align them, and measure what it does to training.

    `id` is one of `list_differences()`. A difference that is a choice is measured where both frameworks are installed,
    unless `no_run`: some seconds, of which each framework may take at most `time_limit` for its steps.

    Raises UsageError where there is no such difference, and WorkerError where a framework's process failed.
    """
    text = Explanation(DIFFERENCES[one_of(id, DIFFERENCES, "difference")])
    return text if no_run else measured(remarked(text), time_limit)


def list_differences(word: str = "") -> list[Difference]:
    """The known differences between Keras and torch with this word in id or title; without one, all of them."""
    return [entry for entry in DIFFERENCES.values() if word.lower() in f"{entry.id} {entry.title}".lower()]


def main(arguments: Sequence[str]) -> int:
    """Parse, print, and measure where there is something to measure; returns the exit status."""
    parser = opts.Parser(prog="parity.explain", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "difference",
        metavar="ID",
        nargs="?",
        help="one that is listed without it, or a word of ids or titles, which lists those that have it",
    )
    parser.add_argument("--no-run", action="store_true", help="only the text: measure no effect")
    parser.add_argument("--markdown", action="store_true", help="print all of them as Markdown: docs/differences.md")
    parser.add_argument(
        "--html", type=Path, metavar="DIR", help="write all of them as pages into this new folder, with chapters"
    )
    parser.add_argument(
        "--lang", choices=LANGUAGES, default=None, help="of the chapters that --html writes (default en): ko is Korean"
    )
    parser.add_argument("--time-limit", type=opts.seconds, metavar="SECONDS", help="of each framework's steps")
    options = parser.parse_args(arguments)
    if options.lang is not None and options.html is None:
        raise UsageError("--lang is the language of the chapters that --html writes; give --html DIR with it")
    if options.difference is not None and (options.markdown or options.html):
        does = "--markdown prints" if options.markdown else "--html writes"
        raise UsageError(f"{does} all differences; give no ID with it")
    if options.html is not None:
        return write_book(options.html, options.no_run, options.time_limit, options.lang or "en")
    if options.markdown:
        print(markdown(), end="")
        return 0
    wanted = options.difference or ""
    fitting = list_differences(wanted)
    if wanted not in DIFFERENCES and fitting:
        print(*listing(fitting), "\nexplain one with: python -m parity.explain ID", sep="\n")
        return 0
    text = explain_difference(wanted, no_run=True)
    text = text if options.no_run else remarked(text)
    print(text, flush=True)
    for line in measured(text, options.time_limit).effect():
        print(line)
    return 0


def remarked(text: Explanation) -> Explanation:
    """The explanation with how its effect is measured, or why not; unchanged where it has none."""
    effect, missing = text.difference.effect, missing_frameworks()
    if effect is None:
        return text
    if missing:
        where = "its effect is measured where both frameworks are installed"
        return replace(text, remark=f"{where}; here is no {', '.join(missing)}")
    return replace(text, remark=f"measured over {max(SHOWN)} steps of {effect.options}:")


def typed(words: str) -> Experiment:
    """The experiment that parity.run makes of these words."""
    parser = opts.Parser(prog="parity.run")
    opts.add_experiment_options(parser)
    return opts.experiment(parser.parse_args(shlex.split(words)))


def realised(effect: Effect) -> tuple[Experiment, Experiment]:
    """The effect's experiment with each side in its own way, and with both in torch's."""
    own = {side: own_choices(side)[effect.field] for side in FRAMEWORKS}
    alike = choose(typed(f"{effect.options} --steps {max(SHOWN) + 1}"), f"{effect.field}={own['torch']}")
    return choose(alike, f"tf:{effect.field}={own['tf']}"), alike


def measured(text: Explanation, time_limit: float | None) -> Explanation:
    """The explanation with what comes of the effect's experiment both ways, where that is to be measured here."""
    effect = text.difference.effect
    if effect is None or text.remark is None or missing_frameworks():
        return text
    names = "each in its own way", "both in torch's way"
    with tempfile.TemporaryDirectory() as folder, started("cpu", threads(), time_limit) as workers:
        lab = Lab(workers, Path(folder), typed)
        recorded = [lab.recorded(experiment) for experiment in realised(effect)]
        pairs = [Pair(name, judge(*pair), costs_of(pair)) for name, pair in zip(names, recorded, strict=True)]
    return replace(text, pairs=tuple(pairs))


def threads() -> int:
    """How many threads each framework gets."""
    return max(1, available_cpus() // len(FRAMEWORKS))


def write_book(folder: Path, no_run: bool, time_limit: float | None, language: Language = "en") -> int:
    """Write the book into a new folder; without the frameworks, or unasked, no page measures anything.

    Its chapters and its first page's own words are in `language`; differences are told in English.
    """
    # They take their time to load, and all but the book does without.
    from parity.book import made as book
    from parity.report.console import Progress

    missing = missing_frameworks()
    if missing and not no_run:
        raise UsageError(f"chapters take both frameworks, here is no {', '.join(missing)}: give --no-run for the rest")
    with (
        folders.written_to(folder, option="--html"),
        Progress(quiet=False, unit="pages") as progress,
        told_in(language),
        ExitStack() as stack,
    ):
        told = progress.named("book")
        if no_run:
            files = book.write(folder, None, None, lambda entry: (), told)
        else:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            lab = Lab(stack.enter_context(started("cpu", threads(), time_limit)), place, typed)
            files = book.write(folder, lab, partial(checked_port, time_limit), partial(effect_of, lab), told)
    print(f"{len(files)} pages are written; begin with {files[0]}")
    return 0


def effect_of(lab: Lab, entry: Difference) -> list[Costs]:
    """What comes of a choice: the costs with each side in its own way, and with both in torch's."""
    assert entry.effect is not None
    return [costs_of(lab.recorded(experiment, judged=False)) for experiment in realised(entry.effect)]


def checked_port(time_limit: float | None, keras: Path, torch: Path, data: Path, out: Path) -> "Report":
    """The report on a port."""
    from parity.ports.check import Request, checked

    with started("cpu", available_cpus(), time_limit, module="parity.ports.worker") as workers:
        return checked(Request(str(keras), str(torch), data=str(data)), workers, out)


def described(pair: Pair) -> list[str]:
    """A pair in some lines: its verdict, its first divergence, and its costs."""
    lines = [f"  {pair.name}: {pair.verdict.verdict}"]
    failed = [check for check in pair.verdict.checks if check.result == "failed"]
    if failed:
        lines.append(f"    first divergence: {failed[0].level}, {failed[0].place}")
        lines.append(f"      {failed[0].reason}")
    for steps in SHOWN:
        ours, theirs = (float(pair.costs[side][steps]) for side in FRAMEWORKS)
        after = f"after {steps} step{'s' * (steps > 1)}"
        lines.append(f"    cost {after:15} Keras {ours:<12.9g} torch {theirs:<12.9g} {abs(ours - theirs):.1e} apart")
    return lines
