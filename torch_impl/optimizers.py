"""Optimizers: torch's stock classes, and Keras's formulas where the realisation asks for them."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch

from parity.experiment import optimizers as specs
from parity.experiment.optimizers import Optimizer
from parity.experiment.spec import Realisation, realised
from torch_impl.lbfgs import LBFGS
from torch_impl.runtime import constant

Build = Callable[..., torch.optim.Optimizer]


def optimizer(model: torch.nn.Module, spec: Optimizer, realisation: Realisation) -> torch.optim.Optimizer:
    """The optimizer of the model's weights; `state.write` makes its slots."""
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.sparse = isinstance(spec, specs.SparseAdam)
    spec = realised(spec, realisation)
    built = BUILDERS[type(spec)](spec, realisation)(model.parameters())
    # torch's AdamW has its own.
    decay = 0.0 if isinstance(spec, specs.AdamW) else spec.weight_decay
    if decay and realisation.weight_decay == "decoupled":
        factor = constant(decay, realisation)
        built.register_step_pre_hook(lambda optimizer, arguments, options: shrink(optimizer, factor))
    elif decay:
        for group in built.param_groups:
            group["weight_decay"] = decay
    return built


@torch.no_grad()
def shrink(built: torch.optim.Optimizer, decay: float) -> None:
    """Let weight decay shrink the weights before the step, w -= decay lr w, as Keras's optimizers take it."""
    for group in built.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter -= parameter * decay * group["lr"]


# What each function returns still takes the weights.
def sgd(spec: specs.SGD, realisation: Realisation) -> Build:
    momentum = constant(spec.momentum, realisation)
    # fused: the stock class's one-kernel form, several times faster than one Python operation per tensor.
    return partial(torch.optim.SGD, lr=spec.learning_rate, momentum=momentum, nesterov=spec.nesterov, fused=True)


def adam(spec: specs.Adam | specs.AdamW, realisation: Realisation) -> Build:
    stock, numbers = torch.optim.Adam, with_betas(spec)
    if isinstance(spec, specs.AdamW):
        stock, numbers["weight_decay"] = torch.optim.AdamW, constant(spec.weight_decay, realisation)
    if realisation.adam_epsilon == "after_correction":
        return partial(stock, **numbers, fused=True)
    decoupled = isinstance(spec, specs.AdamW)
    return partial(KerasAdam, in_correction=betas(spec, realisation), decoupled_weight_decay=decoupled, **numbers)


def sparse_adam(spec: specs.SparseAdam, realisation: Realisation) -> Build:
    numbers = {"betas": (spec.beta_1, spec.beta_2), "eps": spec.epsilon}
    return partial(torch.optim.SparseAdam, lr=spec.learning_rate, **numbers)


def adamax(spec: specs.Adamax, realisation: Realisation) -> Build:
    if realisation.adamax_epsilon == "beside_gradient":
        return partial(torch.optim.Adamax, **with_betas(spec))
    return partial(KerasAdamax, in_correction=betas(spec, realisation), **with_betas(spec))


def nadam(spec: specs.NAdam, realisation: Realisation) -> Build:
    rounded = spec.momentum_decay == 1 and realisation.constants == "through_float32"
    made = KerasNadam if rounded else torch.optim.NAdam
    return partial(made, **with_betas(spec), momentum_decay=spec.momentum_decay)


def adagrad(spec: specs.Adagrad, realisation: Realisation) -> Build:
    made = torch.optim.Adagrad if realisation.adagrad_epsilon == "outside_root" else KerasAdagrad
    return partial(made, lr=spec.learning_rate, initial_accumulator_value=spec.initial_accumulator, eps=spec.epsilon)


def adadelta(spec: specs.Adadelta, realisation: Realisation) -> Build:
    return partial(torch.optim.Adadelta, lr=spec.learning_rate, rho=spec.rho, eps=spec.epsilon)


def rmsprop(spec: specs.RMSprop, realisation: Realisation) -> Build:
    made = torch.optim.RMSprop if realisation.rmsprop_epsilon == "outside_root" else KerasRMSprop
    numbers = {"alpha": spec.rho, "eps": spec.epsilon, "momentum": spec.momentum, "centered": spec.centered}
    return partial(made, lr=spec.learning_rate, **numbers)


def rprop(spec: specs.Rprop, realisation: Realisation) -> Build:
    etas, steps = (spec.eta_minus, spec.eta_plus), (spec.smallest_step, spec.largest_step)
    return partial(torch.optim.Rprop, lr=spec.learning_rate, etas=etas, step_sizes=steps)


def asgd(spec: specs.ASGD, realisation: Realisation) -> Build:
    numbers = {"lambd": spec.decay, "alpha": spec.power, "t0": spec.averaging_from}
    return partial(torch.optim.ASGD, lr=spec.learning_rate, **numbers)


def lbfgs(spec: specs.LBFGS, realisation: Realisation) -> Build:
    tolerances = {"tolerance_grad": spec.tolerance_grad, "tolerance_change": spec.tolerance_change}
    return partial(LBFGS, lr=spec.learning_rate, history_size=spec.history_size, **tolerances)


def with_betas(spec: specs.Adam | specs.AdamW | specs.Adamax | specs.NAdam) -> dict[str, Any]:
    """The numbers that Adam's relatives share."""
    return {"lr": spec.learning_rate, "betas": (spec.beta_1, spec.beta_2), "eps": spec.epsilon}


def betas(spec: specs.Adam | specs.AdamW | specs.Adamax, realisation: Realisation) -> tuple[float, float]:
    """Both betas as Keras has them in its bias correction."""
    return constant(spec.beta_1, realisation), constant(spec.beta_2, realisation)


BUILDERS = {
    specs.SGD: sgd,
    specs.Adam: adam,
    specs.AdamW: adam,
    specs.SparseAdam: sparse_adam,
    specs.Adamax: adamax,
    specs.NAdam: nadam,
    specs.Adagrad: adagrad,
    specs.Adadelta: adadelta,
    specs.RMSprop: rmsprop,
    specs.Rprop: rprop,
    specs.ASGD: asgd,
    specs.LBFGS: lbfgs,
}


class KerasFormula:
    """The base of the optimizers below: a step that goes through the weights, with the slots of the stock class."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.decayed_step(parameter, group)

    def decayed_step(self, parameter: torch.Tensor, group: dict) -> None:
        """One weight's update, after weight decay as torch has it."""
        gradient, slots = parameter.grad, self.state[parameter]
        if group.get("decoupled_weight_decay"):
            parameter *= 1 - group["lr"] * group["weight_decay"]
        elif group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * parameter
        slots["step"] += 1
        self.update_step(gradient, parameter, slots, group)


class KerasAdam(KerasFormula, torch.optim.Adam):
    """Adam with epsilon added before the bias correction, as keras.optimizers.Adam adds it.

    m += (1 - beta_1) (g - m);  v += (1 - beta_2) (g^2 - v)
    w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)
    with the corrections computed in the weights' own dtype, from betas that may have been rounded before
    (keras/src/optimizers/adam.py, update_step).
    """

    def __init__(self, parameters: Iterable, in_correction: tuple[float, float], **numbers: Any) -> None:
        super().__init__(parameters, **numbers)
        self.in_correction = in_correction

    def update_step(self, gradient: torch.Tensor, parameter: torch.Tensor, slots: dict, group: dict) -> None:
        m, v, (beta_1, beta_2) = slots["exp_avg"], slots["exp_avg_sq"], group["betas"]
        power_1, power_2 = (power(beta, slots["step"], parameter) for beta in self.in_correction)
        alpha = group["lr"] * torch.sqrt(1 - power_2) / (1 - power_1)
        m += (gradient - m) * (1 - beta_1)
        v += (gradient * gradient - v) * (1 - beta_2)
        parameter -= m * alpha / (torch.sqrt(v) + group["eps"])


class KerasAdamax(KerasFormula, torch.optim.Adamax):
    """Adamax with epsilon added to the norm it divides by, as keras.optimizers.Adamax adds it.

    m += (1 - beta_1) (g - m);  u = max(beta_2 u, |g|);  w -= lr m / ((1 - beta_1^t) (u + epsilon))
    with the correction computed in the weights' own dtype (keras/src/optimizers/adamax.py, update_step).
    """

    def __init__(self, parameters: Iterable, in_correction: tuple[float, float], **numbers: Any) -> None:
        super().__init__(parameters, **numbers)
        self.in_correction = in_correction

    def update_step(self, gradient: torch.Tensor, parameter: torch.Tensor, slots: dict, group: dict) -> None:
        m, u, (beta_1, beta_2) = slots["exp_avg"], slots["exp_inf"], group["betas"]
        m += (gradient - m) * (1 - beta_1)
        torch.maximum(beta_2 * u, torch.abs(gradient), out=u)
        correction = 1 - power(self.in_correction[0], slots["step"], parameter)
        parameter -= group["lr"] * m / (correction * (u + group["eps"]))


class KerasNadam(KerasFormula, torch.optim.NAdam):
    """NAdam with 0.96 and the betas rounded through float32, as keras.optimizers.Nadam rounds them.

    mu_t = beta_1 (1 - 0.96^t / 2);  m += (1 - beta_1) (g - m);  v += (1 - beta_2) (g^2 - v)
    w -= lr (mu_(t+1) m / (1 - prod mu mu_(t+1)) + (1 - mu_t) g / (1 - prod mu)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    (keras/src/optimizers/nadam.py, update_step).
    """

    def update_step(self, gradient: torch.Tensor, parameter: torch.Tensor, slots: dict, group: dict) -> None:
        m, v, step = slots["exp_avg"], slots["exp_avg_sq"], slots["step"]
        beta_1, beta_2, decay = (through_float32(number, parameter) for number in (*group["betas"], 0.96))
        mu, mu_next = (beta_1 * (1 - 0.5 * decay ** number.to(decay)) for number in (step, step + 1))
        # Keras rounds none of these in its product.
        slots["mu_product"] *= group["betas"][0] * (1 - 0.5 * 0.96 ** step.to(decay))
        product = slots["mu_product"].to(decay)
        m += (gradient - m) * (1 - beta_1)
        v += (gradient * gradient - v) * (1 - beta_2)
        look_ahead = mu_next * m / (1 - product * mu_next) + (1 - mu) * gradient / (1 - product)
        parameter -= look_ahead * group["lr"] / (torch.sqrt(v / (1 - beta_2 ** step.to(decay))) + group["eps"])


class KerasAdagrad(KerasFormula, torch.optim.Adagrad):
    """Adagrad with epsilon inside the root, as keras.optimizers.Adagrad has it: w -= lr g / sqrt(a + epsilon)."""

    def update_step(self, gradient: torch.Tensor, parameter: torch.Tensor, slots: dict, group: dict) -> None:
        slots["sum"] += gradient * gradient
        parameter -= group["lr"] * gradient / torch.sqrt(slots["sum"] + group["eps"])


class KerasRMSprop(KerasFormula, torch.optim.RMSprop):
    """RMSprop with epsilon inside the root, as keras.optimizers.RMSprop has it: g / sqrt(v + epsilon).

    The learning rate stays outside the velocity, as the stock class has it.
    """

    def update_step(self, gradient: torch.Tensor, parameter: torch.Tensor, slots: dict, group: dict) -> None:
        v, rho = slots["square_avg"], group["alpha"]
        v.copy_(rho * v + (1 - rho) * gradient * gradient)
        spread = v
        if group["centered"]:
            average = slots["grad_avg"]
            average.copy_(rho * average + (1 - rho) * gradient)
            spread = v - average * average
        step = gradient / torch.sqrt(spread + group["eps"])
        if group["momentum"] > 0:
            step = slots["momentum_buffer"].mul_(group["momentum"]).add_(step)
        parameter -= group["lr"] * step


def power(beta: float, step: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """beta^step, computed in the dtype of `like`."""
    return torch.tensor(beta, dtype=like.dtype, device=like.device) ** step.to(like)


def through_float32(value: float, like: torch.Tensor) -> torch.Tensor:
    """A constant rounded through float32, in the dtype of `like`."""
    return torch.tensor(value, dtype=torch.float32, device=like.device).to(like)
