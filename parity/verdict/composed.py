"""One full step from the common start state, on both sides, in float64 and float32.

For recordings that were made apart, with no reference: each side carries its own rounding from stage to stage, so the
bound is that of the whole step (parity/bounds/whole_step.py), and only the start state is common.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.measure import worst
from parity.bounds.stages import results
from parity.bounds.whole_step import BOTH, step_bounds
from parity.experiment.spec import DTYPES, Dtype, Identity
from parity.recordings.recording import Arrays, Recording
from parity.verdict.checks import Check, Level, judge

# Integers, and what was given: equal on both sides.
EXACT = ("inputs", "labels", "step")


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check per tensor and precision: every layer's output, the cost, gradients, new weights and slots."""
    identity = a.manifest.identity
    truth = as_float64(a.start("float64"))
    found = []
    for dtype in DTYPES:
        ours, theirs = a.start(dtype), b.start(dtype)
        found += unmatched(identity, dtype, ours, theirs)
        if missing(identity, truth):
            # Without the whole step there is no bound; what is missing has been named.
            continue
        bounds = step_bounds(identity, a.manifest.realisation, as_float64(a.state(0)), truth, dtype)
        for name, bound in bounds.items():
            if name in ours and name in theirs:
                entry = worst(ours[name], theirs[name], bound)
                labels = a.label, b.label
                where = f"step 0, {name}"
                check = judge("lockstep", f"{dtype} {name}", where, bound.scale.shape, entry, BOTH, dtype, labels)
                # What is judged is neither side's alone.
                check = replace(check, side=None)
                found.append(after_the_end(check) if follows_no_number(name, ours, theirs) else check)
    return found


def as_float64(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Floats widened, integers as they are."""
    return {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in arrays.items()}


def expected(identity: Identity) -> list[str]:
    """The names of a replay's tensors."""
    return [*EXACT, *(result.name for result in results(identity))]


def missing(identity: Identity, replay: Mapping[str, Any]) -> list[str]:
    """The expected tensors that a replay lacks."""
    return [name for name in expected(identity) if name not in replay]


def unmatched(identity: Identity, dtype: Dtype, ours: Arrays, theirs: Arrays) -> list[Check]:
    """A failure for every tensor that a side lacks or should not have, and for inputs, labels or step that differ."""
    names = dict.fromkeys([*expected(identity), *sorted(ours), *sorted(theirs)])
    wanted = set(expected(identity))
    found = [
        failed("lockstep", f"{dtype} {name}", f"step 0, {name}", "it is missing on a side, or is not expected")
        for name in names
        if not (name in ours and name in theirs and name in wanted)
    ]
    for name in EXACT:
        if name in ours and name in theirs and not np.array_equal(ours[name], theirs[name]):
            reason = "the replays did not start from the same values"
            found.append(failed("lockstep", f"{dtype} {name}", f"step 0, {name}", reason))
    return found


def follows_no_number(name: str, ours: Arrays, theirs: Arrays) -> bool:
    """Whether a tensor comes after a cost that is not finite on either side: the cost itself, or what is made of it.

    From there on the frameworks may differ in which element is NaN: of a gradient NaN, TensorFlow's ReLU makes
    NaN * 0 = NaN where torch's makes 0.
    """
    costs = ours.get("cost"), theirs.get("cost")
    ended = all(cost is not None and not np.isfinite(cost).all() for cost in costs)
    return ended and not name.startswith(("outputs/", "statistics/"))


def after_the_end(check: Check) -> Check:
    """A check that nothing can be learned from."""
    reason = "the cost is not a finite number on both sides, which proves nothing; try another seed or a stable cost"
    return replace(check, result="not_judged", measured=None, bound=None, reason=reason)


def failed(level: Level, name: str, where: str, reason: str) -> Check:
    """A failure without a number."""
    return Check(name, level, "failed", None, None, where, reason)
