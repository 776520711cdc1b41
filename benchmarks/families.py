"""Experiments that are cut to a length: what faults are planted in.

`FAMILIES` maps a name to a function that makes the experiment of so many steps; its layers are narrow where their width
would only cost time.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from parity.experiment.experiments import EXPERIMENTS, mlp, with_dropout
from parity.experiment.nodes import ActivationName
from parity.experiment.optimizers import OPTIMIZERS, Clipping
from parity.experiment.requested import COSTS, chosen_optimizer, initializer, with_activation
from parity.experiment.spec import Experiment, Pretraining

# Steps of an epoch of the embedded digits, in batches of 100.
EPOCH = 40


def shortened(name: str, steps: int, **changes: Any) -> Experiment:
    """An experiment cut to so many steps, with other fields of its identity changed."""
    experiment = EXPERIMENTS[name]
    schedule = replace(experiment.identity.schedule, duration=steps, unit="steps")
    identity = replace(experiment.identity, **({"schedule": schedule} | changes))
    return replace(experiment, identity=identity)


def pretrained(steps: int, epochs: int = 1, **changes: Any) -> Experiment:
    """mnist_rbm with narrow layers, so many epochs of pre-training each, and few steps, with other fields changed."""
    kernel, bias = initializer("normal:0.01"), initializer("zeros")
    model = mlp([784, 16, 8, 10], "sigmoid", "linear", kernel, bias)
    return shortened("mnist_rbm", steps, **({"model": model, "pretraining": Pretraining(100, epochs, 0.1)} | changes))


def xor_lbfgs(steps: int, numbers: str = "learning_rate=0.5,history_size=3", **changes: Any) -> Experiment:
    """XOR through two hidden layers of tanh, by L-BFGS. Seed 0 learns it, and at step 1 it has no curvature to keep."""
    normal = initializer("normal")
    model = mlp([2, 5, 5, 1], "tanh", "linear", normal, normal)
    chosen = chosen_optimizer(f"lbfgs:{numbers}" if numbers else "lbfgs")
    kept = {"model": model, "loss": COSTS["logits"], "optimizer": chosen}
    return shortened("xor_tanh", steps, **(kept | changes))


def clipped(steps: int, limit: float = 0.3) -> Experiment:
    """Softmax regression by gradient descent, clipped by a norm that the first gradients exceed.

    Not by Adam, whose steps do not depend on their size.
    """
    descent = replace(OPTIMIZERS["sgd"], learning_rate=0.5)
    return shortened("mnist_softmax", steps, clipping=Clipping("global_norm", limit), optimizer=descent)


def narrow(steps: int, activation: ActivationName = "relu", optimizer: str = "adam") -> Experiment:
    """Digits through two layers of 32 units from N(0, 1), where sums are large enough for softplus above 20."""
    normal = initializer("normal")
    model = with_activation(mlp([784, 32, 32, 10], "relu", "linear", normal, normal), activation)
    return shortened("mnist_relu", steps, model=model, optimizer=chosen_optimizer(optimizer))


def dropout(steps: int) -> Experiment:
    """Two layers of 32 units that start as torch.nn.Linear does, each followed by dropout of 0.3."""
    model = with_dropout(EXPERIMENTS["mnist_no_batchnorm"].identity.model, 0.3)
    return shortened("mnist_dropout", steps, model=model)


def rbm(steps: int) -> Experiment:
    """Pre-training of as many steps for either layer, a whole number of epochs, and as many of training."""
    return pretrained(steps, max(1, steps // EPOCH))


FAMILIES: dict[str, Callable[[int], Experiment]] = {
    **{name: partial(shortened, name) for name in ("mnist_batchnorm", "mnist_layernorm", "mnist_tokens")},
    **{name: partial(shortened, name) for name in ("xor_tanh", "xor_leaky_relu")},
    "mnist_clipped": clipped,
    "mnist_dropout": dropout,
    "mnist_rbm": rbm,
    "mnist_narrow": narrow,
    "mnist_gelu": partial(narrow, activation="gelu"),
    "mnist_softplus": partial(narrow, activation="softplus"),
    "mnist_decay": partial(narrow, optimizer="adam:weight_decay=0.01"),
    "mnist_adamax": partial(narrow, optimizer="adamax"),
    "mnist_adagrad": partial(narrow, optimizer="adagrad"),
    "mnist_rmsprop": partial(narrow, optimizer="rmsprop"),
    "mnist_rprop": partial(narrow, optimizer="rprop"),
    "mnist_asgd": partial(narrow, optimizer="asgd:averaging_from=3"),
    # No gradient reaches the limit.
    "mnist_loose": partial(clipped, limit=100.0),
    "xor_lbfgs": xor_lbfgs,
}


def family(name: str, steps: int) -> Experiment:
    """The experiment of that family with so many steps, called like the family."""
    return replace(FAMILIES[name](steps), name=name)
