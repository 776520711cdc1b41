"""Why two recordings do not agree: one finding for each thing that is off, with its cause or what the numbers say.

Causes are sought by replays of the step that failed, or in what both sides were given. Once known causes explain a
step, the run is recorded again with them aligned and judged again, until nothing is left or nothing is known of it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from parity.diagnosis import consumed, evaluation, given, loop, replay, stages
from parity.diagnosis.asked import Sides, is_cheap
from parity.diagnosis.replay import Search
from parity.diagnosis.value import Cause, Diagnosis, Finding, Residual
from parity.errors import ParityError
from parity.experiment.spec import is_read, own_choices
from parity.recordings.recording import Recording
from parity.verdict import Verdict, judge, lockstep, pretraining
from parity.verdict.checks import Check

# Of the first step as a whole, more may differ than what differs first.
APART = "python -m parity.record with --reference, the other recording, says which stage of which step differs first"
STEP = re.compile(r"step (\d+)")
FOLLOWING = re.compile(r"step (\d+) float64 ([^\s,]+)")
# So often a run is recorded again.
TURNS = 3
MENDED = "what else there may be shows once this is mended"
LONG = "not judged again with that aligned, since its training is long: run it again with these choices"


def diagnose(sides: Sequence[Recording], verdict: Verdict, ask: Sides | None = None) -> Diagnosis | None:
    """Why the verdict is no parity, the first thing first; None where nothing failed, or nothing can be said of it.

    `ask` has the sides replay checkpoints, or record again; without it, only what both sides were given is looked into.
    A diagnosis that fails says so, and takes nothing with it.
    """
    failed = [check for check in verdict.checks if check.result == "failed"]
    if not failed or len(sides) != 2:
        return None
    try:
        return sought(sides[0], sides[1], failed, ask, TURNS)
    except ParityError as error:
        said = str(error).splitlines()[0]
        finding = Finding(place(failed[0]), note=f"the cause could not be sought: {said}", sought=False)
        return Diagnosis((finding,))


def sought(a: Recording, b: Recording, failed: Sequence[Check], ask: Sides | None, turns: int) -> Diagnosis | None:
    """The findings of what failed, each level by itself, and those of the run once known causes are aligned."""
    found: list[Finding] = []
    note: str | None = None
    for level in ("preflight", "consumed"):
        here = [check for check in failed if check.level == level]
        one = given.diagnose(a, b, place(here[0]), here) if here else None
        if level == "consumed" and here:
            said, causes = consumed.sentences(a, b, ask)
            one = replace(one or Finding(place(here[0])), described=tuple(said))
            one = replace(one, causes=(*one.causes, *causes)) if causes else one
        found += [one] if one is not None else []
    if ask is not None and any(check.level == "pretraining" for check in failed):
        found += before(a, b, [check for check in failed if check.level == "pretraining"], ask.before())
    judged = [check for check in failed if check.level == "lockstep"]
    explained = bool(found) and found[0].explained and {check.level for check in failed} <= {"preflight"}
    if judged and ask is None:
        found.append(from_settings(a, b, place(judged[0])))
    search: Search | None = None
    if ask is not None and not any(check.level == "preflight" for check in failed):
        if judged:
            own, search = stages.findings(a, b, place(judged[0]), following(judged), ask)
            found += own
        found += loop.findings(a, b, [check for check in failed if check.level != "pretraining"], ask)
        found += evaluation.findings(a, b, failed, ask)
        if not found:
            found += later(a, b, failed, ask)
    if search is not None and search.left is None and ask is not None:
        if is_cheap(a) and turns:
            return aligned(a, b, found, search, ask, turns)
        note = LONG
    elif found and not explained and ask is not None:
        note = MENDED
    found.sort(key=moment)
    return Diagnosis(tuple(found), explained, note) if found else None


def moment(finding: Finding) -> float:
    """The step of a finding; what is of no step, as what both were given, comes first."""
    match = STEP.search(finding.failed)
    return int(match[1]) if match else -1


def before(a: Recording, b: Recording, failed: Sequence[Check], ask: Sides) -> list[Finding]:
    """What is off in the pre-training of both."""
    x, y = pretraining.before(a), pretraining.before(b)
    if x is None or y is None:
        return []
    said, _ = consumed.sentences(x, y, None)
    found = [Finding(place(failed[0]), described=tuple(said))] if said else []
    search = replay.searched(x, y, ask)
    found += list(stages.accounts(search, (), ask)) if search is not None else []
    return found + loop.findings(x, y, failed, ask)


def aligned(a: Recording, b: Recording, found: Sequence[Finding], search: Search, ask: Sides, turns: int) -> Diagnosis:
    """Record one side again as the other one acts, judge again, and add what still fails."""
    with ask.again(search.side, search.owner, search.realisation) as (recordings, sides):
        ours, theirs = (recordings[side.manifest.framework] for side in (a, b))
        left = [check for check in judge(ours, theirs).checks if check.result == "failed"]
        if not left:
            return Diagnosis(tuple(found), all(finding.explained for finding in found))
        more = sought(ours, theirs, left, sides, turns - 1)
    if more is None:
        rest = Finding(place(left[0]), note=left[0].reason)
        return Diagnosis((*found, rest))
    known = {finding.failed for finding in found}
    return Diagnosis((*found, *(f for f in more.findings if f.failed not in known)), more.explained, more.note)


def later(a: Recording, b: Recording, failed: Sequence[Check], ask: Sides) -> list[Finding]:
    """What is behind a failure that no checkpoint shows."""
    for check in failed:
        if check.level == "loop":
            found = loop.between_checkpoints(a, b, check, ask)
            if found is not None:
                return [found]
    return []


def following(judged: Sequence[Check]) -> set[tuple[int, str]]:
    """The steps and results of stages that failed because of what the step used."""
    found = (FOLLOWING.match(check.name) for check in judged if check.follows is not None)
    return {(int(match[1]), match[2]) for match in found if match is not None}


def place(check: Check) -> str:
    """What failed, in few words."""
    if check.level == "lockstep":
        return ", ".join((check.where or check.name).split(", ")[:2])
    return (
        f"{check.level}, {check.name}" if check.level in ("preflight", "consumed") else f"{check.level}, {check.place}"
    )


def from_settings(a: Recording, b: Recording, failed: str) -> Finding:
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
    return Finding(failed, note=note, sought=False)


__all__ = ["Cause", "Diagnosis", "Finding", "Residual", "Sides", "diagnose"]
