"""All of MNIST, by each framework's own loader, and the proof that what came of it is MNIST.

A folder holds it for both, `--data-dir`: the four gzipped files where someone put them there by hand, and a subfolder
for what each loader makes of them, or of what it downloads.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import platformdirs

from parity.data.digits import Digits, digest
from parity.errors import UsageError

# (an empty folder, the folder of the four files or None) -> nothing
Make = Callable[[Path, Path | None], None]

# The files as published, with their SHA-256.
FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
# Of the 60,000 and 10,000 digits in their original order, as `digest` computes it.
DIGEST = "625c86df0a1319fc9ee83afae9b44174ea5c67d979d470d0a9945b3682b01ff3"
TRAIN_SAMPLES = 60_000
# Each framework's package that loads MNIST, and where that downloads its first file from.
LOADERS = {"tf": "tensorflow_datasets", "torch": "torchvision"}
DOWNLOADS = {
    "tensorflow_datasets": "https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz",
    "torchvision": "https://ossci-datasets.s3.amazonaws.com/mnist/train-labels-idx1-ubyte.gz",
}
# How long a server may take to answer; the loaders themselves would try for minutes.
SECONDS = 5.0


def default_folder() -> Path:
    """Where MNIST is kept unless the user says otherwise: in the platform's folder for caches."""
    return platformdirs.user_cache_path("keras-torch-parity")


def remedy(folder: Path) -> str:
    """How to get it, for a message where it is missing."""
    return f"put {', '.join(FILES)} into {folder}, or use --data embedded"


def missing(folder: Path, loader: str) -> str | None:
    """Why a loader could not give MNIST, kept in `folder`; None if it can, as far as is known beforehand.

    Raises UsageError if a file that was put there by hand is not MNIST's.
    """
    if find_spec(loader) is None:
        return f"{loader} is not installed (pip install 'keras-torch-parity[mnist]')"
    if by_hand(folder) or (folder / loader).is_dir():
        return None
    return unreachable(loader)


def by_hand(folder: Path) -> bool:
    """Whether the four files are in the folder; raises UsageError if one is there and not what was published."""
    found = [folder / name for name in FILES if (folder / name).is_file()]
    for path in found:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror})") from error
        if hashlib.sha256(content).hexdigest() != FILES[path.name]:
            raise UsageError(f"{path} is not the file of MNIST that was published (by its SHA-256); fetch it again")
    return len(found) == len(FILES)


def unreachable(loader: str) -> str | None:
    """Why nothing can be downloaded by a loader, or None."""
    try:
        with urlopen(Request(DOWNLOADS[loader], method="HEAD"), timeout=SECONDS):
            return None
    except (URLError, OSError, ValueError) as error:
        host = DOWNLOADS[loader].split("/")[2]
        return f"{host} cannot be reached ({getattr(error, 'reason', error)})"


def load(folder: Path, loader: str, make: Make, read: Callable[[Path], Digits]) -> Digits:
    """MNIST in its original order: what `read` finds in the loader's subfolder, which `make` fills if it is not there.

    `make` is given an empty folder, and the folder of the four files where they were put by hand. Its work becomes the
    subfolder when it is done, so that a process that is killed leaves none; of several at once, one makes it.
    Raises UsageError where MNIST cannot be had, or is not what was read.
    """
    # Where both frameworks' loaders are installed, so is this.
    from filelock import FileLock

    kept = folder / loader
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{loader}.lock"):
            if not kept.is_dir():
                made(folder, kept, make)
    except OSError as error:
        raise UsageError(f"--data-dir {folder} cannot be written ({error.strerror}); give another folder") from error
    again = "move that folder away, to have it made again"
    try:
        digits = read(kept)
    except Exception as error:
        raise UsageError(f"{loader} cannot read what it keeps in {kept} ({first_line(error)}); {again}") from error
    if digest(digits) != DIGEST:
        raise UsageError(f"what {loader} keeps in {kept} is not MNIST; {again}")
    return digits


def made(folder: Path, kept: Path, make: Make) -> None:
    """Let a loader make its subfolder, whole or not at all."""
    reason = missing(folder, kept.name)
    if reason is not None:
        raise UsageError(f"MNIST is not in {folder}, and {reason}; {remedy(folder)}")
    prefix = f".{kept.name}-"
    for abandoned in folder.glob(f"{prefix}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as temporary:
        begun = Path(temporary) / kept.name
        begun.mkdir()
        try:
            make(begun, folder if by_hand(folder) else None)
        except Exception as error:
            raise UsageError(f"{kept.name} could not make MNIST ({first_line(error)}); {remedy(folder)}") from error
        begun.rename(kept)


def first_line(error: Exception) -> str:
    """The first line of a loader's error."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
