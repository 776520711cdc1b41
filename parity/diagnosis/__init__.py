"""Why two recordings do not agree: causes sought by replays of the step that failed, or in what both were given."""

from collections.abc import Sequence

from parity.diagnosis import given, replay
from parity.diagnosis.replay import Ask
from parity.diagnosis.value import Cause, Diagnosis, Residual
from parity.errors import ParityError
from parity.experiment.spec import is_read, own_choices
from parity.recordings.recording import Recording
from parity.verdict import Verdict, lockstep

# Of the first step as a whole, more may differ than what differs first.
APART = "python -m parity.record with --reference, the other recording, says which stage of which step differs first"


def diagnose(sides: Sequence[Recording], verdict: Verdict, ask: Ask | None = None) -> Diagnosis | None:
    """Why the verdict's first check failed; None where none did, or where no cause is sought at its level.

    `ask` has a side replay checkpoints as other realisations have them; without it, only what both sides were given is
    looked into. A diagnosis that fails says so, and takes nothing with it.
    """
    first = next((check for check in verdict.checks if check.result == "failed"), None)
    if first is None or len(sides) != 2:
        return None
    a, b = sides
    failed = f"{first.level}, {first.name}"
    try:
        if first.level in ("preflight", "consumed"):
            same = [check for check in verdict.checks if check.result == "failed" and check.level == first.level]
            return given.diagnose(a, b, failed, same)
        if first.level == "lockstep":
            failed = ", ".join((first.where or first.name).split(", ")[:2])
            return replay.diagnose(a, b, failed, ask) if ask is not None else from_settings(a, b, failed)
    except ParityError as error:
        said = str(error).splitlines()[0]
        return Diagnosis(failed, note=f"the cause could not be sought: {said}", sought=False)
    return None


def from_settings(a: Recording, b: Recording, failed: str) -> Diagnosis:
    """Without a framework to ask: how it is asked, and in which choices the settings differ, if they do."""
    ours, theirs = a.manifest.realisation, b.manifest.realisation
    identity = a.manifest.identity
    differing = [
        f"{field} ({a.label} {getattr(ours, field)}, {b.label} {getattr(theirs, field)})"
        for field in own_choices("tf")
        if getattr(ours, field) != getattr(theirs, field) and any(is_read(field, identity, r) for r in (ours, theirs))
    ]
    note = "that takes the frameworks: python -m parity.run with the same options seeks it"
    if differing:
        note = (
            f"the settings differ in {', '.join(differing)}; python -m parity.run with these choices says which matter"
        )
    if not lockstep.of_either(a, b) and not lockstep.of_a_reference(a, b):
        note += f"; {APART}"
    return Diagnosis(failed, note=note, sought=False)


__all__ = ["Ask", "Cause", "Diagnosis", "Residual", "diagnose"]
