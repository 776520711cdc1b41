"""Faults planted one by one, each on one side, and the pair with the other side, clean, judged."""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.causes import diagnosed
from benchmarks.families import EPOCH, family
from benchmarks.faults import FAULTS, Fault
from benchmarks.judged import Judgement, jobs, judged, tidy
from benchmarks.kept import Kept, as_content
from benchmarks.planted import Planter
from benchmarks.tables import Say
from benchmarks.visibility import Trace, changed, clean_trace, plain_traces, visible
from parity.diagnosis import Diagnosis
from parity.errors import ParityError
from parity.experiment.spec import FRAMEWORKS, Experiment, Framework
from parity.recordings import recording
from parity.verdict import Check, Verdict
from parity.workers.processes import stop

# What begins a supposition on what a side does.
AS_IF = " does as if "
OTHER: dict[Framework, Framework] = {"tf": "torch", "torch": "tf"}
# Steps of each family: long enough for other tools' rules to see what comes of a fault.
DIGITS, XOR = 400, 1000
LENGTHS = {"mnist_rbm": 200, "xor_tanh": XOR, "xor_leaky_relu": XOR, "xor_lbfgs": 100}
SHORT = {"xor_tanh": 200, "xor_leaky_relu": 200}
REDUCED_DIGITS = 60
# A framework keeps some of what it compiled: its process serves so many times, and another one goes on.
SERVICES = 20
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
    # The choices that the diagnosis names, and the sentences by which it describes what is off.
    causes: frozenset[str] = frozenset()
    told: tuple[str, ...] = ()
    # Epochs of each layer's pre-training.
    epochs: int = 1

    @property
    def in_place(self) -> bool:
        """Whether the first divergence is at the level, the step and the tensor that the fault states."""
        first, fault = self.judgement.first if self.judgement else None, self.planting.fault
        if first is None or first.level != fault.level or fault.tensor not in first.name:
            return False
        if fault.step is None:
            return True
        late = fault.level == "pretraining" and fault.step >= EPOCH
        return (first.where or "").split(", ")[0] == f"step {fault.step * (self.epochs if late else 1)}"

    @property
    def described(self) -> bool:
        """Whether the choices that make the fault are named, or what is true of it is said."""
        fault = self.planting.fault
        if fault.cause:
            return self.causes == fault.cause
        return bool(fault.told) and any(re.search(fault.told, sentence) for sentence in self.told)

    @property
    def misled(self) -> bool:
        """Whether a choice is named that the fault does not make, or a side is said to do as if it had another one."""
        suppositions = [sentence for sentence in self.told if AS_IF in sentence]
        return bool(self.causes - self.planting.fault.cause) or (bool(suppositions) and not self.described)


def alternating(names: Sequence[str], both_sides: bool) -> list[Planting]:
    """Each fault on one side, by turns, or on both; on the only one where there is no other."""
    found = []
    for number, name in enumerate(names):
        sides = list(FAULTS[name].edits)
        found += [Planting(name, side) for side in (sides if both_sides else [sides[number % len(sides)]])]
    return found


class Planters:
    """Processes in which faults are planted, each lent for one job; of a framework, as many as are needed at once."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.idle: dict[Framework, list[Planter]] = {framework: [] for framework in FRAMEWORKS}
        # Also those that are lent, to be stopped when an error unwinds all.
        self.alive: list[Planter] = []
        self.services: Counter[Planter] = Counter()

    @contextmanager
    def lent(self, framework: Framework) -> Iterator[Planter]:
        """An idle process of the framework, or a new one; it goes on serving if it is alive and not worn out."""
        try:
            planter = self.idle[framework].pop()
        except IndexError:
            planter = Planter(framework, self.threads, TIME_LIMIT)
            self.alive.append(planter)
        try:
            yield planter
        finally:
            self.services[planter] += 1
            if planter.process.poll() is None and self.services[planter] < SERVICES:
                self.idle[framework].append(planter)
            else:
                self.alive.remove(planter)
                stop([planter])

    def stop(self) -> None:
        """End them all."""
        stop(self.alive)


class Campaign:
    """What all plantings share: the processes, the clean runs, and the folder for both.

    The clean recordings keep their evidence, which the faulty sides replay. `at_once` jobs are done at once, of either
    framework.
    """

    def __init__(
        self,
        folder: Path,
        plantings: Sequence[Planting],
        reduced: bool,
        threads: int,
        at_once: int,
        keep: bool,
        say: Say,
        kept: Kept | None = None,
    ) -> None:
        # What came of plantings before.
        self.kept = kept
        self.folder, self.plantings, self.keep, self.say = folder, plantings, keep, say
        self.reduced, self.at_once = reduced, at_once
        self.planters = Planters(threads)
        # Of clean runs: in float64, with those beside them; and in the experiment's own precision.
        self.plain: dict[tuple[Framework, str], list[Trace]] = {}
        self.narrow: dict[tuple[Framework, str], Trace] = {}

    def experiment(self, name: str) -> Experiment:
        """The family's experiment, as long as here."""
        lengths, otherwise = (SHORT, REDUCED_DIGITS) if self.reduced else (LENGTHS, DIGITS)
        return family(name, lengths.get(name, otherwise))

    def run(self) -> list[Row]:
        """First what is clean, then the faults, one row each, in their order."""
        before = {p: row for p in self.plantings if (row := self.known(p)) is not None}
        asked, self.plantings = self.plantings, [p for p in self.plantings if p not in before]
        try:
            if self.plantings:
                with ThreadPoolExecutor(self.at_once) as pool:
                    list(pool.map(self.record_clean, *zip(*self.families(), strict=True)))
                    before |= dict(zip(self.plantings, pool.map(self.plant, self.plantings), strict=True))
            return [before[planting] for planting in asked]
        finally:
            self.planters.stop()
            tidy(self.folder / "clean", self.keep)

    def known(self, planting: Planting) -> Row | None:
        """What came of a planting before."""
        found = None if self.kept is None else self.kept.found.get(": ".join(planting[::-1]))
        return None if found is None else of_content(planting, found)

    def families(self) -> list[tuple[Framework, str]]:
        """The families in which something is planted, each with both sides."""
        names = dict.fromkeys(planting.fault.experiment for planting in self.plantings)
        return [(side, name) for name in names for side in FRAMEWORKS]

    def record_clean(self, side: Framework, name: str) -> None:
        """A side's recording of a family that the other side's faulty ones replay, and its plain runs."""
        planted = {planting.side for planting in self.plantings if planting.fault.experiment == name}
        experiment = self.experiment(name)
        with self.planters.lent(side) as planter:
            if OTHER[side] in planted:
                for job in jobs(experiment, side, self.clean(side, name), None):
                    planter.record(job, lambda done, steps: None)
            if side in planted:
                self.plain[side, name] = plain_traces(planter, None, experiment)
                self.narrow[side, name] = clean_trace(planter, experiment)
        self.say(f"{side}: {name}, clean")

    def clean(self, side: Framework, name: str) -> Path:
        """Where the clean recording of a family is."""
        return self.folder / "clean" / side / name

    def plant(self, planting: Planting) -> Row:
        """One fault: is it visible, what is said of the pair, and does the diagnosis name its cause?"""
        name, side = planting
        experiment, seen = self.experiment(planting.fault.experiment), None
        out = self.folder / "faulty" / side / name.replace(" ", "_").replace("/", "_")
        other = self.clean(OTHER[side], experiment.name)
        try:
            clean, *beside = self.plain[side, experiment.name]
            with self.planters.lent(side) as planter:
                (faulty,) = plain_traces(planter, name, experiment)
                seen = visible(faulty, clean, beside)
                for job in jobs(experiment, side, out, other):
                    planter.plant(name, job)
            pair = {side: recording.read(out), OTHER[side]: recording.read(other)}
            shown = changed(pair[side], self.narrow[side, experiment.name])
            row = Row(planting, seen, judged(pair["tf"], pair["torch"]), shown=shown, epochs=epochs(experiment))
            row = self.told(row, planting, out, other)
        except ParityError as error:
            row = Row(planting, seen, None, str(error).splitlines()[0])
        finally:
            tidy(out, self.keep)
        self.say(f"{side}: {name}: {outcome(row)}")
        if self.kept is not None and row.judgement is not None:
            self.kept.keep(f"{side}: {name}", content(row))
        return row

    def told(self, row: Row, planting: Planting, out: Path, clean: Path) -> Row:
        """With what the diagnosis says of the recordings `out`, with the fault, and `clean`."""
        name, side = planting
        with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
            # The clean side replays the faulty one's checkpoints, and others replay the clean recording meanwhile.
            folders = {side: out, OTHER[side]: Path(shutil.copytree(clean, Path(place) / "clean"))}
            planters = {framework: stack.enter_context(self.planters.lent(framework)) for framework in FRAMEWORKS}
            try:
                found = diagnosed(planters, side, name, self.experiment(planting.fault.experiment), folders)
            except ParityError as error:
                self.say(f"{side}: {name}: the cause could not be sought: {str(error).splitlines()[0]}")
                return row
        return row if found is None else row._replace(causes=causes(found), told=sentences(found))


def epochs(experiment: Experiment) -> int:
    """Of each layer's pre-training; 1 where there is none."""
    pretraining = experiment.identity.pretraining
    return 1 if pretraining is None else pretraining.epochs


def content(row: Row) -> dict[str, Any]:
    """A row as JSON takes it, of its verdict the first check alone."""
    assert row.judgement is not None
    judgement = {
        "verdict": row.judgement.verdict.verdict, "first": as_content(row.judgement.first),
        "rules": sorted(row.judgement.rules),
    }  # fmt: skip
    rest = {"visible": row.visible, "shown": row.shown, "causes": sorted(row.causes), "told": row.told}
    return {**judgement, **rest, "epochs": row.epochs}


def of_content(planting: Planting, found: Mapping[str, Any]) -> Row:
    """A row of what is kept of it."""
    first = () if found["first"] is None else (Check(**found["first"]),)
    judgement = Judgement(Verdict(found["verdict"], first), frozenset(found["rules"]))
    causes, told = frozenset(found["causes"]), tuple(found["told"])
    rest = {"shown": found["shown"], "epochs": found["epochs"]}
    return Row(planting, found["visible"], judgement, causes=causes, told=told, **rest)


def causes(diagnosis: Diagnosis) -> frozenset[str]:
    """The choices that a diagnosis names."""
    return frozenset(cause.field for cause in diagnosis.causes if cause.field is not None)


def sentences(diagnosis: Diagnosis) -> tuple[str, ...]:
    """All that a diagnosis says of what is off, but for choices."""
    others = [cause.says for cause in diagnosis.causes if cause.field is None]
    return (*others, *(said for finding in diagnosis.findings for said in finding.described))


def outcome(row: Row) -> str:
    """A few words on a row."""
    if row.judgement is None:
        return f"not recorded: {row.reason}"
    first, verdict = row.judgement.first, row.judgement.verdict.verdict
    found = f"{verdict}, {first.level}, {first.where}" if first else verdict
    said = f"{', '.join(sorted(row.causes))} named" if row.causes else next(iter(row.told), "nothing said")
    marks = {"in place": row.in_place, "true": row.described, "false": row.misled}
    right = ", ".join(name for name, mark in marks.items() if mark) or "none of it"
    return f"{'visible' if row.visible else 'invisible'}; {found}; {said} ({right})"
