"""The nodes of a model, as data: layers, activations, and what their weights begin with."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from parity.experiment.validation import STRICT, require_name, require_positive, require_share

FunctionName = Literal[
    "linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "softplus",
    "hard_sigmoid", "mish", "softmax",
]  # fmt: skip
# What may follow a layer: a function, or prelu, which has a weight of its own.
ActivationName = Literal[FunctionName, "prelu"]
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
# Initializers with a number of their own, and what the number is.
NUMBERED: dict[InitializerName, str] = {
    "constant": "value",
    "normal": "deviation",
    "uniform": "bound",
    "truncated_normal": "deviation",
}


@dataclass(frozen=True)
class Initializer:
    """The distribution of a weight's initial values (see initializers.py); `number` as in NUMBERED, else None."""

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
class Embedding:
    """The sum of a table's rows: y = sum over i of T[x_i], of `length` integer tokens x_i below `vocabulary`.

    T is `<name>/table`, of shape (vocabulary, units). It stands first in a model.
    """

    __pydantic_config__ = STRICT
    name: str
    length: int
    vocabulary: int
    units: int
    table: Initializer
    kind: Literal["embedding"] = "embedding"

    def __post_init__(self) -> None:
        require_name(self.name)
        if self.table.name not in (*NUMBERED, "zeros", "ones"):
            raise ValueError(f"{self.name}: initializer {self.table.name} is for layers, not for a table of embeddings")
        for field in ("length", "vocabulary", "units"):
            require_positive(getattr(self, field), f"{self.name}: {field}")

    @property
    def inputs(self) -> int:
        """How many words each sample has."""
        return self.length

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight, in order."""
        return {"table": (self.vocabulary, self.units)}


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
    starts: ClassVar[dict[str, float]] = {}

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

    @property
    def starts(self) -> dict[str, float]:
        """The number that each weight begins with."""
        return {"slope": self.start}


@dataclass(frozen=True)
class BatchNorm:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, unit by unit (Ioffe and Szegedy, arXiv 1502.03167).

    gamma and beta are trained, and begin with 1 and 0. In training, mean and variance are the batch's; a trained model
    uses their running statistics, which begin with 0 and 1 and become moving * momentum + batch * (1 - momentum) at
    each step: Keras's meaning of momentum. torch calls 1 - momentum so.
    """

    __pydantic_config__ = STRICT
    name: str
    units: int
    momentum: float
    epsilon: float
    kind: Literal["batch_norm"] = "batch_norm"
    function: ClassVar[str] = "batch_norm"
    starts: ClassVar[dict[str, float]] = {"gamma": 1.0, "beta": 0.0}

    def __post_init__(self) -> None:
        require_name(self.name)
        require_positive(self.units, f"{self.name}: units")
        require_share(self.momentum, f"{self.name}: momentum")
        require_positive(self.epsilon, f"{self.name}: epsilon")

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight, in order."""
        return {"gamma": (self.units,), "beta": (self.units,)}

    @property
    def statistic_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each running statistic, in order."""
        return {"moving_mean": (self.units,), "moving_variance": (self.units,)}


@dataclass(frozen=True)
class LayerNorm:
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, sample by sample (Ba et al., arXiv 1607.06450).

    gamma and beta [units] are trained, and begin with 1 and 0. Mean and variance are those of a sample's units, in
    training as afterwards.
    """

    __pydantic_config__ = STRICT
    name: str
    units: int
    epsilon: float
    kind: Literal["layer_norm"] = "layer_norm"
    function: ClassVar[str] = "layer_norm"
    starts: ClassVar[dict[str, float]] = {"gamma": 1.0, "beta": 0.0}

    def __post_init__(self) -> None:
        require_name(self.name)
        require_positive(self.units, f"{self.name}: units")
        require_positive(self.epsilon, f"{self.name}: epsilon")

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each weight, in order."""
        return {"gamma": (self.units,), "beta": (self.units,)}


@dataclass(frozen=True)
class Dropout:
    """In training, each value is 0 with probability `rate` and else divided by 1 - rate (Srivastava et al., JMLR 15).

    A trained model leaves its values as they are.
    """

    __pydantic_config__ = STRICT
    name: str
    rate: float
    kind: Literal["dropout"] = "dropout"
    function: ClassVar[str] = "dropout"
    weight_shapes: ClassVar[dict[str, tuple[int, ...]]] = {}
    starts: ClassVar[dict[str, float]] = {}

    def __post_init__(self) -> None:
        require_name(self.name)
        if not 2.0**-17 < self.rate < 1 - 2.0**-17:
            # Masks are made of 16 bits (parity/experiment/randomness.py).
            raise ValueError(f"{self.name}: rate must be above 0 and below 1, to 16 bits, not {self.rate}")


# What computes from all inputs at once, and so sets how many units there are after it.
Layer = Dense | Embedding
Norm = BatchNorm | LayerNorm
Node = Layer | Activation | PReLU | Norm | Dropout
