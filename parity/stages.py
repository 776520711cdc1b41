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

from parity import activations
from parity.spec import Adam, Dense, Dtype, Framework, Identity, Node, PReLU, Realisation

Array = NDArray[Any]
Arrays = Mapping[str, Array]
UNIT_ROUNDOFF: dict[Dtype, float] = {"float64": 2.0**-53, "float32": 2.0**-24}

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
        # The product with the slope; the slope's gradient is a row "product".
        ("prelu", 3, 3),
        ("prelu gradient", 3, 3),
        # exp(x) - 1 in Keras, expm1 in torch, and products with one or two constants.
        ("elu", 4, 4),
        ("elu gradient", 5, 5),
        ("selu", 5, 5),
        ("selu gradient", 5, 5),
        # A sum, which is where Keras and torch round alike, and a division by 6 or a product with 1/6.
        ("hard_sigmoid", 4, 4),
        ("hard_sigmoid gradient", 3, 3),
        # erfc in Keras; 1 + erf in torch, whose float32 erf is a polynomial that is off by some 4 u.
        ("gelu", 4, 12),
        ("gelu gradient", 4, 9),
        # Each framework's tanh, and the products behind it; 1 - t**2 carries twice the error of t.
        ("gelu_tanh", 6, 4),
        ("gelu_tanh gradient", 12, 6),
        # Each framework's sigmoid and a product; then two more products and sums.
        ("silu", 11, 6),
        ("silu gradient", 13, 8),
        # exp and log1p; a sigmoid, and a product with it, also where the sigmoid is smallest.
        ("softplus", 12, 6),
        ("softplus gradient", 13, 7),
        # The errors of a softplus and of a tanh; 1 - t**2 carries twice that of the tanh.
        ("mish", 14, 8),
        ("mish gradient", 24, 14),
        # exp, a sum over the units, a quotient; then a product, a sum, a difference and a product.
        ("softmax", 7, 7),
        ("softmax gradient", 4, 4),
        # exp, log, a sum over the classes, and a mean over the samples.
        ("softmax_cross_entropy", 7, 7),
        ("softmax_cross_entropy gradient", 9, 9),
        # log, and the rounding of 1 - h.
        ("binary_cross_entropy_naive", 3, 3),
        ("binary_cross_entropy_naive gradient", 4, 4),
        # The learning rate's rounding, the product's, the difference's.
        ("sgd weights", 3, 3),
        # Four roundings, seven roundings, and what follows from both: a root, a quotient, two products, a difference.
        ("adam first moment", 6, 6),
        ("adam second moment", 8, 8),
        ("adam weights", 12, 12),
    )
}


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
        for kind, row in gradient_rows(node, batch).items():
            found.append(Result(f"gradients/{node.name}/{kind}", stage, *row))
        if position:
            found.append(Result(f"deltas/{nodes[position - 1].name}", stage, *backward_row(node)))
    kind = identity.optimizer.kind
    for name in identity.weights:
        for slot in identity.optimizer.slots:
            found.append(Result(f"slots/{slot}/{name}", "optimizer", f"{kind} {slot.replace('_', ' ')}", 1))
        found.append(Result(f"weights/{name}", "optimizer", f"{kind} weights", 1))
    return found


def forward_row(node: Node) -> tuple[str, int]:
    """The row of ALLOWED for a node's output, and the length of its sums."""
    return ("product", node.inputs + 1) if isinstance(node, Dense) else (node.function, 1)


def backward_row(node: Node) -> tuple[str, int]:
    """The same for the delta behind a node."""
    return ("product", node.units) if isinstance(node, Dense) else (f"{node.function} gradient", 1)


def gradient_rows(node: Node, batch: int) -> dict[str, tuple[str, int]]:
    """The same for the gradient of each of a node's weights."""
    if isinstance(node, Dense):
        return {"kernel": ("product", batch), "bias": ("sum", batch)}
    if isinstance(node, PReLU):
        return {"slope": ("product", batch * node.units if node.shared else batch)}
    return {}


def scales(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, labels: Array
) -> dict[str, Array]:
    """The condition scale of every result, elementwise, from a stage's inputs: `state` and `recorded` in float64."""
    with np.errstate(all="ignore"):
        # What is no number has no scale; the check then demands equality, or says that both sides are NaN.
        return (
            node_scales(identity, realisation, state, recorded, inputs)
            | LOSSES[identity.loss](identity.model[-1].name, recorded, labels)
            | optimizer_scales(identity, realisation, state, recorded)
        )


def node_scales(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array
) -> dict[str, Array]:
    """Of outputs, of the gradients of weights, and of deltas but the last node's."""
    found: dict[str, Array] = {}
    previous = None
    for node in identity.model:
        x = inputs if previous is None else recorded[f"outputs/{previous}"]
        delta = recorded[f"deltas/{node.name}"]
        if isinstance(node, Dense):
            kernel, bias = state[f"weights/{node.name}/kernel"], state[f"weights/{node.name}/bias"]
            found[f"outputs/{node.name}"] = np.abs(x) @ np.abs(kernel) + np.abs(bias)
            found[f"gradients/{node.name}/kernel"] = np.abs(x).T @ np.abs(delta)
            found[f"gradients/{node.name}/bias"] = np.abs(delta).sum(axis=0)
            backward = np.abs(delta) @ np.abs(kernel).T
        else:
            slope = state[f"weights/{node.name}/slope"] if isinstance(node, PReLU) else node.slope
            found[f"outputs/{node.name}"], backward = activations.scales(node, realisation, slope, x, delta)
            if isinstance(node, PReLU):
                found[f"gradients/{node.name}/slope"] = activations.slope_sum(node, np.abs(np.minimum(x, 0) * delta))
        if previous is not None:
            found[f"deltas/{previous}"] = backward
        previous = node.name
    return found


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


def optimizer_scales(identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays) -> dict[str, Array]:
    """Of the slots and weights after the update."""
    found: dict[str, Array] = {}
    optimizer = identity.optimizer
    for name in identity.weights:
        w, g = np.abs(state[f"weights/{name}"]), np.abs(recorded[f"gradients/{name}"])
        if isinstance(optimizer, Adam):
            slots, moved = adam_scales(optimizer, realisation, state, name, g)
            found |= slots
        else:
            moved = optimizer.learning_rate * g
        found[f"weights/{name}"] = w + moved
    return found


def adam_scales(
    adam: Adam, realisation: Realisation, state: Arrays, name: str, g: Array
) -> tuple[dict[str, Array], Array]:
    """Of both moments, and of what Adam moves a weight by, without the weight itself; `g` is the gradient's size."""
    t = int(state["step"]) + 1
    correction_1, correction_2 = 1 - adam.beta_1**t, 1 - adam.beta_2**t
    # The new first moment may cancel, and what is left of it carries the error of both its terms.
    first = adam.beta_1 * np.abs(state[f"slots/first_moment/{name}"]) + (1 - adam.beta_1) * g
    second = adam.beta_2 * state[f"slots/second_moment/{name}"] + (1 - adam.beta_2) * g**2
    epsilon = adam.epsilon
    if realisation.adam_epsilon == "before_correction":
        epsilon /= np.sqrt(correction_2)
    moved = adam.learning_rate / correction_1 * first / (np.sqrt(second / correction_2) + epsilon)
    if realisation.adam_epsilon == "before_correction":
        # Keras computes 1 - beta**t in the weights' dtype, which loses as many digits as beta is close to 1.
        moved = moved * (1 + adam.beta_1**t / correction_1 + adam.beta_2**t / correction_2)
    return {f"slots/first_moment/{name}": first, f"slots/second_moment/{name}": second}, moved
