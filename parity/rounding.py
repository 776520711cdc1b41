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

import numpy as np
from numpy.typing import NDArray

from parity import activations
from parity.measure import largest_finite
from parity.spec import Activation, Adam, Dense, Dtype, Identity, PReLU, Realisation
from parity.stages import UNIT_ROUNDOFF

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
    outputs = forward(identity, realisation, weights, replay, u)
    last = identity.model[-1].name
    cost, delta = LOSSES[identity.loss](replay[f"outputs/{last}"], outputs[last], replay["labels"].astype(np.int64), u)
    found = backward(identity, realisation, weights, replay, outputs, delta, u)
    gradients = {name: found[name] for name in identity.weights}
    errors = {f"outputs/{name}": error for name, error in outputs.items()}
    errors |= {"cost": cost}
    errors |= {f"gradients/{name}": error for name, error in gradients.items()}
    return errors | update(identity, realisation, state, replay, gradients, u)


def forward(
    identity: Identity, realisation: Realisation, weights: Arrays, replay: Arrays, u: float
) -> dict[str, Array]:
    """E of every node's output."""
    errors: dict[str, Array] = {}
    x, error = replay["inputs"], np.zeros_like(replay["inputs"])
    for node in identity.model:
        if isinstance(node, Dense):
            kernel, bias = weights[f"{node.name}/kernel"], weights[f"{node.name}/bias"]
            scale = np.abs(x) @ np.abs(kernel) + np.abs(bias)
            error = quadrature(np.sqrt(node.inputs + 1) * u * scale, np.sqrt(error**2 @ kernel**2))
        else:
            error = activation_error(node, realisation, slope_of(node, weights), x, error, u)
        x = replay[f"outputs/{node.name}"]
        errors[node.name] = error
    return errors


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
        mean = np.sqrt((p**2 * error**2).sum(axis=1, keepdims=True))
        # exp turns an error of its argument into a relative one, for which the first order is not always enough.
        relative = np.expm1(np.minimum(SAFETY * quadrature(error, mean), 50)) / SAFETY
        return quadrature(own, np.minimum(p * relative, 1 / SAFETY))
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
        if isinstance(node, Dense):
            kernel, roots = weights[f"{node.name}/kernel"], np.sqrt(len(x))
            gradients[f"{node.name}/kernel"] = quadrature(
                roots * u * (np.abs(x).T @ np.abs(values)),
                np.sqrt((x**2).T @ error**2),
                np.sqrt((x_error**2).T @ values**2),
            )
            gradients[f"{node.name}/bias"] = quadrature(
                roots * u * np.abs(values).sum(axis=0), np.sqrt((error**2).sum(axis=0))
            )
            error = quadrature(
                np.sqrt(node.units) * u * (np.abs(values) @ np.abs(kernel).T), np.sqrt(error**2 @ (kernel**2).T)
            )
            values = values @ kernel.T
        else:
            slope = slope_of(node, weights)
            if isinstance(node, PReLU):
                gradients[f"{node.name}/slope"] = slope_gradient_error(node, x, x_error, values, error, u)
            values, error = activation_delta(node, realisation, slope, (x, x_error), (values, error), u)
    return gradients


def softmax_cross_entropy(logits: Array, error: Array, labels: NDArray[np.int64], u: float) -> LossErrors:
    """E of the cost, and the gradient by the logits with its E: (softmax - one_hot) / batch."""
    batch = len(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    normaliser = np.exp(shifted).sum(axis=1, keepdims=True)
    p, y = np.exp(shifted) / normaliser, np.eye(logits.shape[1])[labels]
    cost = (np.log(normaliser) - shifted)[np.arange(batch), labels]
    scale = np.abs(shifted[np.arange(batch), labels]) + np.log(normaliser[:, 0]) + np.abs(logits).max(axis=1)
    per_sample = quadrature(np.sqrt(((p - y) ** 2 * error**2).sum(axis=1)), ULPS * u * scale)
    mean = quadrature(np.sqrt((per_sample**2).sum()) / batch, np.sqrt(batch) * u * np.abs(cost).mean())
    # exp turns an error of its argument into a relative one, for which the first order is not always enough.
    argument = quadrature(
        error, np.sqrt((p**2 * error**2).sum(axis=1, keepdims=True)), ULPS * u * (1 + np.abs(shifted))
    )
    relative = np.expm1(np.minimum(SAFETY * argument, 50)) / SAFETY
    p_error = np.minimum(p * relative, 1 / SAFETY)
    return np.asarray(mean), ((p - y) / batch, quadrature(p_error, ULPS * u * (p + y)) / batch)


def binary_cross_entropy_naive(h: Array, error: Array, labels: NDArray[np.int64], u: float) -> LossErrors:
    """E of the cost, and the gradient by the probabilities with its E: (-y / h + (1 - y) / (1 - h)) / batch."""
    batch, y = len(h), labels[:, None]
    right = np.where(y == 1, h, 1 - h)
    per_sample = quadrature(error / right, ULPS * u * (np.abs(np.log(right)) + 1))
    mean = np.sqrt((per_sample**2).sum()) / batch
    delta_error = quadrature(error / right**2, ULPS * u / right) / batch
    return np.asarray(mean), (np.where(y == 1, -1 / right, 1 / right) / batch, delta_error)


LOSSES = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "binary_cross_entropy_naive": binary_cross_entropy_naive,
}


def update(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, errors: Arrays, u: float
) -> dict[str, Array]:
    """E of the weights and slots after the step."""
    found: dict[str, Array] = {}
    for name, error in errors.items():
        gradient, before = replay[f"gradients/{name}"], state[f"weights/{name}"]
        if isinstance(identity.optimizer, Adam):
            slots = adam_slots(identity.optimizer, state, name, gradient, error, u)
            found |= slots
            moved, moved_error = adam_step(identity.optimizer, realisation, state, name, gradient, error, u)
        else:
            rate = identity.optimizer.learning_rate
            moved, moved_error = rate * gradient, rate * error
        found[f"weights/{name}"] = quadrature(moved_error, 2 * u * (np.abs(before) + np.abs(moved)))
    return found


def adam_slots(adam: Adam, state: Arrays, name: str, g: Array, error: Array, u: float) -> dict[str, Array]:
    """E of both moments."""
    m, v = state[f"slots/first_moment/{name}"], state[f"slots/second_moment/{name}"]
    share_1, share_2 = 1 - adam.beta_1, 1 - adam.beta_2
    first = quadrature(share_1 * error, ULPS * u * (np.abs(m) + share_1 * np.abs(g)))
    second = quadrature(share_2 * (2 * np.abs(g) + SAFETY * error) * error, ULPS * u * (v + share_2 * g**2))
    return {f"slots/first_moment/{name}": first, f"slots/second_moment/{name}": second}


def adam_step(
    adam: Adam, realisation: Realisation, state: Arrays, name: str, g: Array, error: Array, u: float
) -> tuple[Array, Array]:
    """How far Adam moves a weight, and E of that."""
    m, v = state[f"slots/first_moment/{name}"], state[f"slots/second_moment/{name}"]
    t = int(state["step"]) + 1
    correction_1, correction_2 = 1 - adam.beta_1**t, 1 - adam.beta_2**t

    def moved(gradient: Array) -> Array:
        first = m + (1 - adam.beta_1) * (gradient - m)
        root = np.sqrt(v + (1 - adam.beta_2) * (gradient**2 - v))
        if realisation.adam_epsilon == "after_correction":
            return adam.learning_rate / correction_1 * first / (root / np.sqrt(correction_2) + adam.epsilon)
        return adam.learning_rate * np.sqrt(correction_2) / correction_1 * first / (root + adam.epsilon)

    # One side may be at one end of the gradient's error and the other side at the other.
    low, here, high = (moved(g + side * SAFETY * error) for side in (-1, 0, 1))
    ends = np.maximum(np.abs(high - low), np.maximum(np.abs(high - here), np.abs(low - here))) / SAFETY
    # Keras computes 1 - beta**t in the weights' dtype, which loses as many digits as beta is close to 1.
    lost = 1 / correction_1 + 1 / correction_2 if realisation.adam_epsilon == "before_correction" else 0
    return here, quadrature(ends, (ULPS + lost) * u * np.abs(here))


def quadrature(*errors: Array) -> Array:
    """The size of a sum of independent errors."""
    return np.sqrt(sum(error**2 for error in errors))
