"""How long do the costs of the two runs agree, and do they differ by more than noise?

Training amplifies rounding until the costs of two honest runs, or of one framework started twice with a weight one bit
off, have nothing in common. A fixed tolerance would pass true differences or fail honest runs. So the costs are held
against how far twins of the same runs are apart by then (parity/verdict/noise.py), until that is as large as the costs
themselves: after this horizon nothing can be told from noise.
"""

import numpy as np
from numpy.typing import NDArray

from parity.recordings.recording import Recording
from parity.verdict import noise
from parity.verdict.checks import Check, Result, often

# The check that the level rests on.
AGAINST_NOISE = "cost against noise"
DIGITS = (6, 4, 2)
# More than twice the largest ratio of a difference to the noise that honest pairs had (docs/detection.md);
# `python -m benchmarks.detection --calibrate` measures it on other seeds.
FACTOR = 10.0
# Behind the step where twins are this share of the cost apart, a difference tells nothing.
HORIZON = 0.1


def checks(a: Recording, b: Recording) -> list[Check]:
    """For each number of digits, the step up to which every cost agrees to as many; and the costs against noise."""
    x, y = (noise.costs(recording.trace) for recording in (a, b))
    if x.shape != y.shape or x.size == 0:
        return [Check("cost", "trajectory", "failed", None, None, None, f"{len(x)} costs against {len(y)}")]
    return [agreement(a, b, digits) for digits in DIGITS] + non_finite(a, b) + [against_noise(a, b)]


def against_noise(a: Recording, b: Recording) -> Check:
    """The largest ratio of the costs' difference to the noise so far."""
    name = AGAINST_NOISE
    reason = noise.missing(a, b)
    if reason is not None:
        return Check(name, "trajectory", "not_judged", None, FACTOR, None, reason)
    steps = noise.finite_steps(a, b)
    end = horizon(a, b, steps)
    if end == 0:
        reason = "not informative: from the first step on, twins have nothing in common, or no finite cost"
        return Check(name, "trajectory", "not_judged", None, FACTOR, "step 0", reason)
    x, y = (noise.costs(side.trace)[:end] for side in (a, b))
    with np.errstate(all="ignore"):
        ratio = np.where(x == y, 0.0, np.abs(x - y) / noise.allowed(a, b, steps)[:end])
    # Where it was first too much, or else the most.
    at = int(np.argmax(ratio > FACTOR if (ratio > FACTOR).any() else ratio))
    measured = float(ratio.max())
    total = len(a.trace["cost"])
    ended = "costs are not finite" if end == steps else "twins are as far apart"
    behind = f"; not informative after step {end}, where {ended}" if end < total else ""
    found = f"up to step {end} of {total}, costs differ by at most {often(measured)} the noise"
    reason = f"{found} of twins ({noise.described(a, b)}); {FACTOR:g} times is allowed{behind}"
    result: Result = "passed" if measured <= FACTOR else "failed"
    return Check(name, "trajectory", result, measured, FACTOR, f"step {at}", reason)


def horizon(a: Recording, b: Recording, steps: int) -> int:
    """The first of so many steps where twins are HORIZON of the cost apart; their number if there is none."""
    if steps == 0:
        return 0
    informative = noise.envelope(a, b, steps) <= HORIZON * noise.smoothed(a, b, steps)
    return steps if informative.all() else int(np.argmin(informative))


def agreement(a: Recording, b: Recording, digits: int) -> Check:
    """Up to which step |x - y| <= 10**-digits * max(|x|, |y|), for both sides, and for either side and its twins."""
    x, y = (noise.costs(side.trace) for side in (a, b))
    steps, total = first_disagreement(x, y, digits), len(x)
    reason = f"the costs agree to {digits} digits {until(steps, total)}"
    for side in (a, b):
        run, *twins = (noise.costs(run) for run in noise.quiet(side))
        if twins:
            own = min(first_disagreement(run, twin, digits) for twin in twins)
            reason += f"; {side.label} and {side.label} {until(own, total)}"
    where = None if steps == total else f"step {steps}"
    return Check(f"cost to {digits} digits", "trajectory", "not_judged", steps, None, where, reason, supplement=True)


def until(steps: int, total: int) -> str:
    """How long something held, of so many steps."""
    return f"at every step of {total}" if steps == total else f"until step {steps} of {total}"


def first_disagreement(x: NDArray[np.float64], y: NDArray[np.float64], digits: int) -> int:
    """The first index at which x and y do not agree to so many digits; their length if there is none."""
    finite = np.isfinite(x) & np.isfinite(y)
    with np.errstate(invalid="ignore"):
        close = np.abs(x - y) <= 10.0**-digits * np.maximum(np.abs(x), np.abs(y))
    agree = (x == y) | (finite & close)
    return int(np.argmin(agree)) if not agree.all() else len(x)


def non_finite(a: Recording, b: Recording) -> list[Check]:
    """Costs that are not finite, each side's first step named; nothing where all are finite.

    Rounding may move the step at which a cost overflows, or keep it from doing so; twins alone can tell. It fails where
    one side's run ends in a number and the other's does not, unless twins end either way; and where a run's cost is no
    number for a while, and every twin's is one. Where it is not judged nothing is proven, wherever checkpoints are: a
    run that ends in NaN on one side proves nothing.
    """
    x, y = (noise.costs(side.trace) for side in (a, b))
    firsts = [int(np.argmax(~np.isfinite(v))) if not np.isfinite(v).all() else None for v in (x, y)]
    if firsts == [None, None]:
        return []
    name = "cost is finite"
    if firsts[0] == firsts[1]:
        reason = f"both sides' costs stop being finite at step {firsts[0]} ({x[firsts[0]]} and {y[firsts[0]]})"
        return [Check(name, "trajectory", "not_judged", None, None, None, reason, decisive=True)]
    steps = ["never" if first is None else f"at step {first}" for first in firsts]
    reason = f"the costs stop being finite at different steps: {a.label}'s {steps[0]}, {b.label}'s {steps[1]}"
    if noise.missing(a, b) is not None:
        reason += "; there are no twins to say whether rounding does that"
        return [Check(name, "trajectory", "not_judged", None, None, None, reason, decisive=True)]
    alone = min(first for first in firsts if first is not None)
    if np.isfinite(x[-1]) != np.isfinite(y[-1]):
        failed = all(len(noise.ends(side)) == 1 for side in (a, b))
    else:
        twins = [noise.costs(twin)[alone] for side in (a, b) for twin in noise.runs(side)[1:]]
        failed = bool(np.isfinite(x[-1]) and twins and np.isfinite(twins).all())
    result: Result = "failed" if failed else "not_judged"
    return [Check(name, "trajectory", result, None, None, f"step {alone}", reason, decisive=True)]
