"""Errors that the user can mend, each with the exit status of the process."""


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
