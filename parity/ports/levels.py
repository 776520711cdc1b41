"""Every level of a user's pair, in order: what is judged, and what is not and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from parity.causes import masks
from parity.models.axes import CHANNELS_FIRST, SAME
from parity.models.calls import INPUTS, Call
from parity.pairing.pairs import Pairing
from parity.pairing.proof import Proof
from parity.pairing.windows import SLIDING
from parity.ports import sides
from parity.ports.findings import Finding, Level
from parity.ports.judge import Array, Judge, Side
from parity.ports.stages import Stage, matched, nearest, whole_layers
from parity.verdict.checks import Result

# What is judged before any layer is called.
EARLY: tuple[Level, ...] = ("settings", "inputs", "weights")
# Why a result that differs is no failure.
DOUBT = "it comes after layers that could not be told apart, and whose weights were not moved, or by a guess"
TRAIN_MODE: tuple[Level, ...] = ("training forward", "buffers")
TRAINING: tuple[Level, ...] = ("optimizer step", "steps", "forward after training")
# What an optimizer of Keras's keeps of a weight, and torch's names of the same thing; where torch's stock optimizer has
# it otherwise, its side says what makes it Keras's.
SLOTS = {
    "momentum": ("exp_avg", "-lr * momentum_buffer", "lr * momentum_buffer"),
    "velocity": ("exp_avg_sq", "square_avg"),
    "velocity_hat": ("max_exp_avg_sq",),
    "average_gradient": ("grad_avg",),
    "accumulator": ("sum",),
    "accumulated_grad": ("square_avg",),
    "accumulated_delta_var": ("acc_delta",),
    "norm": ("exp_inf - eps", "exp_inf"),
}


def judge_of(keras: Side, torch: Side, pairing: Pairing) -> Judge:
    """The judge of two recordings, with the tensors of their passes in eval mode paired."""
    calls = keras.recorded.calls["eval"], torch.recorded.calls["eval"]
    arrays = [
        {name.removeprefix("eval/"): value for name, value in side.arrays.items() if name.startswith("eval/")}
        for side in (keras, torch)
    ]
    return Judge(keras, torch, pairing, matched(calls, (arrays[0], arrays[1]), pairing))


def judged(judge: Judge, proofs: Sequence[Proof]) -> list[Finding]:
    """All findings; `proofs` are those of the weights that both sides started from."""
    found = [*inputs(judge), *forward(judge, "forward", "eval"), *predicted(judge)]
    found = [*weights(proofs, found), *found]
    if judge.trained:
        found += forward(judge, "training forward", "train")
        found += sides.shares(judge)
        found += judge.by_weight("buffers", "buffers/")
    else:
        reason = "it takes optimizer() on both sides, and at least one step"
        found += [Finding(level, level, "not_judged", reason, needed=False) for level in TRAIN_MODE]
    found += loss(judge)
    found += backward(judge)
    found += steps(judge)
    found += sides.alone(judge)
    found += judge.in_float32()
    return found


def doubted(findings: Sequence[Finding], judge: Judge, is_settled: bool = False) -> list[Finding]:
    """Findings without the failures of what comes after layers that could not be told apart.

    Their weights were not moved, or by a guess, so that results differ whether or not the models do. What fails before
    them fails; and where every way was tried (`is_settled`), so does what comes after a guess.
    """
    paths = judge.pairing.ambiguous if is_settled else [p for ours, _ in judge.pairing.undecided for p in ours]
    ambiguous = {path.partition(":")[0] for path in paths}
    order = [call.name for call in judge.keras.recorded.calls["eval"] if call.layer in ambiguous]
    if not order:
        return list(findings)
    calls = [call.name for call in judge.keras.recorded.calls["eval"]]
    doubtful = {stage.name for stage in judge.stages if calls.index(stage.keras.name) >= calls.index(order[0])}
    failed = [finding for finding in findings if finding.result == "failed"]
    before = {stage.name for stage in judge.stages} - doubtful
    if any(f.level in EARLY or (f.level == "forward" and f.name in before) for f in failed):
        return list(findings)
    return [replace(f, result="not_judged", reason=DOUBT) if f.result == "failed" else f for f in findings]


def inputs(judge: Judge) -> Iterator[Finding]:
    """What either model was called with, up to a layout; what cannot be laid over each other is left to its effects."""
    ours, theirs = judge.keras.names(INPUTS), judge.torch.names(INPUTS)
    if len(ours) != len(theirs):
        reason = f"Keras's model is called with {len(ours)} arrays, torch's with {len(theirs)}"
        yield Finding("inputs", "inputs", "not_judged", reason, needed=False)
        return
    for (name, key), other in zip(ours.items(), theirs.values(), strict=True):
        pair = judge.keras.arrays[key], judge.torch.arrays[other]
        layout = judge.input_layout(*pair)
        called = f"input {name}".rstrip()
        if layout is None:
            reason = f"Keras has the shape {pair[0].shape}, torch {pair[1].shape}"
            yield Finding("inputs", called, "not_judged", reason, needed=False)
        else:
            yield judge.compared("inputs", called, (key, other), (layout.turn(pair[0]), pair[1]))


def weights(proofs: Sequence[Proof], forward: Sequence[Finding]) -> Iterator[Finding]:
    """Whether each weight is the other side's by its transform; one that is not, and changes nothing, is no fault."""
    same = all(f.result == "passed" for f in forward if f.level in ("forward", "inputs"))
    for proof in proofs:
        names = " + ".join(proof.keras), " + ".join(proof.torch)
        result: Result = "passed" if proof.status in ("equal", "undecided") or same else "failed"
        name = " ~ ".join(name for name in names if name)
        yield Finding("weights", name, result, proof.says, names[0] or None, names[1] or None)


def forward(judge: Judge, level: Level, mode: str) -> list[Finding]:
    """A pass: every stage, and the results. A pair by place alone that differs where all else agrees was none."""
    stages = list(judge.by_stage(level, f"{mode}/", judge.stages))
    results = list(judge.outputs(level, f"outputs/{mode}/"))
    agree = all(finding.result != "failed" for finding in results)
    stages = [unread(judge, mode, found, agree) if found.result == "failed" else found for found in stages]
    if not agree:
        stages = with_misshapen(judge, level, mode, stages)
    guesses = {stage.name for stage in judge.stages if stage.guess}
    if all(finding.result != "failed" for finding in [*results, *(f for f in stages if f.name not in guesses)]):
        stages = [f for f in stages if f.result != "failed"]
    return [*stages, *results]


def unread(judge: Judge, mode: str, finding: Finding, agree: bool) -> Finding:
    """A stage that differs, as one that agrees, where it does at every step that is not masked and nothing of Keras's
    reads the others: results `agree`, or what reads the stage leaves them out."""
    stage = next(stage for stage in judge.stages if stage.name == finding.name)
    real = judge.real(stage.keras)
    if real is None or real.all() or not (agree or judge.read_by(stage.keras) <= masks.LEAVING_OUT):
        return finding
    (again,) = judge.by_stage(finding.level, f"{mode}/", [stage], real)
    if again.result != "passed":
        return finding
    return replace(again, reason=f"{again.reason} at the steps that are not masked; what is at the others is not read")


def misshapen(judge: Judge, mode: str) -> list[Stage]:
    """Windows that slide over paired tensors and give another number of values: stages of layers that are paired."""
    calls = judge.keras.recorded.calls[mode], judge.torch.recorded.calls[mode]
    known = {stage.keras.name for stage in judge.stages}
    sliding = {pair.torch for pair in judge.pairing.pairs if pair.form.startswith(SLIDING)}
    found = []
    for own, other, rule in (pair for pair in whole_layers(judge.pairing) if pair[1] in sliding):
        ours = next((call for call in calls[0] if call.layer == own), None)
        theirs = next((call for call in calls[1] if call.layer == other), None)
        if ours is None or theirs is None or ours.name in known or prod(ours.shape) == prod(theirs.shape):
            continue
        layout = CHANNELS_FIRST if len(ours.shape) > 2 else SAME
        found.append(Stage(ours, theirs, layout, rule, without_partners(judge, theirs, calls[1])))
    return found


def without_partners(judge: Judge, call: Call, calls: Sequence[Call]) -> tuple[Call, ...]:
    """The calls of torch's between paired tensors and this one."""
    partners = {stage.torch.name for stage in judge.stages}
    _, names = nearest({each.name: each.reads for each in calls}, call.reads, partners)
    return tuple(each for each in calls if each.name in names)


def with_misshapen(judge: Judge, level: Level, mode: str, found: Sequence[Finding]) -> list[Finding]:
    """The findings of a pass, and those of its misshapen stages."""
    calls = judge.keras.recorded.calls[mode]
    order = {stage.name: n for n, call in enumerate(calls) for stage in judge.stages if stage.keras is call}
    more: list[tuple[int, Finding]] = []
    for stage in misshapen(judge, mode):
        reason = f"Keras's result has the shape {stage.keras.shape}, torch's {stage.torch.shape}"
        names = judge.named(judge.keras, stage.keras), judge.named(judge.torch, stage.torch)
        more.append((calls.index(stage.keras), Finding(level, stage.name, "failed", reason, *names)))
    placed = [(order.get(finding.name, len(calls)), finding) for finding in found]
    return [finding for _, finding in sorted([*more, *placed], key=lambda entry: entry[0])]


def with_every_stage(judge: Judge, findings: Sequence[Finding]) -> Judge:
    """The judge with the misshapen stages among its own, if they are said to fail: where each is judged by itself.

    Not those before another layer that slides: its stage has both in it, and a stride may have changed places.
    """
    failed = {finding.name for finding in findings if finding.result == "failed"}
    sliding = {pair.torch for pair in judge.pairing.pairs if pair.form.startswith(SLIDING)}
    before = {call.name for stage in judge.stages if stage.torch.layer in sliding for call in stage.inside}
    more = [stage for stage in misshapen(judge, "eval") if stage.name in failed and stage.torch.name not in before]
    order = {call.name: n for n, call in enumerate(judge.keras.recorded.calls["eval"])}
    return replace(judge, stages=sorted([*judge.stages, *more], key=lambda stage: order[stage.keras.name]))


def to_force(judge: Judge, side: str) -> dict[str, Array]:
    """The other side's tensors in eval mode by this one's names and in its layouts: what its stages are given alone."""
    found = {}
    for stage in judge.stages:
        if side == "torch":
            found[stage.torch.name] = stage.layout.turn(judge.keras.arrays[f"eval/{stage.keras.name}"])
        else:
            theirs = judge.torch.arrays[f"eval/{stage.torch.name}"]
            if theirs.size == prod(stage.keras.shape):
                found[stage.keras.name] = stage.layout.back(theirs, stage.keras.shape)
    return found


def alone(judge: Judge, side: str, made: Mapping[str, Array]) -> Iterator[Finding]:
    """Each stage by itself: `made` is what `side` makes of the other's tensors."""
    own = judge.torch if side == "torch" else judge.keras
    arrays = {**own.arrays, **{f"eval/{name}": value for name, value in made.items()}}
    own = replace(own, arrays=arrays)
    changed = replace(judge, torch=own, forced=True) if side == "torch" else replace(judge, keras=own, forced=True)
    for finding in changed.by_stage("forward", "eval/", judge.stages):
        yield unread(changed, "eval", finding, agree=False) if finding.result == "failed" else finding


def predicted(judge: Judge) -> Iterator[Finding]:
    """What the user's own predict() gives, on the sides that have one."""
    own = [f"outputs/{'predict' if side.names('outputs/predict/') else 'eval'}/" for side in (judge.keras, judge.torch)]
    if own == ["outputs/eval/"] * 2:
        yield Finding("predict", "predict", "not_judged", "no side has a predict() of its own", needed=False)
    else:
        yield from judge.outputs("predict", *own)


def loss(judge: Judge) -> Iterator[Finding]:
    """The user's loss, and its gradients by the model's results."""
    if "loss" not in judge.keras.arrays or "loss" not in judge.torch.arrays:
        reason = "it takes loss() on both sides, and targets"
        yield Finding("loss", "loss", "not_judged", reason, needed=False)
        return
    pair = judge.keras.arrays["loss"], judge.torch.arrays["loss"]
    yield replace(judge.compared("loss", "loss", ("loss", "loss"), pair), keras="loss()", torch="loss()")
    ours, theirs = judge.keras.names("loss-gradient/"), judge.torch.names("loss-gradient/")
    for key, other in zip(ours.values(), theirs.values(), strict=False):
        pair = judge.keras.arrays[key], judge.torch.arrays[other]
        layout = judge.input_layout(*pair)
        if layout is not None:
            pair = layout.turn(pair[0]), pair[1]
        found = judge.compared("loss", "the loss's gradient by the results", (key, other), pair)
        yield replace(found, keras="loss()", torch="loss()")


def backward(judge: Judge) -> Iterator[Finding]:
    """Gradients of the results, each weighted at random: by each stage from the last to the first, by each weight."""
    for side in (judge.keras, judge.torch):
        if "backward" in side.recorded.lacking:
            yield Finding("backward", "backward", "not_judged", side.recorded.lacking["backward"], needed=False)
            return
    stages = list(judge.by_stage("backward", "gradient/", list(reversed(judge.stages))))
    by_weights = list(judge.by_weight("backward", "weight-gradient/", one=True))
    if by_weights and all(finding.result == "passed" for finding in by_weights):
        # Where the largest of a window is there twice, either may get the gradient.
        stages = [tied(finding) if finding.result == "failed" else finding for finding in stages]
    yield from stages
    yield from by_weights


def tied(finding: Finding) -> Finding:
    """A gradient that differs, and on which no weight's gradient depends."""
    reason = "differs, as where several elements tie; the gradients by all weights agree"
    return replace(finding, result="not_judged", reason=reason, needed=False)


def steps(judge: Judge) -> Iterator[Finding]:
    """The user's optimizer: its first step, what it keeps, each step's loss, the last weights, the results then."""
    ours, theirs = judge.keras.arrays.get("costs"), judge.torch.arrays.get("costs")
    if ours is None or theirs is None:
        reason = "it takes optimizer(), and loss() or step(), on both sides, and at least one step"
        for level in TRAINING:
            yield Finding(level, level, "not_judged", reason, needed=False)
        return
    yield from judge.by_tensor_alone("optimizer step", "step/")
    yield from judge.by_weight("optimizer step", "step/")
    for slot in sorted({name.split("/")[0] for name in judge.keras.names("slots/")}):
        yield from slots(judge, slot)
    for number in range(len(ours)):
        pair = np.asarray(ours[number]), np.asarray(theirs[number])
        found = judge.compared("steps", f"loss of step {number}", ("costs", "costs"), pair)
        yield replace(found, keras=f"loss of step {number}", torch=f"loss of step {number}", where=None)
    yield from judge.by_weight("steps", "steps/")
    yield from judge.outputs("forward after training", "outputs/after/")


def slots(judge: Judge, slot: str) -> Iterator[Finding]:
    """One thing that the optimizer keeps of each weight, where both sides keep it."""
    kept = {name.split("/")[0] for name in judge.torch.names("slots/")}
    other = next((name for name in SLOTS.get(slot, ()) if name in kept), None)
    if other is None:
        reason = f"torch keeps {', '.join(sorted(kept)) or 'nothing'}, which is not known to be the same"
        yield Finding("optimizer step", f"slot {slot}", "not_judged", reason, needed=False)
        return
    yield from judge.by_weight("optimizer step", (f"slots/{slot}/", f"slots/{other}/"), one=True)
