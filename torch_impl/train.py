"""The plain loop: one step, a chunk of steps, and what the trained model predicts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from parity.experiment.randomness import by_node
from parity.experiment.spec import Identity, Realisation
from torch_impl.clipping import Clip
from torch_impl.data import OnDevice, batch, checksum
from torch_impl.losses import Loss, predicted_classes
from torch_impl.models import Masks, forward
from torch_impl.noise import Noise
from torch_impl.optimizers import optimizer
from torch_impl.randomness import dropout_mask

Trace = dict[str, np.ndarray]
Build = Callable[[Identity, Realisation], torch.nn.Module]


class Step(NamedTuple):
    """The results of one training step: outputs by node, the cost, gradients in the order of the weights."""

    outputs: dict[str, torch.Tensor]
    cost: torch.Tensor
    gradients: list[torch.Tensor]


def build(
    function: Build, identity: Identity, realisation: Realisation, device: str
) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """The identity's model, made by `function`, and its optimizer, on `device`."""
    model = function(identity, realisation).to(device)
    return model, optimizer(model, identity.optimizer, realisation)


def train_step(
    model: torch.nn.Module,
    loss: Loss,
    clip: Clip | None,
    updater: torch.optim.Optimizer,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    masks: Masks,
) -> Step:
    """Forward, backward and update on one batch: inputs [batch, features], labels [batch], masks of dropouts."""
    updater.zero_grad()
    outputs = forward(model, inputs, training=True, masks=masks)
    cost = loss(list(outputs.values())[-1], labels)
    cost.backward()
    if clip is not None:
        clip(list(model.parameters()))
    updater.step()
    return Step(outputs, cost, [weight.grad for weight in model.parameters() if weight.requires_grad])


def dense(gradient: torch.Tensor) -> torch.Tensor:
    """A gradient as an ordinary tensor, the uses of each of its rows added up."""
    # Added up as an optimizer of sparse gradients does it.
    return gradient.coalesce().to_dense() if gradient.is_sparse else gradient


def chunk_function(
    model: torch.nn.Module,
    loss: Loss,
    clip: Clip | None,
    updater: torch.optim.Optimizer,
    data: OnDevice,
    identity: Identity,
    noise: Noise | None = None,
) -> Callable[[int, int], Trace]:
    """A function (first, last) that trains steps first to last - 1 and returns their trace; with `noise`, a twin's.

    The trace holds `cost` [steps], the checksums `indices`, `inputs`, `labels`, `masks` [steps] int64 of what each step
    used, and `evaluation` [steps, 4] after the last step of an epoch, NaN elsewhere (see `evaluate`).
    """

    # Eager: torch.compile needs a C++ compiler, which a user's machine may not have.
    def chunk(first: int, last: int) -> Trace:
        costs, evaluations = [], []
        indices_used, inputs_used, labels_used, masks_used = [], [], [], []
        for step in range(first, last):
            indices, inputs, labels = batch(data, step)
            mask = dropout_mask(identity, step, inputs)
            done = train_step(model, loss, clip, updater, inputs, labels, by_node(identity, mask))
            if noise is not None:
                noise.add(step)
            costs.append(done.cost.detach())
            indices_used.append(checksum(indices, data.checksum_weights))
            inputs_used.append(checksum(inputs, data.checksum_weights))
            labels_used.append(checksum(labels, data.checksum_weights))
            masks_used.append(checksum(mask, data.mask_weights))
            measured = torch.full([4], torch.nan, dtype=torch.float64, device=inputs.device)
            if data.epoch_ends[step]:
                measured = evaluate(model, loss, data, identity)
            evaluations.append(measured)
        names = ("cost", "indices", "inputs", "labels", "masks", "evaluation")
        arrays = (costs, indices_used, inputs_used, labels_used, masks_used, evaluations)
        return {name: torch.stack(array).cpu().numpy() for name, array in zip(names, arrays, strict=True)}

    return chunk


@torch.no_grad()
def evaluate(model: torch.nn.Module, loss: Loss, data: OnDevice, identity: Identity) -> torch.Tensor:
    """[4] float64, in eval mode: accuracy and loss on the test set, then on the training set, NaN if not asked for."""
    schedule, threshold = identity.schedule, identity.threshold
    outputs = infer(model, data.test_inputs)
    size = schedule.batch_size if schedule.test_loss == "batch_means_by_samples" else None
    found = [accuracy(outputs, data.test_labels, threshold), mean_loss(loss, outputs, data.test_labels, size)]
    if schedule.evaluate_training:
        outputs = infer(model, data.train_inputs)
        found += [accuracy(outputs, data.train_labels, threshold), mean_loss(loss, outputs, data.train_labels, None)]
    else:
        found += [torch.tensor(torch.nan, dtype=torch.float64, device=outputs.device)] * 2
    return torch.stack(found)


def accuracy(outputs: torch.Tensor, labels: torch.Tensor, threshold: float) -> torch.Tensor:
    """Share of the samples that are classified correctly, a float64 scalar."""
    return torch.mean(torch.eq(predicted_classes(outputs, threshold), labels).to(torch.float64))


def mean_loss(loss: Loss, outputs: torch.Tensor, labels: torch.Tensor, size: int | None) -> torch.Tensor:
    """The loss, a float64 scalar; of batches of `size`, the sum of their losses divided by the number of samples."""
    if size is None:
        return loss(outputs, labels).to(torch.float64)
    samples = labels.shape[0]
    batches = [(outputs[first : first + size], labels[first : first + size]) for first in range(0, samples, size)]
    return torch.stack([loss(*batch).to(torch.float64) for batch in batches]).sum() / samples


@torch.no_grad()
def infer(model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """[samples, units]: what the trained model makes of inputs [samples, features]."""
    return list(forward(model, inputs, training=False, masks={}).values())[-1]


def tested(model: torch.nn.Module, data: OnDevice, threshold: float) -> Trace:
    """The model's results on the test set.

    `predictions` [test samples] int64, each sample's class, and `test_output` [test samples, units], what it rests on.
    """
    outputs = infer(model, data.test_inputs)
    return {"predictions": predicted_classes(outputs, threshold).cpu().numpy(), "test_output": outputs.cpu().numpy()}
