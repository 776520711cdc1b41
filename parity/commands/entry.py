"""The beginning and end of every command. It imports little, and comes before all that a command imports itself.

That takes most of a second, in which a user may press Ctrl-C, or a library may turn out to be missing.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from importlib import import_module

from parity import TYPE_CHECKING
from parity.errors import ParityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn, TextIO

# EX_SOFTWARE of sysexits.h; Python's own status for an exception, 1, would mean "mismatch".
STATUS_OF_A_BUG = 70
INTERRUPTED = 130
# What a user installs; an import that fails inside of one of them is not this program's fault.
LIBRARIES = (
    "filelock", "jinja2", "junitparser", "matplotlib", "numpy", "platformdirs", "pydantic", "pygments", "rich",
    "safetensors", "tensorboardX",
)  # fmt: skip
# What a user types, and what it does; each is a module of this package.
COMMANDS = {
    "run": "train an experiment in both frameworks and say whether they computed the same",
    "check": "say where your own port goes wrong: your Keras model against your torch model",
    "record": "train it in one framework, to be compared elsewhere",
    "compare": "judge two recordings, with no framework",
    "explain": "say how Keras and torch differ in one thing, and measure what it does",
    "matrix": "compare the recordings of many versions, each with each",
    "published": "set the figures of the published programs beside both frameworks' own",
}
REQUESTS_TO_STOP = (signal.SIGINT, signal.SIGTERM)
LONGEST_REASON = 200
# The requests to stop that came, since a library may turn the exception that they raise into one of its own.
CAME: list[int] = []


class Output(io.FileIO):
    """A standard stream that takes everything once it has failed: who stops reading does not end what is being done."""

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        if self.failure is None:
            try:
                return super().write(data)
            except OSError as error:
                self.failure = error
        return memoryview(data).nbytes


def program() -> NoReturn:
    """Be the command that the first word names, or without one the list of experiments."""
    named = sys.argv[1] if len(sys.argv) > 1 else ""
    if named in COMMANDS:
        del sys.argv[1]
        run(f"parity.{named}")
    run("parity.__main__")


def run(module: str) -> NoReturn:
    """Be the command `module`: import it, run its `main`, tell its failures in one line, and exit with its status."""
    on_requests_to_stop(end_at_once)
    output = stand_in_for_streams()
    try:
        status = ended(module, output)
    except KeyboardInterrupt:
        # Another one, while the first was told.
        status = INTERRUPTED
    # There is nothing left to stop.
    on_requests_to_stop(signal.SIG_IGN)
    sys.exit(status)


def ended(module: str, output: Output | None) -> int:
    """The status that a command ends with, after what it failed with has been told."""
    loading = True
    try:
        main = import_module(module).main
        loading = False
        on_requests_to_stop(interrupt)
        return written(output, status_of(main))
    except KeyboardInterrupt:
        return told("interrupted", INTERRUPTED)
    except Exception as error:
        return told("interrupted", INTERRUPTED) if CAME else failed(error, loading)


def status_of(main: Callable[[Sequence[str]], int]) -> int:
    """The exit status that a command returns, or that of argparse after --help."""
    try:
        return main(sys.argv[1:])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else STATUS_OF_A_BUG if end.code else 0


def written(output: Output | None, status: int) -> int:
    """The status, unless standard output could not be written: for want of room, not for want of a reader."""
    sys.stdout.flush()
    if output is None or output.failure is None or isinstance(output.failure, BrokenPipeError):
        return status
    return told(f"error: {output.failure}", UsageError.status)


def failed(error: Exception, loading: bool) -> int:
    """Tell what a command failed with; the status that belongs to it."""
    if isinstance(error, ParityError):
        return told(f"error: {error}", error.status)
    if isinstance(error, MemoryError):
        return told(
            "error: this takes more memory than there is; ask for fewer steps or a smaller network", UsageError.status
        )
    lacking = library(error) if loading or isinstance(error, ImportError) else None
    if lacking is not None:
        return told(f"error: {lacking}", UsageError.status)
    if isinstance(error, OSError):
        return told(f"error: {error}", UsageError.status)
    import traceback

    traceback.print_exception(error)
    return STATUS_OF_A_BUG


def told(line: str, status: int) -> int:
    """Say it on standard error; the status, handed through."""
    print(line, file=sys.stderr)
    return status


def library(error: Exception) -> str | None:
    """Which library is missing or cannot be imported, and what to do; None where it was nothing of theirs."""
    if isinstance(error, ModuleNotFoundError) and error.name in LIBRARIES:
        return f"{error.name} is not installed: pip install {error.name}"
    at = error.__traceback__
    while at is not None:
        name = str(at.tb_frame.f_globals.get("__name__")).partition(".")[0]
        if name in LIBRARIES:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]
            return f"{name} cannot be imported ({reason}); install it again: pip install --force-reinstall {name}"
        at = at.tb_next
    return None


def stand_in_for_streams() -> Output | None:
    """Replace standard output and error by what a reader who leaves does not disturb; returns that of output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Closed by whoever started this; the next file that is opened would get its number, and what is printed.
            os.open(os.devnull, os.O_RDONLY)
    output = None
    # Where a program has put something else in place of a stream, that is its own.
    if sys.stdout is sys.__stdout__:
        output = Output(1, "w", closefd=False)
        sys.stdout = text(output, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = text(Output(2, "w", closefd=False), sys.stderr)
    return output


def text(output: Output, like: TextIO | None) -> TextIO:
    """A stream of text to `output`, as the one that it stands in for; that is None where the stream was closed."""
    if not isinstance(like, io.TextIOWrapper):
        return io.TextIOWrapper(io.BufferedWriter(output), "utf-8", "backslashreplace")
    # As python -u asks for it.
    buffer = output if like.write_through else io.BufferedWriter(output)
    lines, through = like.line_buffering, like.write_through
    return io.TextIOWrapper(buffer, like.encoding, like.errors, line_buffering=lines, write_through=through)


def on_requests_to_stop(do: Callable[..., Any] | signal.Handlers) -> None:
    """Take Ctrl-C and a request to end so, unless whoever started this wants them ignored."""
    for number in REQUESTS_TO_STOP:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, do)


def end_at_once(*_: Any) -> None:
    """End, while nothing has begun: an exception in the middle of an import may be lost, or come out as another."""
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def interrupt(number: int, _: Any) -> None:
    """Let a request to stop unwind the command: the workers are stopped, and leave recordings that say so."""
    CAME.append(number)
    raise KeyboardInterrupt
