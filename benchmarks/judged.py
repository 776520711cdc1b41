"""A pair of recordings as the benchmark judges it: by the verdict, and by other tools' rules."""

import shutil
from pathlib import Path
from typing import NamedTuple

from benchmarks.rules import found_by, run_of
from parity.experiment.spec import Experiment, Framework
from parity.recordings.recording import EVIDENCE, Recording
from parity.verdict import Check, Verdict, judge
from parity.workers.job import RecordJob, in_order

# About so many states of a run are replayed.
CHECKPOINTS = 4
# Reruns that measure a run's noise, by which its trajectory and outcome are judged.
TWINS = 3


class Judgement(NamedTuple):
    """What the verdict is, the first check that failed, and the rules of other tools that find a difference."""

    verdict: Verdict
    rules: frozenset[str]

    @property
    def found(self) -> bool:
        """Whether the verdict says that the two are not the same computation."""
        return self.verdict.verdict in ("mismatch", "incomparable")

    @property
    def first(self) -> Check | None:
        """The first check that failed."""
        return next((check for check in self.verdict.checks if check.result == "failed"), None)


def judged(a: Recording, b: Recording) -> Judgement:
    """The verdict on two recordings, and what other tools' rules say of the same two, and of their pre-training."""
    pairs = [(a, b)] if a.pretraining is None or b.pretraining is None else [(a, b), (a.pretraining, b.pretraining)]
    return Judgement(judge(a, b), frozenset().union(*(found_by(run_of(x), run_of(y)) for x, y in pairs)))


def jobs(
    experiment: Experiment,
    side: Framework,
    out: Path,
    reference: Path | None,
    checkpoints: int | tuple[int, ...] = CHECKPOINTS,
    twins: int = TWINS,
) -> list[RecordJob]:
    """The jobs of a recording, which replays the checkpoints of `reference`, too, and starts as that did."""
    realisation = getattr(experiment, side)
    job = RecordJob(
        experiment.name,
        experiment.identity,
        realisation,
        "cpu",
        out,
        reference=reference,
        checkpoints=checkpoints,
        twins=twins,
    )
    return in_order(job)


def tidy(folder: Path, keep: bool) -> None:
    """Delete a folder of recordings, or, to `keep` them, what only replays elsewhere need."""
    for place in [*folder.rglob(EVIDENCE)] if keep else [folder]:
        shutil.rmtree(place, ignore_errors=True)
