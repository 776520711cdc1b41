"""How far rounding alone may take a computation of one whole training step.

The bound is derived, not fitted, and holds in every case. Every operation gets the rounding error that its own operands
imply at most; the errors of earlier operations reach later ones through the derivative, and all add up at their worst:
none is taken for independent of another. In this module `E` is the size of a tensor's accumulated error, elementwise,
`u` the unit roundoff (2**-53 or 2**-24). Two computations may be apart by twice that.

- Products and sums: parity/bounds/sums.py, n u S for n terms.
- Activations and losses: the rows of ALLOWED (parity/bounds/stages.py), the larger of both frameworks'; the
derivative's error
  is how far it changes over the error of the pre-activation.
- A kink (ReLU): where the pre-activation's sign is within its error, the whole gradient may pass or not.
- An update: by running errors (parity/bounds/running_error.py), or, since these lose what numerator and denominator
have in common,
  by how far the update moves over the gradient's error, whichever is less.
- A decision, as on a sign that may be zero (Rprop): each of its outcomes, and nothing between them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds import activations, clipping, dropout, embeddings, normalisation
from parity.bounds.losses import rounding
from parity.bounds.measure import Tolerance
from parity.bounds.optimizer_formulas import update
from parity.bounds.running_error import UNIT_ROUNDOFF, Rounded, exact
from parity.bounds.stages import ALLOWED, gradients, loss_scales, tolerance, updated
from parity.bounds.sums import dot_bound, sum_bound
from parity.experiment.nodes import Activation, BatchNorm, Dense, Dropout, Embedding, Node, PReLU
from parity.experiment.optimizers import LBFGS, Rprop, SparseAdam
from parity.experiment.spec import Dtype, Identity, Realisation

Array = NDArray[np.float64]
Arrays = Mapping[str, Array]
# E of the cost, and the gradient by the model's outputs with its E.
LossErrors = tuple[Array, tuple[Array, Array]]

# How many bounds two computations may be apart: each of them may be off by one.
BOTH = 2.0
# Where the gradient's error is followed through an update: its ends, and what lies between them, where the update may
# turn back. What is met between these is more than met at them by no more than a factor.
PLACES, BETWEEN = np.linspace(-1, 1, 9), 2.0
# The share of a gradient from which on its error is followed so.
LOOSE = 0.01


def step_bounds(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, dtype: Dtype
) -> dict[str, Tolerance]:
    """For every tensor of a replay, in the order of the computation, how far a computation of it may be off.

    `state` is what the step started from, `replay` what one side computed of it in float64.
    """
    with np.errstate(all="ignore"):
        # What is no number, as a cost that has overflown, has no bound either.
        return step_errors(identity, realisation, state, replay, UNIT_ROUNDOFF[dtype])


def allowed(kind: str) -> float:
    """The larger of what a row allows on the two sides."""
    return max(ALLOWED[kind].values())


def step_errors(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, u: float
) -> dict[str, Tolerance]:
    """E of every tensor of a replay, in the order of the computation."""
    weights = {name: state[f"weights/{name}"] for name in identity.weights}
    factors = dropout.factors(identity, state, len(replay["inputs"]))
    outputs = forward(identity, realisation, weights, factors, replay, u)
    last = identity.model[-1].name
    cost, delta = loss(identity, replay, outputs[last], u)
    found = backward(identity, realisation, weights, factors, replay, outputs, delta, u)
    errors = {f"outputs/{name}": error for name, error in outputs.items()}
    errors |= statistics(identity, realisation, state, replay, outputs, u)
    errors |= {"cost": cost}
    errors |= {f"gradients/{name}": found[name] for name in identity.weights}
    if identity.clipping is not None:
        found = clipping.errors(identity.clipping, realisation, gradients(identity, replay), found, u)
        errors |= {f"clipped/{name}": found[name] for name in identity.weights}
    tolerances = {name: Tolerance(np.asarray(error)) for name, error in errors.items()}
    return tolerances | optimizer_errors(identity, realisation, state, replay, found, u)


def forward(
    identity: Identity, realisation: Realisation, weights: Arrays, factors: Arrays, replay: Arrays, u: float
) -> dict[str, Array]:
    """E of every node's output."""
    errors: dict[str, Array] = {}
    x, error = replay["inputs"], np.zeros_like(replay["inputs"])
    for node in identity.model:
        if isinstance(node, BatchNorm):
            moments = normalisation.moments(node, x, error, u)
            error = normalisation.output_error(moments, weights[f"{node.name}/gamma"], weights[f"{node.name}/beta"])
        elif isinstance(node, Dropout):
            error = dropout.passed_on(x, error, factors[node.name], u)[1]
        else:
            error = node_error(node, realisation, weights, x, error, u)
        x = replay[f"outputs/{node.name}"]
        errors[node.name] = error
    return errors


def node_error(node: Node, realisation: Realisation, weights: Arrays, x: Array, error: Array, u: float) -> Array:
    """E of the output of a node that does the same in training and in eval mode, from its input and that one's E."""
    if isinstance(node, Embedding):
        return embeddings.output_bound(embeddings.counts(node, x), weights[f"{node.name}/table"], u)
    if isinstance(node, Dense):
        kernel, bias = weights[f"{node.name}/kernel"], weights[f"{node.name}/bias"]
        return dot_bound(x, kernel, u, bias) + (1 + (node.inputs + 1) * u) * (error @ np.abs(kernel))
    assert isinstance(node, Activation | PReLU)
    return activation_error(node, realisation, slope_of(node, weights), x, error, u)


def statistics(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, errors: Arrays, u: float
) -> dict[str, Array]:
    """E of the running statistics after the step; `errors` is E of every node's output."""
    found: dict[str, Array] = {}
    for before, node in pairwise(identity.model):
        if isinstance(node, BatchNorm):
            moments = normalisation.moments(node, replay[f"outputs/{before.name}"], errors[before.name], u)
            moving = (state[f"statistics/{node.name}/{kind}"] for kind in node.statistic_shapes)
            after = normalisation.statistics_errors(node, realisation, moments, *moving)
            found |= {f"statistics/{node.name}/{kind}": error for kind, error in after.items()}
    return found


def slope_of(node: Activation | PReLU, weights: Arrays) -> Array | float | None:
    """The slope below zero of a node that has one."""
    return weights[f"{node.name}/slope"] if isinstance(node, PReLU) else node.slope


def activation_error(
    node: Activation | PReLU, realisation: Realisation, slope: Array | float | None, x: Array, error: Array, u: float
) -> Array:
    """E of an activation's output, from its pre-activation x and its E."""
    own = allowed(node.function) * activations.bounds(node, realisation, slope, x, np.zeros_like(x), u)[0]
    if node.function == "softmax":
        p, _ = activations.softmax(x)
        return own + activations.softmax_moved(p, error)
    derivative = activations.elementwise(node, realisation).derivative
    steepest = np.max([np.abs(derivative(x + side * error, slope)) for side in (-1, 0, 1)], axis=0)
    return own + steepest * error


def activation_delta(
    node: Activation | PReLU,
    realisation: Realisation,
    slope: Array | float | None,
    before: tuple[Array, Array],
    behind: tuple[Array, Array],
    u: float,
) -> tuple[Array, Array]:
    """The delta by the pre-activation, with its E, from the pre-activation and the delta by the output with theirs."""
    (x, x_error), (delta, error) = before, behind
    size = np.abs(delta) + error
    own = allowed(f"{node.function} gradient") * activations.bounds(node, realisation, slope, x, size, u)[1]
    if node.function == "softmax":
        p, _ = activations.softmax(x)
        p_error = activation_error(node, realisation, slope, x, x_error, u)
        mean = (p * delta).sum(axis=1, keepdims=True)
        mean_error = (p * error + p_error * size).sum(axis=1, keepdims=True)
        return p * (delta - mean), own + (p + p_error) * (error + mean_error) + p_error * np.abs(delta - mean)
    function = activations.elementwise(node, realisation)
    derivative = function.derivative(x, slope)
    # One side may be at one end of the pre-activation's error and the other side at the other.
    ends = (np.abs(function.derivative(x + side * x_error, slope) - derivative) for side in (-1, 1))
    return delta * derivative, own + np.abs(derivative) * error + size * np.maximum(*ends)


def slope_gradient_error(node: PReLU, x: Array, x_error: Array, delta: Array, delta_error: Array, u: float) -> Array:
    """E of the gradient of a PReLU's slope, the sum of what lies below zero times its delta."""
    below, size = np.minimum(x, 0), np.abs(delta) + delta_error
    moved = np.abs(below) * delta_error + np.where(x - x_error < 0, x_error, 0) * size
    return activations.slope_bound(node, below * delta, u) + activations.slope_sum(node, moved)


def backward(
    identity: Identity,
    realisation: Realisation,
    weights: Arrays,
    factors: Arrays,
    replay: Arrays,
    errors: Arrays,
    delta: tuple[Array, Array],
    u: float,
) -> dict[str, Array]:
    """E of every weight's gradient; `delta` is the cost's gradient by the last output, with its E."""
    gradients: dict[str, Array] = {}
    values, error = delta
    for position in reversed(range(len(identity.model))):
        node = identity.model[position]
        previous = identity.model[position - 1].name if position else None
        x = replay["inputs"] if previous is None else replay[f"outputs/{previous}"]
        x_error = np.zeros_like(x) if previous is None else errors[previous]
        if isinstance(node, Embedding):
            counted = embeddings.counts(node, x)
            gradients[f"{node.name}/table"] = embeddings.gradient_bound(counted, values, u) + counted.T @ error
        elif isinstance(node, Dense):
            kernel, size = weights[f"{node.name}/kernel"], np.abs(values) + error
            passed = np.abs(x).T @ error + (x_error.T @ size if previous is not None else 0.0)
            gradients[f"{node.name}/kernel"] = dot_bound(x.T, values, u) + (1 + len(x) * u) * passed
            gradients[f"{node.name}/bias"] = sum_bound(values, u) + error.sum(axis=0)
            if previous is not None:
                error = dot_bound(values, kernel.T, u) + (1 + node.units * u) * (error @ np.abs(kernel).T)
                values = values @ kernel.T
        elif isinstance(node, BatchNorm):
            moments = normalisation.moments(node, x, x_error, u)
            gradients[f"{node.name}/gamma"] = normalisation.gamma_error(moments, values, error)
            gradients[f"{node.name}/beta"] = sum_bound(values, u) + error.sum(axis=0)
            values, error = normalisation.delta_behind(moments, weights[f"{node.name}/gamma"], values, error)
        elif isinstance(node, Dropout):
            values, error = dropout.passed_on(values, error, factors[node.name], u)
        else:
            slope = slope_of(node, weights)
            if isinstance(node, PReLU):
                gradients[f"{node.name}/slope"] = slope_gradient_error(node, x, x_error, values, error, u)
            values, error = activation_delta(node, realisation, slope, (x, x_error), (values, error), u)
    return gradients


def loss(identity: Identity, replay: Arrays, error: Array, u: float) -> LossErrors:
    """E of the cost, and the gradient by the model's outputs with its E; `error` is E of these outputs."""
    last, name = identity.model[-1].name, identity.loss
    found = rounding(name, replay[f"outputs/{last}"], replay["labels"])
    own = loss_scales(identity, replay, replay["labels"], u)
    # The derivative at the far end of the error, too: a cost is convex in its outputs.
    cost = ((found.slope + found.moved(error)) * error).sum() + allowed(name) * own["cost"]
    gradient_error = found.moved(error) + allowed(f"{name} gradient") * own[f"deltas/{last}"]
    return np.asarray(cost), (found.gradient, gradient_error)


def optimizer_errors(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, errors: Arrays, u: float
) -> dict[str, Tolerance]:
    """E of the weights and slots after the step."""
    given, kind = gradients(identity, replay, clipped=True), identity.optimizer.kind
    before = identity, realisation, state, replay["inputs"]
    rounded = updated(*before, {name: Rounded(g, errors[name], u) for name, g in given.items()}, u)
    found = {name: tolerance(number) for name, number in rounded.items()}
    # Of these, one sums over all weights, whose errors, moved all at once, would cancel; one takes signs; and one moves
    # some rows alone.
    if not isinstance(identity.optimizer, LBFGS | Rprop | SparseAdam):
        for name, g in given.items():
            loose: NDArray[np.int64] = np.flatnonzero(errors[name] > LOOSE * np.abs(g)).astype(np.int64)
            if loose.size:
                for key, scale in moved(identity, realisation, state, name, (g, errors[name]), loose, u).items():
                    whole = found[key].scale.reshape(-1).copy()
                    # Infinite where it overflows, whichever way.
                    whole[loose] = np.where(np.isfinite(whole[loose]), np.fmin(whole[loose], scale), np.inf)
                    found[key] = found[key]._replace(scale=whole.reshape(g.shape))
    # The frameworks order the operations of an update differently.
    return {
        n: entry._replace(scale=allowed(f"{kind} {n.partition('/')[0]}") * entry.scale) for n, entry in found.items()
    }


def moved(
    identity: Identity,
    realisation: Realisation,
    state: Arrays,
    name: str,
    gradient: tuple[Array, Array],
    positions: NDArray[np.int64],
    u: float,
) -> dict[str, Array]:
    """How far the update of some elements of a weight moves over the error of its gradient, which is given with it.

    Running errors take the gradient's at its worst in a numerator and in a denominator that it is in, both.
    """
    g, error = (array.reshape(-1)[positions] for array in gradient)
    keys = {key: key.removesuffix(f"/{name}") for key in state if key.endswith(f"/{name}")}
    given = {group: state[key].reshape(-1)[positions] for key, group in keys.items()}
    t, optimizer = int(state["step"]), identity.optimizer

    def after(moved: Any, u: float | None) -> dict[str, Any]:
        numbers: dict[str, Any] = given if u is None else {group: exact(x, u) for group, x in given.items()}
        slots = {slot: numbers[f"slots/{slot}"] for slot in optimizer.slots}
        w, slots = update(optimizer, realisation, t, numbers["weights"], moved, slots)
        return {"weights": w} | {f"slots/{slot}": value for slot, value in slots.items()}

    own = after(exact(g, u), u)
    ends = [after(g + at * error, None) for at in PLACES]
    return {
        f"{group}/{name}": number.error + BETWEEN * spread([end[group] for end in ends])
        for group, number in own.items()
    }


def spread(ends: Sequence[Array]) -> Array:
    """How far the ends are apart, elementwise."""
    return np.max(ends, axis=0) - np.min(ends, axis=0)
