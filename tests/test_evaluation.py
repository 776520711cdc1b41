"""What is measured after each epoch: loss and accuracy, in eval mode, on the test set and on the training set."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import shortened

from parity import data


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
    digits = data.load("digits", None, "float32")
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
