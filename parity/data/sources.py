"""The names of data: MNIST only if they are MNIST, whatever folder they came from."""

import hashlib
from pathlib import Path

from parity.data import mnist
from parity.data.digits import EMBEDDED_DIGEST, find, read_bytes

# SHA-256 of what MNIST's four files hold, unpacked: a folder may have them gzipped anew, or not at all.
CONTENTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
# By their digest (`digest` in parity/data).
NAMES = {mnist.DIGEST: "MNIST", EMBEDDED_DIGEST: "the embedded digits"}
XOR = "the four points of exclusive or"
# Of a folder's path, the end is kept.
LONGEST_PATH = 200


def known(data: str, digest: str) -> str | None:
    """The name of data of that kind with that digest; None if they are a folder's own."""
    return XOR if data == "xor" else NAMES.get(digest)


def named(data: str, digest: str, folder: Path | None) -> str:
    """The same, with the folder's path and the digest where they are its own."""
    # A path may hold anything, and what is recorded must be printable.
    path = "".join(letter if letter.isprintable() else "?" for letter in str(folder))[-LONGEST_PATH:]
    return known(data, digest) or f"{path}'s own files, not MNIST: SHA-256 {digest}"


def contradicted(source: str, data: str, digest: str) -> bool:
    """Whether data that are called `source` cannot have that digest."""
    name = known(data, digest)
    return source != name if name is not None else not source.endswith(f"'s own files, not MNIST: SHA-256 {digest}")


def difference(folder: Path) -> str | None:
    """That the digits of a folder are not MNIST as published, and which of the four files differ; None if they are."""
    unlike = [
        name
        for name, published in CONTENTS.items()
        if hashlib.sha256(read_bytes(find(folder, name))).hexdigest() != published
    ]
    verb = "differs" if len(unlike) == 1 else "differ"
    return f"{folder}, which is not MNIST as published ({', '.join(unlike)} {verb})" if unlike else None
