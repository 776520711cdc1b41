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
ActivationName = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu"]
InitializerName = Literal[
    "zeros",
    "ones",
    "constant",
    "normal",
    "uniform",
    "truncated_normal",
    "xavier_uniform",
    "xavier_normal",
    "xavier_normal_truncated",
    "he_uniform",
    "he_normal",
    "he_normal_truncated",
    "lecun_uniform",
    "lecun_normal",
    "lecun_normal_truncated",
    "orthogonal",
    "torch_default",
    "keras_default",
]
# How a framework's own initializer is called: by its name alone, on a kernel (inputs, units); with its number and the
# layer's fans; or with all that makes it the neutral formula.
Calling = Literal["plain", "own", "formula"]
# Initializers with a number of their own, and what the number is.
NUMBERED: dict[InitializerName, str] = {
    "constant": "value",
    "normal": "deviation",
    "uniform": "bound",
    "truncated_normal": "deviation",
}
OptimizerName = Literal["sgd", "adam"]
LossName = Literal["softmax_cross_entropy", "binary_cross_entropy_naive"]
AdamEpsilon = Literal["after_correction", "before_correction"]
Constants = Literal["exact", "through_float32"]

# Of two experiments that have little in common, the first settings tell enough.
DIFFERENCES_SHOWN = 4

# Nothing that a recording asserts about itself is believed: unknown fields are refused when one is read.
STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class Initializer:
    """What a weight's first values are drawn from (parity/initializers.py); `number` as in NUMBERED, else None."""

    __pydantic_config__ = STRICT
    name: InitializerName
    number: float | None

    def __post_init__(self) -> None:
        if (self.number is not None) != (self.name in NUMBERED):
            needed = f"needs its {NUMBERED[self.name]}" if self.name in NUMBERED else "takes no number"
            raise ValueError(f"initializer {self.name} {needed}")
        if self.number is None:
            return
        # No draw lies more than nine deviations out, so nothing overflows in float32.
        if not abs(self.number) < 2.0**100:
            raise ValueError(f"initializer {self.name}: {NUMBERED[self.name]} must be below 2**100, not {self.number}")
        if self.name != "constant":
            require_positive(self.number, f"initializer {self.name}: {NUMBERED[self.name]}")

    @property
    def of_kernels_only(self) -> bool:
        """Whether it asks for a fan in and a fan out, or for rows and columns, which a bias does not have."""
        return self.name not in (*NUMBERED, "zeros", "ones", "torch_default", "keras_default")


@dataclass(frozen=True)
class Dense:
    """y = x W + b, with W `<name>/kernel` of shape (inputs, units) and b `<name>/bias` of shape (units,)."""

    __pydantic_config__ = STRICT
    name: str
    inputs: int
    units: int
    kernel: Initializer
    bias: Initializer
    kind: Literal["dense"] = "dense"

    def __post_init__(self) -> None:
        require_name(self.name)
        if self.bias.of_kernels_only:
            raise ValueError(f"{self.name}: initializer {self.bias.name} is for kernels, not for a bias")
        require_positive(self.inputs, f"{self.name}: inputs")
        require_positive(self.units, f"{self.name}: units")


@dataclass(frozen=True)
class Activation:
    """An elementwise function; `slope` is that of leaky_relu below zero and None for the others."""

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
        if self.loss == "binary_cross_entropy_naive" and self.dense[-1].units != 1:
            raise ValueError("binary cross-entropy needs one output")

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
