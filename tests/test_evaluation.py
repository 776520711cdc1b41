"""What is measured after each epoch: loss and accuracy, in eval mode, on the test set and on the training set."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import shortened

from parity.data import datasets
from parity.verdict import evaluation, judge


def evaluated(side, inputs, labels):
    """Of softmax regression, in float64, from the last state: each sample's loss, and whether its class was found."""
    state = {name: value.astype(np.float64) for name, value in side.state(len(side.trace["cost"])).items()}
    logits = inputs.astype(np.float64) @ state["weights/dense_1/kernel"] + state["weights/dense_1/bias"]
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    return losses, logits.argmax(axis=1) == labels


@pytest.mark.parametrize("way", ["sample_mean", "batch_means_by_samples"])
def test_losses_and_accuracies(way, record_pair, tmp_path):
    """In batches of 64, the last one of 1,000 test samples has 40."""
    experiment = shortened("mnist_softmax", 12)
    schedule = replace(experiment.identity.schedule, batch_size=64, test_loss=way, evaluate_training=True)
    experiment = replace(experiment, identity=replace(experiment.identity, schedule=schedule))
    digits = datasets.load("digits", None, "float32")
    for side in record_pair(experiment, tmp_path):
        losses, right = evaluated(side, digits.test_inputs, digits.test_labels)
        expected = losses.mean()
        if way == "batch_means_by_samples":
            expected = sum(losses[first : first + 64].mean() for first in range(0, 1000, 64)) / 1000
            assert expected < 0.02 * losses.mean()
        assert side.trace["test_loss"] == pytest.approx([expected], rel=1e-5)
        assert side.trace["accuracy"] == pytest.approx([right.mean()])
        losses, right = evaluated(side, digits.train_inputs, digits.train_labels)
        assert side.trace["train_loss"] == pytest.approx([losses.mean()], rel=1e-5)
        assert side.trace["train_accuracy"] == pytest.approx([right.mean()])


def test_the_training_set_is_left_alone_unless_asked(clean_pair):
    for side in clean_pair:
        assert side.trace["test_loss"].shape == (1,)
        assert side.trace["train_loss"].shape == side.trace["train_accuracy"].shape == (0,)


def test_predictions_follow_from_a_single_output(record_pair, tmp_path):
    """Also at even odds, where another rule gives another class: on either side, it is named."""
    ours, theirs = record_pair(shortened("xor_sigmoid", 2), tmp_path)
    names = ["predictions by the outputs, Keras", "predictions by the outputs, torch", "predictions of equal outputs"]
    even = np.array([[0.5], [0.4], [0.6], [0.5]], np.float32)
    sides = [with_trace(side, test_output=even, predictions=np.array([0, 0, 1, 0])) for side in (ours, theirs)]
    for pair in ((ours, theirs), sides):
        found = {check.name: check for check in evaluation.checks(*pair)}
        assert [found[name].result for name in names] == ["passed"] * 3
    for number in (0, 1):
        changed = list(sides)
        changed[number] = with_trace(sides[number], predictions=np.array([1, 0, 1, 1]))
        failed = [check for check in evaluation.checks(*changed) if check.result == "failed"]
        assert [check.name for check in failed if check.name in names] == [names[number], names[2]]
        assert [check.side for check in failed if check.name in names] == [ours.label if not number else "torch", None]
        assert (
            failed[-2].reason == "2 of 4 are not what an output above 0.5 gives, first of sample 0, whose output is 0.5"
        )
    assert {check.level for check in failed} == {"loop"}
    assert judge(ours, theirs).verdict == "parity"
    assert judge(*changed).verdict == "mismatch"


def with_trace(side, **arrays):
    return replace(side, trace=side.trace | arrays)


@pytest.mark.parametrize("number", [0, 1])
def test_predictions_follow_from_many_outputs(number, clean_pair):
    """The first of the largest: another rule is named on either side; NaN and denormal numbers decide nothing."""
    equal = np.zeros_like(clean_pair[0].trace["test_output"])
    equal[:, 0], equal[0, 1:3], equal[1, 4] = -1, (1e-40, 2e-40), np.nan
    predictions = np.ones(len(equal), np.int64)
    predictions[1] = 3
    sides = [with_trace(side, test_output=equal, predictions=predictions) for side in clean_pair]
    rules = ["predictions by the outputs, Keras", "predictions by the outputs, torch"]
    found = {check.name: check for check in evaluation.checks(*sides)}
    assert [found[name].result for name in rules] == ["passed"] * 2
    # The last of the equal ones, as another argmax has it.
    sides[number] = with_trace(sides[number], predictions=np.where(predictions == 1, 9, predictions))
    found = {check.name: check for check in evaluation.checks(*sides)}
    assert [found[name].result for name in rules] == [["failed", "passed"], ["passed", "failed"]][number]
    assert "not the first of the largest outputs, first of sample 0: 9, and not 2" in found[rules[number]].reason
    assert found["predictions of equal outputs"].result == "failed"


@pytest.mark.parametrize("number", [0, 1])
def test_an_accuracy_may_be_off_by_the_samples_that_rounding_decides(number, clean_pair):
    """And by none besides: accuracy and predictions come of two computations."""
    sides = list(clean_pair)
    trace = sides[number].trace
    name = f"accuracy of the predictions, {sides[number].label}"
    size = trace["predictions"].size
    for moved, decided, result in ((2, 0, "failed"), (2, 2, "passed"), (3, 2, "failed")):
        sides[number] = with_trace(
            clean_pair[number], accuracy=trace["accuracy"] + moved / size, undecided=np.arange(size) < decided
        )
        found = {check.name: check for check in evaluation.checks(*sides)}
        assert found[name].result == result
        assert ("rounding decides 2 of them" in found[name].reason) == bool(decided)
