"""The data: the inputs as floats, ready for a framework, and the order in which they are used."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.data import digits
from parity.data.digits import Digits
from parity.errors import UsageError
from parity.experiment.optimizers import LBFGS
from parity.experiment.spec import DataName, Dtype, Identity, PixelScaling, Schedule, TestPixels


@dataclass(frozen=True)
class Data:
    """Inputs [samples, features], floats in the run's dtype or int64 tokens, and labels [samples] int64.

    `digest` is the SHA-256 of what they are made from.
    """

    train_inputs: NDArray[Any]
    train_labels: NDArray[np.int64]
    test_inputs: NDArray[Any]
    test_labels: NDArray[np.int64]
    digest: str


def load(
    name: DataName,
    source: Digits | Path | None,
    dtype: Dtype,
    scaling: PixelScaling = "division",
    test_pixels: TestPixels = "scaled",
) -> Data:
    """The data called `name`, of given digits, of those in a folder with MNIST's files, or of the embedded ones."""
    if name == "xor":
        return xor(dtype)
    source = source if isinstance(source, Digits) else digits.load(source)
    train: NDArray[Any]
    test: NDArray[Any]
    if name == "digit_tokens":
        train, test = digits.tokens(source.train_images), digits.tokens(source.test_images)
    else:
        train, raw = scale(source.train_images, dtype, scaling), source.test_images
        test = raw.astype(dtype) if test_pixels == "raw" else scale(raw, dtype, scaling)
    train_labels, test_labels = (labels.astype(np.int64) for labels in (source.train_labels, source.test_labels))
    return Data(train, train_labels, test, test_labels, digits.digest(source))


def scale(images: NDArray[np.uint8], dtype: Dtype, scaling: PixelScaling) -> NDArray[np.floating]:
    """Pixels divided by 255, as torchvision's ToTensor does it, or times 1 / 255, as keras.layers.Rescaling does it.

    The latter rounds that factor through float32 whatever the dtype.
    """
    kind = np.dtype(dtype).type
    if scaling == "reciprocal":
        return images.astype(dtype) * kind(np.float32(1 / 255))
    return images.astype(dtype) / kind(255)


def xor(dtype: Dtype) -> Data:
    """The four points of exclusive or, which are also their own test set."""
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
    labels = np.array([0, 1, 1, 0], np.int64)
    digest = hashlib.sha256(inputs.astype(np.uint8).tobytes() + labels.tobytes()).hexdigest()
    return Data(inputs, labels, inputs, labels, digest)


@dataclass(frozen=True)
class Batches:
    """The plan of a run: step k uses the samples `order[starts[k]:stops[k]]`.

    `order` [passes * samples] int64 is the passes' orders end to end, indices into the training set; `starts`, `stops`
    [steps] int64; `epoch_ends` [steps] bool marks the last step of each epoch, and the last step of the run.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    epoch_ends: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def size(self) -> int:
        """Samples of the largest batch."""
        return int((self.stops - self.starts).max())

    @property
    def digest(self) -> str:
        """SHA-256 of the whole plan."""
        sha = hashlib.sha256()
        for array in (self.order, self.starts, self.stops):
            sha.update(array.tobytes())
        return sha.hexdigest()


def passes_needed(schedule: Schedule, samples: int) -> int:
    """How many passes over `samples` training samples the schedule takes, the last one perhaps not whole."""
    if schedule.batch_size > samples:
        raise UsageError(f"a batch of {schedule.batch_size} is larger than the training set of {samples} samples")
    if schedule.unit == "epochs":
        return schedule.duration * schedule.passes_per_epoch
    return -(-schedule.duration // steps_per_pass(schedule, samples))


def steps_per_pass(schedule: Schedule, samples: int) -> int:
    """Batches in one pass; a last partial one counts unless it is dropped."""
    whole, rest = divmod(samples, schedule.batch_size)
    return whole if schedule.drop_last or not rest else whole + 1


def plan(schedule: Schedule, order: NDArray[np.int64]) -> Batches:
    """Cut `order` [passes, samples] into the steps of the schedule."""
    passes, samples = order.shape
    per_pass = steps_per_pass(schedule, samples)
    steps = schedule.duration if schedule.unit == "steps" else passes * per_pass
    row, within = np.divmod(np.arange(steps), per_pass)
    starts = row * samples + within * schedule.batch_size
    stops = np.minimum(starts + schedule.batch_size, (row + 1) * samples)
    epoch_ends = (np.arange(steps) + 1) % (per_pass * schedule.passes_per_epoch) == 0
    epoch_ends[-1] = True
    return Batches(order.reshape(-1), starts, stops, epoch_ends)


def planned(identity: Identity, order: NDArray[np.int64]) -> Batches:
    """The plan of a run with `order` [passes, samples], which its model and its optimizer must be able to take."""
    batches = plan(identity.schedule, order)
    require_variances(identity, batches)
    require_whole_set(identity, order.shape[1])
    return batches


def require_whole_set(identity: Identity, samples: int) -> None:
    """Refuse batches of less than the training set of `samples` where the optimizer compares gradients of steps."""
    size = identity.schedule.batch_size
    if isinstance(identity.optimizer, LBFGS) and size != samples:
        raise UsageError(f"lbfgs takes the whole training set at every step: --batch-size {samples}, not {size}")


def require_variances(identity: Identity, batches: Batches) -> None:
    """Refuse a last batch of one sample where the model normalises batches."""
    alone = np.flatnonzero(batches.stops - batches.starts == 1)
    if identity.statistics and alone.size:
        raise UsageError(
            f"batch normalisation needs more than one sample in a batch, and step {alone[0]} has one; "
            "choose another --batch-size, or leave --keep-last-batch out"
        )
