"""One full step from the common start state, on both sides, in float64 and float32.

For recordings that were made apart, with no reference: each side carries its own rounding from stage to stage, so the
bound is that of the whole step (parity/rounding.py), and only the start state is common.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.recording import Arrays, Recording
from parity.rounding import step_bounds
from parity.spec import DTYPES, Dtype, Identity
from parity.verdict.checks import Check, Level

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
                check = within("lockstep", f"{dtype} {name}", (a.label, b.label), ours, theirs, name, bound)
                found.append(after_the_end(check) if follows_no_number(name, ours, theirs) else check)
    return found


def as_float64(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Floats widened, integers as they are."""
    return {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in arrays.items()}


def expected(identity: Identity) -> list[str]:
    """The names of a replay's tensors."""
    return [
        *EXACT,
        *(f"outputs/{node.name}" for node in identity.model),
        *(f"statistics/{name}" for name in identity.statistics),
        "cost",
        *(f"deltas/{node.name}" for node in identity.model),
        *(f"gradients/{name}" for name in identity.weights),
        *(f"slots/{slot}/{name}" for slot in identity.optimizer.slots for name in identity.weights),
        *(f"weights/{name}" for name in identity.weights),
    ]


def missing(identity: Identity, replay: Mapping[str, Any]) -> list[str]:
    """The expected tensors that a replay lacks."""
    return [name for name in expected(identity) if name not in replay]


def unmatched(identity: Identity, dtype: Dtype, ours: Arrays, theirs: Arrays) -> list[Check]:
    """A failure for every tensor that a side lacks or should not have, and for inputs, labels or step that differ."""
    names = dict.fromkeys([*expected(identity), *sorted(ours), *sorted(theirs)])
    wanted = set(expected(identity))
    found = [
        failed("lockstep", f"{dtype} {name}", name, "it is missing on a side, or is not expected")
        for name in names
        if not (name in ours and name in theirs and name in wanted)
    ]
    for name in EXACT:
        if name in ours and name in theirs and not np.array_equal(ours[name], theirs[name]):
            reason = "the replays did not start from the same values"
            found.append(failed("lockstep", f"{dtype} {name}", name, reason))
    return found


def follows_no_number(name: str, ours: Arrays, theirs: Arrays) -> bool:
    """Whether a tensor comes after a cost that is no number on either side: the cost itself, or what is made of it.

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


def within(
    level: Level, name: str, labels: tuple[str, str], ours: Arrays, theirs: Arrays, key: str, bound: NDArray[Any]
) -> Check:
    """Two tensors no further apart than `bound`, elementwise; measured and bound are those of the worst element."""
    if key not in ours or key not in theirs:
        return failed(level, name, key, "it is missing; record the run again")
    x, y = ours[key].astype(np.float64), theirs[key].astype(np.float64)
    if not x.shape == y.shape == bound.shape or x.size == 0:
        shapes = f"{labels[0]} has shape {x.shape}, {labels[1]} {y.shape}, expected {bound.shape}"
        return failed(level, name, key, shapes)
    both_nan = np.isnan(x) & np.isnan(y)
    ratio = share_of_bound(x, y, bound)
    ratio[both_nan] = 0
    worst = np.unravel_index(np.argmax(ratio), ratio.shape)
    where = f"{key}[{', '.join(map(str, worst))}]" if worst else key
    values = f"{labels[0]} {x[worst]:.17g}, {labels[1]} {y[worst]:.17g}"
    numbers = np.abs(x[worst] - y[worst]) if ratio[worst] else 0.0, bound[worst]
    measured, allowed = (float(number) if np.isfinite(number) else None for number in numbers)
    if not ratio[worst] <= 1:
        reason = f"{values}: {ratio[worst]:.2g} times what rounding explains"
        return Check(name, level, "failed", measured, allowed, where, reason)
    if both_nan.any():
        reason = f"{np.count_nonzero(both_nan)} of {x.size} elements are NaN on both sides"
        return Check(name, level, "not_judged", measured, allowed, where, reason)
    return Check(name, level, "passed", measured, allowed, where, f"{values}: within rounding")


def share_of_bound(x: NDArray[Any], y: NDArray[Any], bound: NDArray[Any]) -> NDArray[Any]:
    """|x - y| / bound, elementwise: 0 for equal values, infinities included; infinite where the bound is no number."""
    with np.errstate(all="ignore"):
        allowed = np.where(np.isfinite(bound), bound, 0.0)
        ratio = np.where(x == y, 0.0, np.abs(x - y) / allowed)
    return np.atleast_1d(np.where(np.isnan(ratio), np.inf, ratio)).reshape(x.shape)
