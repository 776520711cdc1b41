"""Nodes of a model as torch modules."""

import torch

from parity.experiment.nodes import BatchNorm, Dense, Dropout, Embedding, LayerNorm, Node, PReLU
from parity.experiment.spec import Realisation
from torch_impl.activations import activation, prelu


def layer(node: Node, realisation: Realisation) -> torch.nn.Module:
    """The module of one node."""
    if isinstance(node, Embedding):
        return embedding(node)
    if isinstance(node, Dense):
        return dense(node)
    if isinstance(node, BatchNorm):
        return batch_norm(node, realisation)
    if isinstance(node, LayerNorm):
        return layer_norm(node)
    if isinstance(node, Dropout):
        return dropout(node)
    return prelu(node, realisation) if isinstance(node, PReLU) else activation(node, realisation)


def embedding(node: Embedding) -> torch.nn.Embedding:
    """The sum of a table's rows; the table is (vocabulary, units). `state.write` fills it."""
    return torch.nn.utils.skip_init(SummedEmbedding, node.vocabulary, node.units)


class SummedEmbedding(torch.nn.Embedding):
    """torch.nn.Embedding, its outputs added up over the tokens."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs).sum(dim=1)


def dense(node: Dense) -> torch.nn.Linear:
    """A fully connected layer; its weight is (units, inputs). `state.write` fills it."""
    return torch.nn.utils.skip_init(torch.nn.Linear, node.inputs, node.units)


def batch_norm(node: BatchNorm, realisation: Realisation) -> torch.nn.BatchNorm1d:
    """Batch normalisation with gamma, beta and running statistics (units,); `state.write` fills them."""
    stock = realisation.moving_variance == "unbiased"
    made = torch.nn.BatchNorm1d if stock else KerasBatchNorm1d
    return made(node.units, momentum=1 - node.momentum, eps=node.epsilon)


class KerasBatchNorm1d(torch.nn.BatchNorm1d):
    """Batch normalisation whose running variance takes the biased one.

    As keras.layers.BatchNormalization's does (keras/src/layers/normalization/batch_normalization.py).
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        before = self.running_var.clone()
        outputs = super().forward(inputs)
        if self.training:
            biased = torch.var(inputs.detach(), dim=0, correction=0)
            self.running_var = before * (1 - self.momentum) + biased * self.momentum
        return outputs


def layer_norm(node: LayerNorm) -> torch.nn.LayerNorm:
    """Layer normalisation with gamma and beta (units,); `state.write` fills them."""
    return torch.nn.LayerNorm(node.units, eps=node.epsilon)


def dropout(node: Dropout) -> torch.nn.Module:
    """Dropout by masks that are given."""
    return MaskedDropout(node.rate)


class MaskedDropout(torch.nn.Module):
    """torch.nn.Dropout without its generator: its formula (aten/src/ATen/native/Dropout.cpp, _dropout_impl)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        if not self.training:
            return inputs
        return inputs * (kept.to(inputs.dtype) / (1 - self.rate))
