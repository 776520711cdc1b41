"""Costs, and the class a model's outputs stand for."""

from collections.abc import Callable

import torch

from parity.experiment.spec import LossName

# (outputs [batch, units], labels [batch] int64) -> mean cost over the batch, a scalar
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def loss(name: LossName) -> Loss:
    """The cost function called `name`."""
    return {
        "softmax_cross_entropy": softmax_cross_entropy,
        "softmax_cross_entropy_naive": softmax_cross_entropy_naive,
        "softmax_cross_entropy_clipped": softmax_cross_entropy_clipped,
        "binary_cross_entropy_logits": binary_cross_entropy_logits,
        "binary_cross_entropy_naive": binary_cross_entropy_naive,
        "binary_cross_entropy_clipped": binary_cross_entropy_clipped,
        "binary_cross_entropy_clamped": binary_cross_entropy_clamped,
        "mean_squared_error": mean_squared_error,
    }[name]


def softmax_cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of softmax, from logits [batch, classes]: the stock class."""
    return torch.nn.CrossEntropyLoss()(outputs, labels)


def softmax_cross_entropy_naive(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-mean(log p) of the labels' probabilities, from all [batch, classes], unprotected: NaN where one of them is 0."""
    return torch.nn.NLLLoss()(torch.log(outputs), labels)


def softmax_cross_entropy_clipped(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of probabilities [batch, classes] clipped to [1e-7, 1 - 1e-7], then divided by their sum.

    As keras.losses.SparseCategoricalCrossentropy does it: the clipped probabilities' logarithms are its logits
    (keras/src/backend/tensorflow/nn.py, sparse_categorical_crossentropy).
    """
    return torch.nn.CrossEntropyLoss()(torch.log(clipped(outputs)), labels)


def binary_cross_entropy_logits(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the sigmoid, from logits [batch, 1]: the stock class."""
    return torch.nn.BCEWithLogitsLoss()(outputs, targets(outputs, labels))


def binary_cross_entropy_naive(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-mean(y log h + (1 - y) log(1 - h)) of probabilities [batch, 1], unprotected: NaN where h is 0 or 1."""
    y = targets(outputs, labels)
    return -torch.mean(y * torch.log(outputs) + (1 - y) * torch.log(1 - outputs))


def binary_cross_entropy_clipped(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The naive cost of probabilities [batch, 1] clipped to 1e-7 and 1 - 1e-7.

    As keras.losses.BinaryCrossentropy does it (keras/src/backend/tensorflow/nn.py, binary_crossentropy).
    """
    return binary_cross_entropy_naive(clipped(outputs), labels)


def binary_cross_entropy_clamped(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The naive cost of probabilities [batch, 1] with both logarithms clamped at -100: the stock class.

    Its gradient is (h - y) / max(h (1 - h), 1e-12) / batch, which is not the derivative where a logarithm is clamped.
    """
    cost = torch.nn.BCELoss()
    unknown = torch.isnan(outputs)
    if not unknown.any():
        return cost(outputs, targets(outputs, labels))
    # The class refuses NaN with an error, on a GPU with one that ends the process; here it is a NaN of the cost, and of
    # its gradient where the output is one, as with every other cost.
    known = torch.where(unknown, 0.5, outputs)
    return cost(known, targets(outputs, labels)) + (outputs * (0 * outputs.detach())).sum()


def mean_squared_error(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean of (output - target)^2 over [batch, units]: the stock class."""
    return torch.nn.MSELoss()(outputs, targets(outputs, labels))


def clipped(probabilities: torch.Tensor) -> torch.Tensor:
    """Probabilities no nearer to 0 and 1 than 1e-7, Keras's epsilon; outside of that they have no gradient."""
    low, high = (probabilities.new_tensor(bound) for bound in (1e-7, 1 - 1e-7))
    # Not torch.clamp: at the bounds themselves Keras's gradient is 1, and torch's depends on its version.
    return torch.where(probabilities < low, low, torch.where(probabilities > high, high, probabilities))


def targets(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """[batch, units] in the outputs' dtype: the label itself for a single unit, otherwise one-hot."""
    units = outputs.shape[1]
    return (labels[:, None] if units == 1 else torch.nn.functional.one_hot(labels, units)).to(outputs.dtype)


def predicted_classes(outputs: torch.Tensor, threshold: float) -> torch.Tensor:
    """[batch] int64: the largest output's position, or for a single one whether it is above the threshold."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > threshold).to(torch.int64)
    return torch.argmax(outputs, dim=1)
