"""The parts of an experiment, as frozen data.

An experiment has two parts. Its *identity* is what is trained: both sides must have it equal, or there is nothing to
compare. A *realisation* is how one side does it: choices on which two honest implementations may differ.
No field has a default: an experiment states everything (`kind` only tells the classes apart in JSON).
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, Literal, get_args

from parity.experiment.nodes import Activation, ActivationName, BatchNorm, Dense, Dropout, Embedding, Layer, Node
from parity.experiment.optimizers import (
    LBFGS,
    SGD,
    Adam,
    Adamax,
    AdamW,
    Clipping,
    NAdam,
    Optimizer,
    SparseAdam,
    slot_shape,
    with_keras_epsilon,
)
from parity.experiment.validation import STRICT, require_positive

Framework = Literal["tf", "torch"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)
# How reports call each side.
LABELS: dict[Framework, str] = {"tf": "Keras", "torch": "torch"}
Dtype = Literal["float64", "float32"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
DataName = Literal["digits", "digit_tokens", "xor"]
# How a framework's own initializer is called: by its name alone, on a kernel (inputs, units); with its number and the
# layer's fans; or with all that makes it the neutral formula.
Calling = Literal["plain", "own", "formula"]
LossName = Literal[
    "softmax_cross_entropy",
    "softmax_cross_entropy_naive",
    "softmax_cross_entropy_clipped",
    "binary_cross_entropy_logits",
    "binary_cross_entropy_naive",
    "binary_cross_entropy_clipped",
    "binary_cross_entropy_clamped",
    "mean_squared_error",
]
# How a cross-entropy is kept from log(0) changes what is trained, so each way is a loss of its own. This is what the
# last node must be: "linear" stands for logits, and mean squared error takes what any node gives.
ENDINGS: dict[LossName, ActivationName] = {
    "softmax_cross_entropy": "linear",
    "softmax_cross_entropy_naive": "softmax",
    "softmax_cross_entropy_clipped": "softmax",
    "binary_cross_entropy_logits": "linear",
    "binary_cross_entropy_naive": "sigmoid",
    "binary_cross_entropy_clipped": "sigmoid",
    "binary_cross_entropy_clamped": "sigmoid",
}
EpochCost = Literal["batch_mean", "sample_mean"]
TestLoss = Literal["sample_mean", "batch_means_by_samples"]
EpsilonValue = Literal["given", "keras_default"]
AdamEpsilon = Literal["after_correction", "before_correction"]
AdamaxEpsilon = Literal["beside_gradient", "in_denominator"]
RootEpsilon = Literal["outside_root", "inside_root"]
WeightDecay = Literal["l2", "decoupled"]
Constants = Literal["exact", "through_float32"]
SeluAtZero = Literal["slope_below", "slope_above"]
PReLUAtZero = Literal["slope_below", "zero"]
SoftplusAbove20 = Literal["linear", "smooth"]
MovingVariance = Literal["unbiased", "biased"]
ClipEpsilon = Literal["beside_norm", "none"]
PixelScaling = Literal["division", "reciprocal"]
TestPixels = Literal["scaled", "raw"]


@dataclass(frozen=True)
class Schedule:
    """How the training set is cut into steps, and how many of them.

    An epoch is what costs are averaged over and accuracy is measured after: one pass over the digits, but a hundred
    over XOR's four points. Its cost is the mean of its batches' costs ("batch_mean") or, as Keras's fit reports it,
    that of its samples ("sample_mean"), which is another number where the last batch is smaller.

    After each epoch, in eval mode, accuracy and loss are measured on the test set, and with `evaluate_training` on the
    training set, too. The test loss is the mean of its samples', or the sum of its batches' means divided by the number
    of its samples ("batch_means_by_samples"), as some published programs report it: smaller by the size of a batch.
    """

    __pydantic_config__ = STRICT
    batch_size: int
    shuffle: bool
    drop_last: bool
    passes_per_epoch: int
    duration: int
    unit: Literal["epochs", "steps"]
    epoch_cost: EpochCost
    test_loss: TestLoss
    evaluate_training: bool

    def __post_init__(self) -> None:
        require_positive(self.batch_size, "batch size")
        require_positive(self.passes_per_epoch, "passes per epoch")
        require_positive(self.duration, self.unit)


@dataclass(frozen=True)
class Pretraining:
    """Greedy pre-training of the hidden layers as restricted Boltzmann machines (tf_impl/rbm.py has the formulas).

    Each layer in turn is trained for `epochs` passes over the training set, shuffled anew for each, in whole batches.
    """

    __pydantic_config__ = STRICT
    batch_size: int
    epochs: int
    learning_rate: float

    def __post_init__(self) -> None:
        require_positive(self.batch_size, "batch size of pre-training")
        require_positive(self.epochs, "epochs of pre-training")
        require_positive(self.learning_rate, "learning rate of pre-training")

    def schedule(self, layers: int) -> Schedule:
        """The total over all layers, one after the other."""
        epochs = layers * self.epochs
        return Schedule(self.batch_size, True, True, 1, epochs, "epochs", "batch_mean", "sample_mean", False)


@dataclass(frozen=True)
class Identity:
    """The task that is trained. Two recordings are comparable only if it is equal.

    Pixels are scaled to 0 to 1, but for those of the test set where `test_pixels` is "raw", from 0 to 255: a published
    program did so.
    """

    __pydantic_config__ = STRICT
    data: DataName
    test_pixels: TestPixels
    model: tuple[Node, ...]
    pretraining: Pretraining | None
    loss: LossName
    clipping: Clipping | None
    optimizer: Optimizer
    schedule: Schedule
    seed: int
    dtype: Dtype

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must be from 0 to 2**64 - 1, not {self.seed}")
        if self.dtype == "float32" and not self.optimizer.learning_rate < 2.0**100:
            # Beyond it, torch refuses the numbers that an optimizer makes of it.
            rate = self.optimizer.learning_rate
            raise ValueError(f"learning rate must be below 2**100 in float32, not {rate:g}; try --dtype float64")
        if self.test_pixels == "raw" and self.data != "digits":
            raise ValueError("raw pixels are for experiments on the digits' pixels, which this is not")
        names = [node.name for node in self.model]
        if len(set(names)) != len(names):
            raise ValueError(f"two nodes of the model have the same name: {names}")
        if not self.model or not isinstance(self.model[0], Layer):
            raise ValueError("a model starts with a dense layer or an embedding")
        if any(isinstance(node, Embedding) for node in self.model[1:]):
            raise ValueError("an embedding takes tokens, and so stands first in a model")
        for before, after in pairwise(self.layers):
            if before.units != after.inputs:
                raise ValueError(f"{after.name} takes {after.inputs} inputs and {before.name} gives {before.units}")
        require_outputs(self.loss, self.model[-1], self.layers[-1])
        for node in self.model:
            units = getattr(node, "units", self.widths[node.name])
            if units != self.widths[node.name]:
                raise ValueError(f"{node.name} is for {units} units and is given {self.widths[node.name]}")
        if self.pretraining is not None:
            require_sigmoids(self.model[: self.model.index(self.layers[-1])])
        if self.sparse:
            require_sparse(self.model, self.clipping)
        if isinstance(self.optimizer, LBFGS) and self.dropouts:
            raise ValueError("lbfgs compares gradients of one function, and dropout makes another at every step")
        # Of one sample there is no variance: torch refuses such a batch, and Keras returns beta.
        if self.statistics and self.schedule.batch_size == 1:
            raise ValueError("batch normalisation needs more than one sample in a batch")

    @property
    def threshold(self) -> float:
        """The threshold above which a single output stands for class 1: even odds, as a logit or as a probability."""
        return 0.0 if self.loss == "binary_cross_entropy_logits" else 0.5

    @property
    def dense(self) -> list[Dense]:
        """The dense layers, in order."""
        return [node for node in self.model if isinstance(node, Dense)]

    @property
    def layers(self) -> list[Layer]:
        """The dense layers, and the embedding in front of them."""
        return [node for node in self.model if isinstance(node, Layer)]

    @property
    def sparse(self) -> bool:
        """Whether gradients are kept for the rows alone that a batch named, as the optimizer needs them."""
        return isinstance(self.optimizer, SparseAdam)

    @property
    def widths(self) -> dict[str, int]:
        """How many units each node gives, by its name, in order."""
        found: dict[str, int] = {}
        units = 0
        for node in self.model:
            units = found[node.name] = node.units if isinstance(node, Layer) else units
        return found

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight by its name, in order."""
        return {f"{node.name}/{kind}": shape for node in self.model for kind, shape in node.weight_shapes.items()}

    @property
    def slot_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of the optimizer's slots by its name, `<slot>/<weight>`, in order."""
        shapes = self.weight_shapes.items()
        slots = self.optimizer.slots
        return {f"{slot}/{name}": slot_shape(self.optimizer, slot, shape) for slot in slots for name, shape in shapes}

    @property
    def weights(self) -> list[str]:
        """The names of all weights, in order."""
        return list(self.weight_shapes)

    @property
    def statistic_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each running statistic by its name, in order."""
        nodes = [node for node in self.model if isinstance(node, BatchNorm)]
        return {f"{node.name}/{kind}": shape for node in nodes for kind, shape in node.statistic_shapes.items()}

    @property
    def statistics(self) -> list[str]:
        """The names of all running statistics, which are part of the state and not trained."""
        return list(self.statistic_shapes)

    @property
    def dropouts(self) -> list[Dropout]:
        """The dropout nodes, in order."""
        return [node for node in self.model if isinstance(node, Dropout)]

    @property
    def mask_widths(self) -> dict[str, int]:
        """How many units each dropout has, by its name, in order."""
        return {node.name: self.widths[node.name] for node in self.dropouts}

    @property
    def consumed(self) -> list[str]:
        """The inputs of a step that have a checksum in the trace."""
        return ["indices", "inputs", "labels", *["masks"] * bool(self.dropouts)]


@dataclass(frozen=True)
class Realisation:
    """How one side does it.

    `model` names the function that builds the model from the identity, as "module:function". Of every other field the
    first value is torch's own way and the second Keras's, and each side can do both:

    `epsilon_value`: the optimizer's epsilon is the identity's, which has torch's unless told otherwise, or the one that
    Keras's own class has by default.
    `adam_epsilon`: added to the root of the corrected second moment, or to the root before it is corrected.
    `adamax_epsilon`: added to the gradient's size, or to the norm it is divided by.
    `adagrad_epsilon`, `rmsprop_epsilon`: added to the root, or to what the root is taken of.
    `weight_decay`: a term of the gradient, or the weights shrunk before the step. AdamW's is always the latter.
    `constants`: Keras rounds the slope of leaky ReLU, the constants of GELU, SGD's momentum, a decoupled weight decay,
    Nadam's 0.96 and betas, and the betas in the bias corrections of its own Adam and Adamax, through float32 even in a
    float64 model; torch takes them as they are, save the slope of hard sigmoid, which it rounds and Keras does not.
    `selu_at_zero`: SELU's derivative at exactly zero, that from below, 1.76, or that from above, 1.05.
    `prelu_at_zero`: PReLU's derivative at exactly zero, its slope, or zero.
    `softplus_above_20`: torch takes x for softplus(x) there; Keras does not.
    `moving_variance`: of n samples' variances the running one takes n / (n - 1) times, or as they are. Both frameworks
    normalise a batch with the biased variance.
    `clip_epsilon`: gradients are clipped by their norm plus 1e-6, or by their norm.
    `pixel_scaling`: pixels divided by 255, or times 1 / 255 as float32 has it, which also float64 models get.
    """

    __pydantic_config__ = STRICT
    model: str
    epsilon_value: EpsilonValue
    adam_epsilon: AdamEpsilon
    adamax_epsilon: AdamaxEpsilon
    adagrad_epsilon: RootEpsilon
    rmsprop_epsilon: RootEpsilon
    weight_decay: WeightDecay
    constants: Constants
    selu_at_zero: SeluAtZero
    prelu_at_zero: PReLUAtZero
    softplus_above_20: SoftplusAbove20
    moving_variance: MovingVariance
    clip_epsilon: ClipEpsilon
    pixel_scaling: PixelScaling


@dataclass(frozen=True)
class Experiment:
    """A name, one sentence on what it shows, the identity, and each side's realisation."""

    __pydantic_config__ = STRICT
    name: str
    shows: str
    identity: Identity
    tf: Realisation
    torch: Realisation


def own_choices(framework: Framework) -> dict[str, str]:
    """Each choice of a realisation as the framework itself makes it."""
    return {f.name: get_args(f.type)[framework == "tf"] for f in fields(Realisation) if get_args(f.type)}


# The activations that have a constant which one of the frameworks rounds through float32.
ROUNDED = {"leaky_relu", "gelu", "gelu_tanh", "hard_sigmoid"}
# What reads each choice: the nodes, or the optimizers.
READ_BY: dict[str, set[str]] = {
    "selu_at_zero": {"selu"},
    "prelu_at_zero": {"prelu"},
    "softplus_above_20": {"softplus"},
    "moving_variance": {"batch_norm"},
    "adam_epsilon": {"adam", "adamw"},
    "adamax_epsilon": {"adamax"},
    "adagrad_epsilon": {"adagrad"},
    "rmsprop_epsilon": {"rmsprop"},
}


def is_read(field: str, identity: Identity, realisation: Realisation) -> bool:
    """Whether a choice of the realisation matters to what is trained."""
    optimizer = identity.optimizer
    if field == "epsilon_value":
        return optimizer != with_keras_epsilon(optimizer)
    if field == "weight_decay":
        return not isinstance(optimizer, AdamW) and optimizer.weight_decay > 0
    if field == "pixel_scaling":
        return identity.data == "digits"
    if field == "clip_epsilon":
        return identity.clipping is not None and identity.clipping.by != "value"
    if field == "constants":
        return optimizer_rounds(identity, realisation) or not functions(identity).isdisjoint(ROUNDED)
    return not {optimizer.kind, *functions(identity)}.isdisjoint(READ_BY[field])


def realised(optimizer: Optimizer, realisation: Realisation) -> Optimizer:
    """The optimizer with the numbers that a side really takes."""
    return with_keras_epsilon(optimizer) if realisation.epsilon_value == "keras_default" else optimizer


def decays_weights(optimizer: Optimizer, realisation: Realisation) -> bool:
    """Whether weight decay shrinks the weights themselves and does not enter the gradient."""
    return isinstance(optimizer, AdamW) or realisation.weight_decay == "decoupled"


def functions(identity: Identity) -> set[str]:
    """The names of the activations of a model, of batch normalisation and of dropout."""
    return {node.function for node in identity.model if not isinstance(node, Layer)}


def optimizer_rounds(identity: Identity, realisation: Realisation) -> bool:
    """Whether Keras's own way of updating has a constant that is rounded through float32."""
    optimizer = identity.optimizer
    return (
        (realisation.weight_decay == "decoupled" and is_read("weight_decay", identity, realisation))
        or isinstance(optimizer, AdamW)
        or (isinstance(optimizer, Adam) and realisation.adam_epsilon == "before_correction")
        or (isinstance(optimizer, Adamax) and realisation.adamax_epsilon == "in_denominator")
        or (isinstance(optimizer, SGD) and optimizer.momentum > 0)
        or (isinstance(optimizer, NAdam) and optimizer.momentum_decay == 1)
    )


def require_outputs(loss: LossName, last: Node, layer: Layer) -> None:
    """Raise ValueError unless the model's last node, after its last `layer`, gives what the loss takes."""
    if loss.startswith("binary") and layer.units != 1:
        raise ValueError(f"binary cross-entropy needs one output, and {layer.name} has {layer.units}")
    if loss.startswith("softmax") and layer.units == 1:
        raise ValueError(f"softmax cross-entropy needs an output for each class, and {layer.name} has one")
    ending = last.function if isinstance(last, Activation) else "linear"
    needed = ENDINGS.get(loss, ending)
    if needed == "linear" and ending in ("sigmoid", "softmax"):
        raise ValueError(f"{loss} takes logits, and the model ends in {ending}")
    if needed != "linear" and ending != needed:
        raise ValueError(f"{loss} takes probabilities, and the model does not end in {needed}")


def require_sigmoids(hidden: tuple[Node, ...]) -> None:
    """Raise ValueError unless the nodes before the last dense layer are layers of Bernoulli units, at least one."""
    if not hidden:
        raise ValueError("pre-training is of hidden layers, and this model has none")
    for position, node in enumerate(hidden):
        sigmoid = isinstance(node, Activation) and node.function == "sigmoid"
        if not (sigmoid if position % 2 else isinstance(node, Dense)):
            raise ValueError(f"pre-training takes dense layers with a sigmoid after each, and finds {node.name} there")
    if len(hidden) % 2:
        raise ValueError(f"pre-training takes dense layers with a sigmoid after each, and {hidden[-1].name} has none")


def require_sparse(model: tuple[Node, ...], clipping: Clipping | None) -> None:
    """Raise ValueError unless every weight is a table of embeddings, and nothing clips its gradient."""
    for node in model:
        if node.weight_shapes and not isinstance(node, Embedding):
            raise ValueError(f"sparse_adam takes the sparse gradients of embeddings, and {node.name} has dense ones")
    if clipping is not None:
        raise ValueError("sparse_adam takes sparse gradients, which are not clipped here")


def to_dict(spec: Any) -> dict[str, Any]:
    """The spec as plain JSON values."""
    return json.loads(json.dumps(asdict(spec), allow_nan=False))


def digest(spec: Any) -> str:
    """SHA-256 of the spec's canonical JSON, in hexadecimal."""
    text = json.dumps(to_dict(spec), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
