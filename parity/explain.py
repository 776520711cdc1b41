"""Say how Keras and torch differ in one thing, how to align them, and measure what it does to training."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity import command

    command.run("parity.explain")

import shlex
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from parity import options as opts
from parity.changes import choose, one_of
from parity.differences import DIFFERENCES, Effect
from parity.differences.text import listing, markdown, plain
from parity.errors import UsageError
from parity.pairs import record_pair
from parity.processes import Worker, available_cpus
from parity.spec import FRAMEWORKS, Experiment, Framework, own_choices
from parity.verdict import Verdict, judge

EPILOG = """\
example:
  python -m parity.explain adam_epsilon_position
without ID it lists all of them
exit status: 0 explained, 2 usage, 4 a worker failed, 130 interrupted
"""
# The cost before the 101st update is that after 100.
SHOWN = (1, 100)
CHECKPOINTS = 2
NEEDED = ("tensorflow", "keras", "torch")


class Pair(NamedTuple):
    """What came of one pair of recordings: its name, the verdict, and each side's costs after SHOWN steps."""

    name: str
    verdict: Verdict
    costs: dict[Framework, list[float]]


def main(arguments: Sequence[str]) -> int:
    """Parse, print, and measure where there is something to measure; returns the exit status."""
    parser = opts.Parser(prog="parity.explain", description=__doc__, epilog=EPILOG)
    parser.add_argument("difference", metavar="ID", nargs="?", help="one of those that are listed without it")
    parser.add_argument("--no-run", action="store_true", help="only the text: measure no effect")
    parser.add_argument("--markdown", action="store_true", help="print all of them as Markdown: docs/differences.md")
    parser.add_argument("--time-limit", type=opts.seconds, metavar="SECONDS", help="of each framework's steps")
    options = parser.parse_args(arguments)
    if options.markdown and options.difference is not None:
        raise UsageError("--markdown prints all differences; give no ID with it")
    if options.markdown:
        print(markdown(), end="")
        return 0
    if options.difference is None:
        print(*listing(), "\nexplain one with: python -m parity.explain ID", sep="\n")
        return 0
    entry = DIFFERENCES[one_of(options.difference, DIFFERENCES, "difference")]
    print(plain(entry), flush=True)
    if entry.effect is not None and not options.no_run:
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            print(f"\nits effect is measured where both frameworks are installed; here is no {', '.join(missing)}")
            return 0
        print(f"\nmeasured over {max(SHOWN)} steps of {entry.effect.options}:", flush=True)
        for pair in measured(entry.effect, options.time_limit):
            print(*described(pair), sep="\n")
    return 0


def realised(effect: Effect) -> tuple[Experiment, Experiment]:
    """The effect's experiment with each side in its own way, and with both in torch's."""
    parser = opts.Parser(prog="parity.run")
    opts.add_experiment_options(parser)
    alike = opts.experiment(parser.parse_args([*shlex.split(effect.options), "--steps", str(max(SHOWN) + 1)]))
    own = {side: own_choices(side)[effect.field] for side in FRAMEWORKS}
    alike = choose(alike, f"{effect.field}={own['torch']}")
    return choose(alike, f"tf:{effect.field}={own['tf']}"), alike


def measured(effect: Effect, time_limit: float | None) -> list[Pair]:
    """Train the effect's experiment both ways."""
    cpus = max(1, available_cpus() // len(FRAMEWORKS))
    names = "each in its own way", "both in torch's way"
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker("tf", "cpu", cpus, time_limit) as tf,
        Worker("torch", "cpu", cpus, time_limit) as torch,
    ):
        found = []
        for name, experiment in zip(names, realised(effect), strict=True):
            sides = record_pair({"tf": tf, "torch": torch}, experiment, Path(folder) / name, checkpoints=CHECKPOINTS)
            costs = {side.manifest.framework: [float(side.trace["cost"][k]) for k in SHOWN] for side in sides}
            found.append(Pair(name, judge(*sides), costs))
        return found


def described(pair: Pair) -> list[str]:
    """A pair in some lines: its verdict, its first divergence, and its costs."""
    lines = [f"  {pair.name}: {pair.verdict.verdict}"]
    failed = [check for check in pair.verdict.checks if check.result == "failed"]
    if failed:
        lines.append(f"    first divergence: {failed[0].level}, {failed[0].place}")
        lines.append(f"      {failed[0].reason}")
    for steps, ours, theirs in zip(SHOWN, pair.costs["tf"], pair.costs["torch"], strict=True):
        after = f"after {steps} step{'s' * (steps > 1)}"
        lines.append(f"    cost {after:15} Keras {ours:<12.9g} torch {theirs:<12.9g} {abs(ours - theirs):.1e} apart")
    return lines
