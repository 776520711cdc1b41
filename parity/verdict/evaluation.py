"""Do both models, from the same state, make the same of a batch in eval mode, and of the test set?

Through the training loops' own evaluation, in float64: with running statistics, and without dropout; at the last
checkpoint also the accuracy and loss it finds. How far rounding may take these at worst is derived where the checkpoint
was recorded (parity/bounds/evaluated.py): of an accuracy, by how many samples are decided by rounding.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.measure import Tolerance, worst
from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.recordings.recording import Arrays, Recording
from parity.verdict.checks import Check, Result, judge
from parity.verdict.segments import common

# The numbers of an evaluation, in order (`evaluate` in tf_impl/train.py).
MEASURED = ("test accuracy", "test loss", "training accuracy", "training loss")


def checks(a: Recording, b: Recording) -> list[Check]:
    """One check for each checkpoint whose model both sides evaluated, and one for each side's last accuracy."""
    segments = list(common(a, b))
    found = [judged(a, b, *segment) for segment in segments]
    found += [check for segment in segments for check in measured(a, b, *segment)]
    found += [counted(side) for side in (a, b)]
    # Without an output for each prediction, counting has failed already.
    if all(len(side.trace["test_output"]) == len(side.trace["predictions"]) for side in (a, b)):
        found += [*(by_outputs(side) for side in (a, b)), of_equal_outputs(a, b)]
    return found


def measured(a: Recording, b: Recording, step: int, owner: str, ours: Arrays, theirs: Arrays) -> list[Check]:
    """Are accuracy and loss the same, where both measured them?"""
    return [
        apart(a, b, f"{name}, on {owner}'s checkpoint", f"step {step}, {name}", ours, theirs, number)
        for number, name in enumerate(MEASURED[: min(ours["evaluation"].size, theirs["evaluation"].size)])
        # A training set that nobody asks for is not gone through.
        if a.manifest.identity.schedule.evaluate_training or not name.startswith("training")
    ]


def apart(a: Recording, b: Recording, name: str, where: str, ours: Arrays, theirs: Arrays, number: int) -> Check:
    """Is one of the numbers of an evaluation the same?"""
    x, y = (side["evaluation"][number] for side in (ours, theirs))
    bound = float(max(side["evaluation_bound"][number] for side in (ours, theirs)))
    # An accuracy is a mean of zeros and ones, off by no sample where it is off by less than half of one.
    bound += 2 * UNIT_ROUNDOFF["float64"] * max(abs(x), abs(y), 1.0)
    if not (np.isfinite(bound) and (np.isfinite(x) | np.isfinite(y))):
        return Check(name, "loop", "not_judged", None, None, where, "it is not a finite number on both sides")
    entry = worst(np.array(x), np.array(y), Tolerance(np.array(bound)))
    return replace(judge("loop", name, where, (), entry, 1.0, "float64", (a.label, b.label)), side=None)


def counted(side: Recording) -> Check:
    """Is the accuracy after the last epoch the share of its predictions that are right?"""
    trace, name = side.trace, f"accuracy of the predictions, {side.label}"
    if trace["accuracy"].size == 0 or not trace["predictions"].shape == trace["test_labels"].shape != (0,):
        reason = "there are no predictions and labels to count; record the run again"
        return Check(name, "loop", "failed", None, None, None, reason, side.label)
    said, right = float(trace["accuracy"][-1]), int(np.count_nonzero(trace["predictions"] == trace["test_labels"]))
    # Half a sample, for what float64 makes of a mean; and accuracy and predictions come of two computations.
    undecided = int(np.count_nonzero(trace["undecided"]))
    apart, allowed = abs(said * trace["predictions"].size - right), undecided + 0.5
    reason = f"{said:.6g} after the last epoch, and {right} of {trace['predictions'].size} predictions are right"
    if undecided:
        reason += f"; rounding decides {undecided} of them"
    result: Result = "passed" if apart <= allowed else "failed"
    return Check(name, "loop", result, apart, allowed, "the last epoch, accuracy", reason, side.label)


def by_outputs(side: Recording) -> Check:
    """Is each prediction what its outputs give, also at even odds: the first of the largest, or 1 above a threshold?"""
    name, threshold = f"predictions by the outputs, {side.label}", side.manifest.identity.threshold
    outputs, predictions = side.trace["test_output"], side.trace["predictions"]
    single = outputs.shape[1] == 1
    # A comparison may take denormal numbers for zero.
    flushed = np.where(np.abs(outputs) < np.finfo(outputs.dtype).tiny, 0, outputs)
    given = classes(outputs, threshold)
    wrong = (predictions != given) & (predictions != classes(flushed, threshold))
    if not single:
        # TensorFlow passes over NaN, and torch takes it for the largest.
        wrong &= ~np.isnan(outputs).any(axis=1)
    wrong = np.flatnonzero(wrong)
    rule = f"what an output above {threshold:g} gives" if single else "the first of the largest outputs"
    reason = f"all {predictions.size} are {rule}"
    if wrong.size:
        at = wrong[0]
        detail = f", whose output is {outputs[at, 0]:.9g}" if single else f": {predictions[at]}, and not {given[at]}"
        reason = f"{wrong.size} of {predictions.size} are not {rule}, first of sample {at}{detail}"
    result: Result = "failed" if wrong.size else "passed"
    return Check(name, "loop", result, wrong.size, 0, "the last epoch, predictions", reason, side.label)


def classes(outputs: NDArray[Any], threshold: float) -> NDArray[np.int64]:
    """[samples]: the classes that follow from outputs [samples, units]."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > threshold).astype(np.int64)
    return np.argmax(outputs, axis=1)


def of_equal_outputs(a: Recording, b: Recording) -> Check:
    """Do both sides predict the same where their outputs are equal? There no noise lies between them to be measured."""
    name, place = "predictions of equal outputs", "the last epoch, predictions"
    outputs = [side.trace["test_output"] for side in (a, b)]
    if outputs[0].shape != outputs[1].shape:
        sizes = " and ".join(f"{side.label} has {len(x)}" for side, x in zip((a, b), outputs, strict=True))
        return Check(name, "loop", "failed", None, 0, place, f"{sizes} test samples")
    equal = (outputs[0] == outputs[1]).all(axis=1)
    apart = int(np.count_nonzero(equal & (a.trace["predictions"] != b.trace["predictions"])))
    reason = f"of {np.count_nonzero(equal)} equal outputs of {equal.size}, {apart} are predicted otherwise"
    return Check(name, "loop", "failed" if apart else "passed", apart, 0, place, reason)


def judged(a: Recording, b: Recording, step: int, owner: str, ours: Arrays, theirs: Arrays) -> Check:
    """Are the outputs the same?"""
    name, where = f"step {step} outputs in eval mode, on {owner}'s checkpoint", f"step {step}, outputs in eval mode"
    x, y = ours["outputs"], theirs["outputs"]
    bound = np.maximum(ours["outputs_bound"], theirs["outputs_bound"])
    entry = worst(x, y, Tolerance(bound))
    # What is judged is neither side's alone.
    return replace(judge("loop", name, where, x.shape, entry, 1.0, "float64", (a.label, b.label)), side=None)
