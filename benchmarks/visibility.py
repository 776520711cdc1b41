"""Is a fault visible at all? Decided in one framework, clean against faulty, in float64, with no judge involved.

A fault is visible if a cost, an epoch's cost, or an accuracy or loss of an evaluation of the faulty run is further from
the clean run's than FACTOR times what rounding may make of it by then. That is measured: by two clean runs that start
from the next number above and below each weight. What acts only where a state is saved, restored or replayed is not
visible so. With pre-training, it is the run that is looked at: nothing is planted behind it.

Other tools' rules are shown the runs in float32. There, some faults of precision change no number at all.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.judged import jobs
from benchmarks.planted import Planter
from benchmarks.rules import HISTORIES
from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.experiment.spec import Experiment
from parity.recordings.recording import Recording
from parity.workers.job import RecordJob

Trace = Mapping[str, NDArray[Any]]
# Two measurements of noise stand for all there might be.
FACTOR = 1000.0
LOOKED_AT = ("cost", *HISTORIES)


def plain_traces(planter: Planter, fault: str | None, experiment: Experiment) -> list[Trace]:
    """The trace of one framework's run in float64 with a fault; without, those of the clean run and its twins."""
    wide = replace(experiment, identity=replace(experiment.identity, dtype="float64"))
    return planter.traces(fault, first_job(wide, planter), (0, 1, -1) if fault is None else (0,))


def clean_trace(planter: Planter, experiment: Experiment) -> Trace:
    """The trace of one framework's clean run, in the experiment's own precision."""
    return planter.traces(None, first_job(experiment, planter), (0,))[0]


def first_job(experiment: Experiment, planter: Planter) -> RecordJob:
    """The job of a recording's first phase, of which nothing is written."""
    return jobs(experiment, planter.framework, Path(os.devnull), None)[0]


def changed(faulty: Recording, clean: Trace) -> bool:
    """Whether a recording has any number of what is looked at otherwise than the clean run of the same framework."""
    trace = (faulty.pretraining or faulty).trace
    return any(not np.array_equal(trace[name], clean[name], equal_nan=True) for name in LOOKED_AT if name in clean)


def visible(faulty: Trace, clean: Trace, beside: Sequence[Trace]) -> bool:
    """Whether anything that is looked at differs by more than rounding explains; `beside` are the clean runs' twins."""
    return any(
        parted(faulty[name], clean[name], [twin[name] for twin in beside]) for name in LOOKED_AT if name in clean
    )


def parted(x: NDArray[Any], y: NDArray[Any], beside: Sequence[NDArray[Any]]) -> bool:
    """Whether x is at any step further from y than FACTOR times what `beside` is, or has been, and y's rounding."""
    if x.shape != y.shape:
        return True
    with np.errstate(invalid="ignore"):
        # Where a twin's is no number, anything may be rounding.
        noise = np.nan_to_num(np.max([np.abs(twin - y) for twin in beside], axis=0), nan=np.inf)
        allowed = FACTOR * (np.maximum.accumulate(noise) + UNIT_ROUNDOFF["float64"] * np.abs(y))
        same = (x == y) | (np.isnan(x) & np.isnan(y)) | (np.abs(x - y) <= allowed)
    return not same.all()
