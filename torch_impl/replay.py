"""One step from a given state, stage by stage, each stage run by itself."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch

from parity.experiment.randomness import by_node
from parity.experiment.spec import Identity
from torch_impl import state as states
from torch_impl.clipping import Clip
from torch_impl.data import OnDevice, batch
from torch_impl.losses import Loss
from torch_impl.models import Masks, nodes, set_training, taken
from torch_impl.randomness import dropout_mask
from torch_impl.train import dense

# (the cost's gradient by a stage's result, weights) -> the cost's gradients by the stage's input and by each weight
Differentiate = Callable[[torch.Tensor, list[torch.nn.Parameter]], list[torch.Tensor | None]]
Arrays = Mapping[str, np.ndarray]
Tensors = dict[str, torch.Tensor]
Replay = Callable[[Arrays, np.ndarray, np.ndarray, Arrays | None], dict[str, np.ndarray]]


def replay_function(
    model: torch.nn.Module,
    loss: Loss,
    clip: Clip | None,
    updater: torch.optim.Optimizer,
    identity: Identity,
    device: str,
) -> Replay:
    """A function (state, inputs [batch, features], labels [batch], recorded) that runs every stage of one step.

    The step starts from `state`, whose `step` is its number; all is in the model's dtype. Each stage is fed what
    `recorded` holds of the stages before it, or, where that is None, what they gave here. Returned are, in the order of
    the computation, `outputs/<node>` [batch, units], `cost`, `deltas/<node>` [batch, units] (the cost's gradient by the
    node's output), `gradients/<weight>`, `clipped/<weight>` where gradients are clipped, and the state after the step
    (`weights/...`, `slots/...`, `statistics/...`, `step`). What the cost does not depend on has no gradient.
    """

    def replay(state: Arrays, inputs: np.ndarray, labels: np.ndarray, recorded: Arrays | None) -> dict[str, np.ndarray]:
        states.write(model, updater, state)
        given = None
        if recorded is not None:
            given = {name: states.to_tensor(name, value, device) for name, value in recorded.items()}
        x, y = torch.tensor(inputs, device=device), torch.tensor(labels, device=device)
        masks = by_node(identity, dropout_mask(identity, int(state["step"]), x))
        found = stages(model, loss, x, y, masks, given)
        found |= clipped(model, clip, found if given is None else given)
        update(model, updater, found if given is None else given, x)
        arrays = {name: states.to_array(name, value) for name, value in found.items()}
        return arrays | states.read(model, updater, int(state["step"]) + 1)

    return replay


def continued_function(
    model: torch.nn.Module,
    loss: Loss,
    clip: Clip | None,
    updater: torch.optim.Optimizer,
    data: OnDevice,
    identity: Identity,
) -> Callable[[int, int], dict[str, np.ndarray]]:
    """A function (first, last) that takes steps first to last - 1 by their stages, and returns their `cost` [steps]."""

    def continued(first: int, last: int) -> dict[str, np.ndarray]:
        costs = []
        for step in range(first, last):
            _, inputs, labels = batch(data, step)
            masks = by_node(identity, dropout_mask(identity, step, inputs))
            found = stages(model, loss, inputs, labels, masks, None)
            found |= clipped(model, clip, found)
            update(model, updater, found, inputs)
            costs.append(found["cost"].detach())
        return {"cost": torch.stack(costs).cpu().numpy()}

    return continued


def stages(
    model: torch.nn.Module, loss: Loss, x: torch.Tensor, labels: torch.Tensor, masks: Masks, recorded: Tensors | None
) -> Tensors:
    """The results of the stages before the update, by name; `masks` are those of the dropouts."""
    found: Tensors = {}

    def kept(name: str, value: torch.Tensor | None) -> torch.Tensor | None:
        """Keep what a stage gave, and return what the next one is fed."""
        if value is not None:
            found[name] = value
        return value if recorded is None else recorded[name]

    set_training(model, True)
    trained, backward = states.trained(model), []
    for name, node in nodes(model):
        y, differentiate = stage(partial(node, **taken(name, masks)), x)
        weights = {key: weight for key, weight in states.parameters_of(name, node).items() if key in trained}
        backward.append((name, weights, differentiate))
        x = kept(f"outputs/{name}", y)
    cost, differentiate = stage(lambda outputs: loss(outputs, labels), x)
    kept("cost", cost)
    (delta,) = differentiate(torch.ones_like(cost), [])
    for name, weights, differentiate in reversed(backward):
        delta = kept(f"deltas/{name}", delta)
        if delta is None:
            break
        delta, *gradients = differentiate(delta, list(weights.values()))
        found |= {f"gradients/{key}": dense(g) for key, g in zip(weights, gradients, strict=True) if g is not None}
    return found


def stage(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, Differentiate]:
    """A stage as a function of x, and its derivative."""
    if not x.is_floating_point():
        # Tokens have no gradient.
        y = function(x)
        return y, lambda delta, weights: [None, *torch.autograd.grad(y, weights, delta, allow_unused=True)]
    x = x.detach().requires_grad_()
    y = function(x)
    return y, lambda delta, weights: torch.autograd.grad(y, [x, *weights], delta, allow_unused=True)


def clipped(model: torch.nn.Module, clip: Clip | None, given: Tensors) -> Tensors:
    """The weights' gradients in `given` as they are clipped; none where nothing clips."""
    weights = {name: weight for name, weight in states.trained(model).items() if f"gradients/{name}" in given}
    if clip is None:
        return {}
    for name, weight in weights.items():
        # A copy, since torch clips in place.
        weight.grad = given[f"gradients/{name}"].clone()
    clip(list(weights.values()))
    return {f"clipped/{name}": weight.grad for name, weight in weights.items()}


def update(model: torch.nn.Module, updater: torch.optim.Optimizer, given: Tensors, inputs: torch.Tensor) -> None:
    """One update of the weights by their gradients in `given`, clipped if they are there so.

    An optimizer of sparse gradients gets those rows of them that the `inputs` [batch, tokens] named.
    """
    updater.zero_grad()
    for name, weight in states.trained(model).items():
        if f"gradients/{name}" in given:
            gradient = given.get(f"clipped/{name}", given[f"gradients/{name}"])
            weight.grad = sparse(gradient, inputs) if isinstance(updater, torch.optim.SparseAdam) else gradient
    updater.step()


def sparse(gradient: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The rows of a gradient [vocabulary, units] that tokens [batch, length] named."""
    rows = torch.unique(tokens)
    return torch.sparse_coo_tensor(rows[None], gradient[rows], gradient.shape)
