"""Optimizers and their numbers, as data; parity/bounds/optimizer_formulas.py has what each computes.

`slots` are what an optimizer keeps of each weight, in the order of its computation, with the value each starts at; they
have the weight's shape, but for a history (`slot_shape`).
`weight_decay` is an L2 term of the gradient or a decay of the weights, as the realisation chooses.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal

from parity.experiment.validation import STRICT, require_not_negative, require_positive, require_share

ClipBy = Literal["value", "norm", "global_norm"]
# The default of all of Keras's optimizers that have an epsilon; tests/test_optimizers.py holds it against its classes.
KERAS_EPSILON = 1e-7


@dataclass(frozen=True)
class SGD:
    """Gradient descent, with Polyak's or Nesterov's momentum where it is not 0."""

    __pydantic_config__ = STRICT
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    kind: Literal["sgd"] = "sgd"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        require_share(self.momentum, "momentum")
        require_not_negative(self.weight_decay, "weight_decay")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above zero")

    @property
    def slots(self) -> dict[str, float]:
        return {"velocity": 0.0} if self.momentum else {}


@dataclass(frozen=True)
class Moments:
    """The settings that Adam and its relatives share: a running mean of the gradient, and one of its size."""

    __pydantic_config__ = STRICT
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        require_positive(self.epsilon, "epsilon")
        require_share(self.beta_1, "beta_1")
        require_share(self.beta_2, "beta_2")

    @property
    def slots(self) -> dict[str, float]:
        return {"first_moment": 0.0, "second_moment": 0.0}


@dataclass(frozen=True)
class DecayedMoments(Moments):
    """The same with weight decay."""

    weight_decay: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self.weight_decay, "weight_decay")


@dataclass(frozen=True)
class Adam(DecayedMoments):
    """Kingma and Ba, arXiv 1412.6980; where epsilon is added is a choice of the realisation."""

    kind: Literal["adam"] = "adam"


@dataclass(frozen=True)
class AdamW(DecayedMoments):
    """Adam whose weight decay is never part of the gradient: Loshchilov and Hutter, arXiv 1711.05101."""

    kind: Literal["adamw"] = "adamw"


@dataclass(frozen=True)
class SparseAdam(Moments):
    """Adam of the rows of a table that a batch named, as torch.optim.SparseAdam has it; others stay as they are.

    Epsilon is added before the bias correction.
    """

    weight_decay: ClassVar[float] = 0.0
    kind: Literal["sparse_adam"] = "sparse_adam"


@dataclass(frozen=True)
class Adamax(DecayedMoments):
    """Kingma and Ba, section 7.1: Adam with an infinity norm in place of the second moment."""

    kind: Literal["adamax"] = "adamax"

    @property
    def slots(self) -> dict[str, float]:
        return {"first_moment": 0.0, "infinity_norm": 0.0}


@dataclass(frozen=True)
class NAdam(DecayedMoments):
    """Adam with Nesterov's momentum, its share of each step as `momentum_share` has it: Dozat, 2016."""

    # Keras's is 1 and cannot be changed; torch's default is 0.004.
    momentum_decay: float
    kind: Literal["nadam"] = "nadam"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self.momentum_decay, "momentum_decay")


@dataclass(frozen=True)
class Adagrad:
    """Duchi, Hazan and Singer, JMLR 12, 2011; where epsilon is added is a choice of the realisation."""

    __pydantic_config__ = STRICT
    learning_rate: float
    initial_accumulator: float
    epsilon: float
    weight_decay: float
    kind: Literal["adagrad"] = "adagrad"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        require_positive(self.epsilon, "epsilon")
        require_not_negative(self.initial_accumulator, "initial_accumulator")
        require_not_negative(self.weight_decay, "weight_decay")

    @property
    def slots(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator}


@dataclass(frozen=True)
class Adadelta:
    """Zeiler, arXiv 1212.5701."""

    __pydantic_config__ = STRICT
    learning_rate: float
    rho: float
    epsilon: float
    weight_decay: float
    kind: Literal["adadelta"] = "adadelta"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        require_share(self.rho, "rho")
        require_positive(self.epsilon, "epsilon")
        require_not_negative(self.weight_decay, "weight_decay")

    @property
    def slots(self) -> dict[str, float]:
        return {"second_moment": 0.0, "second_moment_of_steps": 0.0}


@dataclass(frozen=True)
class RMSprop:
    """Tieleman and Hinton, 2012; where epsilon is added is a choice of the realisation."""

    __pydantic_config__ = STRICT
    learning_rate: float
    rho: float
    epsilon: float
    momentum: float
    centered: bool
    weight_decay: float
    kind: Literal["rmsprop"] = "rmsprop"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        require_share(self.rho, "rho")
        require_positive(self.epsilon, "epsilon")
        require_share(self.momentum, "momentum")
        require_not_negative(self.weight_decay, "weight_decay")

    @property
    def slots(self) -> dict[str, float]:
        names = ["second_moment", *["first_moment"] * self.centered, *["velocity"] * bool(self.momentum)]
        return dict.fromkeys(names, 0.0)


@dataclass(frozen=True)
class Rprop:
    """Riedmiller and Braun, 1993: a step of its own for each weight, by the signs of its gradients."""

    __pydantic_config__ = STRICT
    # It takes nothing but signs.
    weight_decay: ClassVar[float] = 0.0
    learning_rate: float
    eta_minus: float
    eta_plus: float
    smallest_step: float
    largest_step: float
    kind: Literal["rprop"] = "rprop"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        if not 0 < self.eta_minus < 1 < self.eta_plus:
            raise ValueError(f"eta_minus < 1 < eta_plus must hold, not {self.eta_minus} and {self.eta_plus}")
        if not 0 < self.smallest_step <= self.learning_rate <= self.largest_step:
            raise ValueError("smallest_step <= learning_rate <= largest_step must hold")

    @property
    def slots(self) -> dict[str, float]:
        return {"step_size": self.learning_rate, "previous_gradient": 0.0}


@dataclass(frozen=True)
class ASGD:
    """Averaged gradient descent: Polyak and Juditsky, SIAM J. Control Optim. 30(4), 1992."""

    __pydantic_config__ = STRICT
    learning_rate: float
    # The decay of weights and learning rate, the latter's power, and the step from which on weights are averaged.
    decay: float
    power: float
    averaging_from: float
    weight_decay: float
    kind: Literal["asgd"] = "asgd"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        for name in ("decay", "power", "averaging_from", "weight_decay"):
            require_not_negative(getattr(self, name), name)

    def require_steps(self, steps: int) -> None:
        """Raises ValueError where torch cannot compute the rate of the last of so many steps: it does so in Python."""
        try:
            (1 + self.decay * self.learning_rate * steps) ** self.power
        except OverflowError:
            divisor = f"(1 + {self.decay:g} * {self.learning_rate:g} * {steps}) ** {self.power:g}"
            raise ValueError(
                f"the rate is divided by {divisor}, which is beyond float64; take a smaller decay or power"
            ) from None

    @property
    def slots(self) -> dict[str, float]:
        return {"average": 0.0}


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS, one iteration a step and no line search: Liu and Nocedal, Math. Programming 45, 1989.

    As torch.optim.LBFGS does it with max_iter=1. It is over all weights together, and its gradients must be those of
    one function: of the whole training set. Its slots are the gradient and the step last taken, and, the latest last,
    a history of how gradients changed and of the steps that changed them, zero where it is not filled yet.
    """

    __pydantic_config__ = STRICT
    weight_decay: ClassVar[float] = 0.0
    # A change y of the gradient over a step s is kept if y.s exceeds this, which torch has built in.
    curvature: ClassVar[float] = 1e-10
    learning_rate: float
    history_size: int
    # No step where no element of the gradient exceeds the one, or the gradient along the step the other.
    tolerance_grad: float
    tolerance_change: float
    kind: Literal["lbfgs"] = "lbfgs"

    def __post_init__(self) -> None:
        require_positive(self.learning_rate, "learning rate")
        require_positive(self.history_size, "history_size")
        require_not_negative(self.tolerance_grad, "tolerance_grad")
        require_not_negative(self.tolerance_change, "tolerance_change")

    @property
    def slots(self) -> dict[str, float]:
        return dict.fromkeys(("previous_gradient", "previous_step", *HISTORIES), 0.0)


# The slots that have an entry for each of `history_size` steps.
HISTORIES = ("gradient_changes", "steps")

Optimizer = SGD | Adam | AdamW | SparseAdam | Adamax | NAdam | Adagrad | Adadelta | RMSprop | Rprop | ASGD | LBFGS


def slot_shape(optimizer: Optimizer, slot: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a slot of a weight of this shape."""
    return (optimizer.history_size, *shape) if isinstance(optimizer, LBFGS) and slot in HISTORIES else shape


def momentum_share(beta_1: float, momentum_decay: float, step: int) -> float:
    """NAdam's mu at a step counted from 1: beta_1 (1 - 0.96^(step momentum_decay) / 2)."""
    return beta_1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))


@lru_cache
def momentum_product(beta_1: float, momentum_decay: float, steps: int) -> float:
    """The product of NAdam's mu at all steps from the first on."""
    return math.prod(momentum_share(beta_1, momentum_decay, step) for step in range(1, steps + 1))


def with_keras_epsilon(optimizer: "Optimizer") -> "Optimizer":
    """The optimizer with the epsilon that Keras's own class has by default, where there is such a class."""
    if isinstance(optimizer, DecayedMoments | Adagrad | Adadelta | RMSprop):
        return replace(optimizer, epsilon=KERAS_EPSILON)
    return optimizer


@dataclass(frozen=True)
class Clipping:
    """Gradients kept within a limit: by each element's value, each weight's norm, or the norm of all together."""

    __pydantic_config__ = STRICT
    by: ClipBy
    limit: float

    def __post_init__(self) -> None:
        require_positive(self.limit, "the limit of gradient clipping")


# With the numbers that torch's classes start with.
OPTIMIZERS: dict[str, Optimizer] = {
    optimizer.kind: optimizer
    for optimizer in (
        SGD(learning_rate=0.001, momentum=0.0, nesterov=False, weight_decay=0.0),
        Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0),
        AdamW(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.01),
        SparseAdam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8),
        Adamax(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0),
        NAdam(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-8, momentum_decay=0.004, weight_decay=0.0),
        Adagrad(learning_rate=0.01, initial_accumulator=0.0, epsilon=1e-10, weight_decay=0.0),
        Adadelta(learning_rate=1.0, rho=0.9, epsilon=1e-6, weight_decay=0.0),
        RMSprop(learning_rate=0.01, rho=0.99, epsilon=1e-8, momentum=0.0, centered=False, weight_decay=0.0),
        Rprop(learning_rate=0.01, eta_minus=0.5, eta_plus=1.2, smallest_step=1e-6, largest_step=50.0),
        ASGD(learning_rate=0.01, decay=1e-4, power=0.75, averaging_from=1e6, weight_decay=0.0),
        # torch keeps 100 steps; here each is two more tensors of every weight in every checkpoint.
        LBFGS(learning_rate=1.0, history_size=10, tolerance_grad=1e-7, tolerance_change=1e-9),
    )
}
