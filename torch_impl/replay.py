"""One step from a given state, stage by stage, each stage run by itself."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from torch_impl import state as states
from torch_impl.losses import Loss
from torch_impl.models import nodes

# (the cost's gradient by a stage's result, weights) -> the cost's gradients by the stage's input and by each weight
Differentiate = Callable[[torch.Tensor, list[torch.nn.Parameter]], list[torch.Tensor | None]]


def replay(
    model: torch.nn.Module,
    loss: Loss,
    updater: torch.optim.Optimizer,
    state: Mapping[str, np.ndarray],
    inputs: np.ndarray,
    labels: np.ndarray,
    recorded: Mapping[str, np.ndarray] | None,
    device: str,
) -> dict[str, np.ndarray]:
    """Every stage of one step on inputs [batch, features] and labels [batch] from `state`, in the model's dtype.

    Each stage is fed what `recorded` holds of the stages before it, or, where that is None, what they gave here.
    Returns, in the order of the computation, `outputs/<node>` [batch, units], `cost`, `deltas/<node>` [batch, units]
    (the cost's gradient by the node's output), `gradients/<weight>`, and the state after the step (`weights/...`,
    `slots/...`, `step`). What the cost does not depend on has no gradient.
    """
    states.write(model, updater, state)
    found: dict[str, np.ndarray] = {}

    def kept(name: str, value: torch.Tensor | None) -> torch.Tensor | None:
        """Keep what a stage gave, and return what the next one is fed."""
        if value is not None:
            found[name] = value.detach().cpu().numpy()
        return value if recorded is None else torch.tensor(recorded[name], device=device)

    x, labels, stages = torch.tensor(inputs, device=device), torch.tensor(labels, device=device), []
    for name, node in nodes(model):
        y, differentiate = stage(node, x)
        stages.append((name, node, differentiate))
        x = kept(f"outputs/{name}", y)
    cost, differentiate = stage(lambda outputs: loss(outputs, labels), x)
    kept("cost", cost)
    (delta,) = differentiate(torch.ones_like(cost), [])
    for name, node, differentiate in reversed(stages):
        delta = kept(f"deltas/{name}", delta)
        if delta is None:
            break
        weights = states.parameters_of(name, node)
        delta, *gradients = differentiate(delta, list(weights.values()))
        found |= {
            f"gradients/{key}": states.neutral(g) for key, g in zip(weights, gradients, strict=True) if g is not None
        }
    update(model, updater, found if recorded is None else recorded, device)
    return found | states.read(model, updater, int(state["step"]) + 1)


def stage(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, Differentiate]:
    """What a stage makes of x, and its derivative."""
    x = x.detach().requires_grad_()
    y = function(x)

    def differentiate(delta: torch.Tensor, weights: list[torch.nn.Parameter]) -> list[torch.Tensor | None]:
        by = [x, *(weight for weight in weights if weight.requires_grad)]
        gradients = iter(torch.autograd.grad(y, by, delta, allow_unused=True))
        return [next(gradients) if tensor.requires_grad else None for tensor in (x, *weights)]

    return y, differentiate


def update(
    model: torch.nn.Module, updater: torch.optim.Optimizer, given: Mapping[str, np.ndarray], device: str
) -> None:
    """One update of the weights by their gradients in `given`."""
    updater.zero_grad()
    for name, weight in states.trained(model).items():
        if f"gradients/{name}" in given:
            weight.grad = states.own(given[f"gradients/{name}"], device)
    updater.step()
