"""How far apart rounding alone may take two honest computations of one training step.

The bound is derived, not fitted. Every operation gets a rounding error of the size that its own operands imply; the
errors of earlier operations reach later ones through the derivative; independent errors add in quadrature. In this
module `E` is the size of a tensor's accumulated error, elementwise, `u` the unit roundoff (2**-53 or 2**-24).

- Product of matrices, length n: sqrt(n) u (|A| |B|). Any order of summation stays below n u (|A| |B|); with rounding
  errors that are independent of each other the factor n becomes sqrt(n) (Higham and Mary, SIAM J. Sci. Comput. 41(5),
  2019). The scale is |A| |B|, not |A B|: what cancels keeps its error.
- Activations: ULPS times u times the condition scale that parity/activations.py gives; the derivative's error is how
  far it changes over the error of the pre-activation.
- A kink (ReLU): where the pre-activation's sign is within its error, the whole gradient may pass or not, and FLIPS
  such units may add up in one sum.
- An update that divides by sqrt(v): followed at both ends of the gradient's error, since it is far from linear there.

SAFETY covers what quadrature leaves out, correlated errors above all; `python -m benchmarks.lockstep` measures how
much of it is used.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from parity import activations, clipping, dropout, embeddings, normalisation
from parity.losses import rounding
from parity.measure import largest_finite
from parity.nodes import Activation, BatchNorm, Dense, Dropout, Embedding, PReLU
from parity.optimizers import LBFGS
from parity.rounded import UNIT_ROUNDOFF, Rounded, exact
from parity.spec import Dtype, Identity, Realisation
from parity.stages import gradients, updated

Array = NDArray[np.float64]
Arrays = Mapping[str, Array]
# E of the cost, and the gradient by the model's outputs with its E.
LossErrors = tuple[Array, tuple[Array, Array]]

# Below this, errors cannot be followed in float64 here, since their squares underflow.
SMALLEST = 1e-150
ULPS = 8
SAFETY = 10
# A kink passes all of a gradient or none, so errors there do not average out: so many full ones are allowed.
FLIPS = 3


def step_bounds(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, dtype: Dtype
) -> dict[str, Array]:
    """For every tensor of a replay, in the order of the computation, how far two sides may be apart, elementwise.

    `state` is what the step started from, `replay` what one side computed of it in float64.
    """
    with np.errstate(all="ignore"):
        # A cost that is no number has no bound either: its checks fail or say that both sides are NaN.
        errors = step_errors(identity, realisation, state, replay, UNIT_ROUNDOFF[dtype])
    # Each framework may take a denormal number for zero, in a factor or in a product.
    largest = max(1.0, *map(largest_finite, (*state.values(), *replay.values())))
    floor = max(SMALLEST, largest * float(np.finfo(dtype).tiny))
    return {name: SAFETY * error + floor for name, error in errors.items()}


def step_errors(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, u: float
) -> dict[str, Array]:
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
    return errors | optimizer_errors(identity, realisation, state, replay, found, u)


def forward(
    identity: Identity, realisation: Realisation, weights: Arrays, factors: Arrays, replay: Arrays, u: float
) -> dict[str, Array]:
    """E of every node's output."""
    errors: dict[str, Array] = {}
    x, error = replay["inputs"], np.zeros_like(replay["inputs"])
    for node in identity.model:
        if isinstance(node, Embedding):
            magnitudes = embeddings.counts(node, x) @ np.abs(weights[f"{node.name}/table"])
            error = np.sqrt(node.length) * u * magnitudes
        elif isinstance(node, Dense):
            kernel, bias = weights[f"{node.name}/kernel"], weights[f"{node.name}/bias"]
            scale = np.abs(x) @ np.abs(kernel) + np.abs(bias)
            error = quadrature(np.sqrt(node.inputs + 1) * u * scale, np.sqrt(error**2 @ kernel**2))
        elif isinstance(node, BatchNorm):
            moments = normalisation.moments(node, x, error, u)
            error = normalisation.output_error(moments, weights[f"{node.name}/gamma"], weights[f"{node.name}/beta"])
        elif isinstance(node, Dropout):
            error = dropout.passed_on(x, error, factors[node.name], u)[1]
        else:
            error = activation_error(node, realisation, slope_of(node, weights), x, error, u)
        x = replay[f"outputs/{node.name}"]
        errors[node.name] = error
    return errors


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
    own = ULPS * u * activations.scales(node, realisation, slope, x, np.zeros_like(x))[0]
    if node.function == "softmax":
        p, _ = activations.softmax(x)
        return quadrature(own, activations.softmax_moved(p, SAFETY * error) / SAFETY)
    return quadrature(own, activations.elementwise(node, realisation).derivative(x, slope) * error)


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
    own = ULPS * u * activations.scales(node, realisation, slope, x, delta)[1]
    if node.function == "softmax":
        p, _ = activations.softmax(x)
        p_error = activation_error(node, realisation, slope, x, x_error, u)
        mean = (p * delta).sum(axis=1, keepdims=True)
        mean_error = np.sqrt((p**2 * error**2 + p_error**2 * delta**2).sum(axis=1, keepdims=True))
        return p * (delta - mean), quadrature(own, p * error, p * mean_error, p_error * (delta - mean))
    function = activations.elementwise(node, realisation)
    derivative = function.derivative(x, slope)
    # One side may be at one end of the pre-activation's error and the other side at the other.
    ends = (np.abs(function.derivative(x + side * SAFETY * x_error, slope) - derivative) for side in (-1, 1))
    derivative_error = np.maximum(*ends) * (FLIPS if function.kinked else 1) / SAFETY
    return delta * derivative, quadrature(own, derivative * error, delta * derivative_error)


def slope_gradient_error(node: PReLU, x: Array, x_error: Array, delta: Array, delta_error: Array, u: float) -> Array:
    """E of the gradient of a PReLU's slope, the sum of what lies below zero times its delta."""
    below = np.minimum(x, 0)
    length = x.size if node.shared else len(x)
    return quadrature(
        np.sqrt(length) * u * activations.slope_sum(node, np.abs(below * delta)),
        np.sqrt(activations.slope_sum(node, below**2 * delta_error**2)),
        np.sqrt(activations.slope_sum(node, np.where(x - SAFETY * x_error < 0, x_error, 0) ** 2 * delta**2)),
    )


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
            summed = u * embeddings.gradient_scale(counted, values)
            gradients[f"{node.name}/table"] = quadrature(summed, np.sqrt(counted.T @ error**2))
        elif isinstance(node, Dense):
            kernel, roots = weights[f"{node.name}/kernel"], np.sqrt(len(x))
            gradients[f"{node.name}/kernel"] = quadrature(
                roots * u * (np.abs(x).T @ np.abs(values)),
                np.sqrt((x**2).T @ error**2),
                np.sqrt((x_error**2).T @ values**2),
            )
            gradients[f"{node.name}/bias"] = sum_error(values, error, u)
            error = quadrature(
                np.sqrt(node.units) * u * (np.abs(values) @ np.abs(kernel).T), np.sqrt(error**2 @ (kernel**2).T)
            )
            values = values @ kernel.T
        elif isinstance(node, BatchNorm):
            moments = normalisation.moments(node, x, x_error, u)
            gradients[f"{node.name}/gamma"] = normalisation.gamma_error(moments, values, error)
            gradients[f"{node.name}/beta"] = sum_error(values, error, u)
            values, error = normalisation.delta_behind(moments, weights[f"{node.name}/gamma"], values, error)
        elif isinstance(node, Dropout):
            values, error = dropout.passed_on(values, error, factors[node.name], u)
        else:
            slope = slope_of(node, weights)
            if isinstance(node, PReLU):
                gradients[f"{node.name}/slope"] = slope_gradient_error(node, x, x_error, values, error, u)
            values, error = activation_delta(node, realisation, slope, (x, x_error), (values, error), u)
    return gradients


def sum_error(values: Array, error: Array, u: float) -> Array:
    """E of the sum of values [batch, units] over the batch."""
    return quadrature(np.sqrt(len(values)) * u * np.abs(values).sum(axis=0), np.sqrt((error**2).sum(axis=0)))


def loss(identity: Identity, replay: Arrays, error: Array, u: float) -> LossErrors:
    """E of the cost, and the gradient by the model's outputs with its E; `error` is E of these outputs."""
    found = rounding(identity.loss, replay[f"outputs/{identity.model[-1].name}"], replay["labels"])
    cost = quadrature(np.sqrt(((found.slope * error) ** 2).sum()), ULPS * u * found.cost)
    passed = found.moved(SAFETY * error) / SAFETY
    return np.asarray(cost), (found.gradient, quadrature(passed, ULPS * u * found.gradient_scale))


def optimizer_errors(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, errors: Arrays, u: float
) -> dict[str, Array]:
    """E of the weights and slots after the step."""
    given = gradients(identity, replay, clipped=True)
    before = identity, realisation, state, replay["inputs"]
    if isinstance(identity.optimizer, LBFGS):
        # Moved all at once, what the errors of single gradients make of a sum over all of them would cancel.
        moved = {name: Rounded(gradient, errors[name], u) for name, gradient in given.items()}
        return {name: result.error for name, result in updated(*before, moved, u).items()}
    # One side may be at one end of a gradient's error and the other side at the other.
    low, here, high = (
        updated(*before, {n: g + end * SAFETY * errors[n] for n, g in given.items()}, None) for end in (-1, 0, 1)
    )
    rounded = updated(*before, {name: exact(g, u) for name, g in given.items()}, u)
    return {name: quadrature(spread(low[name], here[name], high[name]) / SAFETY, rounded[name].error) for name in here}


def spread(*ends: Array) -> Array:
    """How far the ends are apart, elementwise."""
    return np.max(ends, axis=0) - np.min(ends, axis=0)


def quadrature(*errors: Array) -> Array:
    """The size of a sum of independent errors."""
    return np.sqrt(sum(error**2 for error in errors))
