"""Costs, and the class a model's outputs stand for."""

from collections.abc import Callable

import torch

from parity.spec import LossName

# (outputs [batch, units], labels [batch] int64) -> mean cost over the batch, a scalar
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def loss(name: LossName) -> Loss:
    """The cost function called `name`."""
    return {
        "softmax_cross_entropy": softmax_cross_entropy,
        "binary_cross_entropy_naive": binary_cross_entropy_naive,
    }[name]


def softmax_cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of softmax, from logits [batch, classes]: the stock class."""
    return torch.nn.CrossEntropyLoss()(outputs, labels)


def binary_cross_entropy_naive(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """-mean(y log h + (1 - y) log(1 - h)) of probabilities [batch, 1], unprotected: NaN where h is 0 or 1."""
    y = labels[:, None].to(outputs.dtype)
    return -torch.mean(y * torch.log(outputs) + (1 - y) * torch.log(1 - outputs))


def predicted_classes(outputs: torch.Tensor) -> torch.Tensor:
    """[batch] int64: the largest logit's position, or for a single probability whether it is above one half."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0.5).to(torch.int64)
    return torch.argmax(outputs, dim=1)
