"""What a whole run alone shows, where every step by itself is within rounding.

Twins measure how far rounding takes most runs. Some decisions that it makes, such as the sign of a sum that is zero but
for rounding, no twin may meet; then two honest runs are further apart than any two twins. So costs that part prove
nothing by themselves: what parted them is in the steps before. Where both sides replayed these from one state, and each
side's loop does what its replay does, rounding parted the two, and what comes later tells nothing. Where they were not
looked at, nothing is proven either way.
"""

from collections.abc import Sequence
from dataclasses import replace

from parity.recordings.recording import Recording
from parity.verdict import noise, trajectory
from parity.verdict.checks import Check
from parity.verdict.order import WHOLE, step_of

# So many steps before costs part are looked at, one by one; as many as the longest segment has.
WINDOW = 100
EACH = "by itself every step before is within rounding, which decided there as it did in no twin"


def excused(a: Recording, b: Recording, checks: Sequence[Check]) -> list[Check]:
    """The checks of a verdict; failures of whole runs, if there are no others, as what they tell."""
    failed = [check for check in checks if check.result == "failed"]
    told_apart = any(check.level not in WHOLE for check in failed)
    if not failed or told_apart or any(x.shape != b.trace[name].shape for name, x in a.trace.items()):
        return list(checks)
    parting = next((check for check in failed if check.level == "trajectory"), None)
    if parting is None:
        return [not_told(a, b, check) for check in checks]
    unseen = unlooked(checks, parting)
    return left_open(checks, parting, unseen) if unseen else [told(check, parting, EACH) for check in checks]


def unlooked(checks: Sequence[Check], parting: Check) -> list[int]:
    """The steps in which costs that part may have come to it, but for those whose stages were judged."""
    parted, judged = int(step_of(parting)), {step_of(check) for check in checks if check.level == "lockstep"}
    return [step for step in range(max(0, parted - WINDOW), max(1, parted)) if step not in judged]


def open_check(checks: Sequence[Check]) -> Check | None:
    """The check of a whole run that steps nobody has looked at leave open, if there is one."""
    return next((check for check in checks if check.name == trajectory.AGAINST_NOISE and check.decisive), None)


def left_open(checks: Sequence[Check], parting: Check, unseen: Sequence[int]) -> list[Check]:
    """The checks where nobody looked at some of the steps before the parting."""
    steps = f"step {unseen[0]} was" if len(unseen) == 1 else f"steps {unseen[0]} to {unseen[-1]} were"
    ask = (
        f"nothing else differs, but {steps} not looked at one by one: record again with --checkpoints {ranges(unseen)}"
    )
    ask += " (with parity.record, one of both with the other as its --reference)"
    found = [told(check, parting, ask) for check in checks]
    return [replace(check, decisive=True) if check.name == parting.name else check for check in found]


def ranges(steps: Sequence[int]) -> str:
    """Ascending steps as --checkpoints takes them: 3,5-8."""
    starts = [step for step in steps if step - 1 not in steps]
    ends = [step for step in steps if step + 1 not in steps]
    parts = [f"{start}-{end}" if end > start else str(start) for start, end in zip(starts, ends, strict=True)]
    return ",".join(parts) + ("," if len(steps) == 1 else "")


def told(check: Check, parting: Check, why: str) -> Check:
    """A check that failed, as one that is not judged."""
    if check.result != "failed":
        return check
    reason = f"{check.reason}; {why if check is parting else f'the costs part {parting.where}'}"
    return replace(check, result="not_judged", reason=reason)


def not_told(a: Recording, b: Recording, check: Check) -> Check:
    """A failure of what the runs ended with, which proves nothing where their costs could not be told from noise."""
    if check.result != "failed":
        return check
    end = trajectory.horizon(a, b, noise.finite_steps(a, b))
    if end == len(a.trace["cost"]):
        return check
    reason = f"{check.reason}; since step {end} nothing can be told from noise, and no step by itself differs"
    return replace(check, result="not_judged", reason=reason)
