"""How long do the costs of the two runs agree?

Shown, not judged: training amplifies rounding until the costs of two honest runs, or of one framework started twice
with a weight one bit off, have nothing in common. A fixed tolerance would pass true differences or fail honest runs.
Judging a trajectory takes the noise of the same run, which is not measured yet.
"""

import numpy as np
from numpy.typing import NDArray

from parity.recording import Recording
from parity.verdict.checks import Check

DIGITS = (6, 4, 2)


def checks(a: Recording, b: Recording) -> list[Check]:
    """For each number of digits, the step up to which every cost agrees to as many."""
    x, y = (recording.trace["cost"].astype(np.float64) for recording in (a, b))
    if x.shape != y.shape or x.size == 0:
        return [Check("cost", "trajectory", "failed", None, None, None, f"{len(x)} costs against {len(y)}")]
    return [agreement(x, y, digits) for digits in DIGITS] + non_finite(x, y)


def agreement(x: NDArray[np.float64], y: NDArray[np.float64], digits: int) -> Check:
    """Up to which step |x - y| <= 10**-digits * max(|x|, |y|)."""
    steps = first_disagreement(x, y, digits)
    until = "at every step" if steps == len(x) else f"until step {steps}"
    reason = f"the costs agree to {digits} digits {until} of {len(x)}"
    where = None if steps == len(x) else f"step {steps}"
    return Check(f"cost to {digits} digits", "trajectory", "not_judged", steps, None, where, reason)


def first_disagreement(x: NDArray[np.float64], y: NDArray[np.float64], digits: int) -> int:
    """The first index at which x and y do not agree to so many digits; their length if there is none."""
    finite = np.isfinite(x) & np.isfinite(y)
    with np.errstate(invalid="ignore"):
        close = np.abs(x - y) <= 10.0**-digits * np.maximum(np.abs(x), np.abs(y))
    agree = (x == y) | (finite & close)
    return int(np.argmin(agree)) if not agree.all() else len(x)


def non_finite(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[Check]:
    """Costs that are no numbers, each side's first step named; nothing where all are finite."""
    firsts = [int(np.argmax(~np.isfinite(v))) if not np.isfinite(v).all() else None for v in (x, y)]
    if firsts == [None, None]:
        return []
    name = "cost is finite"
    if firsts[0] == firsts[1]:
        reason = f"both sides' costs stop being finite at step {firsts[0]} ({x[firsts[0]]} and {y[firsts[0]]})"
        return [Check(name, "trajectory", "not_judged", None, None, None, reason)]
    reason = f"the costs stop being finite at different steps: {firsts[0]} and {firsts[1]}"
    # Rounding may move the step at which a cost overflows, but not whether the run ends in a number.
    same_end = np.isfinite(x[-1]) == np.isfinite(y[-1])
    return [Check(name, "trajectory", "not_judged" if same_end else "failed", None, None, None, reason)]
