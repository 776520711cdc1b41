"""Faults planted one by one, each on one side, and the pair with the other side, clean, judged."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.causes import named
from benchmarks.families import family
from benchmarks.faults import FAULTS, Fault
from benchmarks.judged import Judgement, jobs, judged, tidy
from benchmarks.planted import Planter
from benchmarks.visibility import Trace, changed, clean_trace, plain_traces, visible
from parity import recording
from parity.errors import ParityError
from parity.processes import stop
from parity.spec import FRAMEWORKS, Experiment, Framework

Say = Callable[[str], None]
OTHER: dict[Framework, Framework] = {"tf": "torch", "torch": "tf"}
# Steps of each family: long enough for other tools' rules to see what comes of a fault.
DIGITS, XOR = 400, 1000
LENGTHS = {"mnist_rbm": 200, "xor_tanh": XOR, "xor_leaky_relu": XOR, "xor_lbfgs": 100}
SHORT = {"xor_tanh": 200, "xor_leaky_relu": 200}
REDUCED_DIGITS = 60
# A framework keeps some of what it compiled: its process takes so many faults, and another one goes on.
FAULTS_EACH = 20
# A hanging job ends after so many seconds.
TIME_LIMIT = 600


class Planting(NamedTuple):
    """A fault and the side it is planted on."""

    name: str
    side: Framework

    @property
    def fault(self) -> Fault:
        """What is planted."""
        return FAULTS[self.name]


class Row(NamedTuple):
    """What came of it; None where the process could not even finish, for the reason given."""

    planting: Planting
    visible: bool | None
    judgement: Judgement | None
    reason: str = ""
    # Whether the fault changes any number of the run that other tools' rules are shown.
    shown: bool = True
    # The choices that the diagnosis names, where choices express the fault.
    causes: frozenset[str] = frozenset()


def alternating(names: Sequence[str], both_sides: bool) -> list[Planting]:
    """Each fault on one side, by turns, or on both; on the only one where there is no other."""
    found = []
    for number, name in enumerate(names):
        sides = list(FAULTS[name].edits)
        found += [Planting(name, side) for side in (sides if both_sides else [sides[number % len(sides)]])]
    return found


class Campaign:
    """What all plantings share: the processes, the clean runs, and the folder for both.

    The clean recordings keep their evidence, which the faulty sides replay.
    """

    def __init__(
        self, folder: Path, plantings: Sequence[Planting], reduced: bool, threads: int, keep: bool, say: Say
    ) -> None:
        self.folder, self.plantings, self.keep, self.say = folder, plantings, keep, say
        self.reduced, self.threads = reduced, threads
        self.planters: dict[Framework, Planter] = {}
        # Of clean runs: in float64, with those beside them; and in the experiment's own precision.
        self.plain: dict[tuple[Framework, str], list[Trace]] = {}
        self.narrow: dict[tuple[Framework, str], Trace] = {}

    def experiment(self, name: str) -> Experiment:
        """The family's experiment, as long as here."""
        lengths, otherwise = (SHORT, REDUCED_DIGITS) if self.reduced else (LENGTHS, DIGITS)
        return family(name, lengths.get(name, otherwise))

    def run(self) -> list[Row]:
        """Both sides at once: first what is clean, then the faults."""
        try:
            with ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
                list(pool.map(self.record_clean, FRAMEWORKS))
                rows = [row for some in pool.map(self.plant_all, FRAMEWORKS) for row in some]
            rows = [self.explained(row) for row in rows]
        finally:
            stop(list(self.planters.values()))
            tidy(self.folder / "clean", self.keep)
        order = {planting: number for number, planting in enumerate(self.plantings)}
        return sorted(rows, key=lambda row: order[row.planting])

    def planter(self, side: Framework) -> Planter:
        """The side's process; another one where it has died."""
        if side in self.planters and self.planters[side].process.poll() is not None:
            stop([self.planters.pop(side)])
        if side not in self.planters:
            self.planters[side] = Planter(side, self.threads, TIME_LIMIT)
        return self.planters[side]

    def families(self, side: Framework) -> Iterator[str]:
        """The families in which something is planted on a side."""
        yield from dict.fromkeys(planting.fault.experiment for planting in self.plantings if planting.side == side)

    def record_clean(self, side: Framework) -> None:
        """The side's recordings that the other side's faulty ones replay, and its plain runs."""
        for name in self.families(OTHER[side]):
            for job in jobs(self.experiment(name), side, self.clean(side, name), None):
                self.planter(side).record(job, lambda done, steps: None)
            self.say(f"{side}: {name}, clean")
        for name in self.families(side):
            self.plain[side, name] = plain_traces(self.planter(side), None, self.experiment(name), self.folder)
            self.narrow[side, name] = clean_trace(self.planter(side), self.experiment(name), self.folder)

    def clean(self, side: Framework, name: str) -> Path:
        """Where the clean recording of a family is."""
        return self.folder / "clean" / side / name

    def plant_all(self, side: Framework) -> list[Row]:
        """The side's faults, one after the other."""
        rows: list[Row] = []
        for planting in self.plantings:
            if planting.side == side:
                rows.append(self.plant(planting))
                self.say(f"{side}: {planting.name}: {outcome(rows[-1])}")
                if len(rows) % FAULTS_EACH == 0:
                    stop([self.planters.pop(side)])
        return rows

    def plant(self, planting: Planting) -> Row:
        """One fault: is it visible, and what is said of the pair?"""
        name, side = planting
        experiment, seen = self.experiment(planting.fault.experiment), None
        out = self.faulty(planting)
        other = self.clean(OTHER[side], experiment.name)
        try:
            clean, *beside = self.plain[side, experiment.name]
            (faulty,) = plain_traces(self.planter(side), name, experiment, self.folder)
            seen = visible(faulty, clean, beside)
            for job in jobs(experiment, side, out, other):
                self.planter(side).plant(name, job)
            pair = {side: recording.read(out), OTHER[side]: recording.read(other)}
            shown = changed(pair[side], self.narrow[side, experiment.name])
            return Row(planting, seen, judged(pair["tf"], pair["torch"]), shown=shown)
        except ParityError as error:
            return Row(planting, seen, None, str(error).splitlines()[0])
        finally:
            if not planting.fault.cause:
                tidy(out, self.keep)

    def faulty(self, planting: Planting) -> Path:
        """Where the recording with a fault is."""
        return self.folder / "faulty" / planting.side / planting.name.replace(" ", "_").replace("/", "_")

    def explained(self, row: Row) -> Row:
        """The row with the causes that the diagnosis names, where choices express the fault."""
        name, side = row.planting
        if not row.planting.fault.cause or row.judgement is None:
            return row
        experiment = self.experiment(row.planting.fault.experiment)
        folders = {side: self.faulty(row.planting), OTHER[side]: self.clean(OTHER[side], experiment.name)}
        try:
            planters = {framework: self.planter(framework) for framework in FRAMEWORKS}
            causes = named(planters, side, name, experiment, folders)
        except ParityError as error:
            self.say(f"{side}: {name}: the cause could not be sought: {str(error).splitlines()[0]}")
            return row
        finally:
            tidy(folders[side], self.keep)
        self.say(f"{side}: {name}: {', '.join(sorted(causes)) or 'no cause'} named")
        return row._replace(causes=causes)


def outcome(row: Row) -> str:
    """A few words on a row."""
    if row.judgement is None:
        return f"not recorded: {row.reason}"
    first = row.judgement.first
    found = f"{row.judgement.verdict.verdict}, {first.level}, {first.where}" if first else row.judgement.verdict.verdict
    return f"{'visible' if row.visible else 'invisible'}; {found}"
