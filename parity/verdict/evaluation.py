"""Do both models, from the same state, make the same of a batch in eval mode?

Through the training loops' own evaluation, in float64: with running statistics, and without dropout. What rounding
makes of the outputs is measured where the checkpoint was recorded (`own_outputs` in parity/replays.py): what lies
between them in float32 and in float64, of which float64's rounding is 2**-29.
"""

from dataclasses import replace

import numpy as np

from parity.measure import largest_finite, worst
from parity.recording import Arrays, Recording
from parity.rounded import UNIT_ROUNDOFF
from parity.verdict.checks import Check, Result, judge
from parity.verdict.segments import common

# One measurement of noise stands for all there might be; honest pairs use some 5 % of this. Also in units in the last
# place of the largest output, where the noise happened to be none.
FACTOR = 50.0


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for each checkpoint whose model both sides evaluated, and one for each side's last accuracy."""
    return [judged(a, b, *segment) for segment in common(a, b)] + [counted(side) for side in (a, b)]


def counted(side: Recording) -> Check:
    """Is the accuracy after the last epoch the share of its predictions that are right?"""
    trace, name = side.trace, f"accuracy of the predictions, {side.label}"
    if trace["accuracy"].size == 0 or not trace["predictions"].shape == trace["test_labels"].shape != (0,):
        reason = "there are no predictions and labels to count; record the run again"
        return Check(name, "loop", "failed", None, None, None, reason, side.label)
    said, right = float(trace["accuracy"][-1]), int(np.count_nonzero(trace["predictions"] == trace["test_labels"]))
    # Half a sample, for what float64 makes of a mean.
    apart, allowed = abs(said * trace["predictions"].size - right), 0.5
    reason = f"{said:.6g} after the last epoch, and {right} of {trace['predictions'].size} predictions are right"
    result: Result = "passed" if apart <= allowed else "failed"
    return Check(name, "loop", result, apart, allowed, "the last epoch, accuracy", reason, side.label)


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
    entry = worst(x, y, np.full(x.shape, bound), 0.0)
    # What is judged is neither side's alone.
    return replace(judge("loop", name, where, x.shape, entry, 1.0, "float64", (a.label, b.label)), side=None)
