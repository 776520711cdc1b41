"""Do both training loops do the same between checkpoints?

From a checkpoint, both loops run some steps in float64, and their costs must agree at every step. How far rounding
takes them by then is measured where the checkpoint was recorded (parity/worker/neighbours.py): by four runs
from weights moved as far as rounding moves them in so many steps. A segment ends where that is no longer small
beside the cost, since what is not small does not grow in proportion. What it finds adds to the single steps of
parity/verdict/loop.py; where it ends at once, nothing is lacking.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from parity.bounds.rows import allowed
from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.recordings.recording import Arrays, Manifest, Recording
from parity.verdict.checks import Check, Result, beyond
from parity.verdict.lockstep import REFERENCE

# Four runs stand for all there might be: that a fifth one is so many times as far as the furthest of four has a chance
# of 1e-9 where runs differ as normal numbers do, and equal units, whose errors all point one way, are some sqrt(n)
# times as far as those moved at random. `python -m benchmarks.honest` shows how little of this honest pairs use.
FACTOR = 200.0
# The share of the cost at which noise is no longer small.
SMALL = 1e-6
# The costs of a model that ends in a sigmoid, and the most that a sample costs: Keras keeps p 1e-7 away from 1.
OF_PROBABILITIES = {
    "binary_cross_entropy_naive": np.inf,
    "binary_cross_entropy_clamped": np.inf,
    "binary_cross_entropy_clipped": -np.log(1e-7),
}


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for each checkpoint from which both sides went on."""
    return [judged(a, b, *segment) for segment in common(a, b)]


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


def judged(a: Recording, b: Recording, step: int, owner: str, ours: Arrays, theirs: Arrays) -> Check:
    """Are the costs of a segment the same, step by step?"""
    x, y = ours["costs"], theirs["costs"]
    name = f"step {step} to {step + len(x)} costs, from {owner}'s checkpoint"
    if x.shape != y.shape or x.size == 0:
        reason = f"{a.label} has {len(x)} steps and {b.label} {len(y)}; record both again"
        return Check(name, "loop", "failed", None, None, f"step {step}", reason)
    # The same on both sides, unless the checkpoint is both sides' own, to the bit.
    noise, rounding = (np.maximum(ours[key], theirs[key]) for key in ("noise", "rounding"))
    noise = np.maximum.accumulate(noise)
    ended = ~np.isfinite(noise) | (~np.isfinite(x) & ~np.isfinite(y))
    with np.errstate(invalid="ignore"):
        # Beside the largest cost so far: one that falls to nothing keeps the rounding of what it was.
        most = SMALL * np.maximum.accumulate(np.abs(np.where(np.isfinite(x), x, 0.0)))
        alone = own(x, float(rounding), a.manifest)
        far = (noise > most) | (alone > np.maximum(most, float(rounding)))
    if ended[0] or not np.isfinite(rounding):
        reason = "the cost is not a finite number from the first step on"
        return Check(name, "loop", "not_judged", None, None, f"step {step}", reason)
    count = int(np.argmax(ended | far)) if (ended | far).any() else len(x)
    if count == 0:
        reason = "not informative: rounding alone may change the cost in the first six digits"
        return Check(name, "loop", "not_judged", None, None, f"step {step}", reason, supplement=True)
    x, y = x[:count], y[:count]
    with np.errstate(all="ignore"):
        deviation, most = np.abs(x - y), FACTOR * noise[:count] + 2 * alone[:count]
        ratio = np.where(x == y, 0.0, deviation / most)
    ratio[np.isnan(ratio)] = np.inf
    outside = ratio > 1
    # What comes after the first step outside only follows from it.
    at = int(np.argmax(outside if outside.any() else ratio))
    values = f"{a.label} {x[at]:.17g}, {b.label} {y[at]:.17g} after {at} steps in float64"
    result: Result = "failed" if outside.any() else "passed"
    numbers = bool(np.isfinite(x[at]) and np.isfinite(y[at]))
    reason = beyond(float(ratio[at]), 1.0, numbers) if outside.any() else "within rounding"
    where = f"step {step + at}, cost"
    return Check(name, "loop", result, float(deviation[at]), float(most[at]), where, f"{values}: {reason}")


def own(costs: NDArray[np.float64], rounding: float, manifest: Manifest) -> NDArray[np.float64]:
    """[steps]: how far a cost may be off by itself, from the same weights.

    Of the first it is derived, and is `rounding`; of a larger one as much more. A cross-entropy of probabilities has
    the logarithm of 1 - p, which is off by the more the nearer p is to 1: by u / (1 - p), and 1 - p is at least exp(-c)
    if c is what the samples cost together.
    """
    identity = manifest.identity
    with np.errstate(all="ignore"):
        growth = np.abs(costs) / np.abs(costs[0]) if costs[0] else np.full(len(costs), np.inf)
        found = rounding * np.fmax(1.0, growth)
        if manifest.phase == "training" and identity.loss in OF_PROBABILITIES:
            together = np.minimum(identity.schedule.batch_size * np.abs(costs), OF_PROBABILITIES[identity.loss])
            near = allowed("sigmoid") * UNIT_ROUNDOFF["float64"] * np.exp(together)
            # Where rounding may make p 1, nothing is known of the logarithm.
            found = found + np.where(near < 1, near, np.inf)
    found[0] = rounding
    return np.where(np.isfinite(costs), found, rounding)
