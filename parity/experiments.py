"""The experiments, as data.

The settings are those of five public posts on vanishing gradients and ReLU; what they reported is kept with the
project's documentation. `EXPERIMENTS` maps each name to its experiment.
"""

from itertools import pairwise
from typing import Any

from parity.spec import (
    SGD,
    Activation,
    ActivationName,
    Adam,
    Dense,
    Experiment,
    Identity,
    InitializerName,
    Node,
    PReLU,
    Realisation,
    Schedule,
)

TF_MODEL, TORCH_MODEL = "tf_impl.models:sequential", "torch_impl.models:sequential"

# tf.nn.leaky_relu's slope, which the published XOR program used (torch's own default is 0.01).
LEAKY_SLOPE = 0.2
# Both frameworks' own.
ELU_SLOPE = 1.0
# torch's own; it is one slope for all units there. Keras has one for each, and starts with 0.
PRELU_START = 0.25
# The numbers torch.optim.Adam starts with, which the published programs left as they are.
ADAM = Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8)

# How each framework computes its activations.
TORCH_ACTIVATIONS: dict[str, Any] = {
    "constants": "exact",
    "selu_at_zero": "slope_below",
    "prelu_at_zero": "slope_below",
    "softplus_above_20": "linear",
}
KERAS_ACTIVATIONS: dict[str, Any] = {
    "constants": "through_float32",
    "selu_at_zero": "slope_above",
    "prelu_at_zero": "zero",
    "softplus_above_20": "smooth",
}


def mlp(
    widths: list[int], hidden: ActivationName, output: ActivationName, kernel: InitializerName, bias: InitializerName
) -> tuple[Node, ...]:
    """Dense layers of the given widths, `hidden` after each but the last, `output` after the last.

    A linear activation is no node at all.
    """
    nodes: list[Node] = []
    for i, (inputs, units) in enumerate(pairwise(widths), start=1):
        nodes.append(Dense(f"dense_{i}", inputs, units, kernel, bias))
        function = hidden if i < len(widths) - 1 else output
        if function != "linear":
            nodes.append(activation(i, function, units))
    return tuple(nodes)


def activation(position: int, function: ActivationName, units: int) -> Activation | PReLU:
    """The activation behind dense layer `position`, counted from 1, which has so many units."""
    name = f"{function}_{position}"
    if function == "prelu":
        return PReLU(name, units, start=PRELU_START, shared=True)
    return Activation(name, function, {"leaky_relu": LEAKY_SLOPE, "elu": ELU_SLOPE}.get(function))


def mnist(name: str, shows: str, widths: list[int]) -> Experiment:
    """A classifier of handwritten digits, trained with Adam for 15 epochs in batches of 100."""
    identity = Identity(
        data="digits",
        model=mlp(widths, hidden="relu", output="linear", kernel="normal", bias="torch_default"),
        loss="softmax_cross_entropy",
        optimizer=ADAM,
        schedule=Schedule(batch_size=100, shuffle=True, drop_last=True, passes_per_epoch=1, duration=15, unit="epochs"),
        seed=0,
        dtype="float32",
    )
    return both(name, shows, identity, adam_epsilon="after_correction", **TORCH_ACTIVATIONS)


def xor(name: str, shows: str, hidden: ActivationName) -> Experiment:
    """Ten dense layers on the four points of XOR, with gradient descent on all four at once."""
    widths = [2, 5, 5, 5, 5, 5, 5, 5, 5, 5, 1]
    identity = Identity(
        data="xor",
        model=mlp(widths, hidden=hidden, output="sigmoid", kernel="normal", bias="normal"),
        loss="binary_cross_entropy_naive",
        optimizer=SGD(learning_rate=0.01),
        schedule=Schedule(
            batch_size=4, shuffle=False, drop_last=True, passes_per_epoch=100, duration=20001, unit="steps"
        ),
        seed=0,
        dtype="float32",
    )
    # The published program ran in TensorFlow.
    return both(name, shows, identity, adam_epsilon="after_correction", **KERAS_ACTIVATIONS)


def both(name: str, shows: str, identity: Identity, **choices: Any) -> Experiment:
    """An experiment whose sides are realised alike."""
    tf, torch = (Realisation(model, **choices) for model in (TF_MODEL, TORCH_MODEL))
    return Experiment(name, shows, identity, tf, torch)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        mnist("mnist_softmax", "Softmax regression on digits: the baseline without a hidden layer.", [784, 10]),
        mnist(
            "mnist_relu",
            "A ReLU MLP on digits: chaotic training, so rounding alone moves its last cost.",
            [784, 256, 256, 10],
        ),
        xor("xor_sigmoid", "Ten sigmoid layers on XOR: vanishing gradients, it never learns.", "sigmoid"),
        xor("xor_relu", "Ten ReLU layers on XOR: gradients survive, units die.", "relu"),
        xor("xor_leaky_relu", "Ten leaky ReLU layers on XOR (slope 0.2): no unit can die.", "leaky_relu"),
        xor("xor_tanh", "Ten tanh layers on XOR: a steep fall of the cost, where rounding shows most.", "tanh"),
    )
}
