"""Handwritten digits: 5,000 of MNIST's inside the package, or a folder with MNIST's own four files.

The embedded files have MNIST's own format (IDX, gzipped), so one loader reads both.
"""

import gzip
import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parity.errors import UsageError
from parity.experiment.patches import LEVELS, PATCH, PATCHES, SIDE

EMBEDDED = Path(__file__).parent / "embedded"
# SHA-256 of the embedded images and labels as `digest` computes it, checked at every load.
EMBEDDED_DIGEST = "8ef50f60f3cf387bd89f8ee25a45fc72da29c29f1086992d9b920b0350a851af"

IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@dataclass(frozen=True)
class Digits:
    """Images [samples, 784] uint8, 0 is background; labels [samples] uint8, 0 to 9."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def load(folder: Path | None) -> Digits:
    """The digits of `folder` (four IDX files, gzipped or not), or the embedded ones if it is None.

    Raises UsageError for a file that is missing, damaged or not what its name says.
    """
    if folder is None:
        digits = read_folder(EMBEDDED)
        if digest(digits) != EMBEDDED_DIGEST:
            raise UsageError("the embedded digits are damaged; install the package again")
        return digits
    if not folder.is_dir():
        raise UsageError(f"--data {folder} is no folder; give one that holds {FILES[0]}.gz and its three companions")
    return read_folder(folder)


def tokens(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """[samples, PATCHES]: images [samples, 784] as words, each a patch's number times LEVELS plus its level.

    The level is half the number of pixels from 128 on, at most LEVELS - 1.
    """
    rows = SIDE // PATCH
    ink = (images >= 128).reshape(-1, rows, PATCH, rows, PATCH).sum(axis=(2, 4)).reshape(len(images), PATCHES)
    return np.arange(PATCHES) * LEVELS + np.minimum(ink // 2, LEVELS - 1)


def read_folder(folder: Path) -> Digits:
    """Read and check the four files of `folder`."""
    train_images, train_labels, test_images, test_labels = (find(folder, name) for name in FILES)
    digits = Digits(
        read_images(train_images), read_labels(train_labels), read_images(test_images), read_labels(test_labels)
    )
    check_counts(train_images, digits.train_images, digits.train_labels)
    check_counts(test_images, digits.test_images, digits.test_labels)
    return digits


def find(folder: Path, name: str) -> Path:
    """The file `name` or `name`.gz of `folder`."""
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise UsageError(f"{folder} holds neither {name}.gz nor {name}; all four MNIST files are needed")


def read_bytes(path: Path) -> bytes:
    """The file's content, unpacked if it is gzipped."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read ({error}); fetch it again") from error


def read_images(path: Path) -> NDArray[np.uint8]:
    """[samples, 784] from an IDX file: big-endian magic number, count, rows, columns, then the pixels."""
    content = read_bytes(path)
    magic, count, rows, columns = header(path, content, 4)
    if magic != IMAGES_MAGIC or (rows, columns) != (SIDE, SIDE):
        raise UsageError(f"{path} does not hold 28 x 28 images (magic number {magic}, {rows} x {columns})")
    check_length(path, len(content) - 16, count * SIDE * SIDE)
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, SIDE * SIDE)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """[samples] from an IDX file: big-endian magic number, count, then the labels."""
    content = read_bytes(path)
    magic, count = header(path, content, 2)
    if magic != LABELS_MAGIC:
        raise UsageError(f"{path} does not hold labels (magic number {magic}, not {LABELS_MAGIC})")
    check_length(path, len(content) - 8, count)
    labels = np.frombuffer(content, np.uint8, offset=8)
    if count and labels.max() > 9:
        raise UsageError(f"{path}: label {labels.max()} at position {labels.argmax()} is not a digit from 0 to 9")
    return labels


def header(path: Path, content: bytes, fields: int) -> tuple[int, ...]:
    """The first `fields` big-endian 32-bit integers."""
    if len(content) < 4 * fields:
        raise UsageError(f"{path} is too short to be an IDX file ({len(content)} bytes); fetch it again")
    return struct.unpack(f">{fields}i", content[: 4 * fields])


def check_length(path: Path, found: int, promised: int) -> None:
    """Refuse a file that is not exactly as long as its header says."""
    if found != promised:
        raise UsageError(f"{path} is damaged: its header promises {promised} bytes and {found} follow; fetch it again")


def check_counts(path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Refuse images without labels, and nothing at all."""
    if len(images) == 0 or len(images) != len(labels):
        raise UsageError(f"{path} holds {len(images)} images for {len(labels)} labels")


def digest(digits: Digits) -> str:
    """SHA-256 of counts, images and labels, training set first."""
    sha = hashlib.sha256()
    for images, labels in ((digits.train_images, digits.train_labels), (digits.test_images, digits.test_labels)):
        sha.update(struct.pack(">q", len(images)))
        sha.update(images.tobytes())
        sha.update(labels.tobytes())
    return sha.hexdigest()
