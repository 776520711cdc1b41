"""What was judged of a user's pair: a finding for each question, by level, and the verdict that follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from parity.verdict.checks import Result, VerdictName

Level = Literal[
    "settings", "inputs", "weights", "forward", "predict", "training forward", "buffers", "loss", "backward",
    "optimizer step", "steps", "forward after training", "each side alone", "float32",
]  # fmt: skip
MEASURED = "measured: rounding's effect on that tensor"
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Finding:
    """One question and its answer.

    `keras` and `torch` name the tensor on either side, with the line of the user's code that made it. `where` is the
    place of the worst element, `values` what either side has there; it passes if they are at most `bound` apart.
    Without a `needed` one nothing is lacking for parity. `inside` are calls of the stage that have no partner, `rule`
    is where the bound comes from.
    """

    level: Level
    name: str
    result: Result
    reason: str
    keras: str | None = None
    torch: str | None = None
    where: str | None = None
    values: tuple[float, float] | None = None
    measured: float | None = None
    bound: float | None = None
    needed: bool = True
    inside: tuple[str, ...] = ()
    rule: str = MEASURED


def conclude(findings: Sequence[Finding]) -> VerdictName:
    """Mismatch if anything failed, parity if everything that is needed passed, else insufficient."""
    if any(finding.result == "failed" for finding in findings):
        return "mismatch"
    lacking = [f for f in findings if f.needed and f.result == "not_judged"]
    judged = any(f.level == "forward" and f.result == "passed" for f in findings)
    return "insufficient" if lacking or not judged else "parity"


def first_divergence(findings: Sequence[Finding]) -> Finding | None:
    """The failure of the first level, and of its first stage."""
    failed = [finding for finding in findings if finding.result == "failed"]
    return min(failed, key=lambda finding: LEVELS.index(finding.level), default=None)
