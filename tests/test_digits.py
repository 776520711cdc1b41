"""The embedded digits, and MNIST's own files good and bad."""

import gzip
import shutil
import struct

import numpy as np
import pytest

from parity.data import digits
from parity.errors import UsageError


def test_embedded_digits():
    embedded = digits.load(None)
    assert embedded.train_images.shape == (4000, 784)
    assert embedded.test_images.shape == (1000, 784)
    assert np.bincount(embedded.train_labels).tolist() == [400] * 10
    assert np.bincount(embedded.test_labels).tolist() == [100] * 10
    assert digits.digest(embedded) == digits.EMBEDDED_DIGEST


def test_embedded_digits_are_about_a_megabyte():
    assert sum(path.stat().st_size for path in digits.EMBEDDED.iterdir()) < 1.1e6


def test_no_test_image_is_a_training_image():
    embedded = digits.load(None)
    training = {image.tobytes() for image in embedded.train_images}
    assert not any(image.tobytes() in training for image in embedded.test_images)


def test_embedded_digits_are_mnists(mnist_folder):
    whole, embedded = digits.load(mnist_folder), digits.load(None)
    assert whole.train_images.shape == (60_000, 784)
    assert whole.test_images.shape == (10_000, 784)
    labels = {image.tobytes(): label for image, label in zip(whole.train_images, whole.train_labels, strict=True)}
    for images, found in (
        (embedded.train_images, embedded.train_labels),
        (embedded.test_images, embedded.test_labels),
    ):
        assert [labels[image.tobytes()] for image in images] == found.tolist()


def test_damaged_embedded_digits_are_refused(tmp_path, monkeypatch):
    shutil.copytree(digits.EMBEDDED, tmp_path / "copy")
    path = tmp_path / "copy" / "train-labels-idx1-ubyte.gz"
    labels = bytearray(gzip.decompress(path.read_bytes()))
    labels[8] = 7
    path.write_bytes(gzip.compress(bytes(labels)))
    monkeypatch.setattr(digits, "EMBEDDED", tmp_path / "copy")
    with pytest.raises(UsageError, match="embedded digits are damaged"):
        digits.load(None)


@pytest.fixture
def folder(tmp_path):
    """A copy of the embedded files, unpacked."""
    for name in digits.FILES:
        (tmp_path / name).write_bytes(gzip.decompress((digits.EMBEDDED / f"{name}.gz").read_bytes()))
    return tmp_path


def test_files_need_not_be_gzipped(folder):
    assert digits.digest(digits.load(folder)) == digits.EMBEDDED_DIGEST


def damage(name, content):
    return lambda folder: (folder / name).write_bytes(content)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
DAMAGES = {
    "holds neither": lambda folder: (folder / LABELS).unlink(),
    "too short": damage(LABELS, b"\0\0\x08"),
    "does not hold labels": damage(LABELS, struct.pack(">2i", 2051, 0)),
    "does not hold 28 x 28 images": damage(IMAGES, struct.pack(">4i", 2051, 1, 27, 27) + bytes(27 * 27)),
    "its header promises 784000 bytes and 784 follow": damage(
        IMAGES, struct.pack(">4i", 2051, 1000, 28, 28) + bytes(784)
    ),
    "not a digit": damage(LABELS, struct.pack(">2i", 2049, 4000) + bytes([10] * 4000)),
    "1 images for 4000 labels": damage(IMAGES, struct.pack(">4i", 2051, 1, 28, 28) + bytes(784)),
    "cannot be read": lambda folder: (folder / f"{IMAGES}.gz").write_bytes(b"\x1f\x8b truncated"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_bad_files_are_named(message, folder):
    DAMAGES[message](folder)
    with pytest.raises(UsageError, match=message) as error:
        digits.load(folder)
    assert "\n" not in str(error.value)


def test_a_truncated_gzip_is_named(folder):
    whole = (digits.EMBEDDED / f"{IMAGES}.gz").read_bytes()
    (folder / f"{IMAGES}.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="cannot be read"):
        digits.load(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="is no folder"):
        digits.load(tmp_path / "nowhere")
