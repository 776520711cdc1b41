"""L-BFGS in NumPy: one update of all weights together, as one vector of n numbers.

Source: torch/optim/lbfgs.py, LBFGS.step with max_iter=1 and no line search; the direction is Nocedal and Wright's,
Numerical Optimization, algorithm 7.4.

Three numbers decide what is done: the largest element of the gradient, whether anything is; the last step times the
gradient's change over it, whether this pair is kept; and the gradient along the new step, whether that is taken. Where
one is so near its threshold that rounding may decide, either outcome is honest, and the error covers both.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.running_error import Rounded, exact, parts
from parity.bounds.signed_error import Affine, dot
from parity.experiment.optimizers import HISTORIES, LBFGS

Array = NDArray[Any]
# Of each weight, by its name, in order.
Shapes = Mapping[str, tuple[int, ...]]
Slots = Mapping[str, Any]
Update = tuple[Any, dict[str, Any]]


def updated(o: LBFGS, state: Mapping[str, Array], gradients: Mapping[str, Any], u: float | None) -> dict[str, Any]:
    """The step from a state, with `gradients` by the names of the weights; Rounded numbers where `u` is given."""
    shapes = {name: state[f"weights/{name}"].shape for name in gradients}
    groups = ("weights", *(f"slots/{slot}" for slot in o.slots))
    given: dict[str, Any] = {group: joined([state[f"{group}/{name}"] for name in shapes], shapes) for group in groups}
    g: Any = joined([parts(gradient)[0] for gradient in gradients.values()], shapes)
    if u is not None:
        errors = [np.broadcast_to(parts(gradients[name])[1], shape) for name, shape in shapes.items()]
        given, g = {group: exact(array, u) for group, array in given.items()}, Rounded(g, joined(errors, shapes), u)
    w, slots = update(o, given["weights"], g, {slot: given[f"slots/{slot}"] for slot in o.slots})
    found = {"weights": w} | {f"slots/{slot}": number for slot, number in slots.items()}
    return {f"{group}/{name}": part for group, number in found.items() for name, part in split(number, shapes).items()}


def joined(tensors: Sequence[Array], shapes: Shapes) -> Array:
    """[n], or [history_size, n], of tensors of all weights, whose shapes are `shapes`."""
    flat = [t.reshape(*t.shape[: t.ndim - len(shape)], -1) for t, shape in zip(tensors, shapes.values(), strict=True)]
    return np.concatenate(flat, axis=-1)


def split(number: Any, shapes: Shapes) -> dict[str, Any]:
    """Each weight's part of such a vector or history, by name."""
    if isinstance(number, Rounded):
        value, error = split(number.value, shapes), split(number.error, shapes)
        return {name: Rounded(value[name], error[name], number.u) for name in shapes}
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    pieces = zip(shapes.items(), np.split(number, ends[:-1], axis=-1), strict=True)
    return {name: piece.reshape(*piece.shape[:-1], *shape) for (name, shape), piece in pieces}


def update(o: LBFGS, w: Any, g: Any, slots: Slots) -> Update:
    """The new weights [n] and slots, from the weights, their gradients [n] and the slots before.

    Slots are `previous_gradient` and `previous_step` [n], and `gradient_changes` and `steps` [history_size, n]. All are
    arrays, or all Rounded numbers, of which only the gradients may have an error already.
    """
    if not isinstance(w, Rounded):
        w, found = next(outcomes(o, w, g, slots))
        return w, {name: np.array(values) for name, values in found.items()}
    before = {name: number.value for name, number in slots.items()}
    possible = outcomes(o, w.value, Affine(g.value, g.error, w.u), before)
    ways: list[dict[str, Any]] = [{"weights": after, **kept} for after, kept in possible]
    covered = {name: covering([way[name] for way in ways], w.u) for name in ways[0]}
    return covered.pop("weights"), covered


def outcomes(o: LBFGS, w: Any, g: Any, slots: Slots) -> Iterator[Update]:
    """The updates that rounding may lead to, the one of exact decisions first."""
    for moves in decisions(largest(g), o.tolerance_grad):
        if not moves:
            yield w, dict(slots)
            continue
        y, s = g - slots["previous_gradient"], slots["previous_step"]
        for kept in decisions(dot(y, s), o.curvature):
            changes, steps = (
                [*slots[name][1:], last] if kept else [*slots[name]]
                for name, last in zip(HISTORIES, (y, s), strict=True)
            )
            d = direction(g, changes, steps)
            first = not np.any(slots["previous_gradient"])
            step = d * (shortened(o.learning_rate, g) if first else o.learning_rate)
            found = {"previous_gradient": g, "previous_step": step, "gradient_changes": changes, "steps": steps}
            # torch keeps a step that leads nowhere as the last one, and does not take it.
            for nowhere in decisions(dot(g, d), -o.tolerance_change):
                yield w if nowhere else w + step, found


def direction(g: Any, changes: Sequence[Any], steps: Sequence[Any]) -> Any:
    """[n]: minus the inverse Hessian that the history stands for, times the gradient."""
    pairs = [(y, s, 1 / dot(y, s)) for y, s in zip(changes, steps, strict=True) if np.any(value(y))]
    q, alphas = -g, []
    for y, s, rho in reversed(pairs):
        alphas.append(rho * dot(s, q))
        q = q - alphas[-1] * y
    if pairs:
        y, s, _ = pairs[-1]
        q = dot(y, s) / dot(y, y) * q
    for y, s, rho in pairs:
        q = q + (alphas.pop() - rho * dot(y, q)) * s
    return q


def shortened(learning_rate: float, g: Any) -> Any:
    """The first step's min(1, 1 / |g|_1) learning_rate."""
    share = 1 / dot(g, np.sign(value(g)))
    return share * learning_rate if value(share) < 1 else learning_rate


def largest(g: Any) -> Any:
    """The size of the largest element."""
    at = np.argmax(np.abs(value(g)))
    return Affine(abs(g.value[at]), g.own[at], g.u) if isinstance(g, Affine) else abs(g[at])


def decisions(number: Any, threshold: float) -> list[bool]:
    """Whether a number exceeds a threshold; both answers, the exact one first, where rounding may decide."""
    exceeds = bool(value(number) > threshold)
    if not isinstance(number, Affine):
        return [exceeds]
    # The threshold is rounded, too; and where a divisor may be zero, the error is no number, and nothing is certain.
    near = not abs(number.value - threshold) > number.error + number.u * abs(threshold)
    return [exceeds, not exceeds] if near else [exceeds]


def value(number: Any) -> Any:
    """A number without its error."""
    return number.value if isinstance(number, Affine) else number


def covering(ways: Sequence[Any], u: float) -> Rounded:
    """The first of these results, with an error that covers all."""
    here = stacked(ways[0], u)
    others = [stacked(way, u) for way in ways[1:]]
    reached = [np.abs(other.value - here.value) + other.error for other in others]
    return Rounded(here.value, np.max([here.error, *reached], axis=0), u)


def stacked(result: Any, u: float) -> Rounded:
    """A vector or a history, its errors those of Affine numbers, and none where it is exact."""
    if isinstance(result, list):
        rows = [stacked(row, u) for row in result]
        return Rounded(np.array([row.value for row in rows]), np.array([row.error for row in rows]), u)
    return Rounded(result.value, result.error, u) if isinstance(result, Affine) else Rounded(result, 0.0, u)
