"""Two recordings in, a verdict out. Nothing here prints, reads a framework or looks at anything but the recordings."""

from collections.abc import Sequence

from parity.recordings.recording import Recording
from parity.verdict import (
    consumed,
    evaluation,
    lockstep,
    loop,
    outcome,
    parted,
    preflight,
    pretraining,
    segments,
    trajectory,
)
from parity.verdict.checks import Check, Verdict, conclude
from parity.verdict.order import Found, in_time, marked


def judge(a: Recording, b: Recording, besides: Sequence[Check] = ()) -> Verdict:
    """Every check of every level, what failed first in time first; after a failed preflight nothing means anything.

    `besides` are checks of the stages of steps that have no checkpoint.
    """
    checks = preflight.checks(a, b) + pretraining.preflight_checks(a, b)
    if all(check.result == "passed" for check in checks):
        phase = Found(
            consumed.checks(a, b),
            [*lockstep.checks(a, b), *besides],
            loop.checks(a, b),
            evaluation.checks(a, b),
            segments.checks(a, b),
            trajectory.checks(a, b) + pretraining.shown(a, b) + outcome.checks(a, b),
        )
        checks = parted.excused(a, b, checks + pretraining.checks(a, b) + marked(a, b, phase))
    return Verdict.of(in_time(checks))


def judge_alone(side: Recording) -> Verdict:
    """One recording against its own replays: float32 against float64, and the loop against both."""
    checks = pretraining.alone(side) + lockstep.alone(side) + loop.loop_is_replay(side)
    return Verdict(conclude(checks, ("lockstep", "loop")), in_time(checks))


__all__ = ["Check", "Verdict", "judge", "judge_alone"]
