"""Files of a recording: written whole or not at all, and read as untrusted input."""

import os
from pathlib import Path
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
    """The content of a file of a recording, which must really lie in it and be no larger than `largest` bytes."""
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise IncomparableError(f"{path} leads out of the recording; record the run again")
        size = path.stat().st_size
        if size > largest:
            raise IncomparableError(f"{path} has {size} bytes, and at most {largest} are read")
        return path.read_bytes()
    except (OSError, RuntimeError, ValueError) as error:
        # RuntimeError: a loop of links; ValueError: a name with a NUL.
        raise IncomparableError(f"{path} cannot be read ({error}); record the run again") from error


def unpack(path: Path, content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of a file's content."""
    try:
        return safetensors.numpy.load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise IncomparableError(f"{path} is damaged ({error}); record the run again") from error
