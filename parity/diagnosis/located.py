"""At which step of a stretch something began: the steps between two checkpoints are replayed, halving the stretch.

Where a stage is right at one checkpoint and wrong at the next, the owner of both goes on from the first to a step
between the two, and the other side's stages are fed what the owner's gave there. The same where both sides' segments
part and each side's loop does what its replay does. And where costs part by more than noise though no checkpoint shows
why, the steps before are replayed, one by one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from parity.diagnosis.asked import Sides
from parity.errors import ParityError
from parity.recordings.recording import Recording
from parity.verdict import Verdict, judge, lockstep, parted
from parity.verdict.checks import Check
from parity.verdict.order import SEGMENT, in_time, step_of

# Steps that are replayed at once, all tensors of which a file holds.
TOGETHER = 8


def located(a: Recording, b: Recording, verdict: Verdict, ask: Sides) -> Verdict:
    """The verdict, with the first step of which a stage fails where it was known but for a stretch.

    What cannot be asked leaves it as it is.
    """
    verdict = looked_at(a, b, verdict, ask)
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


def looked_at(a: Recording, b: Recording, verdict: Verdict, ask: Sides) -> Verdict:
    """The verdict, where costs part by more than noise and nothing else differs, once the steps before were looked at.

    What cannot be asked leaves it as it is.
    """
    opened = parted.open_check(verdict.checks)
    if opened is None:
        return verdict
    besides: list[Check] = []
    unseen, moved = parted.unlooked(verdict.checks, opened), ask.bar("steps")
    for start, steps in together(unseen, {*a.checkpoints} & {*b.checkpoints}):
        for side, owner in ((a, b), (b, a)):
            try:
                stages = replayed(side, owner, start, steps, ask)
            except ParityError:
                return verdict
            why = f"looked at since costs part at {opened.where}"
            besides += [between(one, side, owner, why) for checks in stages for one in checks]
        if any(one.result == "failed" for one in besides):
            break
        moved(unseen.index(steps[-1]) + 1, len(unseen))
    return judge(a, b, besides)


def together(steps: Sequence[int], checkpoints: Iterable[int]) -> list[tuple[int, list[int]]]:
    """Ascending steps in groups of at most `TOGETHER`, each with the checkpoint to go on from."""
    found: list[tuple[int, list[int]]] = []
    for step in steps:
        start = max(checkpoint for checkpoint in checkpoints if checkpoint <= step)
        if not found or found[-1][0] != start or len(found[-1][1]) == TOGETHER:
            found.append((start, []))
        found[-1][1].append(step)
    return found


def halved(side: Recording, owner: Recording, start: int, end: int, ask: Sides) -> tuple[int, list[Check]]:
    """The step behind the last one that was seen to be right; and the failures of the first that was seen to be wrong.

    The checkpoint at `start` is right, and something at `end` or before is not. No failures, where none was seen.
    """
    right, wrong = start, end
    found: list[Check] = []
    while wrong - right > 1:
        middle = (right + wrong) // 2
        (stages,) = replayed(side, owner, start, [middle], ask)
        if not stages:
            break
        failed = [one for one in stages if one.result == "failed"]
        if failed:
            reason = f"found by halving steps {start + 1} to {end}, since the checkpoint before is right"
            wrong, found = middle, [between(one, side, owner, reason) for one in failed]
        else:
            right = middle
    since = right + 1
    return since, [replace(one, since=since if since < wrong else None) for one in found]


def replayed(side: Recording, owner: Recording, start: int, steps: Sequence[int], ask: Sides) -> list[list[Check]]:
    """The checks of each step's stages in float64, the owner having gone on to it from the checkpoint at `start`.

    None where its batch is a smaller one, since stages are judged by the shapes of a whole batch.
    """
    found: list[list[Check]] = []
    for step, summary in zip(steps, ask.passed(side, owner, start, steps), strict=True):
        whole = int(summary["samples"]) == side.manifest.identity.schedule.batch_size
        there = lockstep.Replay(step, "", owner.label, (owner.manifest.framework,), side, summary)
        found.append(lockstep.stages(there, "float64") if whole else [])
    return found


def between(check: Check, side: Recording, owner: Recording, why: str) -> Check:
    """A check of a step between checkpoints, which says what it is, and why it was looked at."""
    name = check.name.replace(of(side, owner), f", {side.label} on {owner.label}'s state")
    return replace(check, name=name, reason=f"{check.reason}; {why}")
