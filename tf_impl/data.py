"""MNIST by tensorflow_datasets, batches of data that lives on the device, and checksums of what a step really used."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from parity.data.datasets import Batches, Data
from parity.data.digits import Digits
from parity.data.mnist import load
from parity.experiment.randomness import checksum_weights


def mnist(folder: Path) -> Digits:
    """All of MNIST in its original order, by tensorflow_datasets, which keeps it in a subfolder of `folder`."""
    return load(folder, "tensorflow_datasets", make_mnist, read_mnist)


def make_mnist(kept: Path, by_hand: Path | None) -> None:
    """Let the loader prepare MNIST in the folder `kept`, from files that are there already or a download."""
    import tensorflow_datasets as tfds

    asked = tfds.download.DownloadConfig(manual_dir=by_hand)
    tfds.builder("mnist", data_dir=kept).download_and_prepare(
        download_dir=kept.parent / "downloads", download_config=asked
    )


def read_mnist(kept: Path) -> Digits:
    """The digits that the loader has prepared, put back into the original order.

    It sorts examples by a hash of their place in the original file (tensorflow_datasets/core/shuffle.py).
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.hashing import Hasher

    builder = tfds.builder("mnist", data_dir=kept)
    arrays = []
    for split in ("train", "test"):
        found = builder.as_dataset(split=split, batch_size=-1)
        images, labels = found["image"].numpy().reshape(-1, 784), found["label"].numpy().astype(np.uint8)
        hasher = Hasher(split)
        # [samples]: where in what was read each digit of the original order is.
        places = np.argsort(sorted(range(len(labels)), key=hasher.hash_key))
        arrays += [images[places], labels[places]]
    return Digits(*arrays)


class OnDevice(NamedTuple):
    """Data and Batches as tensors, with the factors of checksums: [batch size, features], [batch size, mask units]."""

    train_inputs: tf.Tensor
    train_labels: tf.Tensor
    test_inputs: tf.Tensor
    test_labels: tf.Tensor
    order: tf.Tensor
    starts: tf.Tensor
    stops: tf.Tensor
    epoch_ends: tf.Tensor
    checksum_weights: tf.Tensor
    mask_weights: tf.Tensor


def place(data: Data, batches: Batches, mask_units: int, device: str) -> OnDevice:
    """Copy everything a run needs to `device`, once; `mask_units` are those of all dropouts together."""
    arrays = (
        data.train_inputs, data.train_labels, data.test_inputs, data.test_labels,
        batches.order, batches.starts, batches.stops, batches.epoch_ends,
        checksum_weights(batches.size, data.train_inputs.shape[1]), checksum_weights(batches.size, mask_units),
    )  # fmt: skip
    with tf.device(device):
        return OnDevice(*(tf.constant(array) for array in arrays))


def held(data: Data, placed: OnDevice) -> Data:
    """The data as NumPy sees the tensors on the CPU, whose memory it shares, so that images are held once."""
    names = "train_inputs", "train_labels", "test_inputs", "test_labels"
    tensors = {name: getattr(placed, name) for name in names}
    on_cpu = {name: tensor for name, tensor in tensors.items() if tensor.device.endswith("CPU:0")}
    return replace(data, **{name: np.asarray(memoryview(tensor)) for name, tensor in on_cpu.items()})


@tf.autograph.experimental.do_not_convert
def batch(data: OnDevice, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Indices [batch], inputs [batch, features] and labels [batch] of one step."""
    indices = data.order[data.starts[step] : data.stops[step]]
    return indices, tf.gather(data.train_inputs, indices), tf.gather(data.train_labels, indices)


@tf.autograph.experimental.do_not_convert
def checksum(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sum of the values' bits times fixed odd factors, modulo 2**64, as int64; values [batch] or like the weights."""
    if values.dtype.is_floating:
        values = tf.bitcast(values, tf.int32 if values.dtype == tf.float32 else tf.int64)
    factors = weights[: tf.shape(values)[0]]
    if values.shape.rank == 1:
        factors = factors[:, 0]
    return tf.reduce_sum(tf.cast(values, tf.int64) * factors)
