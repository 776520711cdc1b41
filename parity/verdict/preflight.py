"""Were the two runs given the same task? If not, nothing else is worth comparing."""

from dataclasses import replace

from parity.experiment.settings import differences
from parity.recordings.recording import Recording
from parity.verdict.checks import Check

WHAT = {
    "identity": "the experiment's settings",
    "data": "the training and test data",
    "start": "the start state (weights, slots)",
    "order": "the batch order",
}


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for each digest and each effective numerical setting."""
    ours, theirs = a.manifest.digests, b.manifest.digests
    found = [equal(name, what, a, b, ours.get(name), theirs.get(name)) for name, what in WHAT.items()]
    if found[0].result == "failed":
        listed = ", ".join(differences(a.manifest.identity, b.manifest.identity))
        reason = f"the experiment's settings: {listed}; record both with the same options"
        found[0] = replace(found[0], reason=reason)
    if found[1].result == "failed" and a.data_source != b.data_source:
        reason = f"the training and test data: {a.label} {a.data_source}, {b.label} {b.data_source}"
        found[1] = replace(found[1], reason=f"{reason}; record both with the same options")
    steps = [len(side.trace["cost"]) for side in (a, b)]
    if found[3].result == "failed" and steps[0] != steps[1]:
        reason = f"the batch order: {a.label} {steps[0]} steps, {b.label} {steps[1]}; record both with the same options"
        found[3] = replace(found[3], reason=reason)
    ours, theirs = a.manifest.precision, b.manifest.precision
    settings = sorted(set(ours) | set(theirs))
    found += [equal(f"precision {s}", f"precision: {s}", a, b, ours.get(s), theirs.get(s)) for s in settings]
    return found


def equal(name: str, what: str, a: Recording, b: Recording, ours: str | None, theirs: str | None) -> Check:
    """Both present and the same."""
    if ours is not None and ours == theirs:
        return Check(name, "preflight", "passed", None, None, None, f"{what}: equal ({ours[:12]})")
    shown = [value[:12] if value else "missing" for value in (ours, theirs)]
    reason = f"{what}: {a.label} {shown[0]}, {b.label} {shown[1]}; record both with the same options"
    return Check(name, "preflight", "failed", None, None, None, reason)
