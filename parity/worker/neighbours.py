"""How far rounding takes a segment of the training loop: its neighbours, runs whose weights begin a little away.

A segment is some steps of the loop from a checkpoint, in float64 (parity/verdict/segments.py).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from parity.bounds.measure import Tolerance
from parity.bounds.stages import gradients, taken_gradient
from parity.bounds.whole_step import followed
from parity.experiment import randomness
from parity.experiment.optimizers import Rprop
from parity.experiment.spec import FRAMEWORKS, Dtype
from parity.recordings.recording import Arrays
from parity.worker.replays import FINER, SHORTEST, Checkpoint, Replayer

Array = NDArray[np.float64]
Bounds = Mapping[str, Tolerance]
# So many measure the noise.
NEIGHBOURS = 4


def noise(
    replayer: Replayer, at: Checkpoint, bounds: Bounds, costs: Array, rounding: Arrays, whole: Mapping[Dtype, Arrays]
) -> Array:
    """[steps]: how far rounding takes a segment's `costs` [steps] in float64, but for a factor.

    What comes of the same steps, in NEIGHBOURS runs, from weights that are moved, at random up or down, by as much
    as rounding moves them in as many steps. `rounding` is by how much float32 moves each weight in the first of
    these steps, which is taken as a `whole` in both precisions.
    """
    first, last = at.step, at.step + len(costs)
    state = at.converted("float64").state
    found = np.zeros(len(costs))
    # Behind a decision that rounding makes, no run says how far another one may be.
    found[decided(replayer, at, bounds, len(costs)) :] = np.inf
    passed = passed_on(replayer, state, whole)
    sizes = {
        name: len(costs) * moved_by(state[name], bounds.get(name), moved, passed.get(name))
        for name, moved in rounding.items()
        if name in state
    }
    for number in range(NEIGHBOURS):
        index = (first * NEIGHBOURS + number) * len(FRAMEWORKS) + FRAMEWORKS.index(replayer.side.name)
        moved = dict(state)
        for position, (name, size) in enumerate(sizes.items()):
            signs = randomness.signs(replayer.job.identity.seed, index, position, size.shape)
            moved[name] = state[name] + size * signs
        with np.errstate(all="ignore"):
            found = np.maximum(found, np.abs(replayer.segment(moved, first, last, "float64") - costs))
    return found


def decided(replayer: Replayer, at: Checkpoint, bounds: Bounds, steps: int) -> int:
    """How many costs of a segment come before what rounding has decided: all, unless the optimizer takes signs."""
    first = at.step
    if not isinstance(replayer.job.identity.optimizer, Rprop):
        return steps
    # Each takes a replay and its bounds.
    steps = min(steps, SHORTEST)
    for step in range(first, first + steps):
        if any(entry.branch is not None for entry in bounds.values()):
            return step - first + 1
        if step + 1 < first + steps:
            at = replayer.gone_on(at.state, step, step + 1)
            evidence = replayer.evidence(at, replayer.step(at, None, "float64"))
            bounds = replayer.bounds(at, evidence, "float64")
    return steps


def passed_on(replayer: Replayer, state: Arrays, whole: Mapping[Dtype, Arrays]) -> dict[str, Array]:
    """How far the update moves each weight over what float64 may make of its gradient: float32's rounding, scaled down.

    An optimizer that divides by the gradient's own size is as far off in float32 as it can be where the gradient is all
    rounding; of a rounding that is smaller than its epsilon it makes more than in proportion.
    """
    identity = replayer.job.identity
    if replayer.job.phase != "training":
        # Pre-training adds what it computes, and divides by nothing.
        return {}
    if not all(taken_gradient(identity, name) in arrays for arrays in whole.values() for name in identity.weights):
        # A step that gives no gradient of a weight is told by its own check.
        return {}
    ours, theirs = (gradients(identity, whole[dtype], clipped=True) for dtype in ("float32", "float64"))
    with np.errstate(all="ignore"):
        errors = {name: FINER * typical(np.abs(ours[name].astype(np.float64) - g)) for name, g in theirs.items()}
        return followed(identity, replayer.job.realisation, state, whole["float64"], errors)


def moved_by(w: Array, bound: Tolerance | None, rounding: Array, passed: Array | None) -> Array:
    """By how much a step's rounding in float64 moves a weight: to the next number, or as float32 does, scaled down.

    Or by what is `passed` on of the gradient's rounding, if that is more; and no further than rounding may move it at
    worst, where that is known.
    """
    size = np.maximum(np.spacing(np.abs(w)), FINER * typical(rounding))
    if passed is not None:
        size = np.fmax(size, passed)
    if bound is None:
        return size
    return np.where(np.isfinite(bound.scale), np.minimum(size, bound.scale), size)


def typical(rounding: Array) -> Array:
    """Each element's own rounding or the tensor's, whichever is more, since one may be none by chance."""
    return np.asarray(np.maximum(rounding, np.sqrt(np.mean(rounding**2))))
