"""Were the two runs given the same task? If not, nothing else is worth comparing."""

from dataclasses import replace
from itertools import zip_longest
from typing import Any

from parity.recording import Recording
from parity.spec import Identity, to_dict
from parity.verdict.checks import Check

# Of two experiments that have little in common, the first settings tell enough.
SHOWN = 4
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
        found[0] = replace(found[0], reason=settings_that_differ(a.manifest.identity, b.manifest.identity))
    ours, theirs = a.manifest.precision, b.manifest.precision
    settings = sorted(set(ours) | set(theirs))
    found += [equal(f"precision {s}", f"precision: {s}", a, b, ours.get(s), theirs.get(s)) for s in settings]
    return found


def settings_that_differ(ours: Identity, theirs: Identity) -> str:
    """The fields of two identities that are not equal, with both values."""
    pairs = zip_longest(fields_of(to_dict(ours)), fields_of(to_dict(theirs)), fillvalue=("", "nothing"))
    listed = [f"{x[0] or y[0]} {x[1]} and {y[1]}" for x, y in pairs if x != y]
    return f"the experiment's settings: {', '.join(listed[:SHOWN])}; record both with the same options"


def fields_of(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every value inside nested JSON, by its path, in order."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is None:
        return [(path, value)]
    return [field for key, child in inside for field in fields_of(child, f"{path}.{key}" if path else str(key))]


def equal(name: str, what: str, a: Recording, b: Recording, ours: str | None, theirs: str | None) -> Check:
    """Both present and the same."""
    if ours is not None and ours == theirs:
        return Check(name, "preflight", "passed", None, None, None, f"{what}: equal ({ours[:12]})")
    shown = [value[:12] if value else "missing" for value in (ours, theirs)]
    reason = f"{what}: {a.label} {shown[0]}, {b.label} {shown[1]}; record both with the same options"
    return Check(name, "preflight", "failed", None, None, None, reason)
