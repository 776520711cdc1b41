"""Files of a recording: written whole or not at all, and read as untrusted input."""

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from parity.errors import IncomparableError, UsageError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is never seen half written; raises UsageError where it cannot be, a full disk included."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            # Gives a full disk the room back in which the manifest can say so.
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); make room, or choose another place") from error


def read_file(folder: Path, name: str, largest: int) -> bytes:
    """The content of a file of a recording: a regular one of its own, and no larger than `largest` bytes."""
    path = folder / name
    try:
        with os.fdopen(opened(folder, name), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise IncomparableError(f"{path} is no regular file; record the run again")
            if found.st_size > largest:
                raise IncomparableError(f"{path} has {found.st_size} bytes, and at most {largest} are read")
            return file.read(largest)
    except (OSError, ValueError) as error:
        # ValueError: a name with a NUL.
        if isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENOTDIR):
            reason = "is a link or is reached through one, and links lead out of the recording"
            raise IncomparableError(f"{path} {reason}; record the run again") from error
        raise IncomparableError(f"{path} cannot be read ({error}); record the run again") from error


def opened(folder: Path, name: str) -> int:
    """A descriptor of a file in `folder`, reached without following a link on the way, and without waiting.

    A named pipe would keep whoever opens it waiting for its other end.
    """
    *folders, last = PurePosixPath(name).parts
    if ".." in folders or PurePosixPath(name).is_absolute():
        raise IncomparableError(f"{folder / name} leads out of the recording; record the run again")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for inner in folders:
            outer, at = at, os.open(inner, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(outer)
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)


def unpack(path: Path, content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a file's content."""
    try:
        return safetensors.numpy.load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise IncomparableError(f"{path} is damaged ({error}); record the run again") from error


def inside(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names start with `prefix`, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
