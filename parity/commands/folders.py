"""The folders that commands write to: new or empty, and gone again where nothing came to be in them."""

import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from parity.errors import UsageError
from parity.workers.installed import require_library


@contextlib.contextmanager
def written_to(out: Path | None, name: str = "", inside: Sequence[str] = (), option: str = "--out") -> Iterator[Path]:
    """The folder `out`, or a new one under runs/ called by `name` and the time, with the folders `inside` it.

    Where the block fails, folders that were made for it are removed, if nothing was written to them. Raises UsageError
    where `out` holds anything, cannot be written, or is taken by another run meanwhile.
    """
    made: list[Path] = []
    try:
        folder = new_run(name, made) if out is None else empty(out, made, option)
        for part in inside:
            try:
                # Of two runs that are given the same folder, one finds it taken.
                (folder / part).mkdir()
            except FileExistsError:
                raise UsageError(f"{option} {folder} is in use by another run; give a new folder") from None
            made.append(folder / part)
        yield folder
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def events(folder: Path | None) -> Iterator[Path | None]:
    """What --tensorboard asks for, as `written_to` has it; None where nobody does. Raises UsageError as that does."""
    require_library("tensorboardX", "use no --tensorboard", folder is not None)
    if folder is None:
        yield None
        return
    with written_to(folder, option="--tensorboard") as made:
        yield made


def new_run(name: str, made: list[Path]) -> Path:
    """A folder under runs/, made; what is made is added to `made`."""
    folder = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for attempt in itertools.count(2):
        try:
            make(folder, made)
            return folder
        except FileExistsError:
            # Of two runs started in the same second, one finds the name taken.
            folder = folder.with_name(f"{folder.name.partition('.')[0]}.{attempt}")
        except OSError as error:
            raise UsageError(f"{folder} cannot be written ({error.strerror}); give a folder with --out") from None
    raise AssertionError("unreachable")


def empty(folder: Path, made: list[Path], option: str) -> Path:
    """`folder`, made if it is not there; refused if it holds anything or cannot be written."""
    try:
        with contextlib.suppress(FileExistsError):
            make(folder, made)
        occupied = any(folder.iterdir())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"{option} {folder} cannot be written ({error.strerror}); give another folder") from None
    if occupied:
        raise UsageError(f"{option} {folder} is not empty; give a new folder, nothing recorded is ever overwritten")
    return folder


def make(folder: Path, made: list[Path]) -> None:
    """Make a folder and those it lies in; raises FileExistsError if it is there already."""
    for path in reversed([parent for parent in folder.parents if not parent.exists()]):
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            made.append(path)
    folder.mkdir()
    made.append(folder)
