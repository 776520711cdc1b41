"""Pairs of faults planted together on one side: is each of them told, and not one hidden by the other?

A pair is of one family, drawn by a seed, of faults that act within the first steps and whose edits go together. Each is
told if the diagnosis names its causes, or has a sentence that is true of it (`told` of benchmarks/faults/fault.py).
"""

import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.campaign import OTHER, Planters, causes, sentences
from benchmarks.causes import diagnosed
from benchmarks.families import family
from benchmarks.faults import FAULTS
from benchmarks.judged import jobs
from benchmarks.kept import Kept
from benchmarks.planted import ROOT
from benchmarks.tables import Say
from parity.diagnosis import Diagnosis
from parity.errors import ParityError
from parity.experiment.spec import FRAMEWORKS, Framework

# So long are the runs, and so early must a fault act.
STEPS, EARLY = 60, 30


class PairRow(NamedTuple):
    """What came of two faults on a side: whether each is told, and all that is said; or why nothing came of it."""

    names: tuple[str, str]
    side: Framework
    told: tuple[bool, bool] = (False, False)
    said: tuple[str, ...] = ()
    reason: str = ""


def drawn(count: int, seed: int) -> list[tuple[tuple[str, str], Framework]]:
    """So many pairs of one family each, by turns on either side, none twice."""
    numbers, found = np.random.default_rng(seed), dict[tuple[tuple[str, str], Framework], None]()
    early = [name for name, fault in FAULTS.items() if fault.since < EARLY and fault.level != "preflight"]
    while len(found) < count:
        side = FRAMEWORKS[len(found) % len(FRAMEWORKS)]
        one, other = (str(name) for name in numbers.choice(early, 2, replace=False))
        if FAULTS[one].experiment == FAULTS[other].experiment and fit(one, other, side):
            found[(one, other), side] = None
    return list(found)


def fit(one: str, other: str, side: Framework) -> bool:
    """Whether both edits can be made, one after the other."""
    edits = [FAULTS[name].edits.get(side) for name in (one, other)]
    if None in edits:
        return False
    texts: dict[str, str] = {}
    for file, old, new in filter(None, edits):
        text = texts.get(file, (ROOT / f"{side}_impl" / file).read_text())
        if old not in text:
            return False
        texts[file] = text.replace(old, new, 1)
    return True


def campaign(kept: Kept, count: int, seed: int, threads: int, seconds: float, say: Say) -> list[PairRow]:
    """What comes of so many pairs; those of before are taken as they came out."""
    rows, planters, ends = [], Planters(threads), time.monotonic() + seconds
    try:
        with tempfile.TemporaryDirectory() as place:
            for names, side in drawn(count, seed):
                kind = f"{side}: {' and '.join(names)}"
                if kind not in kept.found:
                    if time.monotonic() > ends:
                        continue
                    row = planted(planters, names, side, Path(place))
                    kept.keep(kind, row._asdict())
                    say(f"{kind}: {row.reason or row.told}")
                rows.append(of_content(kept.found[kind]))
    finally:
        planters.stop()
    return rows


def of_content(content: dict[str, Any]) -> PairRow:
    """A row of a file's line."""
    lists = {name: tuple(content[name]) for name in ("names", "told", "said")}
    return PairRow(**{**content, **lists})


def planted(planters: Planters, names: tuple[str, str], side: Framework, place: Path) -> PairRow:
    """Both faults planted at once, and the pair with the other, clean side diagnosed."""
    experiment, other = family(FAULTS[names[0]].experiment, STEPS), OTHER[side]
    clean = place / "clean" / other / experiment.name
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        lent = {framework: stack.enter_context(planters.lent(framework)) for framework in FRAMEWORKS}
        try:
            if not clean.exists():
                for job in jobs(experiment, other, clean, None, twins=0):
                    lent[other].record(job, lambda done, steps: None)
            out = Path(folder) / "faulty"
            for job in jobs(experiment, side, out, clean, twins=0):
                lent[side].plant(names, job)
            copied = Path(shutil.copytree(clean, Path(folder) / "clean"))
            found = diagnosed(lent, side, names, experiment, {side: out, other: copied})
        except ParityError as error:
            return PairRow(names, side, reason=str(error).splitlines()[0][:300])
    if found is None:
        return PairRow(names, side)
    one, two = (is_told(name, found) for name in names)
    fields = tuple(f"{field} named" for field in sorted(causes(found)))
    return PairRow(names, side, (one, two), fields + sentences(found))


def is_told(name: str, diagnosis: Diagnosis) -> bool:
    """Whether a fault's causes are named, or something that is true of it is said."""
    fault = FAULTS[name]
    if fault.cause:
        return fault.cause <= causes(diagnosis)
    return bool(fault.told) and any(re.search(fault.told, sentence) for sentence in sentences(diagnosis))


def status(rows: Sequence[PairRow]) -> int:
    """1 where a fault of a pair is not told."""
    return int(any(row.reason or not all(row.told) for row in rows))
