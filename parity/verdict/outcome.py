"""Do the trained models predict the same, or as differently as two twins?

How far two honest runs end apart depends on the run, so everything is held against the same figure of twin and run and
of twin and twin (parity/verdict/noise.py).
"""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.recordings.recording import Arrays, Recording
from parity.verdict import noise
from parity.verdict.checks import Check, Result

# More than twice the largest ratio that honest pairs had (see parity/verdict/trajectory.py).
FACTOR = 10.0


class Figure(NamedTuple):
    """A figure of two runs' ends, and what it says of two sides."""

    measure: Callable[[Arrays, Arrays], float]
    # The least that counts as a difference, of both sides' runs.
    least: Callable[[Recording, Recording], float]
    said: Callable[[Recording, Recording], str]
    # The most that it can be.
    most: float = np.inf


def checks(a: Recording, b: Recording) -> list[Check]:
    """Predictions that differ, the gaps of accuracy and losses after the last epoch, and of a single unit's outputs."""
    for key in ("predictions", "accuracy", "epoch_cost", "test_loss", "test_output"):
        x, y = a.trace[key], b.trace[key]
        if x.shape != y.shape or x.size == 0:
            return [Check(key, "outcome", "failed", None, None, None, f"{a.label} has {len(x)}, {b.label} {len(y)}")]
    return [judged(a, b, name, figure) for name, figure in figures(a).items()]


def figures(a: Recording) -> dict[str, Figure]:
    """What is judged, by name."""
    samples = a.trace["predictions"].size
    found = {
        "predictions": Figure(differing, lambda a, b: 1.0, predicted, samples),
        "accuracy": Figure(gap("accuracy"), lambda a, b: 1 / samples, ended("accuracy", ""), 1.0),
        "test loss": Figure(gap("test_loss"), rounding_of("test_loss"), ended("test_loss", " in eval mode")),
        "epoch cost": Figure(gap("epoch_cost"), rounding_of("epoch_cost"), ended("epoch_cost", " in the last epoch")),
    }
    if a.manifest.identity.layers[-1].units == 1:
        unit, probability = UNIT_ROUNDOFF[a.manifest.identity.dtype], probabilities(a.manifest.identity.threshold)

        def largest(x: Arrays, y: Arrays) -> float:
            with np.errstate(all="ignore"):
                return float(np.abs(probability(x) - probability(y)).max())

        found["probabilities"] = Figure(
            largest,
            lambda a, b: unit,
            lambda a, b: f"those of class 1 are up to {largest(a.trace, b.trace):.3g} apart",
            1.0,
        )
    return found


def judged(a: Recording, b: Recording, name: str, figure: Figure) -> Check:
    """Is a figure of both sides within what it is of twins?"""
    measured, said = figure.measure(a.trace, b.trace), figure.said(a, b)

    def check(result: Result, bound: float | None, reason: str) -> Check:
        return Check(name, "outcome", result, measured, bound, None, f"{said}; {reason}")

    if noise.missing(a, b) is not None:
        return check("not_judged", None, "there are no twins to judge by")
    # NaN and infinity have no distance from themselves.
    ours, theirs = ({bool(np.isfinite(figure.measure(run, run))) for run in noise.runs(side)} for side in (a, b))
    if False in ours | theirs:
        if len(ours) == len(theirs) == 1 and ours != theirs:
            return check("failed", None, "one side alone ends in a finite number, and so do its twins")
        return check("not_judged", None, "a run or a twin ends in NaN or infinity")
    own = max(figure.measure(*pair) for pair in noise.pairs(a, b))
    bound, apart = FACTOR * (own + figure.least(a, b)), f"twins are up to {own:.3g} apart" if own else "twins are equal"
    if bound >= figure.most:
        return check(
            "not_judged", None, f"{apart}; {bound:.3g} would be allowed, and it cannot be more than {figure.most:g}"
        )
    return check("passed" if measured <= bound else "failed", bound, apart)


def differing(x: Arrays, y: Arrays) -> float:
    """How many test samples are predicted otherwise."""
    return float(np.count_nonzero(x["predictions"] != y["predictions"]))


def gap(key: str) -> Callable[[Arrays, Arrays], float]:
    """The difference after the last epoch."""
    return lambda x, y: abs(float(x[key][-1]) - float(y[key][-1]))


def rounding_of(key: str) -> Callable[[Recording, Recording], float]:
    """What rounding makes of a loss after the last epoch."""

    def least(a: Recording, b: Recording) -> float:
        scale = max(abs(float(side.trace[key][-1])) for side in (a, b))
        return float(noise.rounding(a, b, np.full(len(a.trace["cost"]), scale))[-1])

    return least


def probabilities(threshold: float) -> Callable[[Arrays], NDArray[np.float64]]:
    """[test samples]: a run's probabilities of class 1, whose outputs are logits where the threshold is 0."""

    def probability(run: Arrays) -> NDArray[np.float64]:
        output = run["test_output"][:, 0].astype(np.float64)
        with np.errstate(over="ignore"):
            return output if threshold else 1 / (1 + np.exp(-output))

    return probability


def ended(key: str, where: str) -> Callable[[Recording, Recording], str]:
    """What both sides' runs ended with."""
    digits = ".4f" if key == "accuracy" else ".9g"
    return lambda a, b: f"{a.trace[key][-1]:{digits}} and {b.trace[key][-1]:{digits}}{where}"


def predicted(a: Recording, b: Recording) -> str:
    """How many predictions differ; and for orientation how likely at least such an imbalance of errors would be.

    McNemar's exact test: of the samples that one side alone gets right, either side gets each with probability 1/2
    (McNemar, Psychometrika 12, 1947).
    """
    right = [side.trace["predictions"] == side.trace["test_labels"] for side in (a, b)]
    ours, theirs = (int(np.count_nonzero(x & ~y)) for x, y in (right, right[::-1]))
    n, fewer = ours + theirs, min(ours, theirs)
    p = min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)
    count = int(differing(a.trace, b.trace))
    alone = f"{ours} are right on {a.label}'s side alone, {theirs} on {b.label}'s (McNemar's p {p:.2g})"
    return f"{count} of {right[0].size} test samples differ, {alone}"
