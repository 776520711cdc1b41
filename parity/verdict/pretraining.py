"""Was the pre-training of both sides the same computation, and does training start from what it gave?

The recording of pre-training is judged by the same levels as that of the training, and all of them count as one. Where
a sample flips (parity/bounds/rbm.py), the costs part for good; as with those of the training, their agreement is shown
only.
"""

from dataclasses import replace

import numpy as np

from parity.recordings.recording import Recording
from parity.verdict import consumed, lockstep, loop, preflight, segments, trajectory
from parity.verdict.checks import Check, Level
from parity.verdict.order import Found, marked


def before(side: Recording) -> Recording | None:
    """The recording of a side's pre-training, called like the side."""
    return None if side.pretraining is None else replace(side.pretraining, label=side.label)


def preflight_checks(a: Recording, b: Recording) -> list[Check]:
    """Was the task of pre-training the same?"""
    x, y = before(a), before(b)
    return [] if x is None or y is None else relabelled(preflight.checks(x, y), "preflight")


def checks(a: Recording, b: Recording) -> list[Check]:
    """Every check of every level of the pre-training, and where the training starts."""
    x, y = before(a), before(b)
    return [] if x is None or y is None else judged(x, y) + start(a, x, y)


def judged(x: Recording, y: Recording) -> list[Check]:
    """Every check of two recordings of pre-training."""
    stages = lockstep.checks(x, y)
    if not stages:
        reason = "no checkpoint was replayed by both sides; record one with the other as its --reference"
        stages = [Check("checkpoints", "pretraining", "not_judged", None, None, None, reason)]
    found = Found(consumed.checks(x, y), stages, loop.checks(x, y), [], segments.checks(x, y), [])
    return relabelled(marked(x, y, found), "pretraining")


def alone(side: Recording) -> list[Check]:
    """One side's pre-training by its own replays."""
    x = before(side)
    return [] if x is None else relabelled(lockstep.alone(x) + loop.loop_is_replay(x), "pretraining")


def start(a: Recording, x: Recording, y: Recording) -> list[Check]:
    """Does the training, which starts alike on both sides, start from the weights that one side's pre-training gave?"""
    state = a.state(0)
    for side in (x, y):
        given = side.state(side.trace["cost"].size)
        if all(np.array_equal(state[name], given[name]) for name in state if name.startswith("weights/")):
            reason = f"both sides' training starts from the weights that {side.label}'s pre-training gave"
            return [Check("start of the training", "pretraining", "passed", None, None, None, reason)]
    own = {*x.checkpoints.values(), *y.checkpoints.values()}
    if {*x.manifest.replays, *y.manifest.replays} - own:
        reason = "training starts from a reference's weights, which are not here"
        return [Check("start of the training", "outcome", "not_judged", None, None, None, reason)]
    reason = "training starts from weights that neither side's pre-training gave; record the run again"
    return [Check("start of the training", "pretraining", "failed", None, None, None, reason)]


def shown(a: Recording, b: Recording) -> list[Check]:
    """How long the reconstruction errors agree, and how far apart the two results are."""
    x, y = before(a), before(b)
    if x is None or y is None:
        return []
    found = [replace(c, reason=f"pre-training: {c.reason}") for c in trajectory.checks(x, y)]
    ours, theirs = (side.state(side.trace["cost"].size) for side in (x, y))
    apart = max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours if name.startswith("weights/"))
    costs = " and ".join(f"{side.trace['epoch_cost'][-1]:.6g}" for side in (x, y))
    reason = f"reconstruction errors {costs} in the last epoch; the weights it gave are at most {apart:.1e} apart"
    return [*found, Check("pre-training", "outcome", "not_judged", apart, None, None, reason)]


def relabelled(found: list[Check], level: Level) -> list[Check]:
    """The checks as such of the pre-training."""
    return [
        replace(
            check,
            name=f"pre-training {check.name}",
            level=level,
            follows=None if check.follows is None else f"pre-training, {check.follows}",
        )
        for check in found
    ]
