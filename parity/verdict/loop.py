"""Is the training loop the computation that was judged in lockstep?

Each side against itself: the loop's own first cost, and its own state after one step, are those of the replayed step.
What a loop does only later, between two recorded states, this does not see.
"""

from parity.recording import Recording
from parity.verdict.checks import Check
from parity.verdict.lockstep import as_float64, missing, within
from parity.verdict.rounding import step_bounds


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for the cost and for each weight and slot, on each side."""
    return loop_is_replay(a) + loop_is_replay(b)


def loop_is_replay(side: Recording) -> list[Check]:
    """The loop's first cost and second state, within rounding of the replay in the run's own precision."""
    manifest = side.manifest
    digest = manifest.digests["start"]
    truth = as_float64(side.replay(digest, "float64"))
    lacking = missing(manifest.identity, truth)
    if lacking:
        reason = f"the replay lacks {', '.join(lacking)}"
        return [Check(f"{side.label} first step", "loop", "failed", None, None, lacking[0], reason)]
    bounds = step_bounds(
        manifest.identity, manifest.realisation, as_float64(side.state(0)), truth, manifest.identity.dtype
    )
    looped = {**side.state(1), "cost": side.trace["cost"][0]}
    replayed = side.replay(digest, manifest.identity.dtype)
    names = [name for name in bounds if name == "cost" or name.startswith(("weights/", "slots/"))]
    labels = f"{side.label}'s loop", f"{side.label}'s replay"
    return [within("loop", f"{side.label} {name}", labels, looped, replayed, name, bounds[name]) for name in names]
