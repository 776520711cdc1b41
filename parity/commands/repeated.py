"""The command that repeats what was done, for a report to show."""

import os
import shlex
from collections.abc import Sequence

from parity.commands.options import DEFAULT_DATA

# Where it is written to, which must be new, and how much is said of it.
PLACES, SAYING = ("--out", "--junit", "--html"), ("--quiet",)


def repeated(program: str, arguments: Sequence[str]) -> str:
    """The command line, without where it writes to, and with the default of --data that the environment sets."""
    kept: list[str] = []
    left_out = False
    for word in arguments:
        if left_out or word in PLACES:
            left_out = not left_out
        elif word not in SAYING and not word.startswith(tuple(f"{name}=" for name in PLACES)):
            kept.append(word)
    data = os.environ.get(DEFAULT_DATA)
    given = program != "parity.run" or any(word.partition("=")[0] == "--data" for word in arguments)
    before = f"{DEFAULT_DATA}={shlex.quote(data)} " if data and not given else ""
    return f"{before}python -m {program} {shlex.join(kept)}"
