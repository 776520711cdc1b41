"""What an experiment is, as frozen data.

An experiment has two parts. Its *identity* is what is trained: both sides must have it equal, or there is nothing to
compare. A *realisation* is how one side does it: choices on which two honest implementations may differ.
No field has a default: an experiment states everything (`kind` only tells the classes apart in JSON).
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from itertools import pairwise, zip_longest
from typing import Any, ClassVar, Literal, get_args

Framework = Literal["tf", "torch"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)
# How reports call each side.
LABELS: dict[Framework, str] = {"tf": "Keras", "torch": "torch"}
Dtype = Literal["float64", "float32"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
DataName = Literal["digits", "xor"]
ActivationName = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax"]
InitializerName = Literal[
    "zeros", "normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "torch_default", "keras_default"
]
OptimizerName = Literal["sgd", "adam"]
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
AdamEpsilon = Literal["after_correction", "before_correction"]
Constants = Literal["exact", "through_float32"]

# Of two experiments that have little in common, the first settings tell enough.
DIFFERENCES_SHOWN = 4

# Nothing that a recording asserts about itself is believed: unknown fields are refused when one is read.
STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class Dense:
    """y = x W + b, with W `<name>/kernel` of shape (inputs, units) and b `<name>/bias` of shape (units,)."""

    __pydantic_config__ = STRICT
    name: str
    inputs: int
    units: int
    kernel: InitializerName
    bias: InitializerName
    kind: Literal["dense"] = "dense"

    def __post_init__(self) -> None:
        require_name(self.name)
        require_positive(self.inputs, f"{self.name}: inputs")
        require_positive(self.units, f"{self.name}: units")


@dataclass(frozen=True)
class Activation:
    """A function of each element, or softmax of each row.

    `slope` is that of leaky_relu below zero and None for the others.
    """

    __pydantic_config__ = STRICT
    name: str
    function: ActivationName
    slope: float | None
    kind: Literal["activation"] = "activation"

    def __post_init__(self) -> None:
        require_name(self.name)
        if (self.slope is not None) != (self.function == "leaky_relu"):
            raise ValueError(f"{self.name}: leaky_relu needs a slope, and {self.function} is given {self.slope}")
        if self.slope is not None and not math.isfinite(self.slope):
            raise ValueError(f"{self.name}: slope must be finite, not {self.slope}")


Node = Dense | Activation


@dataclass(frozen=True)
class SGD:
    """w -= learning_rate * g."""

    __pydantic_config__ = STRICT
    # What the optimizer keeps of each weight, in the order of its computation.
    slots: ClassVar[tuple[str, ...]] = ()
    learning_rate: float
    kind: Literal["sgd"] = "sgd"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba, arXiv 1412.6980; where epsilon is added is a choice of the realisation."""

    __pydantic_config__ = STRICT
    slots: ClassVar[tuple[str, ...]] = ("first_moment", "second_moment")
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    kind: Literal["adam"] = "adam"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        require_positive(self.epsilon, "epsilon")
        if not (0 <= self.beta_1 < 1 and 0 <= self.beta_2 < 1):
            raise ValueError(f"betas must be from 0 to below 1, not {self.beta_1} and {self.beta_2}")


Optimizer = SGD | Adam


@dataclass(frozen=True)
class Schedule:
    """How the training set is cut into steps, and how many of them.

    An epoch is what costs are averaged over and accuracy is measured after: one pass over the digits, but a hundred
    over XOR's four points. Its cost is the mean of its batches' costs ("batch_mean") or, as Keras's fit reports it,
    that of its samples ("sample_mean"), which is another number where the last batch is smaller.
    """

    __pydantic_config__ = STRICT
    batch_size: int
    shuffle: bool
    drop_last: bool
    passes_per_epoch: int
    duration: int
    unit: Literal["epochs", "steps"]
    epoch_cost: EpochCost

    def __post_init__(self) -> None:
        require_positive(self.batch_size, "batch size")
        require_positive(self.passes_per_epoch, "passes per epoch")
        require_positive(self.duration, self.unit)


@dataclass(frozen=True)
class Identity:
    """What is trained. Two recordings are comparable only if this is equal."""

    __pydantic_config__ = STRICT
    data: DataName
    model: tuple[Node, ...]
    loss: LossName
    optimizer: Optimizer
    schedule: Schedule
    seed: int
    dtype: Dtype

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must be from 0 to 2**64 - 1, not {self.seed}")
        names = [node.name for node in self.model]
        if len(set(names)) != len(names):
            raise ValueError(f"two nodes of the model have the same name: {names}")
        if not self.model or not isinstance(self.model[0], Dense):
            raise ValueError("a model starts with a dense layer")
        for before, after in pairwise(self.dense):
            if before.units != after.inputs:
                raise ValueError(f"{after.name} takes {after.inputs} inputs and {before.name} gives {before.units}")
        require_outputs(self.loss, self.model[-1], self.dense[-1])

    @property
    def threshold(self) -> float:
        """What a single output must exceed to stand for class 1: even odds, as a logit or as a probability."""
        return 0.0 if self.loss == "binary_cross_entropy_logits" else 0.5

    @property
    def dense(self) -> list[Dense]:
        """The nodes that hold weights, in order."""
        return [node for node in self.model if isinstance(node, Dense)]

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight by its name, in order."""
        return {
            f"{node.name}/{kind}": shape
            for node in self.dense
            for kind, shape in (("kernel", (node.inputs, node.units)), ("bias", (node.units,)))
        }

    @property
    def weights(self) -> list[str]:
        """The names of all weights, in order."""
        return list(self.weight_shapes)


@dataclass(frozen=True)
class Realisation:
    """How one side does it.

    `model` names the function that builds the model from the identity, as "module:function".
    `adam_epsilon` is torch's place for Adam's epsilon ("after_correction") or Keras's ("before_correction").
    `constants`: Keras rounds the slope of leaky ReLU, and the betas in the bias correction of its own Adam, through
    float32 even in a float64 model ("through_float32"); torch takes them as they are ("exact"). torch's Adam has none
    that are rounded.
    """

    __pydantic_config__ = STRICT
    model: str
    adam_epsilon: AdamEpsilon
    constants: Constants


@dataclass(frozen=True)
class Experiment:
    """A name, one sentence on what it shows, the identity, and each side's realisation."""

    __pydantic_config__ = STRICT
    name: str
    shows: str
    identity: Identity
    tf: Realisation
    torch: Realisation


def is_read(field: str, identity: Identity, realisation: Realisation) -> bool:
    """Whether a choice of the realisation matters to what is trained."""
    adam = isinstance(identity.optimizer, Adam)
    if field == "adam_epsilon":
        return adam
    leaky = any(isinstance(node, Activation) and node.function == "leaky_relu" for node in identity.model)
    return leaky or (adam and realisation.adam_epsilon == "before_correction")


def require_outputs(loss: LossName, last: Node, dense: Dense) -> None:
    """Raise ValueError unless the model's last node, behind its last `dense` layer, gives what the loss takes."""
    if loss.startswith("binary") and dense.units != 1:
        raise ValueError(f"binary cross-entropy needs one output, and {dense.name} has {dense.units}")
    if loss.startswith("softmax") and dense.units == 1:
        raise ValueError(f"softmax cross-entropy needs an output for each class, and {dense.name} has one")
    ending = last.function if isinstance(last, Activation) else "linear"
    needed = ENDINGS.get(loss, ending)
    if needed == "linear" and ending in ("sigmoid", "softmax"):
        raise ValueError(f"{loss} takes logits, and the model ends in {ending}")
    if needed != "linear" and ending != needed:
        raise ValueError(f"{loss} takes probabilities, and the model does not end in {needed}")


def require_positive(value: float, what: str) -> None:
    """Raise ValueError unless `value` is finite and above zero."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{what} must be a finite number above zero, not {value}")


def require_name(name: str) -> None:
    """Raise ValueError unless `name` is a plain word, as file formats and reports take it without escaping."""
    if not (name.isascii() and name.isidentifier() and len(name) <= 100):
        raise ValueError(f"a node's name is a word of letters, digits and underscores, not {name!r:.100}")


def to_dict(spec: Any) -> dict[str, Any]:
    """The spec as plain JSON values."""
    return json.loads(json.dumps(asdict(spec), allow_nan=False))


def differences(ours: Identity, theirs: Identity) -> list[str]:
    """The first settings that are not equal, by path, with both values: "optimizer.learning_rate 0.001 and 0.002"."""
    pairs = zip_longest(fields_of(to_dict(ours)), fields_of(to_dict(theirs)), fillvalue=("", "nothing"))
    return [f"{x[0] or y[0]} {x[1]} and {y[1]}" for x, y in pairs if x != y][:DIFFERENCES_SHOWN]


def fields_of(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every value inside nested JSON with its path, in order."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is None:
        return [(path, value)]
    return [field for key, child in inside for field in fields_of(child, f"{path}.{key}" if path else str(key))]


def digest(spec: Any) -> str:
    """SHA-256 of the spec's canonical JSON, in hexadecimal."""
    text = json.dumps(to_dict(spec), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
