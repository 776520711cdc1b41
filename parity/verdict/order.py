"""Which failure is the first in time, and which only follow from one before.

A run goes wrong at one step and is seen to be wrong at many. The first divergence is the earliest step's, whichever
level finds it. Most checks start from a state that both sides share, so their failures stand for themselves; what a
failure follows from is said where it does not: from what its step used, from the cost before the update, from any step
of its segment, or from all of these in a whole run.
"""

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from parity.experiment.spec import Identity
from parity.recordings.recording import Recording
from parity.verdict.checks import Check, Level

STEP = re.compile(r"step (\d+)")
# The precision and the tensor of a check of one step, and the first step and the end of a segment, by their names.
TENSOR = re.compile(r"(?:step \d+ )?(float\d+) ([^\s,]+)")
SEGMENT = re.compile(r"step (\d+) to (\d+) ")
LEVELS = get_args(Level)
# What is said of a whole run, and gathers what its steps did.
WHOLE: tuple[Level, ...] = ("trajectory", "outcome")
# By the name of what steps use: those at which the two sides used something else.
Differing = Mapping[str, NDArray[np.int64]]


class Found(NamedTuple):
    """The checks of one phase by what they look at."""

    consumed: list[Check]
    stages: list[Check]
    loops: list[Check]
    evaluations: list[Check]
    segments: list[Check]
    whole: list[Check]


def in_time(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The failures, the first in time first and those that follow from others last; then all other checks."""
    failed = [check for check in checks if check.result == "failed"]
    reached = sorted({step_of(check) for check in checks if check.level == "lockstep"} - {np.inf})
    failed.sort(key=lambda check: (check.follows is not None, *moment(check, reached)))
    return (*failed, *(check for check in checks if check.result != "failed"))


def step_of(check: Check) -> float:
    """The step at which something was seen; after all steps where it belongs to none."""
    found = STEP.match(check.where or "")
    return int(found[1]) if found else np.inf


def moment(check: Check, reached: Sequence[float]) -> tuple[bool, float, int]:
    """What failures are ordered by: pre-training comes before the training, and of one step the levels in their order.

    What a whole run shows at some step, or a segment, is as late as the next of the steps that were `reached`, where
    single steps tell more of the same.
    """
    step = step_of(check)
    if check.level in WHOLE or SEGMENT.match(check.name):
        step = next(iter(reached[bisect.bisect_left(reached, step) :]), np.inf)
    return check.level != "pretraining", step, LEVELS.index(check.level)


def marked(a: Recording, b: Recording, found: Found) -> list[Check]:
    """All checks of a phase, each failure that follows from another one saying so."""
    differing, identity = differing_steps(a, b), a.manifest.identity
    consumed = [follow(check, of_indices(check, found.consumed, differing)) for check in found.consumed]
    consumed = [of_a_side(check, found.loops) for check in consumed]
    used = {check.name: check for check in consumed if check.result == "failed"}
    stages = [follow(check, given(check, reads(check, identity), used, differing)) for check in found.stages]
    stages = [follow(check, before(check, stages)) for check in begun(stages)]
    loops = [follow(check, given(check, tuple(used), used, differing)) for check in found.loops]
    loops = [follow(check, cost_of(check, loops)) for check in loops]
    evaluations = [follow(check, outputs_of(check, found.evaluations)) for check in found.evaluations]
    steps = [check for check in (*stages, *loops) if check.result == "failed" and check.follows is None]
    segments = [follow(check, within(check, steps, used, differing)) for check in found.segments]
    earlier = [*consumed, *stages, *loops, *evaluations, *segments]
    roots = [check for check in in_time(earlier) if check.result == "failed"]
    return earlier + [follow(check, next(iter(roots), None)) for check in found.whole]


def follow(check: Check, root: Check | None) -> Check:
    """The check, if it failed, as one that follows from another, if there is one."""
    if check.result != "failed" or check.follows is not None or root is None:
        return check
    return replace(check, follows=f"{root.level}, {root.place}")


def differing_steps(a: Recording, b: Recording) -> Differing:
    """At which steps both sides used something else."""
    found = {}
    for what in a.phase.consumed:
        x, y = (side.trace[f"consumed/{what}"] for side in (a, b))
        found[what] = np.flatnonzero(x != y) if x.shape == y.shape else np.zeros(0, np.int64)
    return found


def begun(stages: Sequence[Check]) -> list[Check]:
    """The checks of stages, the failures at the first checkpoint that failed saying since when they may be there."""
    steps = sorted({int(step_of(check)) for check in stages if step_of(check) < np.inf})
    failed = [int(step_of(check)) for check in stages if check.result == "failed" and step_of(check) < np.inf]
    earlier = [step for step in steps if failed and step < min(failed)]
    if not earlier or earlier[-1] + 1 == min(failed):
        return list(stages)
    return [
        replace(check, since=earlier[-1] + 1) if check.result == "failed" and step_of(check) == min(failed) else check
        for check in stages
    ]


def of_indices(check: Check, consumed: Sequence[Check], differing: Differing) -> Check | None:
    """The failure of the samples' indices, where other pixels or labels are those of other samples."""
    indices = next((root for root in consumed if root.name == "indices" and root.result == "failed"), None)
    if indices is None or check is indices or not np.isin(differing[check.name], differing["indices"]).all():
        return None
    return indices


def of_a_side(check: Check, loops: Sequence[Check]) -> Check:
    """A failure of what was used, with the side that is off: whose loop does not do there what its replay does."""
    if check.result != "failed" or step_of(check) == np.inf:
        return check
    off = {loop.side for loop in loops if loop.result == "failed" and step_of(loop) == step_of(check)} - {None}
    if len(off) != 1:
        return check
    (side,) = off
    return replace(check, side=side, reason=f"{check.reason}; {side} is off: its replay takes other samples there")


def given(check: Check, read: Sequence[str], used: Mapping[str, Check], differing: Differing) -> Check | None:
    """The failure of what is `read` where a check's step used something else."""
    return next((used[what] for what in read if what in used and step_of(check) in differing[what]), None)


def reads(check: Check, identity: Identity) -> list[str]:
    """What of a step's samples a stage computes with; the others are fed what was recorded before them."""
    tensor = TENSOR.match(check.name)
    if tensor is None:
        return []
    first, last = identity.model[0].name, identity.model[-1].name
    read = [
        ("indices", [f"outputs/{first}", f"gradients/{first}/", "cost", f"deltas/{last}"]),
        ("inputs", [f"outputs/{first}", f"gradients/{first}/"]),
        ("labels", ["cost", f"deltas/{last}"]),
        ("masks", [f"{kind}/{name}" for kind in ("outputs", "deltas") for name in identity.mask_widths]),
    ]
    return [what for what, tensors in read if tensor[2].startswith(tuple(tensors) or ("\n",))]


def before(check: Check, stages: Sequence[Check]) -> Check | None:
    """The first failure of the first step as a whole, whose stages are fed what the ones before gave."""
    tensor = TENSOR.match(check.name)
    if tensor is None or check.name.startswith("step "):
        return None
    same = (root for root in stages if root.result == "failed" and root.name.startswith(f"{tensor[1]} "))
    first = next(same, None)
    return None if first is None or first.name == check.name else first


def cost_of(check: Check, loops: Sequence[Check]) -> Check | None:
    """The failure of the cost of the same step of one side's loop, which comes before the update."""
    tensor = TENSOR.match(check.name)
    if tensor is None or tensor[2] == "cost":
        return None
    name = check.name.replace(f" {tensor[2]}, ", " cost, ", 1)
    return next((root for root in loops if root.name == name and root.result == "failed"), None)


def outputs_of(check: Check, evaluations: Sequence[Check]) -> Check | None:
    """The failure of the outputs that accuracy and loss were measured from; what a side counts of its own has none."""
    if " outputs " in check.name or check.side is not None:
        return None
    return next((r for r in evaluations if r.result == "failed" and " outputs " in r.name and r.side is None), None)


def within(check: Check, steps: Sequence[Check], used: Mapping[str, Check], differing: Differing) -> Check | None:
    """The failure of any step of a segment up to where it parts."""
    span = SEGMENT.match(check.name)
    first, last = int(span[1]) if span else step_of(check), step_of(check)
    for what, root in used.items():
        if np.any((differing[what] >= first) & (differing[what] <= last)):
            return root
    return next((root for root in steps if first <= step_of(root) <= last), None)
