"""Faults, as edits of the code on either side, and where each must be found.

The list was written before the bounds of parity/bounds/stages.py were settled, and what joined it later before the
noise of trajectories was judged.
"""

from benchmarks.faults import choices, decisions, layers, precision, pretraining, runs, updates
from benchmarks.faults.fault import Edit, Fault, Kind

PARTS = (layers, updates, choices, runs, pretraining, precision, decisions)
FAULTS = {name: fault for part in PARTS for name, fault in part.FAULTS.items()}

__all__ = ["FAULTS", "PARTS", "Edit", "Fault", "Kind"]
