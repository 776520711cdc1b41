"""Errors that the user can mend, each with the exit status of the process, and their text as it may be printed."""

import re

# Colours and cursors (CSI), titles and links (OSC), and the shorter ones.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")


class ParityError(Exception):
    """A failure that is told in one line and ends the process with `status`."""

    status = 1


class UsageError(ParityError):
    """The request itself cannot be carried out: a bad option, file or folder."""

    status = 2


class IncomparableError(ParityError):
    """Two recordings that cannot be judged against each other."""

    status = 3


class WorkerError(ParityError):
    """A framework's process crashed, was killed or reported an error."""

    status = 4


def plain(text: str) -> str:
    """Text without what is addressed to a terminal: colours and other escapes, and what moves the cursor."""
    return "".join(c for c in ESCAPES.sub("", text) if c.isprintable() or c in "\n\t")
