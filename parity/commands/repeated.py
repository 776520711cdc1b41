"""The command that repeats what was done, for a report to show."""

import shlex
from collections.abc import Sequence

# Where it is written to, which must be new, and how much is said of it.
PLACES, SAYING = ("--out", "--junit", "--html"), ("--quiet",)


def repeated(program: str, arguments: Sequence[str]) -> str:
    """The command line, without where it writes to."""
    kept: list[str] = []
    left_out = False
    for word in arguments:
        if left_out or word in PLACES:
            left_out = not left_out
        elif word not in SAYING and not word.startswith(tuple(f"{name}=" for name in PLACES)):
            kept.append(word)
    return f"python -m {program} {shlex.join(kept)}"
