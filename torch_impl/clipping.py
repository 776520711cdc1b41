"""Gradients clipped before the optimizer takes them: torch's own way, and Keras's where the realisation asks for it."""

from collections.abc import Callable

import torch

from parity.experiment.optimizers import Clipping
from parity.experiment.spec import Realisation

# (weights) -> None; their gradients are clipped in place
Clip = Callable[[list[torch.nn.Parameter]], None]


def clip_function(clipping: Clipping | None, realisation: Realisation) -> Clip | None:
    """A function that clips the gradients of weights; None where nothing is clipped."""
    if clipping is None:
        return None
    if clipping.by == "value":
        return lambda weights: torch.nn.utils.clip_grad_value_(weights, clipping.limit)
    stock = realisation.clip_epsilon == "beside_norm"
    clip = torch.nn.utils.clip_grad_norm_ if stock else clip_by_norm
    if clipping.by == "global_norm":
        return lambda weights: clip(weights, clipping.limit)
    return lambda weights: [clip([weight], clipping.limit) for weight in weights]


@torch.no_grad()
def clip_by_norm(weights: list[torch.nn.Parameter], limit: float) -> None:
    """The gradients times limit / max(norm, limit), as Keras's optimizers clip by a norm."""
    norm = torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
    for weight in weights:
        if weight.grad is not None:
            weight.grad *= limit / torch.clamp(norm, min=limit)
