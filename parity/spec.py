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
FunctionName = Literal[
    "linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "softplus",
    "hard_sigmoid", "mish", "softmax",
]  # fmt: skip
# What may stand behind a layer: a function, or prelu, which has a weight of its own.
ActivationName = Literal[FunctionName, "prelu"]
InitializerName = Literal[
    "zeros", "normal", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "torch_default", "keras_default"
]
OptimizerName = Literal["sgd", "adam"]
LossName = Literal["softmax_cross_entropy", "binary_cross_entropy_naive"]
AdamEpsilon = Literal["after_correction", "before_correction"]
Constants = Literal["exact", "through_float32"]
SeluAtZero = Literal["slope_below", "slope_above"]
PReLUAtZero = Literal["slope_below", "zero"]
SoftplusAbove20 = Literal["linear", "smooth"]

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

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight, in order."""
        return {"kernel": (self.inputs, self.units), "bias": (self.units,)}


@dataclass(frozen=True)
class Activation:
    """A function without weights: of each element, or softmax, of each sample.

    `slope` is that of leaky_relu below zero, that of elu just below zero (the alpha of Clevert et al., arXiv
    1511.07289), and None for the others.
    """

    __pydantic_config__ = STRICT
    name: str
    function: FunctionName
    slope: float | None
    kind: Literal["activation"] = "activation"
    weight_shapes: ClassVar[dict[str, tuple[int, ...]]] = {}

    def __post_init__(self) -> None:
        require_name(self.name)
        if (self.slope is not None) != (self.function in ("leaky_relu", "elu")):
            raise ValueError(f"{self.name}: leaky_relu and elu need a slope, and {self.function} is given {self.slope}")
        if self.slope is not None and not math.isfinite(self.slope):
            raise ValueError(f"{self.name}: slope must be finite, not {self.slope}")


@dataclass(frozen=True)
class PReLU:
    """x above zero and a x below, with a trained (He et al., arXiv 1502.01852).

    a is `<name>/slope`, of shape (units,), or (1,) if one is `shared` by all units; it begins with `start`.
    """

    __pydantic_config__ = STRICT
    name: str
    units: int
    start: float
    shared: bool
    kind: Literal["prelu"] = "prelu"
    function: ClassVar[str] = "prelu"

    def __post_init__(self) -> None:
        require_name(self.name)
        require_positive(self.units, f"{self.name}: units")
        if not math.isfinite(self.start):
            raise ValueError(f"{self.name}: start must be finite, not {self.start}")

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight, in order."""
        return {"slope": (1,) if self.shared else (self.units,)}


Node = Dense | Activation | PReLU


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
    over XOR's four points.
    """

    __pydantic_config__ = STRICT
    batch_size: int
    shuffle: bool
    drop_last: bool
    passes_per_epoch: int
    duration: int
    unit: Literal["epochs", "steps"]

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
        for node in self.model:
            if isinstance(node, PReLU) and node.units != self.widths[node.name]:
                raise ValueError(f"{node.name} is for {node.units} units and is given {self.widths[node.name]}")
        if self.loss == "binary_cross_entropy_naive" and self.dense[-1].units != 1:
            raise ValueError("binary cross-entropy needs one output")
        last = self.model[-1]
        if self.loss == "softmax_cross_entropy" and isinstance(last, Activation) and last.function == "softmax":
            # Keras would go back to the logits, and torch would take the softmax a second time.
            raise ValueError("softmax cross-entropy takes logits, and the model ends with a softmax")

    @property
    def dense(self) -> list[Dense]:
        """The dense layers, in order."""
        return [node for node in self.model if isinstance(node, Dense)]

    @property
    def widths(self) -> dict[str, int]:
        """How many units each node gives, by its name, in order."""
        found: dict[str, int] = {}
        units = 0
        for node in self.model:
            units = found[node.name] = node.units if isinstance(node, Dense) else units
        return found

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight by its name, in order."""
        return {f"{node.name}/{kind}": shape for node in self.model for kind, shape in node.weight_shapes.items()}

    @property
    def weights(self) -> list[str]:
        """The names of all weights, in order."""
        return list(self.weight_shapes)


@dataclass(frozen=True)
class Realisation:
    """How one side does it.

    `model` names the function that builds the model from the identity, as "module:function".
    `adam_epsilon` is torch's place for Adam's epsilon ("after_correction") or Keras's ("before_correction").
    `constants`: Keras rounds the slope of leaky ReLU, the constants of GELU, and the betas in the bias correction of
    its own Adam, through float32 even in a float64 model ("through_float32"); torch takes them as they are ("exact"),
    save the slope of hard sigmoid, 1/6, which torch rounds and Keras does not. torch's Adam has none that are rounded.
    `selu_at_zero` is SELU's derivative at exactly zero: that from below, 1.76, as in torch, or that from above, 1.05,
    as in Keras. `prelu_at_zero` is PReLU's: its slope, as in torch, or zero, as in Keras.
    `softplus_above_20`: torch takes softplus(x) for x there ("linear"), Keras does not ("smooth").
    """

    __pydantic_config__ = STRICT
    model: str
    adam_epsilon: AdamEpsilon
    constants: Constants
    selu_at_zero: SeluAtZero
    prelu_at_zero: PReLUAtZero
    softplus_above_20: SoftplusAbove20


@dataclass(frozen=True)
class Experiment:
    """A name, one sentence on what it shows, the identity, and each side's realisation."""

    __pydantic_config__ = STRICT
    name: str
    shows: str
    identity: Identity
    tf: Realisation
    torch: Realisation


# The activations that each of these choices is about.
READ_BY = {"selu_at_zero": {"selu"}, "prelu_at_zero": {"prelu"}, "softplus_above_20": {"softplus"}}


def is_read(field: str, identity: Identity, realisation: Realisation) -> bool:
    """Whether a choice of the realisation matters to what is trained."""
    adam = isinstance(identity.optimizer, Adam)
    if field == "adam_epsilon":
        return adam
    used = {node.function for node in identity.model if not isinstance(node, Dense)}
    if field in READ_BY:
        return not used.isdisjoint(READ_BY[field])
    rounded = not used.isdisjoint({"leaky_relu", "gelu", "gelu_tanh", "hard_sigmoid"})
    return rounded or (adam and realisation.adam_epsilon == "before_correction")


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
