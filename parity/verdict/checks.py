"""What a check and a verdict are."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parity.bounds.measure import Worst
from parity.experiment.spec import Dtype
from parity.recordings.recording import Recording

Level = Literal["preflight", "pretraining", "consumed", "lockstep", "loop", "trajectory", "outcome"]
Result = Literal["passed", "failed", "not_judged"]
VerdictName = Literal["parity", "mismatch", "incomparable", "insufficient"]

EXIT_STATUS: dict[VerdictName, int] = {"parity": 0, "mismatch": 1, "incomparable": 3, "insufficient": 3}
# Beyond so many times what is allowed, the number tells nothing.
FAR = 1e9
NO_NUMBER = "NaN on both sides, or beyond the range of numbers on the way"
# Levels that must have passed before anything is called parity.
DECISIVE: tuple[Level, ...] = ("preflight", "consumed", "lockstep", "loop")


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    `measured` passes if it is not above `bound`, both in the unit that `reason` names; None where there is no finite
    number, whatever it was made with. `where` is the place of the worst deviation.
    """

    name: str
    level: Level
    result: Result
    measured: float | None
    bound: float | None
    where: str | None
    reason: str
    # Whose computation is judged, where it is one side's.
    side: str | None = None
    # Whether it adds to what others prove, so that nothing is lacking where it cannot be judged.
    supplement: bool = False
    # Whether nothing is parity while it is not judged, although its level is none that must pass.
    decisive: bool = False
    # Of a failure that only follows from an earlier one, which that is.
    follows: str | None = None
    # The first step at which it may have begun, where no step between that and its own was looked at.
    since: int | None = None

    def __post_init__(self) -> None:
        for name in ("measured", "bound"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                object.__setattr__(self, name, None)

    @property
    def place(self) -> str:
        """Where and what: where the place is a mere step, it is followed by the check's name."""
        if self.where is None or self.name.startswith(f"{self.where} "):
            return self.name
        return f"{self.where}, {self.name}" if self.where.startswith("step ") and "," not in self.where else self.where

    @property
    def stretch(self) -> str | None:
        """In which steps it began, where that is not known to the step."""
        found = re.match(r"step (\d+)", self.where or "")
        return f"steps {self.since} to {found[1]}" if self.since is not None and found else None

    @property
    def share(self) -> float:
        """The share of its bound that is used; 0 where either is missing."""
        return self.measured / self.bound if self.measured is not None and self.bound else 0.0


@dataclass(frozen=True)
class Verdict:
    """The answer, with the checks it rests on."""

    verdict: VerdictName
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, checks: Sequence[Check]) -> "Verdict":
        """What follows from the checks."""
        return cls(conclude(checks), tuple(checks))


def conclude(checks: Sequence[Check], decisive: Sequence[Level] = DECISIVE) -> VerdictName:
    """Incomparable if preflight failed, mismatch if another level did, parity if the decisive levels all passed.

    Pre-training is decisive where there is any.
    """
    failed = {check.level for check in checks if check.result == "failed"}
    if "preflight" in failed:
        return "incomparable"
    if failed:
        return "mismatch"
    for level in (*decisive, *{check.level for check in checks if check.level == "pretraining"}):
        here = [check for check in checks if check.level == level and not adds_nothing(check)]
        if not here or any(check.result != "passed" for check in here):
            return "insufficient"
    return "insufficient" if any(check.result == "not_judged" and check.decisive for check in checks) else "parity"


def adds_nothing(check: Check) -> bool:
    """Whether a check was not judged and lacks nothing, since it would only have added to others."""
    return check.supplement and check.result == "not_judged"


def result_of(checks: Sequence[Check]) -> Result:
    """What came of the checks of one level, as `conclude` takes them."""
    here = [check for check in checks if not adds_nothing(check)]
    results = {check.result for check in here}
    if "failed" in results:
        return "failed"
    # Of what is not decisive, some may be left open.
    left_open = [c for c in here if c.result == "not_judged" and (c.decisive or needed(c.level))]
    return "not_judged" if left_open or "passed" not in results else "passed"


def needed(level: Level) -> bool:
    """Whether every check of a level must pass before anything is called parity."""
    return level in DECISIVE or level == "pretraining"


def judge(
    level: Level,
    name: str,
    where: str,
    shape: tuple[int, ...],
    entry: Worst,
    allowed: float,
    dtype: Dtype,
    labels: tuple[str, str],
    precise: float = math.inf,
    unjudged: str = "",
) -> Check:
    """Is the worst element of a tensor of that shape within `allowed` times its scale, and its rounding as small as
    `precise` times that of the precision asked for? `unjudged` says why some elements may prove nothing."""
    size, side = math.prod(shape), labels[0]
    if entry.compared != size:
        reason = f"{entry.compared} of {size} values could be compared: it is missing on a side, or has another shape"
        return Check(name, level, "failed", None, None, where, reason, side)
    if shape and 0 <= entry.position < size:
        where += f"[{', '.join(str(int(i)) for i in np.unravel_index(entry.position, shape))}]"
    values = f"{labels[0]} {entry.ours:.17g}, {labels[1]} {entry.theirs:.17g}"
    measured, bound = entry.measured * entry.scale, allowed * entry.scale
    if not entry.measured <= allowed:
        numbers = math.isfinite(entry.ours) and math.isfinite(entry.theirs)
        reason = f"{values}: {beyond(entry.measured, allowed, numbers)}"
        return Check(name, level, "failed", measured, bound, where, reason, side)
    if entry.precision > precise:
        reason = (
            f"all within what rounding may do at worst, but off by {often(entry.precision)} as much as {dtype} is, "
            f"where {precise:g} times is allowed: it is computed with fewer digits (TF32, bfloat16, float16?)"
        )
        return Check(name, level, "failed", entry.precision, precise, where, reason, side)
    if entry.unjudged:
        reason = f"{entry.unjudged} of {size} elements prove nothing: {unjudged or NO_NUMBER}"
        return Check(name, level, "not_judged", measured, bound, where, reason, side)
    reason = f"{values}: within rounding, {ulps(entry.ours, entry.theirs, dtype):.2g} ulp"
    if entry.branched:
        reason += f"; {entry.branched} of {size} elements went the other way where rounding decides which"
    return Check(name, level, "passed", measured, bound, where, reason, side)


def beyond(measured: float, allowed: float, numbers: bool = True) -> str:
    """By how much a deviation, of two `numbers` or one, exceeds what is allowed; in words where that says nothing."""
    if not math.isfinite(measured):
        return "nothing is rounded here, so both must be equal" if numbers else "one side alone is a number"
    times = measured / allowed if allowed else math.inf
    if not times <= FAR:
        return "far beyond anything that rounding explains"
    return f"{times:.2g} times what rounding explains" if times >= 1.05 else "just above what rounding explains"


def often(times: float) -> str:
    """As in "12 times", in words where a number says nothing."""
    return f"{times:.2g} times" if times <= FAR else "far more than a billion times"


def ulps(x: float, y: float, dtype: Dtype) -> float:
    """How many numbers of `dtype` lie between x and y, in the unit in the last place of y."""
    with np.errstate(all="ignore"):
        unit = float(np.spacing(np.dtype(dtype).type(abs(y))))
    return abs(x - y) / unit if math.isfinite(unit) else 0.0


def equal_arrays(
    name: str, level: Level, a: Recording, b: Recording, x: NDArray[Any], y: NDArray[Any], unit: str
) -> Check:
    """Integer arrays that must agree in every element; `unit` names what an index counts."""
    if x.shape != y.shape or x.dtype != y.dtype or x.size == 0:
        shapes = f"{a.label} has {x.dtype} {x.shape}, {b.label} {y.dtype} {y.shape}"
        return Check(name, level, "failed", None, 0, None, f"{shapes}; there is nothing to compare")
    differing = np.flatnonzero(x != y)
    if len(differing) == 0:
        return Check(name, level, "passed", 0, 0, None, f"equal at every {unit} ({x.size})")
    first = f"{unit} {differing[0]}"
    reason = f"differs at {len(differing)} of {x.size} {unit}s, first at {first}"
    return Check(name, level, "failed", len(differing), 0, first, reason)
