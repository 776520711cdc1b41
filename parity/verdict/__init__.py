"""Two recordings in, a verdict out. Nothing here prints, reads a framework or looks at anything but the recordings."""

from parity.recording import Recording
from parity.verdict import consumed, evaluation, lockstep, loop, outcome, preflight, pretraining, segments, trajectory
from parity.verdict.checks import Check, Verdict, conclude


def judge(a: Recording, b: Recording) -> Verdict:
    """Every check of every level; if preflight fails, nothing after it would mean anything."""
    checks = preflight.checks(a, b) + pretraining.preflight_checks(a, b)
    if all(check.result == "passed" for check in checks):
        for level in (pretraining, consumed, lockstep, loop, evaluation):
            checks += level.checks(a, b)
        checks += segments.checks(a, b, explained=any(check.result == "failed" for check in checks))
        for shown in (trajectory.checks, pretraining.shown, outcome.checks):
            checks += shown(a, b)
    return Verdict.of(checks)


def judge_alone(side: Recording) -> Verdict:
    """One recording against its own replays: float32 against float64, and the loop against both."""
    checks = pretraining.alone(side) + lockstep.alone(side) + loop.loop_is_replay(side)
    return Verdict(conclude(checks, ("lockstep", "loop")), tuple(checks))


__all__ = ["Check", "Verdict", "judge", "judge_alone"]
