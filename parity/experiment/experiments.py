"""The experiments, as data.

The settings are those of five public posts on vanishing gradients and ReLU; what they reported is kept with the
project's documentation. `EXPERIMENTS` maps each name to its experiment.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

from parity.experiment.nodes import (
    Activation,
    ActivationName,
    BatchNorm,
    Dense,
    Dropout,
    Embedding,
    Initializer,
    Layer,
    LayerNorm,
    Node,
    PReLU,
)
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.patches import LEVELS, PATCHES
from parity.experiment.spec import Experiment, Identity, Pretraining, Realisation, Schedule, own_choices

TF_MODEL, TORCH_MODEL = "tf_impl.models:sequential", "torch_impl.models:sequential"

# tf.nn.leaky_relu's slope, which the published XOR program used (torch's own default is 0.01).
LEAKY_SLOPE = 0.2
# Both frameworks' own.
ELU_SLOPE = 1.0
# torch's own; it is one slope for all units there. Keras has one for each, and starts with 0.
PRELU_START = 0.25
# torch's own, the momentum in Keras's meaning; Keras has 0.99 and 1e-3.
NORM_MOMENTUM, NORM_EPSILON = 0.9, 1e-5
# The published programs' weights: N(0, 1), and the biases of torch.nn.Linear where they were left alone.
NORMAL, TORCH_DEFAULT = Initializer("normal", 1.0), Initializer("torch_default", None)
SMALL = Initializer("normal", 0.01)
XAVIER, HE = Initializer("xavier_uniform", None), Initializer("he_normal", None)
# The published networks on digits, and how they were trained unless stated otherwise.
MLP, NARROW_MLP, DEEP_MLP = [784, 256, 256, 10], [784, 32, 32, 10], [784, 520, 320, 240, 120, 10]
WIDE_MLP = [784, 512, 512, 512, 512, 10]
EPOCHS = Schedule(
    batch_size=100,
    shuffle=True,
    drop_last=True,
    passes_per_epoch=1,
    duration=15,
    unit="epochs",
    epoch_cost="batch_mean",
    test_loss="sample_mean",
    evaluate_training=False,
)

DEEP: dict[str, Any] = {
    "batch_size": 64, "drop_last": False, "duration": 9, "test_loss": "batch_means_by_samples"
}  # fmt: skip

# Keras's way of computing activations.
KERAS_ACTIVATIONS: dict[str, Any] = {
    field: own_choices("tf")[field] for field in ("constants", "selu_at_zero", "prelu_at_zero", "softplus_above_20")
}


def mlp(
    widths: list[int], hidden: ActivationName, output: ActivationName, kernel: Initializer, bias: Initializer
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


def normalised(model: tuple[Node, ...], kind: Literal["batch_norm", "layer_norm"]) -> tuple[Node, ...]:
    """The model with a normalisation after each dense layer but the last."""
    dense = [node for node in model if isinstance(node, Dense)]
    nodes: list[Node] = []
    for node in model:
        nodes.append(node)
        if node in dense[:-1]:
            name, batch = f"{kind}_{dense.index(node) + 1}", kind == "batch_norm"
            of_batch = BatchNorm(name, node.units, NORM_MOMENTUM, NORM_EPSILON)
            nodes.append(of_batch if batch else LayerNorm(name, node.units, NORM_EPSILON))
    return tuple(nodes)


def with_dropout(model: tuple[Node, ...], rate: float) -> tuple[Node, ...]:
    """The model with dropout in front of each dense layer but the first, in place of any that it has."""
    nodes: list[Node] = []
    for node in model:
        if isinstance(node, Dense) and nodes:
            position = sum(isinstance(before, Layer) for before in nodes)
            nodes.append(Dropout(f"dropout_{position}", rate))
        if not isinstance(node, Dropout):
            nodes.append(node)
    return tuple(nodes)


def activation(position: int, function: ActivationName, units: int) -> Activation | PReLU:
    """The activation after dense layer `position`, counted from 1, which has so many units."""
    name = f"{function}_{position}"
    if function == "prelu":
        return PReLU(name, units, start=PRELU_START, shared=True)
    return Activation(name, function, {"leaky_relu": LEAKY_SLOPE, "elu": ELU_SLOPE}.get(function))


def mnist(
    name: str,
    shows: str,
    widths: list[int],
    hidden: ActivationName = "relu",
    kernel: Initializer = NORMAL,
    **schedule: Any,
) -> Experiment:
    """A classifier of handwritten digits, trained with Adam as EPOCHS has it, or otherwise in what `schedule` names."""
    identity = Identity(
        data="digits",
        test_pixels="scaled",
        model=mlp(widths, hidden=hidden, output="linear", kernel=kernel, bias=TORCH_DEFAULT),
        pretraining=None,
        loss="softmax_cross_entropy",
        # torch's numbers, which the published programs left as they are.
        clipping=None,
        optimizer=OPTIMIZERS["adam"],
        schedule=replace(EPOCHS, **schedule),
        seed=0,
        dtype="float32",
    )
    return both(name, shows, identity)


def mnist_narrow(name: str, shows: str, norm: Literal["batch_norm", "layer_norm"] | None = None) -> Experiment:
    """The same with two layers of 32 units that start as torch.nn.Linear does, a normalisation before ReLU."""
    found = mnist(name, shows, NARROW_MLP, kernel=TORCH_DEFAULT, evaluate_training=True)
    model = found.identity.model
    return replace(found, identity=replace(found.identity, model=model if norm is None else normalised(model, norm)))


def mnist_dropout(name: str, shows: str) -> Experiment:
    """The same with four layers of 512 units that start as torch.nn.Linear does, each followed by dropout of 0.3."""
    found = mnist(name, shows, WIDE_MLP, kernel=TORCH_DEFAULT)
    return replace(found, identity=replace(found.identity, model=with_dropout(found.identity.model, 0.3)))


def mnist_rbm(name: str, shows: str) -> Experiment:
    """The sigmoid MLP, its hidden layers pre-trained as RBMs from small weights and no biases.

    The numbers are those of Hinton's Practical Guide (2010), sections 8 and 7.
    """
    found = mnist(name, shows, MLP, hidden="sigmoid", kernel=SMALL)
    pretraining = Pretraining(batch_size=100, epochs=10, learning_rate=0.1)
    model = mlp(MLP, hidden="sigmoid", output="linear", kernel=SMALL, bias=Initializer("zeros", None))
    return replace(found, identity=replace(found.identity, model=model, pretraining=pretraining))


def mnist_tokens(name: str, shows: str) -> Experiment:
    """A classifier that adds up ten numbers for each patch of a digit, as the level of its ink has it."""
    found = mnist(name, shows, [784, 10])
    table = Embedding("embedding_1", length=PATCHES, vocabulary=PATCHES * LEVELS, units=10, table=SMALL)
    optimizer = replace(OPTIMIZERS["sparse_adam"], learning_rate=0.01)
    return replace(found, identity=replace(found.identity, data="digit_tokens", model=(table,), optimizer=optimizer))


def xor(name: str, shows: str, hidden: ActivationName, kernel: Initializer = NORMAL) -> Experiment:
    """Ten dense layers on the four points of XOR, with gradient descent on all four at once."""
    widths = [2, 5, 5, 5, 5, 5, 5, 5, 5, 5, 1]
    identity = Identity(
        data="xor",
        test_pixels="scaled",
        model=mlp(widths, hidden=hidden, output="sigmoid", kernel=kernel, bias=NORMAL),
        pretraining=None,
        loss="binary_cross_entropy_naive",
        clipping=None,
        optimizer=replace(OPTIMIZERS["sgd"], learning_rate=0.01),
        schedule=Schedule(
            batch_size=4,
            shuffle=False,
            drop_last=True,
            passes_per_epoch=100,
            duration=20001,
            unit="steps",
            epoch_cost="batch_mean",
            test_loss="sample_mean",
            evaluate_training=False,
        ),
        seed=0,
        dtype="float32",
    )
    # The published program ran in TensorFlow.
    return both(name, shows, identity, **KERAS_ACTIVATIONS)


def both(name: str, shows: str, identity: Identity, **choices: Any) -> Experiment:
    """An experiment whose sides are realised alike: torch's way, but for the given choices."""
    tf, torch = (Realisation(model, **(own_choices("torch") | choices)) for model in (TF_MODEL, TORCH_MODEL))
    return Experiment(name, shows, identity, tf, torch)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        mnist("mnist_softmax", "Softmax regression on digits: the baseline without a hidden layer.", [784, 10]),
        mnist("mnist_relu", "A ReLU MLP on digits: chaotic training, so rounding alone moves its last cost.", MLP),
        mnist("mnist_sigmoid", "The same with sigmoids: they saturate at weights of N(0, 1).", MLP, hidden="sigmoid"),
        mnist("mnist_xavier", "The ReLU MLP from Xavier's uniform weights.", MLP, kernel=XAVIER),
        mnist("mnist_he", "The ReLU MLP from He's normal weights.", MLP, kernel=HE),
        mnist(
            "mnist_deep_relu", "Four hidden ReLU layers from torch's own weights, a partial last batch.", DEEP_MLP,
            kernel=TORCH_DEFAULT, **DEEP,
        ),
        mnist(
            "mnist_deep_sigmoid", "The same with sigmoids: the first layers' gradients vanish.", DEEP_MLP,
            hidden="sigmoid", kernel=TORCH_DEFAULT, **DEEP,
        ),
        mnist_narrow("mnist_batchnorm", "A narrow ReLU MLP on digits, batch normalisation before ReLU.", "batch_norm"),
        mnist_narrow("mnist_layernorm", "The same with layer normalisation: no statistics of a batch.", "layer_norm"),
        mnist_narrow("mnist_no_batchnorm", "The same without: their twin, on the same batches."),
        mnist_dropout("mnist_dropout", "Four wide ReLU layers on digits, each followed by dropout of 0.3."),
        mnist_tokens("mnist_tokens", "Digits as 49 words each: an embedding whose rows SparseAdam moves if named."),
        mnist_rbm("mnist_rbm", "The sigmoid MLP, its hidden layers pre-trained as RBMs on the digits without labels."),
        xor("xor_sigmoid", "Ten sigmoid layers on XOR: vanishing gradients, it never learns.", "sigmoid"),
        xor("xor_relu", "Ten ReLU layers on XOR: gradients survive, units die.", "relu"),
        xor("xor_leaky_relu", "Ten leaky ReLU layers on XOR (slope 0.2): no unit can die.", "leaky_relu"),
        # From N(0, 1) the unprotected cost of these two is soon NaN. PReLU and He's weights came with one paper.
        xor("xor_prelu", "Ten parametric ReLU layers on XOR: the slope is learned, too.", "prelu", HE),
        xor("xor_tanh", "Ten tanh layers on XOR: a steep fall of the cost, where rounding shows most.", "tanh"),
        xor("xor_linear", "Ten linear layers on XOR: together one, which cannot learn it.", "linear", XAVIER),
    )
}  # fmt: skip


def list_experiments() -> dict[str, str]:
    """The experiments that can be run: each one's name, and what it shows."""
    return {name: experiment.shows for name, experiment in EXPERIMENTS.items()}
