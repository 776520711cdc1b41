"""Did both runs, at every step, really use the same samples, pixels, labels and masks, or uniforms?"""

from parity.recordings.recording import Recording
from parity.verdict.checks import Check, equal_arrays


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for each checksum that the training loops computed of what they used."""
    return [
        equal_arrays(what, "consumed", a, b, a.trace[f"consumed/{what}"], b.trace[f"consumed/{what}"], "step")
        for what in a.phase.consumed
    ]
