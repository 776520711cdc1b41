"""The checks of each level in words: a row of a table, and the lines below it."""

from collections.abc import Iterator, Sequence
from typing import get_args

from parity.experiment.spec import DTYPES
from parity.verdict import Check, Verdict
from parity.verdict.checks import Level, Result, result_of

# A row fits 80 columns with so many after its level and result.
ROOM = 55


def rows(verdict: Verdict) -> list[tuple[str, Result, str]]:
    """For each level that was reached, what came of it, in a few words."""
    found: list[tuple[str, Result, str]] = []
    for level, checks in by_level(verdict):
        found.append((level, result_of(checks), SUMMARIES[level](checks)))
    return found


def by_level(verdict: Verdict) -> Iterator[tuple[Level, list[Check]]]:
    """The levels that were reached, in their order, with their checks."""
    for level in get_args(Level):
        checks = [check for check in verdict.checks if check.level == level]
        if checks:
            yield level, checks


def counted(checks: Sequence[Check]) -> str:
    """How many passed, and which, where there is room for them."""
    passed = [check.name for check in checks if check.result == "passed"]
    line = f"{len(passed)} of {len(checks)} equal"
    names = f"{line}: {', '.join(dict.fromkeys(name.split()[0] for name in passed))}"
    return names if passed and len(names) <= ROOM else line


def within(checks: Sequence[Check]) -> str:
    """How many are within rounding, and how many were not judged."""
    passed = [check for check in checks if check.result == "passed"]
    line = f"{len(passed)} of {len(checks)} within rounding"
    top = max((check.share for check in passed), default=0.0)
    if top:
        line += f", {'at most ' * (top >= 0.01)}{share(top)} of a bound"
    open_to = sum(check.result == "not_judged" for check in checks)
    return line + (f"; {open_to} not judged" if open_to else "")


def agreement(checks: Sequence[Check]) -> str:
    """How long the costs agree to the most digits."""
    first = next((check for check in checks if check.name.startswith("cost to ")), checks[0]).reason
    return first.partition(";")[0] if len(first.partition(";")[0]) <= ROOM else "see below"


def as_twins(checks: Sequence[Check]) -> str:
    """How many of the figures are as close as twins'."""
    passed, left = (sum(check.result == result for check in checks) for result in ("passed", "not_judged"))
    if left == len(checks):
        return "nothing could be judged"
    line = f"{passed} of {len(checks)} as close as one framework's own reruns"
    return line + (f"; {left} open" if left else "")


SUMMARIES = {
    "pretraining": within, "preflight": counted, "consumed": counted, "lockstep": within, "loop": within,
    "trajectory": agreement, "outcome": as_twins,
}  # fmt: skip


def details(verdict: Verdict) -> Iterator[str]:
    """Where each side uses most of its bounds, what was not judged and why, and what is said of costs and outcome."""
    for level, checks in by_level(verdict):
        if level == "lockstep":
            for dtype in DTYPES:
                yield from most(f"{level}, {dtype}", [check for check in checks if dtype in check.name.split()])
        elif level in ("loop", "pretraining"):
            yield from most(level, checks)
        if level in ("trajectory", "outcome"):
            yield from stated(checks)
        else:
            yield from unjudged(level, checks)
        yield from (c.reason for c in checks if c.level == "pretraining" and c.name == "start of the training")


def most(what: str, checks: Sequence[Check]) -> Iterator[str]:
    """How much of its bound each side uses at most, and where."""
    said = []
    for side in dict.fromkeys(check.side for check in checks):
        passed = [check for check in checks if check.side == side and check.result == "passed"]
        top = max(passed, key=lambda check: check.share, default=None)
        if top is not None and top.share:
            said.append(f"{side or 'both sides together'} {share(top.share)} ({top.place})")
    if said:
        yield f"{what}: the most of a bound that is used: {'; '.join(said)}"


def unjudged(level: str, checks: Sequence[Check]) -> Iterator[str]:
    """How many were not judged for each reason, and the first of them."""
    reasons: dict[str, list[Check]] = {}
    for check in checks:
        if check.result == "not_judged":
            reasons.setdefault(check.reason.partition(": ")[2] or check.reason, []).append(check)
    for found in reasons.values():
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield f"{level}, not judged: {found[0].place}{more}: {found[0].reason}"


def stated(checks: Sequence[Check]) -> Iterator[str]:
    """The reason of each check; agreement to fewer digits only where it lasts longer."""
    always = False
    for check in checks:
        of_digits = check.level == "trajectory" and check.name.startswith("cost to ")
        if not (of_digits and always):
            yield check.reason if check.level == "trajectory" else f"{check.name}: {check.reason}"
        always = of_digits and "until" not in check.reason


def share(used: float) -> str:
    """As in "18%"."""
    return f"{used:.0%}" if used >= 0.01 else "under 1%"
