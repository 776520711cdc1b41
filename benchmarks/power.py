"""Faults in experiments drawn at random: is what can be seen found, where no one has looked before?

Each draw takes the next fault of the list, shuffled by the seed, on one side, and looks for a host that can show it
(benchmarks/hosts.py). Whether one can is decided as for the families, beforehand and without the judge: by one
framework's plain runs in float64, clean against faulty (benchmarks/visibility.py), of which the clean one must stay
finite. Then the clean other side and the faulty side are recorded and judged, quickly: without twins.
"""

import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from benchmarks import hosts
from benchmarks.campaign import OTHER, Planters, Planting, alternating
from benchmarks.faults import FAULTS, Kind
from benchmarks.judged import jobs
from benchmarks.lanes import decisive
from benchmarks.ledger import Ledger, each
from benchmarks.tables import CONFIDENCE, Say, markdown, upper_bound
from benchmarks.visibility import LOOKED_AT, plain_traces, visible
from parity.errors import ParityError
from parity.experiment.spec import LABELS, Experiment, Framework
from parity.recordings import recording
from parity.verdict import Verdict, judge

# What is told of a failure.
SAID = 1000
# What comes of a host: it shows the fault, and the verdict is on that; or it is another one's turn.
SHOWS, REFUSED, ENDS, HIDES = "visible", "not carried out", "ends in no number", "invisible"
FOUND, MISSED, OPEN, FAILED, NOWHERE = "found", "missed", "insufficient", "failed", "no host"


class Plant(NamedTuple):
    """What came of a fault: found, missed, insufficient, failed where a process did, or no host.

    `hosts` is what came of each that was tried, `arguments` the last one. `level` and the rest are of the first check
    that failed, or of the first that should have passed.
    """

    fault: str
    side: Framework
    arguments: list[str]
    hosts: list[str]
    outcome: str
    level: str = ""
    where: str = ""
    reason: str = ""
    seconds: float = 0.0

    @property
    def planting(self) -> Planting:
        """The fault and its side."""
        return Planting(self.fault, self.side)


class State(Ledger):
    """What came of the draws of a seed so far, by their numbers: in memory, and line by line in a file."""

    def __init__(self, file: Path, seed: int) -> None:
        self.plants: dict[int, Plant] = {}
        super().__init__(file, seed)

    def read(self, number: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Hold what came of a draw, if it is still that fault's in that host."""
        plant = Plant(**fields)
        planting = drawn(self.seed, number)
        host = hosts.draw(planting, self.seed, number, len(plant.hosts) - 1)
        if (plant.planting, plant.arguments) == (planting, host):
            self.plants[number] = plant

    def below(self, count: int) -> list[Plant]:
        """The draws with smaller numbers, in order."""
        return [plant for number, plant in sorted(self.plants.items()) if number < count]


def drawn(seed: int, number: int) -> Planting:
    """The fault of draw `number` of this seed, and its side: the list again and again, each time on the other side."""
    names = shuffled(seed)
    turn, position = divmod(number, len(names))
    # One more name in front, and each fault has the other side.
    return alternating([names[0]] * (turn % 2) + names, both_sides=False)[position + turn % 2]


@cache
def shuffled(seed: int) -> list[str]:
    """The list of faults in another order."""
    return [list(FAULTS)[i] for i in np.random.default_rng(seed).permutation(len(FAULTS))]


def shown(planters: Planters, planting: Planting, experiment: Experiment) -> str:
    """Whether an experiment can show a fault, or why not."""
    try:
        with planters.lent(planting.side) as planter:
            clean, *beside = plain_traces(planter, None, experiment)
            if not np.isfinite(clean["cost"]).all():
                return ENDS
            (faulty,) = plain_traces(planter, planting.name, experiment)
    except ParityError:
        return REFUSED
    assert any(name in clean for name in LOOKED_AT)
    return SHOWS if visible(faulty, clean, beside) else HIDES


def verdict_on(planters: Planters, planting: Planting, arguments: Sequence[str]) -> Verdict:
    """What is said of a clean side and the other one with the fault."""
    experiment, side = hosts.made_of(arguments), planting.side
    checkpoints = hosts.parser().parse_args(arguments).checkpoints
    with tempfile.TemporaryDirectory() as place:
        clean, faulty = Path(place) / "clean", Path(place) / "faulty"
        with planters.lent(OTHER[side]) as planter:
            for job in jobs(experiment, OTHER[side], clean, None, checkpoints, twins=0):
                planter.record(job, lambda done, steps: None)
        with planters.lent(side) as planter:
            for job in jobs(experiment, side, faulty, clean, checkpoints, twins=0):
                planter.plant(planting.name, job)
        pair = {side: recording.read(faulty), OTHER[side]: recording.read(clean)}
        return judge(pair["tf"], pair["torch"])


def judged(planters: Planters, planting: Planting, arguments: Sequence[str], tried: Sequence[str]) -> Plant:
    """What came of a fault in a host that can show it."""
    name, side = planting
    plant = Plant(name, side, [*arguments], [*tried], FAILED)
    try:
        verdict = verdict_on(planters, planting, arguments)
    except ParityError as error:
        return plant._replace(reason=str(error)[:SAID])
    outcome = {"mismatch": FOUND, "incomparable": FOUND, "parity": MISSED}.get(verdict.verdict, OPEN)
    check = decisive(verdict)
    if check is None:
        return plant._replace(outcome=outcome)
    return plant._replace(outcome=outcome, level=check.level, where=check.where or check.name, reason=check.reason)


def planted(planters: Planters, seed: int, number: int) -> Plant:
    """What comes of a draw."""
    began, planting, tried = time.monotonic(), drawn(seed, number), []
    arguments: list[str] = []
    for attempt in range(hosts.TRIES):
        arguments = hosts.draw(planting, seed, number, attempt)
        tried.append(shown(planters, planting, hosts.made_of(arguments)))
        if tried[-1] == SHOWS:
            found = judged(planters, planting, arguments, tried)
            break
    else:
        found = Plant(*planting, arguments, tried, NOWHERE)
    return found._replace(seconds=round(time.monotonic() - began, 2))


def campaign(state: State, count: int, threads: int, lanes: int, seconds: float, say: Say) -> list[Plant]:
    """What came of the draws below `count`: what is missing, or failed before, is done, as far as the time goes."""

    @contextmanager
    def lane() -> Iterator[Planters]:
        planters = Planters(threads)
        try:
            yield planters
        finally:
            planters.stop()

    def work(planters: Planters, number: int) -> None:
        plant = planted(planters, state.seed, number)
        state.write(number, "planted", plant._asdict())
        say(f"{number}: {told(plant)}")

    # A process may have failed because it was stopped from outside.
    missing = [n for n in range(count) if n not in state.plants or state.plants[n].outcome == FAILED]
    each(missing, work, lane, lanes, time.monotonic() + seconds)
    return state.below(count)


def given(plantings: Sequence[Planting], arguments: Sequence[str], threads: int) -> int:
    """Plant faults in one host, show it or not, and print what is said; returns the exit status."""
    planters, plants = Planters(threads), []
    try:
        for planting in plantings:
            seen = shown(planters, planting, hosts.made_of(arguments))
            plants.append(judged(planters, planting, arguments, [seen]))
            print(f"{seen}; {told(plants[-1])}\n  {said(plants[-1])}", flush=True)
    finally:
        planters.stop()
    return status([plant for plant in plants if plant.hosts == [SHOWS]])


def told(plant: Plant) -> str:
    """A few words on what came of a draw."""
    place = f", {plant.level}, {plant.where}" if plant.level else ""
    where = f"{LABELS[plant.side]}: {plant.fault}: host {len(plant.hosts)}, {shlex.join(plant.arguments)}"
    return f"{plant.outcome}{place}, {plant.seconds:.1f} s: {where}"


def summary(plants: Sequence[Plant]) -> Iterator[str]:
    """Tables in Markdown: by kind, by the level that finds, what became of hosts, and what was not found."""
    yield kinds_table(plants)
    visible_ones = [plant for plant in plants if plant.outcome in (FOUND, MISSED, OPEN, FAILED)]
    lost = sum(plant.outcome == MISSED for plant in visible_ones)
    if visible_ones:
        yield f"Missed, at most, with {CONFIDENCE:.0%}: {upper_bound(lost, len(visible_ones)):.1%}."
    tried = Counter(host for plant in plants for host in plant.hosts)
    hosts_told = "; ".join(f"{number} {name}" for name, number in tried.most_common())
    yield f"Hosts: {hosts_told or 'none'}. No host: {listed(plants, NOWHERE)}."
    rows = [
        (plant.outcome, plant.fault, LABELS[plant.side], f"`{shlex.join(plant.arguments)}`", said(plant))
        for plant in visible_ones
        if plant.outcome != FOUND
    ]
    yield markdown(("not found", "fault", "side", "host", "why"), rows) if rows else "Every visible fault is found."


def kinds_table(plants: Sequence[Plant]) -> str:
    """How many faults of each kind were visible, and of these found, and so on, and which level found them."""
    outcomes = (FOUND, MISSED, OPEN, FAILED)
    lines = []
    for kind in (*get_args(Kind), "all"):
        here = [plant for plant in plants if kind in ("all", plant.planting.fault.kind)]
        counts = Counter(plant.outcome for plant in here)
        levels = Counter(plant.level for plant in here if plant.outcome == FOUND)
        by = ", ".join(f"{level} {number}" for level, number in levels.most_common())
        seen = sum(counts[outcome] for outcome in outcomes)
        lines.append((kind, str(len(here)), str(seen), *(str(counts[outcome]) for outcome in outcomes), by))
    return markdown(("kind", "drawn", SHOWS, *outcomes, "first found by"), lines)


def listed(plants: Sequence[Plant], outcome: str) -> str:
    """The faults of which that came."""
    return "; ".join(dict.fromkeys(plant.fault for plant in plants if plant.outcome == outcome)) or "none"


def said(plant: Plant) -> str:
    """Why a fault was not found, in a cell."""
    return " ".join(f"{plant.level} {plant.where} {plant.reason}".split()).replace("|", "\\|")[:300]


def status(plants: Sequence[Plant]) -> int:
    """1 where a visible fault was missed, or could not be recorded; too little evidence is not called parity."""
    return int(any(plant.outcome in (MISSED, FAILED) for plant in plants))
