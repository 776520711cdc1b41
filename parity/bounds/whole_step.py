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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds import clipping
from parity.bounds.losses import rounding
from parity.bounds.measure import Tolerance
from parity.bounds.nodes import dropout
from parity.bounds.nodes.kind import Given
from parity.bounds.nodes.table import kind
from parity.bounds.optimizer_formulas import update
from parity.bounds.rows import allowed
from parity.bounds.running_error import UNIT_ROUNDOFF, Rounded, exact
from parity.bounds.stages import at_least, gradients, loss_scales, tolerance, updated
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
# Optimizers whose updates are not: one sums over all weights, whose errors, moved all at once, would cancel; one takes
# signs; and one moves some rows alone.
NOT_FOLLOWED = LBFGS, Rprop, SparseAdam


def step_bounds(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, dtype: Dtype
) -> dict[str, Tolerance]:
    """For every tensor of a replay, in the order of the computation, how far a computation of it may be off.

    `state` is what the step started from, `replay` what one side computed of it in float64.
    """
    with np.errstate(all="ignore"):
        # What is not finite, such as a cost that has overflowed, has no bound either.
        return step_errors(identity, realisation, state, replay, UNIT_ROUNDOFF[dtype])


def step_errors(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, u: float
) -> dict[str, Tolerance]:
    """E of every tensor of a replay, in the order of the computation."""
    factors = dropout.factors(identity, state, len(replay["inputs"]))
    given, error = forward(identity, realisation, state, factors, replay, u)
    cost, delta = loss(identity, replay, error, u)
    found = backward(given, delta)
    errors = {f"outputs/{here.before}": here.error for here in given[1:]} | {f"outputs/{given[-1].node.name}": error}
    errors |= statistics(given)
    errors |= {"cost": cost}
    errors |= {f"gradients/{name}": found[name] for name in identity.weights}
    if identity.clipping is not None:
        found = clipping.errors(identity.clipping, realisation, gradients(identity, replay), found, u)
        errors |= {f"clipped/{name}": found[name] for name in identity.weights}
    tolerances = {name: Tolerance(at_least(error, u)) for name, error in errors.items()}
    return tolerances | optimizer_errors(identity, realisation, state, replay, found, u)


def forward(
    identity: Identity, realisation: Realisation, state: Arrays, factors: Arrays, replay: Arrays, u: float
) -> tuple[list[Given], Array]:
    """What every node is given, with its E, and E of the model's outputs; `factors` are those of dropouts."""
    found: list[Given] = []
    x, error, before = replay["inputs"], np.zeros_like(replay["inputs"]), None
    for node in identity.model:
        found.append(Given(node, realisation, state, x, u, error, factors.get(node.name), before))
        error = kind(node).output_error(found[-1])
        x, before = replay[f"outputs/{node.name}"], node.name
    return found, error


def statistics(given: Sequence[Given]) -> dict[str, Array]:
    """E of the running statistics after the step."""
    return {
        f"statistics/{here.node.name}/{name}": error
        for here in given
        for name, error in kind(here.node).statistics_errors(here).items()
    }


def backward(given: Sequence[Given], delta: tuple[Array, Array]) -> dict[str, Array]:
    """E of every weight's gradient; `delta` is the cost's gradient by the last output, with its E."""
    found: dict[str, Array] = {}
    for here in reversed(given):
        gradients, delta = kind(here.node).gradient_errors(here, *delta)
        found |= {f"{here.node.name}/{name}": error for name, error in gradients.items()}
    return found


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
    if not isinstance(identity.optimizer, NOT_FOLLOWED):
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
    own = after(identity, realisation, state, {group: exact(x, u) for group, x in given.items()}, exact(g, u))
    ends = [after(identity, realisation, state, given, g + at * error) for at in PLACES]
    return {
        f"{group}/{name}": number.error + BETWEEN * spread([end[group] for end in ends])
        for group, number in own.items()
    }


def after(
    identity: Identity, realisation: Realisation, state: Arrays, numbers: Mapping[str, Any], gradient: Any
) -> dict[str, Any]:
    """`weights` and `slots/<slot>` after the update of the step before which `state` was, of elements given alike."""
    optimizer = identity.optimizer
    slots = {slot: numbers[f"slots/{slot}"] for slot in optimizer.slots}
    w, slots = update(optimizer, realisation, int(state["step"]), numbers["weights"], gradient, slots)
    return {"weights": w} | {f"slots/{slot}": value for slot, value in slots.items()}


def followed(
    identity: Identity, realisation: Realisation, state: Arrays, replay: Arrays, errors: Arrays
) -> dict[str, Array]:
    """How far the update moves each weight, `weights/<name>`, over these errors of the gradients that it is given.

    Not of the optimizers that have no update of single elements.
    """
    if isinstance(identity.optimizer, NOT_FOLLOWED):
        return {}
    found = {}
    for name, g in gradients(identity, replay, clipped=True).items():
        given = {key.removesuffix(f"/{name}"): state[key] for key in state if key.endswith(f"/{name}")}
        ends = [after(identity, realisation, state, given, g + at * errors[name])["weights"] for at in PLACES]
        found[f"weights/{name}"] = spread(ends)
    return found


def spread(ends: Sequence[Array]) -> Array:
    """How far the ends are apart, elementwise."""
    return np.max(ends, axis=0) - np.min(ends, axis=0)
