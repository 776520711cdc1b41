"""Is every step of the run, also between checkpoints, the replayed one?

Each side against itself, in the run's own precision (parity/worker/watch.py): replayed steps must arrive at every
checkpoint as the loop did, bit for bit. A step at which they part is judged as a checkpoint's is (parity/verdict/
loop.py).
"""

from parity.recordings.recording import EQUAL, PARTED, UNREPEATED, Recording
from parity.verdict.checks import Check


def stretches(side: Recording) -> list[Check]:
    """One check for each stretch from a checkpoint to the next, or to the end."""
    watch = side.watch()
    stops = watch["stops"].tolist()
    rows = zip(stops, stops[1:], watch["outcome"].tolist(), watch["until"].tolist(), strict=False)
    return [judged(side, *row, [step for step in parted(side) if row[0] <= step < row[1]]) for row in rows]


def parted(side: Recording) -> list[int]:
    """The steps, other than checkpoints', at which the loop and its replay do not give the same bits."""
    return sorted({int(name.partition("/")[0]) for name in side.watch() if "/" in name})


def judged(side: Recording, first: int, last: int, outcome: int, until: int, alone: list[int]) -> Check:
    """Was a stretch watched, and do loop and replay repeat themselves?"""
    name, loop = f"steps {first} to {last - 1}, {side.label}", f"{side.label}'s loop"
    apart = f" but for {', '.join(f'step {step}' for step in alone)}, judged by itself" if alone else ""
    if outcome in (EQUAL, PARTED):
        reason = f"each is the replayed step, bit for bit{apart}"
        return Check(name, "loop", "passed", 0, 0, name, reason, loop)
    if outcome == UNREPEATED:
        reason = f"the run did what {loop}, run again from the same beginning, does not: it does what its replay does"
        since = first if first < until else None
        return Check(name, "loop", "failed", None, 0, f"step {until}, cost", reason, loop, since=since)
    reason = f"{loop} and its replay do not give the same bits{apart}; from step {until} on nobody looked"
    return Check(name, "loop", "not_judged", None, 0, name, reason, loop, supplement=True)
