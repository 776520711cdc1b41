"""Which levels a verdict rests on, and why others were not judged: said beside it, for a quick one says less."""

from collections.abc import Sequence
from typing import get_args

from parity.recordings.recording import Recording
from parity.verdict import noise
from parity.verdict.checks import Check, Level, Verdict, adds_nothing, needed
from parity.verdict.trajectory import AGAINST_NOISE


def levels(sides: Sequence[Recording], verdict: Verdict) -> tuple[list[Level], dict[Level, str]]:
    """The levels of which some check passed or failed; and for each other one why none did."""
    judged: list[Level] = []
    not_judged: dict[Level, str] = {}
    for level in get_args(Level):
        results = {check.result for check in verdict.checks if check.level == level}
        if results & {"passed", "failed"}:
            judged.append(level)
        elif level != "pretraining" or results:
            not_judged[level] = why_not(sides, verdict, level)
    return judged, not_judged


def why_not(sides: Sequence[Recording], verdict: Verdict, level: Level) -> str:
    """Why a level was not judged."""
    if len(sides) == 1 and not any(check.level == level for check in verdict.checks):
        return "it takes two recordings"
    if verdict.verdict == "incomparable":
        return "preflight failed"
    without = noise.missing(sides[0], sides[-1]) if level in ("trajectory", "outcome") else None
    if without is not None:
        return without
    # Of the trajectory, the last of the run's own: what is said of digits is never judged.
    reasons = [check.reason for check in verdict.checks if check.level == level]
    against = [check.reason for check in verdict.checks if check.level == level and check.name == AGAINST_NOISE]
    return next(iter([*against, *reasons]), "nothing was there to be judged")


def remark(sides: Sequence[Recording], verdict: Verdict) -> str:
    """What to know of a verdict in a few words, in brackets; nothing where every level was judged."""
    judged, not_judged = levels(sides, verdict)
    if len(sides) == 1:
        return f" (of one recording with its own replays: {listed(judged)} judged)"
    if not not_judged or verdict.verdict == "incomparable":
        return ""
    quick = "quick: " if not any(side.manifest.twins for side in sides) else ""
    return f" ({quick}{listed(list(not_judged))} not judged)"


def lacking(checks: Sequence[Check]) -> str:
    """Which checks could not be judged, of those that parity takes, and why; the first stands for all."""
    left_open = [
        check
        for check in checks
        if check.result == "not_judged" and (check.decisive or needed(check.level)) and not adds_nothing(check)
    ]
    if not left_open:
        reached = [level for level in get_args(Level) if any(check.level == level for check in checks)]
        return f"of the levels that parity takes, only {listed(reached)} could be judged"
    first = left_open[0]
    count = sum(check.level == first.level for check in checks)
    here = sum(check.level == first.level for check in left_open)
    of = f", the first of {here} such checks among {count}" if here > 1 else ""
    return f"{first.level}, {first.place}{of}: {first.reason}"


def listed(names: Sequence[str]) -> str:
    """As in "trajectory and outcome"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "nothing"
