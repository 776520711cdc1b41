"""The shortest command that still shows a false alarm."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.draws import actions
from benchmarks.lanes import Outcome

Judge = Callable[[list[str]], Outcome]
# Commands that are judged on the way, refused ones aside.
TRIES = 25
# Without these a run is as long as its experiment, and has twins.
KEPT = ("--steps", "--epochs", "--verdict")
# What is tried in place of an experiment, the smallest first.
SIMPLER = {"mnist": ("mnist_softmax", "mnist_no_batchnorm", "mnist_relu"), "xor": ("xor_linear", "xor_relu")}
LONG_NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?:e[-+]?\d+)?")

# An option with its value, which a flag has not.
Given = tuple[str, ...]
# What tells two changes of a command apart.
Change = tuple[str | Given, ...]


class Command(NamedTuple):
    """A command, taken apart."""

    experiment: str
    given: tuple[Given, ...]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> "Command":
        """The parts of the arguments."""
        given, at = [], 1
        while at < len(arguments):
            length = 1 if actions()[arguments[at]].nargs == 0 else 2
            given.append(tuple(arguments[at : at + length]))
            at += length
        return cls(arguments[0], tuple(given))

    @property
    def arguments(self) -> list[str]:
        """As they are typed."""
        return [self.experiment, *(part for given in self.given for part in given)]

    def value(self, option: str) -> str | None:
        """What an option is given."""
        return next((given[1] for given in self.given if given[0] == option), None)

    def without(self, dropped: Sequence[Given]) -> "Command":
        """The command without some options."""
        return self._replace(given=tuple(given for given in self.given if given not in dropped))

    def changed(self, option: str, value: str) -> "Command":
        """The command with another value of an option, which it may not have yet."""
        given = [(option, value) if part[0] == option else part for part in self.given]
        return self._replace(given=tuple(given if self.value(option) else [*given, (option, value)]))


def shrunk(alarm: Outcome, judge: Judge, tries: int = TRIES) -> Outcome:
    """The outcome of the shortest command found whose alarm is of the same kind as this one."""
    # What the alarm needs is not tried again in a shorter command, nor any command twice.
    needed: set[Change] = set()
    tried: set[Command] = set()
    while tries > 0:
        found = next(((c, command) for c, command in simpler(alarm) if c not in needed and command not in tried), None)
        if found is None:
            break
        change, command = found
        tried.add(command)
        outcome = judge(command.arguments)
        tries -= outcome.outcome != "refused"
        if outcome.kind == alarm.kind:
            alarm = outcome
        else:
            needed.add(change)
    return alarm


def simpler(alarm: Outcome) -> Iterator[tuple[Change, Command]]:
    """Commands that are simpler than the one of this alarm, each with what changes, those first that save most."""
    command = Command.of(alarm.arguments)
    options = [given for given in command.given if given[0] not in KEPT]
    names = SIMPLER.get(command.experiment.partition("_")[0], ())
    for name in names[: names.index(command.experiment)] if command.experiment in names else names:
        yield ("experiment", name), command._replace(experiment=name)
    middle = len(options) // 2
    if middle > 1:
        for half in (options[middle:], options[:middle]):
            yield ("without", *half), command.without(half)
    for option, value in shorter(command, alarm):
        yield (option, value), command.changed(option, value)
    for given in reversed(options):
        yield ("without", given), command.without([given])
    for option, value in plainer(command):
        yield (option, value), command.changed(option, value)


def shorter(command: Command, alarm: Outcome) -> Iterator[Given]:
    """Without twins, in fewer steps, and with no checkpoint but the one where it shows."""
    if command.value("--verdict") == "full":
        yield "--verdict", "quick"
    steps = int(command.value("--steps") or 0)
    found = re.search(r"step (\d+)", f"{alarm.name} {alarm.where}")
    at = int(found[1]) if found else steps
    for fewer in (1, at + 1, steps // 2):
        if 0 < fewer < steps:
            yield "--steps", str(fewer)
    if command.value("--checkpoints") not in (None, f"{at},") and at < steps:
        yield "--checkpoints", f"{at},"


def plainer(command: Command) -> Iterator[Given]:
    """Without one of the optimizer's fields, and with rounder numbers."""
    name, _, settings = (command.value("--optimizer") or "").partition(":")
    fields = settings.split(",") if settings else []
    for field in fields:
        rest = ",".join(other for other in fields if other != field)
        yield "--optimizer", f"{name}:{rest}" if rest else name
    for option, *values in command.given:
        for value in values:
            rounder = LONG_NUMBER.sub(lambda found: f"{float(found[0]):.1g}", value)
            if rounder != value:
                yield option, rounder
