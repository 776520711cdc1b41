"""Named arrays in one file, written as they come and read where they lie: a large model's need little memory.

The arrays follow one another, each at a multiple of ALIGNED bytes; then an index as JSON, and its length in
eight bytes.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from parity.errors import IncomparableError, UsageError

Arrays = dict[str, NDArray[Any]]
# By name: the type, the shape, and where it begins.
Index = dict[str, tuple[str, tuple[int, ...], int]]
INDEX: TypeAdapter[Index] = TypeAdapter(Index)
ALIGNED = 64
NUMBERS = "biuf"


class Writer:
    """Takes arrays by name, each of which is in the file when the call returns; the file is there when it is closed."""

    def __init__(self, path: Path) -> None:
        self.path, self.partial = path, path.with_name(path.name + ".partial")
        self.index: Index = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.partial.open("wb")
        except OSError as error:
            raise self.refused(error) from error

    def refused(self, error: OSError) -> UsageError:
        """What is said where there is no room."""
        return UsageError(f"{self.path} cannot be written ({error.strerror}); make room, or choose another place")

    def __enter__(self) -> "Writer":
        return self

    def __call__(self, name: str, value: NDArray[Any]) -> None:
        """Write an array; types that NumPy does not know are written as float64."""
        array = np.asarray(value, order="C")
        if array.dtype.kind not in NUMBERS:
            array = array.astype(np.float64)
        try:
            start = -self.file.tell() % ALIGNED + self.file.tell()
            self.file.seek(start)
            self.file.write(array.reshape(-1).view(np.uint8).data)
        except OSError as error:
            raise self.refused(error) from error
        self.index[name] = array.dtype.name, array.shape, start

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                said = json.dumps(self.index).encode()
                self.file.write(said + len(said).to_bytes(8, "little"))
            self.file.close()
            if error is None:
                self.partial.replace(self.path)
        except OSError as refused:
            raise self.refused(refused) from refused
        finally:
            self.file.close()
            self.partial.unlink(missing_ok=True)


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]] | Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Keep arrays in their order."""
    with Writer(path) as write:
        for name, value in arrays.items() if isinstance(arrays, Mapping) else arrays:
            write(name, value)


def load_arrays(path: Path) -> Arrays:
    """What was kept, in its order. Each array is in memory only while it is read; writing to one changes no file."""
    try:
        data = np.asarray(np.memmap(path, np.uint8, "c"))
        size = int.from_bytes(data[-8:].tobytes(), "little")
        index = INDEX.validate_json(data[-8 - size : -8].tobytes())
        return {name: placed(data[: -8 - size], *entry) for name, entry in index.items()}
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise IncomparableError(f"{path} cannot be read ({reason}); record it again") from error


def placed(data: NDArray[Any], dtype: str, shape: tuple[int, ...], start: int) -> NDArray[Any]:
    """The array that begins there."""
    kind = np.dtype(dtype)
    if kind.kind not in NUMBERS or start < 0 or any(n < 0 for n in shape):
        raise ValueError("its index is no index of numbers")
    size = kind.itemsize
    for n in shape:
        size *= n
    return data[start : start + size].view(kind).reshape(shape)
