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
LONG_NUMBER = re.compile(r"(?<![\w.])\d+\.\d{2,}(?:e-?\d+)?|(?<![\w.])\d\.\d+e-?\d+")

# An option with its value, which a flag has not.
Given = tuple[str, ...]


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
    tried = {tuple(alarm.arguments)}
    while candidate := next((c for c in simpler(alarm) if tuple(c) not in tried), None):
        if tries == 0:
            break
        tried.add(tuple(candidate))
        found = judge(candidate)
        tries -= found.outcome != "refused"
        if found.kind == alarm.kind:
            alarm = found
    return alarm


def simpler(alarm: Outcome) -> Iterator[list[str]]:
    """Commands that are simpler than the one of this alarm, those first that save most."""
    command = Command.of(alarm.arguments)
    for candidate in (*dropped(command), *shorter(command, alarm), *plainer(command)):
        if candidate != command:
            yield candidate.arguments


def dropped(command: Command) -> Iterator[Command]:
    """Without either half of the options, and without each."""
    options = [given for given in command.given if given[0] not in KEPT]
    middle = len(options) // 2
    if middle > 1:
        yield command.without(options[middle:])
        yield command.without(options[:middle])
    for given in reversed(options):
        yield command.without([given])


def shorter(command: Command, alarm: Outcome) -> Iterator[Command]:
    """In fewer steps, with fewer checkpoints, and without twins."""
    if command.value("--verdict") == "full":
        yield command.changed("--verdict", "quick")
    steps = int(command.value("--steps") or 0)
    at = re.search(r"step (\d+)", f"{alarm.name} {alarm.where}")
    for fewer in (1, int(at[1]) + 1 if at else steps, steps // 2):
        if 0 < fewer < steps:
            yield command.changed("--steps", str(fewer))
    if command.value("--checkpoints") not in ("1", "2"):
        yield command.changed("--checkpoints", "2")


def plainer(command: Command) -> Iterator[Command]:
    """Without one of the optimizer's fields, of a simpler experiment, with rounder numbers."""
    name, _, settings = (command.value("--optimizer") or "").partition(":")
    fields = settings.split(",") if settings else []
    for field in fields:
        rest = ",".join(other for other in fields if other != field)
        yield command.changed("--optimizer", f"{name}:{rest}" if rest else name)
    names = SIMPLER.get(command.experiment.partition("_")[0], ())
    for experiment in names[: names.index(command.experiment)] if command.experiment in names else names:
        yield command._replace(experiment=experiment)
    for option, *value in command.given:
        if value and option != "--choice":
            yield command.changed(option, LONG_NUMBER.sub(lambda found: f"{float(found[0]):.1g}", value[0]))
