"""Is a fault at one step of a run found, and at its step?

    python -m benchmarks.steps                     60 faults, each at a step drawn at random
    python -m benchmarks.steps --count 6 --seed 1  other ones

Each acts at one step only, mostly between checkpoints (benchmarks/faults/steps.py): all weights through bfloat16, one
weight moved by 1e-4, one layer's gradient dropped, by turns on either side. The clean other side is recorded once. A
table in Markdown is printed; the exit status is 1 where a fault was not found.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.campaign import OTHER, TIME_LIMIT
from benchmarks.families import family
from benchmarks.faults.steps import KINDS, at
from benchmarks.judged import jobs, tidy
from benchmarks.planted import Planter
from benchmarks.tables import markdown
from parity.experiment.spec import FRAMEWORKS, LABELS, Framework
from parity.recordings import recording
from parity.verdict import judge
from parity.verdict.order import step_of

EXPERIMENT, STEPS, CHECKPOINTS = "mnist_narrow", 300, 12


class Found(NamedTuple):
    """What came of a fault: the verdict, and where the first failure is."""

    kind: str
    side: Framework
    step: int
    verdict: str
    level: str
    seen: float
    where: str

    @property
    def at_its_step(self) -> bool:
        """Whether the first failure is named at the step where the fault acts."""
        return self.seen == self.step


def drawn(count: int, seed: int, steps: int) -> list[tuple[str, Framework, int]]:
    """So many kinds, sides and steps: every kind on either side in turn, at a step drawn at random."""
    numbers = np.random.default_rng(seed).integers(0, steps, count)
    every = [(kind, side) for kind in KINDS for side in FRAMEWORKS]
    return [(*every[n % len(every)], int(step)) for n, step in enumerate(numbers)]


def planted(
    side: Framework, faults: Sequence[tuple[str, Framework, int]], folder: Path, steps: int, checkpoints: int
) -> Iterator[Found]:
    """What comes of those faults that are planted on a side, held against the other side's clean recording."""
    experiment, clean = family(EXPERIMENT, steps), folder / f"clean-{OTHER[side]}"
    with Planter(OTHER[side], time_limit=TIME_LIMIT) as planter:
        for job in jobs(experiment, OTHER[side], clean, None, checkpoints, twins=0):
            planter.record(job, lambda done, steps: None)
    with Planter(side, time_limit=TIME_LIMIT) as planter:
        for number, (kind, where, step) in enumerate(faults):
            if where != side:
                continue
            faulty = folder / f"{side}-{number}"
            for job in jobs(experiment, side, faulty, clean, checkpoints, twins=0):
                planter.plant(at(kind, step), job)
            pair = {side: recording.read(faulty), OTHER[side]: recording.read(clean)}
            verdict = judge(pair["tf"], pair["torch"])
            first = verdict.checks[0]
            failed = first.result == "failed"
            place = (first.level, step_of(first), first.place) if failed else ("", -1, "")
            yield Found(kind, side, step, verdict.verdict, *place)
            tidy(faulty, keep=False)


def campaign(count: int, seed: int, steps: int = STEPS, checkpoints: int = CHECKPOINTS) -> list[Found]:
    """What comes of so many faults, both sides at once."""
    faults = drawn(count, seed, steps)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(FRAMEWORKS)) as pool:
        sides = pool.map(lambda side: list(planted(side, faults, Path(folder), steps, checkpoints)), FRAMEWORKS)
        return [found for side in sides for found in side]


def table(found: Sequence[Found]) -> str:
    """How many faults of each kind were found, and how many at their step."""
    lines = []
    for kind in (*KINDS, "all"):
        here = [one for one in found if kind in ("all", one.kind)]
        hits = sum(one.verdict == "mismatch" for one in here)
        lines.append((kind, str(len(here)), str(hits), str(sum(one.at_its_step for one in here))))
    return markdown(("fault", "planted", "found", "at its step"), lines)


def main() -> int:
    """Plant, print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks.steps", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=60, help="how many faults (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the steps (default: 0)")
    options = parser.parse_args()
    found = campaign(options.count, options.seed)
    print(table(found))
    for one in found:
        if one.verdict != "mismatch" or not one.at_its_step:
            place = f"{one.level}, {one.where}" if one.level else "nowhere"
            print(f"{LABELS[one.side]}: {at(one.kind, one.step)}: {one.verdict}, {place}")
    return int(any(one.verdict != "mismatch" for one in found))


if __name__ == "__main__":
    raise SystemExit(main())
