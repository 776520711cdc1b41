"""Do both models, from the same state, make the same of a batch in eval mode?

Through the training loops' own evaluation, in float64: with running statistics, and without dropout. What rounding
makes of the outputs is measured where the checkpoint was recorded (`own_outputs` in parity/replays.py): what lies
between them in float32 and in float64, of which float64's rounding is 2**-29.
"""

import numpy as np

from parity.measure import largest_finite
from parity.recording import Arrays, Recording
from parity.rounded import UNIT_ROUNDOFF
from parity.verdict.checks import Check, Result
from parity.verdict.segments import common

# One measurement of noise stands for all there might be; honest pairs use some 5 % of this. Also in units in the last
# place of the largest output, where the noise happened to be none.
FACTOR = 50.0


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for each checkpoint whose model both sides evaluated."""
    found = []
    for step, owner, key in common(a, b):
        ours, theirs = a.segment(key), b.segment(key)
        if ours is not None and theirs is not None:
            found.append(judged(a, b, step, owner, ours, theirs))
    return found


def judged(a: Recording, b: Recording, step: int, owner: str, ours: Arrays, theirs: Arrays) -> Check:
    """Are the outputs the same?"""
    name, where = f"step {step} outputs in eval mode, on {owner}'s checkpoint", f"step {step}, outputs in eval mode"
    x, y = ours["outputs"], theirs["outputs"]
    noise = np.maximum(ours["outputs_noise"], theirs["outputs_noise"])
    smallest = UNIT_ROUNDOFF["float64"] * largest_finite(np.stack([x, y]))
    with np.errstate(all="ignore"):
        # A denormal number may be zero to one of them.
        bound = float(FACTOR * (noise + smallest) + np.finfo(np.float64).tiny)
    if not (np.isfinite(bound) and (np.isfinite(x) | np.isfinite(y)).all()):
        return Check(name, "loop", "not_judged", None, None, where, "the outputs are not finite numbers on both sides")
    with np.errstate(all="ignore"):
        deviation = np.where(x == y, 0.0, np.abs(x - y))
    deviation[np.isnan(deviation)] = np.inf
    at = np.unravel_index(np.argmax(deviation), deviation.shape)
    result: Result = "passed" if deviation[at] <= bound else "failed"
    reason = "within rounding" if result == "passed" else f"{deviation[at] / bound:.2g} times what rounding explains"
    values = f"{a.label} {x[at]:.17g}, {b.label} {y[at]:.17g}: {reason}"
    measured = float(deviation[at]) if np.isfinite(deviation[at]) else None
    return Check(name, "loop", result, measured, bound, f"{where}[{', '.join(map(str, at))}]", values)
