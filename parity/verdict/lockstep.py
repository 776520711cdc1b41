"""One full step from the recorded start state, on both sides, in float64 and float32.

Composed: each side carries its own rounding from layer to layer, so the bound is that of the whole step (see
`rounding`). Judging stage by stage on recorded inputs, at more checkpoints than the start, is still to come.
"""

import numpy as np

from parity.recording import Arrays, Recording
from parity.spec import Dtype
from parity.verdict.checks import Check
from parity.verdict.rounding import step_bounds

DTYPES: tuple[Dtype, ...] = ("float64", "float32")


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check per tensor and precision: every layer's output, the cost, gradients, new weights and slots."""
    digest = a.manifest.digests["start"]
    state = as_float64(a.state(0))
    truth = as_float64(a.replay(digest, "float64"))
    found = []
    for dtype in DTYPES:
        bounds = step_bounds(a.manifest.identity, a.manifest.realisation, state, truth, dtype)
        ours, theirs = a.replay(digest, dtype), b.replay(digest, dtype)
        found += unmatched(dtype, ours, theirs, set(bounds))
        found += [within(f"{dtype} {name}", a, b, ours, theirs, name, bound) for name, bound in bounds.items()]
    return found


def as_float64(arrays: Arrays) -> dict[str, np.ndarray]:
    """Floats rounded to float32, as a replay starts from them, then widened; integers as they are."""
    return {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in arrays.items()}


def unmatched(dtype: Dtype, ours: Arrays, theirs: Arrays, expected: set[str]) -> list[Check]:
    """A failure for every tensor that one side lacks, and for inputs, labels or step that differ."""
    exact = {"inputs", "labels", "step"}
    names = sorted((set(ours) | set(theirs) | expected | exact) - (set(ours) & set(theirs) & (expected | exact)))
    found = [failed(f"{dtype} {name}", name, "it stands on one side only, or is not expected") for name in names]
    for name in sorted(exact & set(ours) & set(theirs)):
        if not np.array_equal(ours[name], theirs[name]):
            found.append(failed(f"{dtype} {name}", name, "the replays did not start from the same values"))
    return found


def failed(name: str, where: str, reason: str) -> Check:
    """A failure without a number."""
    return Check(name, "lockstep", "failed", None, None, where, reason)


def within(name: str, a: Recording, b: Recording, ours: Arrays, theirs: Arrays, key: str, bound: np.ndarray) -> Check:
    """Two tensors no further apart than `bound`, elementwise; measured and bound are those of the worst element."""
    if key not in ours or key not in theirs:
        return failed(name, key, "it is missing; record the run again")
    x, y = ours[key].astype(np.float64), theirs[key].astype(np.float64)
    if not x.shape == y.shape == bound.shape or x.size == 0:
        return failed(name, key, f"{a.label} has shape {x.shape}, {b.label} {y.shape}, expected {bound.shape}")
    both_nan = np.isnan(x) & np.isnan(y)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Equal infinities differ by NaN, and a bound that is not a number allows nothing.
        difference = np.where(x == y, 0.0, np.abs(x - y))
        ratio = np.where(difference == 0, 0.0, difference / np.nan_to_num(bound, nan=0.0, posinf=0.0))
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    ratio[both_nan] = 0
    worst = np.unravel_index(np.argmax(ratio), ratio.shape)
    where = f"{key}[{', '.join(map(str, worst))}]" if worst else key
    values = f"{a.label} {x[worst]:.17g}, {b.label} {y[worst]:.17g}"
    measured, allowed = (float(v) if np.isfinite(v) else None for v in (difference[worst], bound[worst]))
    if not ratio[worst] <= 1:
        reason = f"{values}: {ratio[worst]:.2g} times what rounding explains"
        return Check(name, "lockstep", "failed", measured, allowed, where, reason)
    if both_nan.any():
        reason = f"{np.count_nonzero(both_nan)} of {x.size} elements are NaN on both sides"
        return Check(name, "lockstep", "not_judged", measured, allowed, where, reason)
    return Check(name, "lockstep", "passed", measured, allowed, where, f"{values}: within rounding")
