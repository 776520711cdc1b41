"""Do both training loops do the same between checkpoints?

From a checkpoint, both loops run some steps in float64, and their costs must agree at every step. What rounding makes
of them by then is measured where the checkpoint was recorded (`own_segment` in parity/replays.py): what lies between
the same loop's costs in float32 and in float64, of which float64's rounding is 2**-29; or what lies between its costs
from these weights and from the next numbers, whichever is more.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from parity.recording import Arrays, Recording
from parity.rounded import UNIT_ROUNDOFF
from parity.verdict.checks import Check, Result
from parity.verdict.lockstep import REFERENCE

# One measurement of noise stands for all there might be: `python -m benchmarks.lockstep` shows how much of this honest
# pairs use. Also in units in the last place of the costs so far, where the noise happened to be none.
FACTOR = 1000.0


def checks(a: Recording, b: Recording, explained: bool) -> list[Check]:
    """One check for each checkpoint from which both sides went on; `explained` if an earlier check failed already."""
    return [judged(a, b, *segment, explained) for segment in common(a, b)]


def common(a: Recording, b: Recording) -> Iterator[tuple[int, str, Arrays, Arrays]]:
    """The segments that both sides have of one checkpoint, theirs or a common reference's: step, owner, and either's.

    The earliest first.
    """
    keys = {key: (step, REFERENCE) for key, step in a.manifest.replays.items() if key in b.manifest.replays}
    keys |= {key: (step, side.label) for side in (b, a) for step, key in side.checkpoints.items()}
    for step, owner, key in sorted((step, owner, key) for key, (step, owner) in keys.items()):
        ours, theirs = a.segment(key), b.segment(key)
        if ours is not None and theirs is not None:
            yield step, owner, ours, theirs


def judged(a: Recording, b: Recording, step: int, owner: str, ours: Arrays, theirs: Arrays, explained: bool) -> Check:
    """Are the costs of a segment the same, step by step?"""
    x, y = ours["costs"], theirs["costs"]
    name = f"step {step} to {step + len(x)} costs, from {owner}'s checkpoint"
    if x.shape != y.shape or x.size == 0:
        reason = f"{a.label} has {len(x)} steps and {b.label} {len(y)}; record both again"
        return Check(name, "loop", "failed", None, None, f"step {step}", reason)
    if explained:
        reason = "an earlier check failed, which these steps would only repeat"
        return Check(name, "loop", "not_judged", None, None, f"step {step}", reason)
    # The same on both sides, unless the checkpoint is both sides' own, to the bit.
    noise = np.maximum(ours["noise"], theirs["noise"])
    ended = ~np.isfinite(noise) | (~np.isfinite(x) & ~np.isfinite(y))
    count = int(np.argmax(ended)) if ended.any() else len(x)
    if count == 0:
        reason = "the cost is not a finite number from the first step on"
        return Check(name, "loop", "not_judged", None, None, f"step {step}", reason)
    x, y = x[:count], y[:count]
    with np.errstate(all="ignore"):
        deviation, allowed = np.abs(x - y), bound(x, noise[:count])
        ratio = np.where(x == y, 0.0, deviation / allowed)
    ratio[np.isnan(ratio)] = np.inf
    outside = ratio > 1
    # What comes after the first step outside only follows from it.
    at = int(np.argmax(outside if outside.any() else ratio))
    values = f"{a.label} {x[at]:.17g}, {b.label} {y[at]:.17g} after {at} steps in float64"
    result: Result = "failed" if outside.any() else "passed"
    reason = f"{ratio[at]:.2g} times what rounding explains" if outside.any() else "within rounding"
    where = f"step {step + at}, cost"
    return Check(name, "loop", result, float(deviation[at]), float(allowed[at]), where, f"{values}: {reason}")


def bound(costs: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """[steps]: how far apart two honest costs may be, from what was measured so far."""
    smallest = UNIT_ROUNDOFF["float64"] * np.maximum.accumulate(np.abs(costs))
    return FACTOR * (np.maximum.accumulate(noise) + smallest)
