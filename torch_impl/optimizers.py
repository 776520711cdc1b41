"""Optimizers: torch's stock classes, and Keras's formulas where the realisation asks for them."""

from collections.abc import Iterable
from typing import Any

import torch

from parity.spec import SGD, Optimizer, Realisation
from torch_impl.runtime import constant


def optimizer(model: torch.nn.Module, spec: Optimizer, realisation: Realisation) -> torch.optim.Optimizer:
    """The optimizer of the model's weights; torch makes its slots at the first step."""
    # fused: the stock class's one-kernel form, several times faster than one Python operation per tensor.
    if isinstance(spec, SGD):
        return torch.optim.SGD(model.parameters(), lr=spec.learning_rate, fused=True)
    numbers = {"lr": spec.learning_rate, "betas": (spec.beta_1, spec.beta_2), "eps": spec.epsilon}
    if realisation.adam_epsilon == "after_correction":
        return torch.optim.Adam(model.parameters(), **numbers, fused=True)
    in_correction = constant(spec.beta_1, realisation), constant(spec.beta_2, realisation)
    return KerasAdam(model.parameters(), in_correction, **numbers)


class KerasAdam(torch.optim.Adam):
    """Adam with epsilon added before the bias correction, as keras.optimizers.Adam adds it.

    m += (1 - beta_1) (g - m);  v += (1 - beta_2) (g^2 - v)
    w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)
    with the corrections computed in the weights' own dtype, from betas that may have been rounded before
    (keras/src/optimizers/adam.py, update_step).
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], in_correction: tuple[float, float], **numbers: Any
    ) -> None:
        super().__init__(parameters, **numbers)
        self.in_correction = in_correction

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.update_step(parameter, group)

    def update_step(self, parameter: torch.Tensor, group: dict) -> None:
        """One weight's update, with the slots of the stock class."""
        gradient, slots, (beta_1, beta_2) = parameter.grad, self.state[parameter], group["betas"]
        if not slots:
            slots["step"] = torch.zeros((), dtype=torch.float32)
            slots["exp_avg"], slots["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        m, v = slots["exp_avg"], slots["exp_avg_sq"]
        slots["step"] += 1
        step = slots["step"].to(parameter)
        power_1, power_2 = (torch.tensor(beta, dtype=step.dtype).to(step) ** step for beta in self.in_correction)
        alpha = group["lr"] * torch.sqrt(1 - power_2) / (1 - power_1)
        m += (gradient - m) * (1 - beta_1)
        v += (gradient * gradient - v) * (1 - beta_2)
        parameter -= m * alpha / (torch.sqrt(v) + group["eps"])
