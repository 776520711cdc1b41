"""Is the training loop the computation that was judged in lockstep?

Each side against itself: at every checkpoint, the loop's own cost and the state after its own next step are those of
the replayed step, in the run's precision, within the rounding of a whole step (parity/rounding.py).
"""

from parity.measure import entries
from parity.recording import Recording
from parity.verdict.checks import Check, judge


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for the cost and for each weight and slot at each checkpoint, on each side."""
    return loop_is_replay(a) + loop_is_replay(b)


def loop_is_replay(side: Recording) -> list[Check]:
    """The loop's own step from each checkpoint, within rounding of the replayed one."""
    dtype, phase, loop = side.manifest.identity.dtype, side.phase, side.loop()
    steps = [str(step) for step in side.checkpoints]
    if not steps or {name.partition("/")[0] for name in loop} != set(steps):
        reason = "the loop's step was not kept at every checkpoint; record the run again"
        return [Check(f"{side.label} loop", "loop", "failed", None, None, None, reason)]
    labels = f"{side.label}'s loop", f"{side.label}'s replay"
    return [
        judge(
            "loop",
            f"step {step} {name}, {side.label}",
            f"step {step}, {name}",
            phase.shapes(int(step))[name],
            entry,
            1.0,
            dtype,
            labels,
        )
        for step in steps
        for name, entry in zip(phase.looped(), entries(loop, step), strict=True)
    ]
