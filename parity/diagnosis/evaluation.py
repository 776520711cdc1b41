"""What a side's evaluation does otherwise than the other's, of the same model: outputs in eval mode, accuracy, loss."""

import re
from collections.abc import Sequence

import numpy as np

from parity.bounds import evaluated
from parity.diagnosis.asked import Sides, Tensors
from parity.diagnosis.expected import whole_step
from parity.diagnosis.relations import relation
from parity.diagnosis.value import Finding
from parity.recordings.recording import Arrays, Recording
from parity.verdict.checks import Check
from parity.verdict.segments import common

STEP = re.compile(r"step (\d+)")
FORWARD, LOSS = re.compile(r", (forward|running statistics)\b"), re.compile(r", loss\b")
OUTPUTS = re.compile(r"step (\d+) outputs in eval mode, on (.+)'s checkpoint")
SAME = "layers, loss and optimizer by themselves are the same"


def findings(a: Recording, b: Recording, failed: Sequence[Check], ask: Sides) -> list[Finding]:
    """What is off in the evaluation of a model that both sides share; outputs stand for what is made of them."""
    own = [check for check in failed if check.level == "loop" and check.follows is None]
    apart = [check for check in own if OUTPUTS.match(check.name)]
    # Where both were given something else, or a layer is off by itself, so is what it gives in eval mode; but not what
    # a side counts of its own predictions.
    stages = [check.where or "" for check in failed if check.level == "lockstep"]
    if any(map(LOSS.search, stages)):
        own = [check for check in own if "loss" not in check.name]
    if apart and (any(map(FORWARD.search, stages)) or any(check.level == "consumed" for check in failed)):
        own = [check for check in own if check.name.startswith(("accuracy of ", "predictions"))]
    for check in own:
        match = OUTPUTS.match(check.name)
        if match is None:
            continue
        for step, owner, ours, theirs in common(a, b):
            if step == int(match[1]) and owner == match[2]:
                said = of_outputs(a, b, step, owner, (ours, theirs), ask)
                return [Finding(f"step {step}, outputs in eval mode", described=said, beside=SAME)]
    numbers = [check for check in own if check.name.startswith(("test ", "training ", "accuracy of ", "predictions"))]
    if not numbers:
        return []
    said = tuple(dict.fromkeys(of_number(a, b, check) for check in numbers))
    beside = None if apart else "outputs in eval mode are the same"
    return [Finding(f"loop, {numbers[0].place}", described=said, beside=beside)]


def of_outputs(
    a: Recording, b: Recording, step: int, owner: str, segments: tuple[Arrays, Arrays], ask: Sides
) -> tuple[str, ...]:
    """Which side's outputs are off, and how they came about."""
    holder = a if owner == a.label else b
    tensors = ask.tensors(holder, holder, step)
    (x, y), bound = (segment["outputs"] for segment in segments), segments[0]["outputs_bound"]
    bound = np.maximum(bound, segments[1]["outputs_bound"])
    given = tensors.given
    right = evaluated.outputs(given.identity, given.realisation, given.state, given.inputs).values
    sides = [(side, z) for side, z in ((a, x), (b, y)) if not (np.abs(z - right) <= bound).all()]
    if len(sides) != 1:
        return ()
    side, z = sides[0]
    if (np.abs(z - in_train_mode(tensors)) <= bound).all():
        return (f"{side.label} evaluates in train mode",)
    how = relation(right, z, bound, ("sample", "unit"))
    said = f": they are the right ones, {how.says}" if how is not None and how.whole else ""
    return (f"{side.label}'s outputs in eval mode are not what its weights and running statistics give{said}",)


def in_train_mode(tensors: Tensors) -> np.ndarray:
    """What the model gives in train mode."""
    given = tensors.given
    return whole_step(given)[f"outputs/{given.identity.model[-1].name}"]


def of_number(a: Recording, b: Recording, check: Check) -> str:
    """How two numbers of an evaluation differ, in words."""
    values = re.match(rf"{re.escape(a.label)} (\S+), {re.escape(b.label)} ([^\s:]+)", check.reason)
    if values is None:
        return f"{check.name}: {check.reason}"
    x, y = float(values[1]), float(values[2])
    how = relation(np.array(x), np.array(y), np.array(0.0))
    return (
        f"{check.name}: {b.label}'s is {a.label}'s, {how.says}" if how is not None else f"{check.name}: {check.reason}"
    )
