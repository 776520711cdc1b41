"""What a worker is asked to do: plain data that travels as JSON."""

from dataclasses import dataclass
from pathlib import Path

from parity.spec import Calling, Identity, Realisation


@dataclass(frozen=True)
class RecordJob:
    """Train one side and record it in the folder `out`; paths are None for what is not read from a file."""

    experiment: str
    identity: Identity
    realisation: Realisation
    device: str
    out: Path
    data: Path | None = None
    initial_weights: Path | None = None
    batch_order: Path | None = None
    reference: Path | None = None
    # How many states on the way are kept, to be replayed, or at which steps.
    checkpoints: int | tuple[int, ...] = 12
    # The step from which on the run goes on from the state of `reference`.
    hand_over: int | None = None


@dataclass(frozen=True)
class ReplayJob:
    """Replay the checkpoints of another recording, `reference`, and add what came of it to what `record` recorded."""

    record: RecordJob
    reference: Path


@dataclass(frozen=True)
class DrawJob:
    """Draw the identity's initial weights with the framework's own initializers, into the file `out`."""

    identity: Identity
    calling: Calling
    out: Path
