"""The noise of a run: how far its twins are from it and from each other, on either side.

A twin is the same run of the same framework, its weights moved after every step by as much as rounding moved them, or,
the last one's, by more (parity/worker/twins.py). Two frameworks may be as far apart; what is far more has another
cause.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.recordings.recording import Arrays, Recording

Costs = NDArray[np.float64]
# How many steps before and after a step make the mean cost that differences are held against.
REACH = 25
# Of so many checkpoints, up to a step, the largest rounding of a cost stands for that step: of one it may be zero.
RECENT = 3


def missing(a: Recording, b: Recording) -> str | None:
    """Why there is no noise to judge by; None where a side has twins."""
    for side in (a, b):
        if side.manifest.twins and not side.checkpoints:
            return f"{side.label} has twins and no checkpoint, at which their noise was measured; record it again"
    if a.manifest.twins or b.manifest.twins:
        return None
    return f"no noise was measured: {'; '.join(f'{side.label}, {side.manifest.without_twins}' for side in (a, b))}"


def runs(side: Recording) -> list[Arrays]:
    """A side's run and its twins, each with the arrays of a trace."""
    found = side.twins() or {}
    twins = [{name: found[name][i] for name in found if name in side.trace} for i in range(side.manifest.twins)]
    return [side.trace, *twins]


def quiet(side: Recording) -> list[Arrays]:
    """A side's run and those of its twins that are moved no more than rounding moves it."""
    return runs(side)[: max(1, side.manifest.twins)]


def ends(side: Recording) -> set[bool]:
    """Whether the last cost of a side's runs is a finite number: of some it may be, and of others not."""
    return {bool(np.isfinite(costs(run)[-1])) for run in runs(side)}


def costs(run: Arrays) -> Costs:
    """[steps]: what each step of a run cost."""
    return run["cost"].astype(np.float64)


def finite_steps(a: Recording, b: Recording) -> int:
    """How many steps there are before the first whose cost is not a finite number, in any run or twin."""
    finite = np.all([np.isfinite(costs(run)) for side in (a, b) for run in runs(side)], axis=0)
    return len(finite) if finite.all() else int(np.argmin(finite))


def smoothed(a: Recording, b: Recording, steps: int) -> Costs:
    """[steps]: the mean of both sides' costs around each step."""
    # Shares first, since the sum of large costs may overflow.
    mean = sum(np.abs(costs(side.trace)[:steps]) / 2 for side in (a, b))
    return np.convolve(np.pad(mean, REACH, mode="edge"), np.full(2 * REACH + 1, 1 / (2 * REACH + 1)), mode="valid")


def envelope(a: Recording, b: Recording, steps: int) -> Costs:
    """[steps]: the largest difference so far between a twin's cost and its run's, on either side."""
    with np.errstate(over="ignore"):
        apart = [
            np.abs(costs(twin)[:steps] - costs(run)[:steps]) for run, *twins in map(runs, (a, b)) for twin in twins
        ]
    return np.maximum.accumulate(np.max(apart, axis=0))


def rounding(a: Recording, b: Recording, scale: Costs) -> Costs:
    """[steps]: what rounding makes of a cost itself, measured at checkpoints, and at least that of its `scale`."""
    found = UNIT_ROUNDOFF[a.manifest.identity.dtype] * scale
    for side in (a, b):
        twins = side.twins()
        if twins is not None:
            measured = twins["cost_rounding"]
            recent = np.array([measured[max(0, i - RECENT + 1) : i + 1].max() for i in range(len(measured))])
            last = np.searchsorted(list(side.checkpoints), np.arange(len(scale)), side="right") - 1
            last = np.maximum(last, 0)
            found = np.maximum(found, recent[last])
    return found


def allowed(a: Recording, b: Recording, steps: int) -> Costs:
    """[steps]: the noise of the costs so far: how far twins are from their runs, and a cost's own rounding."""
    return envelope(a, b, steps) + rounding(a, b, smoothed(a, b, steps))


def pairs(a: Recording, b: Recording) -> list[tuple[Arrays, Arrays]]:
    """Every two runs of one side: twin and run, twin and twin."""
    return [pair for side in (a, b) for pair in combinations(runs(side), 2)]


def described(a: Recording, b: Recording) -> str:
    """How many twins there are of each side."""
    return " and ".join(f"{side.manifest.twins} of {side.label}" for side in (a, b) if side.manifest.twins)
