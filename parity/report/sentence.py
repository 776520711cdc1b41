"""The first line of what is printed: what came of it, in one sentence of plain words."""

import re
from collections.abc import Sequence

from parity.diagnosis.value import Cause, Diagnosis
from parity.experiment.spec import LABELS, own_choices
from parity.recordings.recording import Recording
from parity.verdict import Check, Verdict, noise
from parity.verdict.judged import lacking, listed
from parity.verdict.trajectory import AGAINST_NOISE, first_disagreement

DIGITS = 6
# The stages of a step, as they are told to whoever knows training and not this program.
PARTS = {
    "forward": "in the forward pass of {}", "backward": "in the backward pass of {}",
    "running statistics": "in the running statistics of {}", "loss gradient": "in the gradient of the loss",
    "loss": "in the loss", "clipping": "where gradients are clipped", "optimizer": "in the optimizer",
}  # fmt: skip
LEVELS = {
    "pretraining": "in the pre-training", "consumed": "in what the training loop uses", "lockstep": "in a single step",
    "loop": "in the training loop", "trajectory": "in the costs of the whole run",
    "outcome": "in what the trained models predict",
}  # fmt: skip
# What comes last of several things, with its index.
LAST = re.compile(r"[^,\[ ][^,\[]*(\[[^\]]*\])?$")


def sentence(recordings: Sequence[Recording], verdict: Verdict, diagnosis: Diagnosis | None) -> str:
    """The result in one sentence."""
    failed = [check for check in verdict.checks if check.result == "failed"]
    who = " and ".join(side.label for side in recordings)
    if verdict.verdict == "incomparable":
        because = f": {failed[0].reason}" if failed else ""
        return f"{who} were not given the same task, so nothing else was compared{because}"
    if verdict.verdict == "insufficient":
        return f"Nothing failed, and too little could be judged to call it parity: {lacking(verdict.checks)}"
    if verdict.verdict == "mismatch":
        return f"{parted(who, failed[0])} {where(failed[0])}: {why(failed[0], diagnosis)}" if failed else f"{who} part"
    if len(recordings) == 1:
        return f"{who}'s recording agrees with its own replays: {of_stages(verdict)}, and its loop does what they do"
    return f"{who} trained the same: {of_stages(verdict)}; {of_costs(recordings[0], recordings[1], verdict)}"


def of_stages(verdict: Verdict) -> str:
    """How many steps' stages were judged."""
    places = [check.where or "" for check in verdict.checks if check.level == "lockstep"]
    steps = {place.partition(",")[0] for place in places if place.startswith("step ")}
    if not steps:
        return "the whole first step within rounding"
    return f"every stage of {len(steps)} checkpoint{'s' * (len(steps) > 1)} within rounding"


def of_costs(a: Recording, b: Recording, verdict: Verdict) -> str:
    """How long the costs agree, and whether one framework's own do as long."""
    x, y = (noise.costs(side.trace) for side in (a, b))
    if x.shape != y.shape or not x.size:
        return "their costs cannot be compared"
    steps = first_disagreement(x, y, DIGITS)
    if steps == len(x):
        return f"costs agree to {DIGITS} digits at every step"
    judged = next((c.result for c in verdict.checks if c.name == AGAINST_NOISE), "not_judged")
    if judged != "passed":
        return f"costs agree to {DIGITS} digits until step {steps}"
    own = [first_disagreement(noise.costs(p), noise.costs(q), DIGITS) for p, q in noise.pairs(a, b)]
    ours = "as those of one framework do" if min(own, default=len(x)) < len(x) else "by no more than noise"
    return f"costs part after step {steps}, {ours}"


def parted(who: str, check: Check) -> str:
    """Which two do not agree: both sides, or one side and what it is held against of its own."""
    if check.level == "lockstep" and check.side is not None and " float32 " in check.name:
        return f"{check.side} in float32 and in float64 part first"
    if check.level == "loop" and check.side is not None:
        own = f"{check.side} and its own replay part first"
        return own if check.side.endswith("'s loop") else f"{check.side} contradicts itself"
    return f"{who} part first"


def where(check: Check) -> str:
    """The step and the part of it in which something failed first."""
    step, _, rest = (check.where or "").partition(", ")
    at = f"at {step}, " if re.fullmatch(r"step \d+", step) else ""
    at = f"in {check.stretch}, " if check.stretch else at
    stage, _, name = rest.partition(", ")
    part = next((said for start, said in PARTS.items() if stage == start or stage.startswith(f"{start} ")), None)
    if check.level == "lockstep" and at and name and part is not None:
        return f"{at}{part.format(stage.split()[-1])}"
    return f"{at}{LEVELS.get(check.level, check.level)}"


def why(check: Check, diagnosis: Diagnosis | None) -> str:
    """The causes that were found, or else by how much it is off, and where."""
    causes = () if diagnosis is None else diagnosis.causes
    if len(causes) == 1:
        return said(causes[0])
    if not causes and diagnosis is not None and diagnosis.first.described:
        return diagnosis.first.described[0]
    if causes:
        return f"{len(causes)} reasons, named below: {listed([c.field or c.says for c in causes])}"
    if check.level in ("lockstep", "loop"):
        # The step and both values stand below.
        tensor = LAST.search(check.place)
        return f"{tensor.group() if tensor else check.place}: {check.reason.rpartition(': ')[2]}"
    return f"{check.name}: {check.reason}"


def said(cause: Cause) -> str:
    """A cause in words: the difference's title where each framework does as that says, or what either side does."""
    own = {LABELS[side]: own_choices(side).get(cause.field or "") for side in LABELS}
    return cause.title if cause.title is not None and dict(cause.values) == own else cause.says
