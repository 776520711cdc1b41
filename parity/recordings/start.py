"""The start of a run: its state and its batch order, drawn, read from a user's files or taken from a reference."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from parity.data.datasets import passes_needed
from parity.errors import UsageError
from parity.experiment import randomness
from parity.experiment.settings import differences
from parity.experiment.spec import Identity
from parity.recordings import recording
from parity.recordings.files import write_whole
from parity.recordings.recording import Arrays as Recorded
from parity.recordings.recording import Recording
from parity.steps.layout import file_names
from parity.steps.phases import PhaseName

# (initializer, inputs, units, bias, seed) -> the values
Draw = Callable[..., NDArray[np.float32]]
Weights = dict[str, NDArray[np.floating]]


def state(identity: Identity, file: Path | None, reference: Recording | None, phase: PhaseName = "training") -> Weights:
    """The state before a phase's first step: weights drawn or read from `file`, and what begins with them.

    Those are slots and running statistics, or in pre-training visible biases of zero. With `reference`, the start state
    of that recording.
    """
    if reference is not None:
        return reference.state(0)
    drawn = randomness.initial_weights(identity)
    chosen = drawn if file is None else drawn | read_weights(file, identity)
    # torch takes smaller numbers for zero in this very process, where they are drawn, TensorFlow only in its kernels.
    chosen = {name: randomness.normal(value) for name, value in chosen.items()}
    if phase == "pretraining":
        chosen |= {f"{node.name}/visible_bias": np.zeros(node.inputs, identity.dtype) for node in identity.dense[:-1]}
        return {f"weights/{name}": value for name, value in chosen.items()} | {"step": np.array(0, np.int64)}
    begun = {
        f"slots/{name}": randomness.normal(
            np.full(shape, identity.optimizer.slots[name.partition("/")[0]], identity.dtype)
        )
        for name, shape in identity.slot_shapes.items()
    }
    for name, shape in identity.statistic_shapes.items():
        begun[f"statistics/{name}"] = np.full(shape, float(name.endswith("moving_variance")), identity.dtype)
    return {f"weights/{name}": value for name, value in chosen.items()} | begun | {"step": np.array(0, np.int64)}


def reference(folder: Path, identity: Identity, phase: PhaseName) -> Recording:
    """Another recording of a phase, which must be of the same identity."""
    found = recording.read(folder, phase)
    listed = ", ".join(differences(identity, found.manifest.identity))
    if listed:
        raise UsageError(f"--reference {folder} was recorded with other settings: {listed}; use its options")
    return found


def taken_over(reference: Recording, step: int) -> Weights:
    """The state of another recording before `step`, which must be one of its checkpoints."""
    if step not in reference.checkpoints:
        listed = ", ".join(map(str, reference.checkpoints))
        raise UsageError(f"--hand-over {step}: {reference.folder} has checkpoints at steps {listed}; take one of them")
    return reference.state(step)


def read_weights(file: Path, identity: Identity) -> Weights:
    """Weights from a safetensors file with the names of `file_names`.

    They must be those of the identity's layers, and have finite values of float32 or the run's dtype.
    """
    try:
        found = safetensors.numpy.load(file.read_bytes())
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"--initial-weights {file} cannot be read as safetensors ({error})") from error
    names = file_names(identity)
    wrong = sorted(set(names) ^ set(found))
    if wrong:
        kind = "lacks" if wrong[0] in names else "has a tensor too many:"
        raise UsageError(f"--initial-weights {file} {kind} {wrong[0]}; it needs exactly {', '.join(names)}")
    for name, neutral in names.items():
        check_weight(file, name, found[name], identity.weight_shapes[neutral], identity.dtype)
    return {neutral: found[name] for name, neutral in names.items()}


def named_weights(identity: Identity, state: Recorded) -> Weights:
    """A state's weights of the layers, named as in such a file."""
    return {name: state[f"weights/{neutral}"] for name, neutral in file_names(identity).items()}


def draw_weights(file: Path, identity: Identity, draw: Draw) -> None:
    """Write such a file of weights that a framework's own initializers draw, each from a seed of its own.

    One seed for all would make kernels of the same shape equal.
    """
    drawn = {}
    for layer, node in enumerate(identity.dense):
        for offset, kind in enumerate(("kernel", "bias")):
            seed = randomness.framework_seed(identity.seed, 2 * layer + offset)
            initializer = getattr(node, kind)
            values = draw(initializer, node.inputs, node.units, bias=kind == "bias", seed=seed)
            drawn[f"layers.{layer}.{kind}"] = values
    write_whole(file, safetensors.numpy.save(drawn))


def check_weight(file: Path, name: str, value: NDArray[np.floating], shape: tuple[int, ...], dtype: str) -> None:
    """Refuse a tensor of the wrong shape or dtype, or with a value that is not finite."""
    where = f"--initial-weights {file}: {name}"
    if value.shape != shape:
        hint = "; it is transposed" if value.ndim == 2 and value.T.shape == shape else ""
        raise UsageError(f"{where} has shape {value.shape} and must have {shape}{hint}")
    if value.dtype.name not in ("float32", dtype):
        raise UsageError(f"{where} is {value.dtype.name} and must be float32, or the run's --dtype")
    if not np.isfinite(value).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise UsageError(f"{where}[{', '.join(map(str, index))}] is {value[index]}, and every weight must be finite")


def pretraining_order(identity: Identity, samples: int) -> NDArray[np.int64]:
    """[passes, samples] indices into the training set, for all layers of pre-training one after the other."""
    assert identity.pretraining is not None
    schedule = identity.pretraining.schedule(len(identity.dense) - 1)
    passes = passes_needed(schedule, samples)
    return randomness.batch_order(identity.seed, passes, samples, True, randomness.Purpose.PRETRAINING_ORDER)


def order(identity: Identity, samples: int, file: Path | None) -> NDArray[np.int64]:
    """[passes, samples] indices into the training set, drawn or read from `file`."""
    passes = passes_needed(identity.schedule, samples)
    if file is None:
        return randomness.batch_order(identity.seed, passes, samples, identity.schedule.shuffle)
    return read_order(file, passes, samples)


def read_order(file: Path, passes: int, samples: int) -> NDArray[np.int64]:
    """A batch order from an .npy file: integers, one permutation of all training samples per pass."""
    where = f"--batch-order {file}"
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{where} cannot be read as an .npy array ({error})") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu":
        raise UsageError(f"{where} must hold integers, not {getattr(found, 'dtype', type(found).__name__)}")
    if found.shape != (passes, samples):
        raise UsageError(f"{where} has shape {found.shape} and must be (epochs, samples) = ({passes}, {samples})")
    outside = np.argwhere((found < 0) | (found >= samples))
    if len(outside):
        row, column = outside[0]
        raise UsageError(f"{where}[{row}, {column}] is {found[row, column]}, outside 0 to {samples - 1}")
    repeated = np.argwhere(np.diff(np.sort(found, axis=1), axis=1) == 0)
    if len(repeated):
        row, column = repeated[0]
        value = np.sort(found[row])[column]
        raise UsageError(f"{where}: row {row} repeats sample {value}; each row must hold every sample once")
    return found.astype(np.int64)
