"""The stages of one training step: what each gives, and how large its rounding may be.

A stage is run by itself on recorded inputs, so its rounding is that of a few operations, and no earlier stage's error
is amplified by it. Its size is measured against the *condition scale* S of each element: the sum of the magnitudes of
what is added there, not the size of the result, which may have cancelled to nothing. With u the unit roundoff, an
honest result lies within

    ALLOWED[kind][framework] * sqrt(length) * u * S

of the exact one; `length` is the number of terms in a sum, whose rounding errors are independent (Higham and Mary, SIAM
J. Sci. Comput. 41(5), 2019), and 1 elsewhere. Two results of one stage may be apart by both sides' allowances. A scale
of 0 demands equality.

docs/lockstep.md has the table with what was measured for each row; `python -m benchmarks.lockstep` makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.formulas import update
from parity.optimizers import OPTIMIZERS
from parity.rounded import UNIT_ROUNDOFF, exact
from parity.spec import Activation, Dense, Dtype, Framework, Identity, Realisation

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# In units of sqrt(length) u S, for (Keras, torch). Each is what the operations of the row may round to; the worst
# element of all experiments uses a third to a half of it (docs/lockstep.md).
ALLOWED: dict[str, dict[Framework, float]] = {
    kind: {"tf": tf, "torch": torch}
    for kind, tf, torch in (
        # A sum of products, forward and for both gradients: |x| |W| + |b|.
        ("product", 3, 3),
        # Of the samples' deltas, for a bias.
        ("sum", 3, 3),
        # Exact.
        ("linear", 0, 0),
        ("linear gradient", 0, 0),
        ("relu", 0, 0),
        ("relu gradient", 0, 0),
        # The slope's rounding, the product's, and one to spare.
        ("leaky_relu", 3, 3),
        ("leaky_relu gradient", 3, 3),
        # Keras runs Eigen's rational approximations, torch Sleef's, which is within one unit in the last place, 2 u.
        ("sigmoid", 10, 5),
        ("sigmoid gradient", 10, 6),
        ("tanh", 8, 4),
        # 1 - y**2 carries twice the error of y.
        ("tanh gradient", 18, 10),
        # exp, log, a sum over the classes, and a mean over the samples.
        ("softmax_cross_entropy", 7, 7),
        ("softmax_cross_entropy gradient", 9, 9),
        # log, and the rounding of 1 - h.
        ("binary_cross_entropy_naive", 3, 3),
        ("binary_cross_entropy_naive gradient", 4, 4),
    )
}
# Of a slot and of the weights after the update, whose scale is the running error of all operations that lead to them:
# three times that, since the frameworks order these operations differently.
UPDATE: dict[Framework, float] = {"tf": 3, "torch": 3}
ALLOWED |= {f"{name} {part}": UPDATE for name in OPTIMIZERS for part in ("slots", "weights")}
# Keras keeps a velocity with the learning rate inside, which is divided out of it and multiplied in again.
ALLOWED |= {f"{name} slots": {"tf": 5, "torch": 3} for name in ("sgd", "rmsprop")}


@dataclass(frozen=True)
class Result:
    """A tensor that a stage gives: its name in a replay, its stage, its row of ALLOWED, and the length of its sums."""

    name: str
    stage: str
    kind: str
    length: int


def results(identity: Identity, batch: int) -> list[Result]:
    """What the stages of one step on `batch` samples give, in the order of the computation."""
    nodes = identity.model
    found = [Result(f"outputs/{node.name}", f"forward {node.name}", *forward_row(node)) for node in nodes]
    found.append(Result("cost", "loss", identity.loss, 1))
    found.append(Result(f"deltas/{nodes[-1].name}", "loss gradient", f"{identity.loss} gradient", 1))
    for position in reversed(range(len(nodes))):
        node, stage = nodes[position], f"backward {nodes[position].name}"
        if isinstance(node, Dense):
            found.append(Result(f"gradients/{node.name}/kernel", stage, "product", batch))
            found.append(Result(f"gradients/{node.name}/bias", stage, "sum", batch))
        if position:
            row = ("product", node.units) if isinstance(node, Dense) else (f"{node.function} gradient", 1)
            found.append(Result(f"deltas/{nodes[position - 1].name}", stage, *row))
    kind = identity.optimizer.kind
    for name in identity.weights:
        for slot in identity.optimizer.slots:
            found.append(Result(f"slots/{slot}/{name}", "optimizer", f"{kind} slots", 1))
        found.append(Result(f"weights/{name}", "optimizer", f"{kind} weights", 1))
    return found


def forward_row(node: Dense | Activation) -> tuple[str, int]:
    """The row of ALLOWED for a node's output, and the length of its sums."""
    return ("product", node.inputs + 1) if isinstance(node, Dense) else (node.function, 1)


def scales(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, labels: Array
) -> dict[Dtype, dict[str, Array]]:
    """What u S is for every result in either precision, elementwise, from a stage's inputs in float64."""
    with np.errstate(all="ignore"):
        # What is no number has no scale; the check then demands equality, or says that both sides are NaN.
        common = node_scales(identity, state, recorded, inputs)
        common |= LOSSES[identity.loss](identity.model[-1].name, recorded, labels)
        return {
            dtype: {name: u * scale for name, scale in common.items()}
            | optimizer_scales(identity, realisation, state, recorded, u)
            for dtype, u in UNIT_ROUNDOFF.items()
        }


def node_scales(identity: Identity, state: Arrays, recorded: Arrays, inputs: Array) -> dict[str, Array]:
    """Of outputs, of the gradients of weights, and of deltas but the last node's."""
    found: dict[str, Array] = {}
    previous = None
    for node in identity.model:
        x = inputs if previous is None else recorded[f"outputs/{previous}"]
        y, delta = recorded[f"outputs/{node.name}"], recorded[f"deltas/{node.name}"]
        if isinstance(node, Dense):
            kernel, bias = state[f"weights/{node.name}/kernel"], state[f"weights/{node.name}/bias"]
            found[f"outputs/{node.name}"] = np.abs(x) @ np.abs(kernel) + np.abs(bias)
            found[f"gradients/{node.name}/kernel"] = np.abs(x).T @ np.abs(delta)
            found[f"gradients/{node.name}/bias"] = np.abs(delta).sum(axis=0)
            backward = np.abs(delta) @ np.abs(kernel).T
        else:
            forward, backward = activation_scales(node, x, y, delta)
            found[f"outputs/{node.name}"] = forward
        if previous is not None:
            found[f"deltas/{previous}"] = backward
        previous = node.name
    return found


def activation_scales(node: Activation, x: Array, y: Array, delta: Array) -> tuple[Array, Array]:
    """Of an activation's output and of the delta behind it."""
    if node.function == "sigmoid":
        # The derivative is computed from the rounded y, as y (1 - y): an error of u y.
        return np.abs(y), np.abs(delta) * np.abs(y)
    if node.function == "tanh":
        # As 1 - y**2: an error of u.
        return np.abs(y), np.abs(delta)
    # Piecewise linear: exact where the slope is 1 or 0.
    slope = abs(node.slope or 0.0)
    return np.where(x > 0, 0, slope * np.abs(x)), np.where(x > 0, 0, slope * np.abs(delta))


def softmax_cross_entropy(last: str, recorded: Arrays, labels: Array) -> dict[str, Array]:
    """Of the cost, mean(log(sum(exp(z - m))) - (z_y - m)), and of its gradient (softmax - one_hot) / batch."""
    z = recorded[f"outputs/{last}"]
    shifted = z - z.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    log_sum = np.log(exponentials.sum(axis=1))
    one_hot = np.eye(z.shape[1])[labels.astype(np.int64)]
    # An error of exp's argument, u |z - m|, is a relative one of exp.
    argument = (p * np.abs(shifted)).sum(axis=1)
    cost = log_sum + np.abs((shifted * one_hot).sum(axis=1)) + argument
    relative = 1 + np.abs(shifted) + log_sum[:, None] + argument[:, None]
    return {"cost": np.asarray(cost.mean()), f"deltas/{last}": (p * relative + one_hot) / len(z)}


def binary_cross_entropy_naive(last: str, recorded: Arrays, labels: Array) -> dict[str, Array]:
    """Of the cost, mean(-log(h) or -log(1 - h)), and of its gradient (-1 / h or 1 / (1 - h)) / batch."""
    h, y = recorded[f"outputs/{last}"], labels[:, None]
    right = np.where(y == 1, h, 1 - h)
    # 1 - h is rounded, which changes its logarithm by u.
    return {
        "cost": np.asarray((np.abs(np.log(right)) + (y == 0)).mean()),
        f"deltas/{last}": 1 / np.abs(right) / len(h),
    }


LOSSES = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "binary_cross_entropy_naive": binary_cross_entropy_naive,
}


def optimizer_scales(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, u: float
) -> dict[str, Array]:
    """Of the slots and weights after the update: the running error of its formula."""
    given = {name: exact(gradient, u) for name, gradient in gradients(identity, recorded).items()}
    return {name: result.error for name, result in updated(identity, realisation, state, given, u).items()}


def gradients(identity: Identity, recorded: Arrays) -> dict[str, Array]:
    """Each weight's recorded gradient by its name."""
    return {name: recorded[f"gradients/{name}"] for name in identity.weights}


def updated(
    identity: Identity, realisation: Realisation, state: Arrays, gradients: Mapping[str, Any], u: float | None
) -> dict[str, Any]:
    """The optimizer's step as its formula gives it, with its running error where `u` is given."""
    found: dict[str, Any] = {}
    for name, gradient in gradients.items():
        w: Any = state[f"weights/{name}"]
        slots: dict[str, Any] = {slot: state[f"slots/{slot}/{name}"] for slot in identity.optimizer.slots}
        if u is not None:
            w, slots = exact(w, u), {slot: exact(value, u) for slot, value in slots.items()}
        w, slots = update(identity.optimizer, realisation, int(state["step"]), w, gradient, slots)
        found |= {f"slots/{slot}/{name}": value for slot, value in slots.items()} | {f"weights/{name}": w}
    return found
