"""Every stage of the step at every common checkpoint, each run by itself on the same recorded inputs.

float64: the replaying side's result against the recorded one. float32: each side's result against its own in float64,
from the same rounded inputs. The bounds are those of parity/bounds/stages.py, and of float32 sums the size of their
rounding is judged, too (parity/bounds/precision.py). Where two recordings share no replayed checkpoint, the whole first
step is all there is (see `composed`).
"""

from typing import NamedTuple

import numpy as np

from parity.bounds.measure import entries
from parity.bounds.rows import ALLOWED
from parity.bounds.stages import Result
from parity.experiment.spec import DTYPES, FRAMEWORKS, Dtype, Framework
from parity.recordings.recording import Arrays, Recording
from parity.verdict import composed
from parity.verdict.checks import Check, judge

REFERENCE = "the reference"
# The size of a kernel's rounding in that of an ordinary one: of honest kernels at most 1.5, of TF32 13 and more.
PRECISE = 4.0


class Replay(NamedTuple):
    """What came of one side's replay of a checkpoint: its own, the other side's, or a reference's."""

    step: int
    key: str
    owner: str
    made_with: tuple[Framework, ...]
    side: Recording
    summaries: Arrays


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for each replay, precision and result of a stage; the earliest checkpoint first."""
    replays = sorted(of_either(a, b) + of_a_reference(a, b), key=lambda replay: replay.step)
    if not replays:
        # Of pre-training, the start step alone would say little: each layer has one of its own.
        return composed.checks(a, b) if a.manifest.phase == "training" else []
    found = []
    for step in dict.fromkeys(replay.step for replay in replays):
        here = [replay for replay in replays if replay.step == step]
        for dtype in DTYPES:
            for key in dict.fromkeys(replay.key for replay in here):
                sides = [(replay, stages(replay, dtype)) for replay in here if replay.key == key]
                if dtype == "float64" and all(replay.owner == REFERENCE for replay, _ in sides):
                    found += against_a_reference(*(checks for _, checks in sides))
                else:
                    found += [check for _, checks in sides for check in checks]
    return found


def alone(side: Recording) -> list[Check]:
    """One side's replays of its own checkpoints, where float32 is held against float64."""
    found = []
    for step, key in side.checkpoints.items():
        summaries = side.replayed(key)
        if summaries is not None:
            replay = Replay(step, key, side.label, (side.manifest.framework,), side, summaries)
            found += [check for dtype in DTYPES for check in stages(replay, dtype)]
    return found


def of_either(a: Recording, b: Recording) -> list[Replay]:
    """Both sides' replays of the checkpoints of either that the other one has replayed."""
    found = []
    for owner, other in ((a, b), (b, a)):
        for step, key in owner.checkpoints.items():
            both = [(side, side.replayed(key)) for side in (owner, other)]
            if all(summaries is not None for _, summaries in both):
                made_with = (owner.manifest.framework,)
                found += [Replay(step, key, owner.label, made_with, side, s) for side, s in both if s is not None]
    return found


def of_a_reference(a: Recording, b: Recording) -> list[Replay]:
    """Both sides' replays of checkpoints that belong to neither."""
    own = {*a.checkpoints.values(), *b.checkpoints.values()}
    found = []
    for key, step in a.manifest.replays.items():
        if key not in own and b.manifest.replays.get(key) == step:
            both = [(side, side.replayed(key)) for side in (a, b)]
            found += [Replay(step, key, REFERENCE, FRAMEWORKS, side, s) for side, s in both if s is not None]
    return found


def stages(replay: Replay, dtype: Dtype) -> list[Check]:
    """The checks of one replay in one precision, in the order of the computation."""
    phase, label = replay.side.phase, replay.side.label
    shapes = phase.shapes(replay.step)
    truth = f"{label} in float64" if dtype == "float32" else replay.owner
    found, ended = [], False
    for result, entry in zip(phase.results(replay.step), entries(replay.summaries, dtype), strict=True):
        ended |= result.name == "cost" and not np.isfinite([entry.ours, entry.theirs]).any()
        allowed = ALLOWED[result.kind]
        factor = allowed[replay.side.manifest.framework]
        if dtype == "float64":
            # Both results are rounded; a float32 one is held against what is exact by comparison.
            factor += max(allowed[side] for side in replay.made_with)
        check = judge(
            "lockstep",
            f"step {replay.step} {dtype} {result.name}, {label} on {replay.owner}'s checkpoint",
            f"step {replay.step}, {result.stage}, {result.name}",
            shapes[result.name],
            entry,
            factor,
            dtype,
            (label, truth),
            PRECISE,
            why_unjudged(replay.side, result),
        )
        found.append(composed.after_the_end(check) if ended else check)
    return found


def why_unjudged(side: Recording, result: Result) -> str:
    """Why elements of a result may be NaN or infinite, where its formula tells."""
    optimizer = side.manifest.identity.optimizer
    if result.stage == "optimizer" and optimizer.kind == "rmsprop" and optimizer.centered:
        return "centered RMSprop takes the root of a difference that rounding may take below zero"
    return ""


def against_a_reference(first: list[Check], second: list[Check]) -> list[Check]:
    """Both sides' checks against a reference, where a result that is off on both says nothing of the pair."""
    found = []
    for ours, theirs in zip(first, second, strict=True):
        if ours.result == theirs.result == "failed":
            reason = "both sides differ from the reference here; use one that makes the same choices"
            found.append(Check(ours.name, ours.level, "not_judged", None, None, ours.where, reason))
        else:
            found += [ours, theirs]
    return found
