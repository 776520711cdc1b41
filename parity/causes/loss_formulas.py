"""What a loss computes, told by its value and its gradient alone: which formula, and how it is reduced."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.causes.cause import Cause
from parity.causes.losses import ALIKE, Places, Value, made
from parity.causes.rules import close

Array = NDArray[np.float64]
Complex = NDArray[Any]
# As torch writes it, and as it is computed: of each result, or of each row of them.
Formula = Callable[[Complex, NDArray[Any]], Complex]
CONFIRMED = "value and gradient of each side's loss are those of its formula, every number"
# The step of a derivative by a complex number, which no digit is lost in (Squire and Trapp, SIAM Review 40, 1998).
STEP = 1e-100
# Rows, or columns, beyond which the gradient of a function of whole rows would cost too much.
WIDEST = 64


def positive(x: Complex) -> Complex:
    """What is above zero; the rest is zero."""
    return np.where(x.real > 0, x, 0)


def absolute(x: Complex) -> Complex:
    """The size of a real number that is moved by an imaginary step."""
    return x * np.sign(x.real)


def huber(x: Complex) -> Complex:
    """Half of the square up to 1, and beyond it a line."""
    return np.where(np.abs(x.real) <= 1, x * x / 2, absolute(x) - 0.5)


def cosine(axis: int) -> Formula:
    """The cosine of results and targets along an axis."""
    return lambda o, t: (o * t).sum(axis) / np.sqrt((o * o).sum(axis) * (t * t).sum(axis))


BY_ELEMENT: Mapping[str, Formula] = {
    "(outputs - targets).square()": lambda o, t: (o - t) ** 2,
    "(outputs - targets).abs()": lambda o, t: absolute(o - t),
    "(outputs - targets).cosh().log()": lambda o, t: np.log(np.cosh(o - t)),
    "F.huber_loss(outputs, targets, reduction='none')": lambda o, t: huber(o - t),
    "(outputs - targets)": lambda o, t: o - t,
    "(outputs * targets)": lambda o, t: o * t,
    "outputs": lambda o, t: o,
    "(outputs - targets * (outputs + 1e-07).log())": lambda o, t: o - t * np.log(o + 1e-7),
    "(outputs - targets * (outputs + 1e-08).log())": lambda o, t: o - t * np.log(o + 1e-8),
    "(outputs - targets * outputs.log())": lambda o, t: o - t * np.log(o),
    "(outputs.exp() - targets * outputs)": lambda o, t: np.exp(o) - t * o,
    "(outputs.exp() - targets * (outputs.exp() + 1e-07).log())": lambda o, t: np.exp(o) - t * np.log(np.exp(o) + 1e-7),
    "(outputs.log1p() - targets.log1p()).square()": lambda o, t: (np.log(1 + o) - np.log1p(t)) ** 2,
    "(outputs.clamp(min=1e-07).log1p() - targets.clamp(min=1e-07).log1p()).square()": lambda o, t: (
        np.log(1 + np.where(o.real > 1e-7, o, 1e-7)) - np.log1p(np.maximum(t, 1e-7))
    ) ** 2,
    "((outputs - targets) / targets).abs()": lambda o, t: absolute((o - t) / t),
    "(1 - targets * outputs).relu()": lambda o, t: positive(1 - t * o),
    "(1 - targets * outputs).relu().square()": lambda o, t: positive(1 - t * o) ** 2,
    "(1 - (2 * targets - 1) * outputs).relu()": lambda o, t: positive(1 - (2 * t - 1) * o),
    "(1 - (2 * targets - 1) * outputs).relu().square()": lambda o, t: positive(1 - (2 * t - 1) * o) ** 2,
    "(targets * outputs.log())": lambda o, t: t * np.log(o),
    "F.binary_cross_entropy(outputs, targets, reduction='none')": lambda o, t: (
        -t * np.log(o) - (1 - t) * np.log(1 - o)
    ),
    "F.binary_cross_entropy_with_logits(outputs, targets, reduction='none')": lambda o, t: (
        np.log(1 + np.exp(o)) - t * o
    ),
}  # fmt: skip
BY_ROW: Mapping[str, Formula] = {
    "F.cosine_similarity(outputs, targets, -1)": cosine(-1),
    "F.cosine_similarity(outputs, targets, 0)": cosine(0),
    "(outputs - targets).norm(dim=-1)": lambda o, t: np.sqrt(((o - t) ** 2).sum(-1)),
}


def evaluated(outputs: Array, targets: Array) -> Iterator[tuple[str, Array, Array]]:
    """Each formula that has numbers here: how it is written, its values, its sum's gradient by the results."""
    with np.errstate(all="ignore"):
        for code, function in BY_ELEMENT.items():
            found = function(outputs + 1j * STEP, targets)
            yield code, found.real, found.imag / STEP
        if outputs.ndim == 2 and max(outputs.shape) <= WIDEST:
            for code, function in BY_ROW.items():
                gradient = np.zeros(outputs.shape)
                for place in np.ndindex(outputs.shape):
                    moved = outputs.astype(np.complex128)
                    moved[place] += 1j * STEP
                    gradient[place] = function(moved, targets).imag.sum() / STEP
                yield code, function(outputs.astype(np.complex128), targets).real, gradient


def formula(outputs: Array, targets: Array, value: Value) -> str | None:
    """How torch would write a loss of one array of results and targets of its shape; None where it is none known."""
    (gradient,) = value.gradients.values()
    moves = max(value.gradient_moves.values(), default=0.0)
    known = [
        (code, values, by) for code, values, by in evaluated(outputs, targets)
        if np.isfinite(values).all() and np.isfinite(by).all() and by.any()
    ]  # fmt: skip

    def amounts(whole: float) -> bool:
        return close(np.array(whole), value.loss, value.moves)

    fitting = []
    for code, values, by in known:
        factor = float(np.vdot(by, gradient) / np.vdot(by, by))
        if factor and close(gradient, factor * by, moves):
            fitting.append((code, values, factor))
    for code, values, factor in fitting:
        if amounts(factor * values.sum()):
            return reduced(code, factor, values, outputs)
        if values.mean() > 0 and amounts(np.sqrt(values.mean())):
            return f"{code}.mean().sqrt()"
    for code, values, factor in fitting:
        written = reduced(code, factor, values, outputs)
        # What no gradient sees; a function of the whole, as a logarithm, would have such a gradient with some factor.
        if written.removeprefix("-").startswith(code):
            return joined(f"{float(value.loss) - factor * values.sum():.9g}", written)
    for (code, values, by), (other, others, beside) in combinations(known, 2):
        factors, *_ = np.linalg.lstsq(np.stack([by.ravel(), beside.ravel()], 1), gradient.ravel(), rcond=None)
        one, two = (float(factor) for factor in factors)
        fits = one and two and close(gradient, one * by + two * beside, moves)
        if fits and amounts(one * values.sum() + two * others.sum()):
            return joined(reduced(code, one, values, outputs), reduced(other, two, others, outputs))
    return None


def joined(one: str, other: str) -> str:
    """The sum of two terms."""
    return f"{one} - {other[1:]}" if other.startswith("-") else f"{one} + {other}"


def reduced(code: str, factor: float, values: Array, outputs: Array) -> str:
    """A formula with its reduction: a factor of all its values' sum."""
    size, sign = abs(factor), "-" if factor < 0 else ""
    ways = {f"{code}.mean()": 1 / values.size, f"{code}.sum()": 1.0}
    if values.shape == outputs.shape and outputs.ndim > 1:
        ways[f"{code}.sum(-1).mean()"] = outputs.shape[-1] / values.size
    for written, share in ways.items():
        if abs(size / share - 1) < ALIKE:
            return sign + written
    return f"{sign}{size * values.size:.9g} * {code}.mean()"


def another(outputs: Array, targets: Array, keras: Value, torch: Value, places: Places) -> Cause | None:
    """Two losses that are two formulas, if both are known."""
    if outputs.size != targets.size or targets.dtype.kind not in "fiu":
        return None
    if any(len(value.gradients) != 1 for value in (keras, torch)):
        return None
    given = outputs.astype(np.float64), targets.astype(np.float64).reshape(outputs.shape)
    if any(next(iter(value.gradients.values())).shape != outputs.shape for value in (keras, torch)):
        return None
    ours, theirs = formula(*given, keras), formula(*given, torch)
    if ours is None or theirs is None or ours == theirs:
        return None
    cause = made("another_loss", f"Keras's loss is {ours}, torch's {theirs}", ours, places)
    return replace(cause, confirmed=CONFIRMED)
