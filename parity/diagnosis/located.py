"""At which step of a stretch something began: the steps between two checkpoints are replayed, halving the stretch.

Where a stage is right at one checkpoint and wrong at the next, the owner of both goes on from the first to a step
between the two, and the other side's stages are fed what the owner's gave there. The same where both sides' segments
part and each side's loop does what its replay does.
"""

from dataclasses import replace

from parity.diagnosis.asked import Sides
from parity.errors import ParityError
from parity.recordings.recording import Recording
from parity.verdict import Verdict, lockstep
from parity.verdict.checks import Check
from parity.verdict.order import SEGMENT, in_time, step_of


def located(a: Recording, b: Recording, verdict: Verdict, ask: Sides) -> Verdict:
    """The verdict, with the first step of which a stage fails where it was known but for a stretch.

    What cannot be asked leaves it as it is.
    """
    first = next((check for check in verdict.checks if check.result == "failed"), None)
    if first is None or (first.level, first.since is None) == ("lockstep", True):
        return verdict
    both = (a, b), (b, a)
    pairs = [(side, owner) for side, owner in both if first.name.endswith(of(side, owner)) and is_wide(first)]
    if SEGMENT.match(first.name):
        pairs = [(side, owner) for side, owner in both if first.name.endswith(f", from {owner.label}'s checkpoint")]
    if not pairs:
        return verdict
    start, end = stretch(first)
    try:
        since, found = halved(*pairs[0], start, end, ask)
    except ParityError:
        return verdict
    told = None if found or first.since is None or since >= end else since
    checks = [replace(check, since=told) if check.since == first.since else check for check in verdict.checks]
    return replace(verdict, checks=in_time([*found, *checks]))


def stretch(check: Check) -> tuple[int, int]:
    """The checkpoint before a failure, and the step at which, or before which, something is not right."""
    segment = SEGMENT.match(check.name)
    if segment:
        # A cost that parts is of the step before, or of its own.
        return int(segment[1]), int(step_of(check)) + 1
    return int(check.since or 1) - 1, int(step_of(check))


def of(side: Recording, owner: Recording) -> str:
    """How the name of a check ends of what one side makes of another one's checkpoint."""
    return f", {side.label} on {owner.label}'s checkpoint"


def is_wide(check: Check) -> bool:
    """Whether a check is one of float64, of which alone steps are replayed again."""
    return " float64 " in check.name


def halved(side: Recording, owner: Recording, start: int, end: int, ask: Sides) -> tuple[int, list[Check]]:
    """The step behind the last one that was seen to be right; and the failures of the first that was seen to be wrong.

    The checkpoint at `start` is right, and something at `end` or before is not. No failures, where none was seen.
    """
    right, wrong = start, end
    found: list[Check] = []
    while wrong - right > 1:
        middle = (right + wrong) // 2
        summary = ask.passed(side, owner, start, middle)
        if int(summary["samples"]) != side.manifest.identity.schedule.batch_size:
            # Stages are judged by the shapes of a whole batch.
            break
        replayed = lockstep.Replay(middle, "", owner.label, (owner.manifest.framework,), side, summary)
        failed = [one for one in lockstep.stages(replayed, "float64") if one.result == "failed"]
        if failed:
            wrong, found = middle, [between(one, side, owner, f"steps {start + 1} to {end}") for one in failed]
        else:
            right = middle
    since = right + 1
    return since, [replace(one, since=since if since < wrong else None) for one in found]


def between(check: Check, side: Recording, owner: Recording, stretch: str) -> Check:
    """A check of a step between checkpoints, which says what it is."""
    name = check.name.replace(of(side, owner), f", {side.label} on {owner.label}'s state")
    reason = f"{check.reason}; found by halving {stretch}, since the checkpoint before is right"
    return replace(check, name=name, reason=reason)
