"""What a training loop does that its replayed step does not: the findings of the level loop."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.stages import taken_gradient
from parity.bounds.whole_step import BOTH
from parity.diagnosis import updates
from parity.diagnosis.account import axes, of_optimizer, related, simplest
from parity.diagnosis.asked import Sides, Tensors
from parity.diagnosis.expected import Given, whole_step
from parity.diagnosis.relations import relation
from parity.diagnosis.suppositions import Seen, Supposition, with_state
from parity.diagnosis.transforms import listed
from parity.diagnosis.value import Finding
from parity.experiment.optimizers import SGD
from parity.experiment.spec import Identity
from parity.recordings.recording import Recording
from parity.verdict.checks import Check

Array = NDArray[Any]
Arrays = Mapping[str, Array]
STEP = re.compile(r"step (\d+)")
BOTH_OF = ("the replay", "the loop")
CARRIED = (
    "the same step from the same state gives something else the second time: the loop carries over what is no part of "
    "the state (gradients that are not reset? a learning rate that it changes?)"
)
SAME = "layers, loss and optimizer by themselves are the same"


def findings(a: Recording, b: Recording, failed: Sequence[Check], ask: Sides) -> list[Finding]:
    """One for each side of which some step of the loop is not the step that was replayed, of what failed there."""
    found = []
    for side in (a, b):
        own = [c for c in failed if c.side == f"{side.label}'s loop" and not (c.follows or "").startswith("consumed")]
        single = [check for check in own if check.name.startswith(("step ", "pre-training step "))]
        steps = sorted({step for check in single if (step := step_of(check)) is not None})
        if steps:
            found.append(of_side(side, steps, ask))
    return found


def step_of(check: Check) -> int | None:
    """The step that a check names, if it names one."""
    match = STEP.match(check.where or "")
    return None if match is None else int(match[1])


def of_side(side: Recording, steps: Sequence[int], ask: Sides) -> Finding:
    """What is to be said of one side's loop, at the first and the last step that failed."""
    told = {step: of_step(taken_at(side, step, ask), side.label) for step in sorted({steps[0], steps[-1]})}
    first, last = told[steps[0]], told[steps[-1]]
    sentences = first if first == last else [s for s in first if s in last] or [
        f"step {step}: {sentence}" for step, said in told.items() for sentence in said
    ]  # fmt: skip
    return Finding(f"step {steps[0]}, {side.label}'s training loop", described=tuple(sentences), beside=SAME)


def taken_at(side: Recording, step: int, ask: Sides) -> Tensors:
    """All tensors of a step, to which the loop goes from the last checkpoint before it."""
    start = max(checkpoint for checkpoint in side.checkpoints if checkpoint <= step)
    return ask.tensors(side, side, start, ahead=step - start)


def of_step(tensors: Tensors, label: str) -> list[str]:
    """What the loop adds to the replayed step, in words."""
    whole, looped = tensors.part("whole"), tensors.part("loop")
    allowed = {name: BOTH * bound for name, bound in tensors.part("loop_bounds").items()}
    names = [name for name in tensors.side.phase.looped() if name in looped and name in allowed]
    seen = Seen({name: looped[name] for name in names}, allowed)
    off = [name for name in names if not seen.within(name, whole[name])]
    if tensors.side.manifest.phase != "training":
        return related(tensors.given, off, whole, looped, allowed, BOTH_OF)[0]
    given = replace(tensors.given, recorded=whole)
    if tensors.part("repeated") and differs_from(tensors.part("repeated"), seen):
        return [CARRIED]
    if "cost" in off or not off:
        shown = [name for name in names if name == "cost" or name.startswith("statistics/")]
        held = simplest(list(of_forward(given)), given, seen.of(shown))
        if held:
            return [f"{label}'s loop does as if {' or '.join(h.sentence for h in held)}"]
        head = "its cost is another one: its forward pass or its loss is not what was replayed"
        return [head, *related(given, ["cost"], whole, looped, allowed, BOTH_OF)[0]]
    right = [name for name in names if name not in off and not name.startswith("weights/")]
    head = "its cost is right" + (f", and so are {kinds(right)}" if len(right) > 1 else "") + f"; off: {kinds(off)}"
    updated = [name for name in names if name.startswith(("slots/", "weights/"))]
    held = of_optimizer(given, seen.of(updated), list(updates.of_update(given)))
    if held:
        return [f"{label}'s loop does as if {' or '.join(h.sentence for h in held)}", head]
    taken = list(of_gradients(given, whole, looped, allowed, label))
    return [*(taken or related(given, off, whole, looped, allowed, BOTH_OF)[0]), head]


def kinds(names: Sequence[str]) -> str:
    """What the tensors are, each kind once."""
    return listed(list(dict.fromkeys(name.split("/")[1] if "/" in name else name for name in names if name != "cost")))


def of_forward(given: Given) -> Iterator[Supposition]:
    """What a loop's forward pass may be instead: in eval mode, with another mask, of other labels."""
    identity, step = given.identity, int(given.state["step"])
    if identity.dropouts or identity.statistics:
        yield Supposition("it were in eval mode", in_eval_mode)
    if identity.dropouts:
        for said, other in (("next", step + 1), ("previous", step - 1)):
            if other >= 0:
                yield Supposition(f"the masks were those of the {said} step", masked(other))
    for said, by in (("after", -1), ("before", 1)):
        yield Supposition(f"each sample had the label of the one {said} it", relabelled(by))


def in_eval_mode(given: Given, _: float) -> Arrays:
    """A whole step forward in eval mode, which leaves running statistics as they are."""
    kept = {name: value for name, value in given.state.items() if name.startswith("statistics/")}
    return {**whole_step(given, training=False), **kept}


def masked(step: int) -> Callable[[Given, float], Arrays]:
    """A whole step with the masks of another one."""

    def gives(given: Given, _: float) -> Arrays:
        forward = whole_step(with_state(given, "step", np.int64(step)))
        return {**forward, **updates.GIVES(replace(given, recorded=forward))}

    return gives


def relabelled(by: int) -> Callable[[Given, float], Arrays]:
    """A whole step with the labels moved by so many samples."""
    return lambda g, _: whole_step(replace(g, labels=np.roll(g.labels, by)))


def of_gradients(given: Given, whole: Arrays, looped: Arrays, allowed: Arrays, label: str) -> Iterator[str]:
    """How the gradients that the loop's update took came of the replayed ones, where a slot shows them."""
    found: dict[str, list[str]] = {}
    for weight in given.identity.weights:
        taken = taken_by(given.identity, given.state, looped, weight, allowed)
        name = taken_gradient(given.identity, weight)
        if taken is not None and name in whole:
            others = {"the weight": given.state[f"weights/{weight}"]}
            if name.startswith("clipped"):
                others["the gradient before it was clipped"] = whole[f"gradients/{weight}"]
            how = relation(whole[name], taken[0], taken[1], axes(weight), others)
            if how is not None and how.whole:
                found.setdefault(how.says, []).append(weight)
    for says, names in found.items():
        yield f"the gradients that {label}'s loop updates {listed(names)} by are the replayed ones, {says}"


def taken_by(
    identity: Identity, state: Arrays, after: Arrays, weight: str, allowed: Arrays
) -> tuple[Array, Array] | None:
    """The gradient that an update took of a weight, and by how much it may be off, by the slot that is linear in it."""
    optimizer = identity.optimizer
    if getattr(optimizer, "weight_decay", 0.0):
        return None
    moment, velocity = f"slots/first_moment/{weight}", f"slots/velocity/{weight}"
    if moment in after and hasattr(optimizer, "beta_1"):
        share = 1 - optimizer.beta_1
        return (after[moment] - optimizer.beta_1 * state[moment]) / share, allowed[moment] / share
    if isinstance(optimizer, SGD) and velocity in after:
        return after[velocity] - optimizer.momentum * state[velocity], allowed[velocity]
    if isinstance(optimizer, SGD):
        name, rate = f"weights/{weight}", optimizer.learning_rate
        return (state[name] - after[name]) / rate, allowed[name] / rate
    return None


def between_checkpoints(a: Recording, b: Recording, check: Check, ask: Sides) -> Finding | None:
    """What a loop does at a step where no checkpoint is: the step is gone to from the checkpoint before it."""
    step = step_of(check)
    if step is None:
        return None
    for side in (a, b):
        for at in range(max(step - 1, 0), step + 1):
            tensors = taken_at(side, at, ask)
            sentences = of_step(tensors, side.label) if differs(tensors) else []
            if sentences:
                return Finding(f"step {at}, {side.label}'s training loop", described=tuple(sentences), beside=SAME)
    return None


def differs(tensors: Tensors) -> bool:
    """Whether the loop's step is not the replayed one."""
    whole, looped = tensors.part("whole"), tensors.part("loop")
    allowed = {name: BOTH * bound for name, bound in tensors.part("loop_bounds").items()}
    names = [name for name in tensors.side.phase.looped() if name in looped and name in allowed]
    return differs_from(whole, Seen({name: looped[name] for name in names}, allowed))


def differs_from(other: Arrays, seen: Seen) -> bool:
    """Whether anything that was seen is not what it is in another run of the step."""
    return not all(seen.within(name, other[name]) for name in seen.found)
