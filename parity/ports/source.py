"""The user's code: a side's functions, found in a file or module, and what goes wrong inside of them in one line."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from parity.errors import ParityError, UsageError, plain
from parity.models.places import raised

LONGEST = 400
# What the frameworks say where float32 meets float64.
MIXED = re.compile(r"(?i)(double|float64).*\bfloat(32)?\b|\bfloat(32)?\b.*(double|float64)")


@dataclass(frozen=True)
class Source:
    """A side's functions; those that are None, the user did not write."""

    build: Callable[[], Any]
    loss: Callable[..., Any] | None = None
    optimizer: Callable[..., Any] | None = None
    step: Callable[..., Any] | None = None
    predict: Callable[..., Any] | None = None
    inputs: Callable[[Any], Any] | None = None
    outputs: Callable[[Any], Any] | None = None
    port: Callable[..., Any] | None = None

    @classmethod
    def of(cls, module: ModuleType, build: str, where: str) -> "Source":
        """The functions of a module, of which `build` is the one that makes the model."""
        functions = {name: getattr(module, name, None) for name in cls.__dataclass_fields__ if name != "build"}
        make = getattr(module, build, None)
        if make is None:
            raise UsageError(f"{where} has no function {build}(), which makes the model")
        for name, function in {build: make, **functions}.items():
            if function is not None and not callable(function):
                raise UsageError(f"{where}: {name} is no function")
        return cls(make, **functions)


def split(given: str) -> tuple[str, str]:
    """The file or module that "nets.py", "nets.py:wide" or "nets:wide" names, and the function that makes the model."""
    path, colon, name = given.rpartition(":")
    if not colon:
        path, name = given, "build"
    if not path.endswith(".py") and not colon:
        raise UsageError(f"{given}: give a Python file, or module:function")
    if path.endswith(".py") and not Path(path).is_file():
        raise UsageError(f"{path}: there is no such file")
    return path, name


@contextlib.contextmanager
def modules_of(folder: Path) -> Iterator[None]:
    """Let imports find what lies in a folder, and forget it again: another pair's modules may have the same names."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).is_relative_to(folder) and "site-packages" not in file:
                del sys.modules[name]


@contextlib.contextmanager
def telling(what: str) -> Iterator[None]:
    """Tell what the user's code raises in one line, with the place in it."""
    try:
        yield
    except (ParityError, MemoryError, KeyboardInterrupt, BrokenPipeError):
        raise
    except BaseException as error:
        if type(error).__name__ in ("ResourceExhaustedError", "OutOfMemoryError") or "allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        said = " ".join(plain(str(error)).split())[:LONGEST]
        place = raised(error.__traceback__)
        if isinstance(error, SyntaxError) and error.filename is not None:
            place = f"{Path(error.filename).name}:{error.lineno}"
        at = f" at {place}" if place else ""
        if MIXED.search(said):
            said += "; it is run in float64, too: take the dtype from the input, or from the default"
        raise UsageError(f"{what} failed{at}: {type(error).__name__}: {said}".rstrip(": ")) from error
