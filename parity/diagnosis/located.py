"""At which step of a stretch something began: the steps between two checkpoints are replayed, halving the stretch.

Where a stage is right at one checkpoint and wrong at the next, the owner of both goes on from the first to a step
between the two, and the other side's stages are fed what the owner's gave there.
"""

from dataclasses import replace

from parity.diagnosis.asked import Sides
from parity.errors import ParityError
from parity.recordings.recording import Recording
from parity.verdict import Verdict, lockstep
from parity.verdict.checks import Check
from parity.verdict.order import in_time, step_of


def located(a: Recording, b: Recording, verdict: Verdict, ask: Sides) -> Verdict:
    """The verdict, with the first step of which a stage fails where it was known but for a stretch.

    What cannot be asked leaves it as it is.
    """
    first = next((check for check in verdict.checks if check.result == "failed"), None)
    if first is None or first.level != "lockstep" or first.since is None:
        return verdict
    pairs = [(side, owner) for side, owner in ((a, b), (b, a)) if first.name.endswith(of(side, owner))]
    if not pairs or " float64 " not in first.name:
        return verdict
    try:
        since, found = halved(*pairs[0], first, ask)
    except ParityError:
        return verdict
    last = step_of(first)
    told = None if found or since >= last else since
    checks = [replace(check, since=told) if check.since == first.since else check for check in verdict.checks]
    return replace(verdict, checks=in_time([*found, *checks]))


def of(side: Recording, owner: Recording) -> str:
    """How the name of a check ends of what one side makes of another one's checkpoint."""
    return f", {side.label} on {owner.label}'s checkpoint"


def halved(side: Recording, owner: Recording, check: Check, ask: Sides) -> tuple[int, list[Check]]:
    """The step behind the last one that was seen to be right; and the failures of the first that was seen to be wrong.

    No failures, where that is the check's own.
    """
    start = max(step for step in owner.checkpoints if step < step_of(check))
    right, wrong = start, int(step_of(check))
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
            wrong, found = middle, [between(one, side, owner, check) for one in failed]
        else:
            right = middle
    since = right + 1
    return since, [replace(one, since=since if since < wrong else None) for one in found]


def between(check: Check, side: Recording, owner: Recording, first: Check) -> Check:
    """A check of a step between checkpoints, which says what it is."""
    name = check.name.replace(of(side, owner), f", {side.label} on {owner.label}'s state")
    reason = f"{check.reason}; found by halving {first.stretch}, between a checkpoint that is right and one that is not"
    return replace(check, name=name, reason=reason)
