"""Is the training loop the computation that was judged in lockstep?

Each side against itself: at every checkpoint, the loop's own cost and the state after its own next step are those of
the replayed step, within what rounding may make of a whole step at worst (parity/bounds/whole_step.py): in the run's
precision, where that is a lot, and the size of the rounding is judged, too; and in float64, from the same state. So is
any step between checkpoints at which the loop and its replay do not give the same bits (parity/verdict/watched.py).
"""

from dataclasses import replace

from parity.bounds.measure import entries
from parity.bounds.whole_step import BOTH
from parity.experiment.spec import Dtype
from parity.recordings.recording import Recording
from parity.verdict import watched
from parity.verdict.checks import Check, judge

# The size of the loop's rounding in that of the replay's, or in that of one rounding of each number.
PRECISE = 4.0


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for the cost and for each weight and slot at each checkpoint, on each side."""
    return loop_is_replay(a) + loop_is_replay(b)


def loop_is_replay(side: Recording) -> list[Check]:
    """The loop's own step from each checkpoint, within rounding of the replayed one."""
    phase, loop = side.phase, side.loop()
    steps = sorted({*side.checkpoints, *watched.parted(side)})
    dtypes: list[Dtype] = list(dict.fromkeys(["float64", side.manifest.identity.dtype]))
    expected = {f"{step}/{dtype}" for step in side.checkpoints for dtype in dtypes}
    if not expected or {name.rpartition("/")[0] for name in loop} != expected:
        reason = "the loop's step was not kept at every checkpoint; record the run again"
        return [Check(f"{side.label} loop", "loop", "failed", None, None, None, reason)]
    found = [
        judge(
            "loop",
            f"step {step} {dtype} {name}, {side.label}",
            f"step {step}, {name}",
            phase.shapes(step)[name],
            entry,
            BOTH,
            dtype,
            (f"{side.label}'s loop", f"{side.label}'s replay"),
            PRECISE,
        )
        for step in steps
        for dtype in dtypes
        for name, entry in zip(
            phase.looped(),
            entries(loop if step in side.checkpoints else side.watch(), f"{step}/{dtype}"),
            strict=True,
        )
    ]
    # Where float32's bound says nothing, float64's does, and so do the stages.
    found = [replace(check, supplement=" float32 " in check.name) for check in found]
    return found + watched.stretches(side)
