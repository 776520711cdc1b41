"""Optimizers: torch's stock classes, and Keras's formulas where the realisation asks for them."""

import torch

from parity.spec import SGD, Optimizer, Realisation
from torch_impl.runtime import constant


def optimizer(model: torch.nn.Module, spec: Optimizer, realisation: Realisation) -> torch.optim.Optimizer:
    """The optimizer of the model's weights; torch makes its slots at the first step."""
    # fused: the stock class's one-kernel form, several times faster than one Python operation per tensor.
    if isinstance(spec, SGD):
        return torch.optim.SGD(model.parameters(), lr=spec.learning_rate, fused=True)
    adam = torch.optim.Adam if realisation.adam_epsilon == "after_correction" else KerasAdam
    return adam(
        model.parameters(),
        lr=spec.learning_rate,
        betas=(constant(spec.beta_1, realisation), constant(spec.beta_2, realisation)),
        eps=constant(spec.epsilon, realisation),
        fused=True,
    )


class KerasAdam(torch.optim.Adam):
    """Adam with epsilon added before the bias correction, as keras.optimizers.Adam adds it.

    m += (1 - beta_1) (g - m);  v += (1 - beta_2) (g^2 - v)
    w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)
    with the corrections computed in the weights' own dtype (keras/src/optimizers/adam.py, update_step).
    """

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
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
        powers = torch.tensor(beta_1).to(parameter) ** step, torch.tensor(beta_2).to(parameter) ** step
        alpha = group["lr"] * torch.sqrt(1 - powers[1]) / (1 - powers[0])
        m += (gradient - m) * (1 - beta_1)
        v += (gradient * gradient - v) * (1 - beta_2)
        parameter -= m * alpha / (torch.sqrt(v) + group["eps"])
