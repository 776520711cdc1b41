"""The on-disk format of one side's run: write, read, check.

A recording is a folder:
    manifest.json               what was run, where, with what; the SHA-256 of every other file; the status
    trace.safetensors           `cost` [steps] of the run's dtype: mean cost of the step's batch, before its update
                                `consumed/indices`, `inputs`, `labels` [steps] int64, `masks` where there is dropout:
                                checksums of what each step used
                                `epoch_cost` [epochs] float64: mean of the epoch's costs, as the schedule says
                                `accuracy` [epochs] float64: share of the test set classified correctly at its end
                                `test_loss` [epochs] float64: the loss on it there, in eval mode, as the schedule says
                                `train_accuracy`, `train_loss` [epochs] float64: the same on the training set, the loss
                                the mean of its samples'; [0] where the schedule does not ask for it
                                `predictions`, `test_labels` [test samples] int64: classes predicted at the end of the
                                run, and the true ones
                                `undecided` [test samples] bool: whether rounding decides that class
                                `test_output` [test samples, units] of the run's dtype: what the model makes of them
    states/<step>.safetensors   weights, slots and step after that many updates (see tf_impl/state.py), at checkpoints
    loop.safetensors            the loop's own step from each checkpoint against the replayed one (bounds/measure.py)
    watch.safetensors           the steps between checkpoints, taken again by replayed steps (worker/watch.py): `stops`
                                [stretches + 1] int64, the checkpoints and the end; `outcome` [stretches] int64, one of
                                the constants below; `until` [stretches] int64, the step up to which a stretch was
                                watched; and of steps at which loop and replay part, the same as in loop.safetensors
    lockstep/<key>.safetensors  a checkpoint, of this recording or another one, replayed here stage by stage
    twins.safetensors           of reruns whose weights were moved by rounding's size at every step, the last one's by
                                more (parity/worker/twins.py):
                                `cost` [twins, steps], `epoch_cost`, `accuracy`, `test_loss` [twins, epochs],
                                `predictions`, `test_output` [twins, ...] as in the trace, and `cost_rounding`
                                [checkpoints] float64, how far the run's precision moved each checkpoint's cost
    flow.safetensors            each dense layer's gradient norm and dead units at checkpoints (worker/gradient_flow.py)
    segments/<key>.safetensors  what the loop's steps from such a checkpoint cost here in float64: `costs` [steps]; and
                                `noise` [steps], what rounding may make of them, measured by the checkpoint's owner;
                                `outputs` [batch, units] of the model in eval mode, and their `outputs_noise` [];
                                `evaluation` and `evaluation_noise`, [4] at the last checkpoint and [0] at others:
                                accuracy and loss on the test set and, where asked for, on the training set
    evidence/<step>.safetensors what every stage of a checkpoint's step gave in float64, which others are fed
    evidence/start-<dtype>.safetensors   the step from the start state: `inputs`, `labels` and what replay.py returns
    pretraining/                where there is pre-training, its recording, in the same format, but without flow and
                                start; its costs are reconstruction errors, and there are `consumed/uniforms` in place
                                of labels, accuracy and predictions
    pretraining/pretrained.safetensors   the weights it gave, named as --initial-weights takes them
The evidence is large, needed only to be compared with recordings made elsewhere, and not kept by parity.run.

Nothing is pickled, and nothing read is believed before it is checked: every file that the manifest lists is read, and
none by another name than those above; no link is followed; and what two files say must be the same
(parity/recordings/consistency.py). What was listed under evidence/ may have been deleted. A recording counts only if
its manifest says `complete`, which is written last: a killed process leaves one that says it is not.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from parity.data import sources
from parity.errors import IncomparableError, UsageError
from parity.experiment import spec
from parity.experiment.spec import DTYPES, LABELS, Framework, Identity, Realisation
from parity.experiment.validation import STRICT
from parity.recordings import consistency
from parity.recordings.files import read_file, unpack, write_whole
from parity.steps import layout, phases
from parity.steps.phases import Phase, PhaseName

FORMAT = 10
MANIFEST = "manifest.json"
TRACE = "trace.safetensors"
LOOP = "loop.safetensors"
WATCH = "watch.safetensors"
TWINS = "twins.safetensors"
FLOW = "flow.safetensors"
# What comes of watching a stretch of steps: all are the replayed ones to the bit, or all but some that are judged by
# themselves; some were not watched, since loop and replay part too often; or the loop does not repeat itself.
EQUAL, PARTED, UNWATCHED, UNREPEATED = range(4)
EVIDENCE = "evidence"
PRETRAINING, PRETRAINED = "pretraining", "pretrained.safetensors"
# What is read at most, in bytes: an ordinary file of a run has some MB, a manifest some KB.
LARGEST_FILE, LARGEST_MANIFEST = 2**30, 2**20
LONGEST_TEXT = 500
Arrays = Mapping[str, NDArray[Any]]
Status = Literal["recording", "complete", "interrupted", "failed"]


@dataclass(frozen=True)
class Manifest:
    """The run and its conditions. `files` maps each file to its SHA-256."""

    __pydantic_config__ = STRICT
    format: int
    status: Status
    experiment: str
    phase: PhaseName
    framework: Framework
    identity: Identity
    realisation: Realisation
    # Of the identity, data, start state and batch order: what preflight compares.
    digests: dict[str, str]
    # Effective numerical settings, in terms both frameworks share.
    precision: dict[str, str]
    device: str
    # The step from which on the run went on from another recording's state.
    hand_over: int | None
    # Versions, threads, machine: shown, not compared.
    environment: dict[str, Any]
    # Wall-clock seconds by phase.
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0
    files: dict[str, str] = field(default_factory=dict)
    # The key of each checkpoint by its step: what joins its replays in other recordings.
    checkpoints: dict[str, str] = field(default_factory=dict)
    # How many twins there are, and if none, why.
    twins: int = 0
    without_twins: str = "the run was not finished"
    # The step of each checkpoint, its own or another recording's, that was replayed here, by its key.
    replays: dict[str, int] = field(default_factory=dict)
    # What the data are called (parity/data/sources.py); recordings from before it was kept do not say.
    data_source: str = ""

    def __post_init__(self) -> None:
        texts = self.experiment, self.digests, self.precision, self.device, self.environment, self.without_twins
        require_printable([*texts, self.data_source, self.checkpoints, self.replays])
        if self.phase == "pretraining" and self.identity.pretraining is None:
            raise ValueError("the experiment has no pre-training")
        for step in self.checkpoints:
            if not (step.isascii() and step.isdigit() and str(int(step)) == step):
                raise ValueError(f"a checkpoint is a step, not {step!r:.60}")
        for key in (*self.checkpoints.values(), *self.replays):
            # It becomes part of a file's name.
            if not re.fullmatch("[0-9a-f]{64}", key):
                raise ValueError(f"a checkpoint's key is a SHA-256, not {key!r:.60}")


def require_printable(value: Any) -> None:
    """Raise ValueError if a text anywhere in `value` could move a terminal's cursor, break a report or fill it."""
    if isinstance(value, dict):
        require_printable([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for item in value:
            require_printable(item)
    elif isinstance(value, str) and not (value.isprintable() and len(value) <= LONGEST_TEXT):
        raise ValueError(f"a text is not printable or longer than {LONGEST_TEXT} characters: {value!r:.60}")


MANIFESTS: TypeAdapter[Manifest] = TypeAdapter(Manifest)


class Recorder:
    """Writes one recording. Every file appears whole under its name or not at all."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def begin(cls, folder: Path, manifest: Manifest) -> "Recorder":
        """A new recording in `folder`, which must hold none."""
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / MANIFEST).exists():
            raise UsageError(f"{folder} already holds a recording; give a new folder")
        recorder = cls(folder, manifest)
        recorder.finish(manifest.status)
        return recorder

    def save(self, name: str, arrays: Arrays) -> None:
        """Write `arrays` to the file `name` of the recording."""
        self.manifest.files[name] = self._write(name, arrays)

    def save_replay(self, step: int, key: str, summaries: Arrays) -> None:
        """Write what came of the replay of a checkpoint."""
        self.save(lockstep_file(key), summaries)
        self.manifest.replays[key] = step

    def save_segment(self, key: str, arrays: Arrays) -> None:
        """Write what the loop's steps from a checkpoint cost."""
        self.save(segment_file(key), arrays)

    def save_evidence(self, step: int, key: str, arrays: Arrays) -> None:
        """Write what the stages gave at a checkpoint; the file may be deleted, its key stays."""
        self._write(evidence_file(step), arrays)
        self.manifest.checkpoints[str(step)] = key

    def _write(self, name: str, arrays: Arrays) -> str:
        """Write one file and return the SHA-256 of its content."""
        content = safetensors.numpy.save({key: np.asarray(value, order="C") for key, value in arrays.items()})
        write_whole(self.folder / name, content)
        return hashlib.sha256(content).hexdigest()

    def finish(self, status: Status, **changes: Any) -> None:
        """Set the status and other fields of the manifest."""
        self.manifest = replace(self.manifest, status=status, **changes)
        text = json.dumps(asdict(self.manifest), indent=2, allow_nan=False)
        write_whole(self.folder / MANIFEST, text.encode())

    def abandon(self, status: Status) -> None:
        """Set the status if that can be written; where it cannot, the manifest still says that it is not complete."""
        with contextlib.suppress(UsageError):
            self.finish(status)


@dataclass(frozen=True)
class Recording:
    """A complete recording, read and checked; arrays of states and replays are read when asked for."""

    folder: Path
    manifest: Manifest
    trace: Arrays
    # How the side is called in reports.
    label: str
    pretraining: "Recording | None" = field(default=None, kw_only=True)

    @property
    def data_source(self) -> str:
        """The name of the data."""
        identity, digest = self.manifest.identity, self.manifest.digests.get("data", "")
        return self.manifest.data_source or sources.known(identity.data, digest) or "a folder's own files, not MNIST"

    @property
    def lengths(self) -> dict[str, int]:
        """How many values each array of the trace holds."""
        return {key: len(array) for key, array in self.trace.items()}

    @property
    def phase(self) -> Phase:
        """The trace: what was done at each step."""
        return phases.phase(self.manifest.phase, self.manifest.identity, self.trace["cost"].size)

    def state(self, step: int) -> dict[str, NDArray[Any]]:
        """The state after `step` updates."""
        state, identity = self.load(state_file(step)), self.manifest.identity
        known = self.phase.shapes(step)
        layout.check_step(f"{self.folder / state_file(step)}", identity, known, state, identity.dtype)
        if int(state.get("step", -1)) != step:
            raise IncomparableError(f"{self.folder / state_file(step)} is of another step; record the run again")
        return state

    def start(self, dtype: str) -> dict[str, NDArray[Any]]:
        """The step from the start state in `dtype`, to which the state's values were converted first."""
        replay = self.load(start_file(dtype))
        where = f"{self.folder / start_file(dtype)}"
        layout.check_step(where, self.manifest.identity, self.phase.shapes(0), replay, dtype)
        return replay

    @property
    def starts(self) -> list[str]:
        """The precisions in which there is a step from the start state: what `drop_evidence` deletes stays listed."""
        return [
            d for d in DTYPES if start_file(d) in self.manifest.files and os.path.lexists(self.folder / start_file(d))
        ]

    @property
    def checkpoints(self) -> dict[int, str]:
        """The key of each checkpoint by its step, in order."""
        return {
            int(step): key for step, key in sorted(self.manifest.checkpoints.items(), key=lambda item: int(item[0]))
        }

    def checkpoint(self, step: int) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """The state of a checkpoint, and what the stages of its step gave in float64."""
        where = self.folder / evidence_file(step)
        if not where.is_file():
            raise UsageError(f"{self.folder} holds no {evidence_file(step)}; a reference is made by parity.record")
        evidence = unpack(where, read_file(self.folder, evidence_file(step), LARGEST_FILE))
        known = self.phase.shapes(step)
        layout.check_step(f"{where}", self.manifest.identity, known, evidence, "float64")
        state = self.state(step)
        layout.require_whole(f"{where} and {state_file(step)}", known, {**state, **evidence})
        if key(state, evidence) != self.checkpoints.get(step):
            raise IncomparableError(f"{where} was changed after it was recorded; record the run again")
        return state, evidence

    def replayed(self, key: str) -> dict[str, NDArray[Any]] | None:
        """The summaries of a checkpoint's replay here, `<dtype>/<column>`; None if it was not replayed."""
        if key not in self.manifest.replays:
            return None
        name = lockstep_file(key)
        arrays = self.load(name)
        count = len(self.phase.results(self.manifest.replays[key]))
        layout.check_summaries(f"{self.folder / name}", count, arrays)
        return arrays

    def has_evidence(self, step: int) -> bool:
        """Whether what a checkpoint's step gave is still there, so that `checkpoint` gives it."""
        return (self.folder / evidence_file(step)).is_file()

    def segment(self, key: str) -> dict[str, NDArray[np.float64]] | None:
        """The costs of the loop's steps from a checkpoint, and its outputs, as listed above; None if it was not run."""
        name = segment_file(key)
        if name not in self.manifest.files:
            return None
        arrays = self.load(name)
        layout.check_segment(f"{self.folder / name}", self.phase.evaluated, arrays)
        return arrays

    def loop(self) -> dict[str, NDArray[Any]]:
        """The summaries of the loop's steps against the replayed ones: `<step>/<column>`."""
        arrays = self.load(LOOP)
        layout.check_loop(f"{self.folder / LOOP}", len(self.phase.looped()), arrays)
        return arrays

    def watch(self) -> dict[str, NDArray[Any]]:
        """What came of the steps between checkpoints, as listed above."""
        arrays = self.load(WATCH)
        layout.check_watch(f"{self.folder / WATCH}", len(self.phase.looped()), len(self.checkpoints), arrays)
        return arrays

    def flow(self) -> dict[str, NDArray[Any]]:
        """Each dense layer's `gradient_norm` and `dead_units` [checkpoints, layers], and the checkpoints' `steps`."""
        arrays = self.load(FLOW)
        layout.check_flow(f"{self.folder / FLOW}", self.manifest.identity, list(self.checkpoints), arrays)
        return arrays

    def pretrained(self) -> dict[str, NDArray[Any]]:
        """The weights that a pre-training gave, by the names that they have in its states."""
        arrays, names = self.load(PRETRAINED), layout.file_names(self.manifest.identity)
        if set(arrays) != set(names):
            raise IncomparableError(f"{self.folder / PRETRAINED} does not hold the weights of all layers")
        return {f"weights/{names[name]}": value for name, value in arrays.items()}

    def twins(self) -> dict[str, NDArray[Any]] | None:
        """The traces of the twins, as listed above; None where there are none."""
        if not self.manifest.twins:
            return None
        arrays = self.load(TWINS)
        layout.check_twins(f"{self.folder / TWINS}", self.manifest.twins, len(self.checkpoints), self.trace, arrays)
        return arrays

    def load(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of one file that the manifest lists, its digest checked."""
        if name not in self.manifest.files:
            raise IncomparableError(f"{self.folder} holds no {name}; record the run again")
        content = read_file(self.folder, name, LARGEST_FILE)
        if hashlib.sha256(content).hexdigest() != self.manifest.files[name]:
            raise IncomparableError(f"{self.folder / name} was changed after it was recorded; record the run again")
        return unpack(self.folder / name, content)


def read(folder: Path, phase: PhaseName = "training") -> Recording:
    """The complete recording of a phase in `folder`, that of a training with its pre-training.

    Raises UsageError if there is none, IncomparableError if it is not whole.
    """
    if not os.path.lexists(folder / MANIFEST):
        raise UsageError(f"{folder} holds no recording (no {MANIFEST}); give a folder that parity.record wrote")
    try:
        manifest = MANIFESTS.validate_json(read_file(folder, MANIFEST, LARGEST_MANIFEST), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "text"
        raise IncomparableError(f"{folder / MANIFEST} is not valid ({where}: {first['msg']})") from error
    if manifest.format != FORMAT:
        raise IncomparableError(f"{folder} has format {manifest.format}, and this version reads format {FORMAT}")
    if manifest.status != "complete":
        raise IncomparableError(f"{folder} is not a complete recording (status: {manifest.status}); record it again")
    if manifest.phase != phase:
        raise UsageError(f"{folder} holds the {manifest.phase} of a recording, not its {phase}; give another folder")
    recording = Recording(folder, manifest, {}, LABELS[manifest.framework])
    trace = recording.load(TRACE)
    steps, epochs = (trace[name].size if name in trace else 0 for name in ("cost", "epoch_cost"))
    known = phases.phase(phase, manifest.identity, steps)
    layout.check_trace(f"{folder / TRACE}", known.schedule, known.traced(steps, epochs), trace)
    recording = replace(recording, trace=trace)
    computed = {"identity": spec.digest(manifest.identity), "start": digest(recording.state(0))}
    for name, value in computed.items():
        if manifest.digests.get(name) != value:
            raise IncomparableError(f"{folder / MANIFEST}: the digest of {name} is not that of the recording")
    check_listed(recording)
    consistency.check(recording)
    if phase == "training" and manifest.identity.pretraining is not None:
        if (folder / PRETRAINING).is_symlink():
            raise IncomparableError(f"{folder / PRETRAINING} is a link, and links lead out of the recording")
        before = read(folder / PRETRAINING, "pretraining")
        if before.manifest.identity != manifest.identity or before.manifest.framework != manifest.framework:
            raise IncomparableError(f"{before.folder} is not the pre-training of {folder}; record the run again")
        recording = replace(recording, pretraining=before)
    return recording


def check_listed(recording: Recording) -> None:
    """Refuse a manifest that lists a file which is none of this format's, or lacks one that must be there."""
    folder, manifest = recording.folder, recording.manifest
    needed, allowed = known_files(manifest, recording.trace["cost"].size)
    for name in manifest.files:
        if name not in needed | allowed:
            raise IncomparableError(f"{folder / MANIFEST} lists {name!r:.60}, which is no file of this recording")
    for name in sorted(needed - set(manifest.files)):
        raise IncomparableError(f"{folder} holds no {name}; record the run again")


def known_files(manifest: Manifest, steps: int) -> tuple[set[str], set[str]]:
    """The files that a recording of so many steps lists: those it must have, and those it may have."""
    training, keys = manifest.phase == "training", manifest.checkpoints.values()
    needed = {TRACE, LOOP, WATCH, FLOW if training else PRETRAINED} | {TWINS for _ in range(min(1, manifest.twins))}
    needed |= {state_file(step) for step in (*map(int, manifest.checkpoints), steps)}
    needed |= {lockstep_file(key) for key in manifest.replays} | {segment_file(key) for key in keys}
    return needed, {start_file(dtype) for dtype in DTYPES} | {segment_file(key) for key in manifest.replays}


def told_apart(a: Recording, b: Recording) -> tuple[Recording, Recording]:
    """Two recordings with different labels: of one framework the versions, of one version the folders."""
    for label in (lambda side: side.label, versioned, lambda side: str(side.folder)):
        if label(a) != label(b):
            return replace(a, label=label(a)), replace(b, label=label(b))
    # One folder, compared with itself.
    return a, b


def versioned(side: Recording) -> str:
    """ "Keras 3.15.1" or "torch 2.15.0", as far as the recording says."""
    return f"{side.label} {side.manifest.environment.get(side.label.lower(), 'of unknown version')}"


def drop_evidence(folder: Path) -> None:
    """Delete what only replays elsewhere need of a recording, which is larger than all the rest."""
    for place in (folder, folder / PRETRAINING):
        if place == folder or place.exists():
            shutil.rmtree(place / EVIDENCE)


def state_file(step: int) -> str:
    """The name, inside a recording, of the state after `step` updates."""
    return f"states/{step}.safetensors"


def start_file(dtype: str) -> str:
    """The name, inside a recording, of the step from the start state in `dtype`."""
    return f"{EVIDENCE}/start-{dtype}.safetensors"


def evidence_file(step: int) -> str:
    """The name, inside a recording, of what a checkpoint's stages gave."""
    return f"{EVIDENCE}/{step}.safetensors"


def lockstep_file(key: str) -> str:
    """The name, inside a recording, of its replay of the checkpoint with that key."""
    return f"lockstep/{key}.safetensors"


def segment_file(key: str) -> str:
    """The name, inside a recording, of its loop's steps from the checkpoint with that key."""
    return f"segments/{key}.safetensors"


def key(state: Arrays, evidence: Arrays) -> str:
    """The key of a checkpoint: the digest of its state and of what its stages gave."""
    return digest({f"state/{name}": value for name, value in state.items()} | dict(evidence))


def digest(arrays: Arrays) -> str:
    """SHA-256 of arrays by name: names, dtypes, shapes and values, in the order of the names."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
