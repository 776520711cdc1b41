"""Faults, as edits of the code on either side, and where each must be found.

The list was written before the bounds of parity/bounds/stages.py were settled, and what joined it later before the
noise of trajectories was judged.
"""

from benchmarks.faults import choices, decisions, layers, precision, pretraining, runs, steps, updates
from benchmarks.faults.fault import Edit, Fault, Kind

PARTS = (layers, updates, choices, runs, pretraining, precision, decisions, steps)
FAULTS = {name: fault for part in PARTS for name, fault in part.FAULTS.items()}


def fault_called(name: str) -> Fault:
    """The fault of the list, or one at a step of its own (benchmarks/faults/steps.py)."""
    return FAULTS.get(name) or steps.named(name) or FAULTS[name]


__all__ = ["FAULTS", "PARTS", "Edit", "Fault", "Kind", "fault_called"]
