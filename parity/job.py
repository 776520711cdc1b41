"""What a worker is asked to do: plain data that travels as JSON."""

from dataclasses import dataclass
from pathlib import Path

from parity.spec import Identity, Realisation


@dataclass(frozen=True)
class RecordJob:
    """Train one side and record it in the folder `out`; paths are None for the embedded digits and drawn values."""

    experiment: str
    identity: Identity
    realisation: Realisation
    data: Path | None
    initial_weights: Path | None
    batch_order: Path | None
    device: str
    out: Path
