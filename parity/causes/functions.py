"""Which function a stage without weights is, on either side: found among those known from what went in and came out."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from parity.bounds.activations import FUNCTIONS
from parity.causes.rules import close

Array = NDArray[np.float64]
# As people write them: the name, torch's expression, and the function. Slopes are usual ones.
SLOPES = (0.01, 0.1, 0.2, 0.3)


def clipped(slope: float, x: Array) -> Array:
    """A sigmoid of straight lines."""
    return np.clip(slope * x + 0.5, 0.0, 1.0)


def leaky(slope: float, x: Array) -> Array:
    """A ReLU that lets through some of what is below zero."""
    return np.where(x > 0, x, slope * x)


def of_table(name: str, x: Array, slope: float | None = None) -> Array:
    """A function whose formula stands in parity.bounds."""
    return np.asarray(FUNCTIONS[name].value(x, slope))


KNOWN: Mapping[str, tuple[str, Callable[[Array], Array]]] = {
    **{
        name: (f"F.{name}(x)", partial(of_table, name))
        for name in ("relu", "sigmoid", "tanh", "selu", "silu", "softplus", "mish")
    },
    "the exact gelu": ("F.gelu(x)", partial(of_table, "gelu")),
    "the gelu by tanh": ('F.gelu(x, approximate="tanh")', partial(of_table, "gelu_tanh")),
    "elu": ("F.elu(x)", partial(of_table, "elu", slope=1.0)),
    **{
        f"leaky_relu of {slope:g}": (f"F.leaky_relu(x, {slope:g})", partial(leaky, slope))
        for slope in SLOPES
    },
    "relu6": ("F.relu6(x)", lambda x: np.clip(x, 0.0, 6.0)),
    "hard_sigmoid, x / 6 + 0.5": ("F.hardsigmoid(x)", partial(clipped, 1 / 6)),
    "hard_sigmoid, 0.2 x + 0.5": ("(0.2 * x + 0.5).clamp(0, 1)", partial(clipped, 0.2)),
    "hard tanh": ("F.hardtanh(x)", lambda x: np.clip(x, -1.0, 1.0)),
    "softsign": ("F.softsign(x)", lambda x: x / (1 + np.abs(x))),
    "no function at all": ("x", lambda x: x),
}  # fmt: skip


# Of which two functions a known difference is: the beginnings of their names.
ENTRIES: Mapping[tuple[str, str], str] = {
    ("the exact gelu", "the gelu by tanh"): "gelu_approximation",
    ("hard_sigmoid, x / 6", "hard_sigmoid, 0.2 x"): "hard_sigmoid_before_keras_3",
    ("leaky_relu", "leaky_relu"): "leaky_relu_slope",
}


def difference(one: str, other: str) -> str | None:
    """The known difference that two functions by name are."""
    pairs = ((one, other), (other, one))
    return next(
        (e for (a, b), e in ENTRIES.items() if any(x.startswith(a) and y.startswith(b) for x, y in pairs)), None
    )


def found(x: Array, y: Array, rounding: float) -> list[str]:
    """The names of all functions that make y of x but for rounding, of arrays of one shape."""
    if x.shape != y.shape or not x.size:
        return []
    with np.errstate(all="ignore"):
        return [name for name, (_, f) in KNOWN.items() if close(f(x), y, rounding)]
