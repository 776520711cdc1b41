"""What the benchmarks print: tables in Markdown, progress, and bounds on rates."""

import sys
import time
from collections.abc import Callable, Sequence

CONFIDENCE = 0.95

Say = Callable[[str], None]


def upper_bound(alarms: int, pairs: int) -> float:
    """The one-sided bound on the rate of false alarms (Clopper and Pearson): about 3 / pairs where there were none."""
    # SciPy is for developers only.
    from scipy.stats import beta

    return float(beta.ppf(CONFIDENCE, alarms + 1, pairs - alarms)) if alarms < pairs else 1.0


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(head)} |", f"{'|---' * len(head)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def progress() -> Say:
    """A function that prints a line on standard error, with the minutes since now."""
    began = time.monotonic()
    return lambda text: print(f"{(time.monotonic() - began) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)
