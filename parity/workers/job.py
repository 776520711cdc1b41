"""A worker's jobs: plain data that travels as JSON."""

from dataclasses import dataclass, replace
from pathlib import Path

from parity.experiment.nodes import Dense, Embedding, Initializer, Node
from parity.experiment.spec import Calling, Framework, Identity, Realisation
from parity.recordings.recording import PRETRAINED, PRETRAINING
from parity.steps.phases import PhaseName

# Whose pre-trained weights the training of a pair starts from: once a sample flips, those of the two differ.
PRETRAINED_BY: Framework = "torch"


@dataclass(frozen=True)
class RecordJob:
    """Train one side and record it in the folder `out`; paths are None for what is not read from a file."""

    experiment: str
    identity: Identity
    realisation: Realisation
    device: str
    out: Path
    # A folder with MNIST's files, or one where the framework's own loader keeps MNIST; without both, embedded digits.
    data: Path | None = None
    data_dir: Path | None = None
    initial_weights: Path | None = None
    batch_order: Path | None = None
    reference: Path | None = None
    # How many states on the way are kept, to be replayed, or at which steps.
    checkpoints: int | tuple[int, ...] = 12
    # The step from which on the run goes on from the state of `reference`.
    hand_over: int | None = None
    phase: PhaseName = "training"
    # How many twins measure the noise, and if none, why.
    twins: int = 0
    without_twins: str = "no twins were asked for"


def in_order(job: RecordJob, beside: Path | None = None) -> list[RecordJob]:
    """The jobs that a recording takes: its pre-training, if there is one, and the training that starts from its result.

    That is the one of the recording in the folder `beside`, where given, or its own.
    """
    if job.identity.pretraining is None:
        return [job]
    reference = None if job.reference is None else job.reference / PRETRAINING
    before = replace(job, phase="pretraining", out=job.out / PRETRAINING, reference=reference, hand_over=None, twins=0)
    return [before, replace(job, initial_weights=(beside or job.out) / PRETRAINING / PRETRAINED)]


def but_for_start(job: RecordJob) -> RecordJob:
    """The job without where it is recorded and what its weights begin with: with what its programs are made of."""
    zeros = Initializer("zeros", None)

    def without(node: Node) -> Node:
        if isinstance(node, Dense):
            return replace(node, kernel=zeros, bias=zeros)
        return replace(node, table=zeros) if isinstance(node, Embedding) else node

    model = tuple(map(without, job.identity.model))
    return replace(job, out=Path(), initial_weights=None, identity=replace(job.identity, model=model))


@dataclass(frozen=True)
class ReplayJob:
    """Replay the checkpoints of another recording, `reference`, and add what came of it to what `record` recorded."""

    record: RecordJob
    reference: Path


@dataclass(frozen=True)
class DiagnoseJob:
    """Replay checkpoints of the recording in the folder `owner` in float64, as each of the `realisations` has them.

    Or, where `owner` is what a PassJob wrote, steps that are in it.
    The file `out` is written with what came of it, by the positions in both tuples: the summary
    (parity/bounds/measure.py) `<realisation>/<step>/float64/<column>`, and `<realisation>/<step>/samples`, how many the
    batch has. `record` is the job of the side that replays.
    """

    record: RecordJob
    owner: Path
    steps: tuple[int, ...]
    realisations: tuple[Realisation, ...]
    out: Path


@dataclass(frozen=True)
class TensorsJob:
    """Write, in full and in float64, what a step gives from a checkpoint of the recording in the folder `owner`.

    The file `out` holds `indices`, `inputs` and `given`, and as they lie on the device `used/<name>`; `state/<name>`;
    `stages/<name>`, each stage fed what was recorded, with `bounds/<name>` (parity/bounds/stages.py), as `realisation`
    has it; and of a step as a whole, `whole/<name>` as replayed, `loop/<name>` as the training loop takes it, and
    `repeated/<name>` as it does so again after another step, with `loop_bounds/<name>` (parity/bounds/whole_step.py).
    With `ahead`, it is all of the step so many further on, to which the training loop goes first, and nothing was
    recorded there. `record` is the job of the side that is asked.
    """

    record: RecordJob
    owner: Path
    step: int
    realisation: Realisation
    out: Path
    ahead: int = 0


@dataclass(frozen=True)
class PassJob:
    """Go on, in float64, from the checkpoint at `start` of the side's own recording in the folder `owner`.

    The file `out` holds what other sides' stages are fed of each of the `steps`, which ascend: `<step>/state/<name>`
    before it, and `<step>/whole/<name>` as replayed.
    """

    record: RecordJob
    owner: Path
    start: int
    steps: tuple[int, ...]
    out: Path


@dataclass(frozen=True)
class DrawJob:
    """Draw the identity's initial weights with the framework's own initializers, into the file `out`."""

    identity: Identity
    calling: Calling
    out: Path
