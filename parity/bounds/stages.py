"""The stages of one training step: what each gives, and how large its rounding may be.

A stage is run by itself on recorded inputs, so its rounding is that of a few operations, and no earlier stage's error
is amplified by it. Its size is measured against the *condition scale* S of each element: the sum of the magnitudes of
what is added there, not the size of the result, which may have cancelled to nothing. With u the unit roundoff, an
honest result lies within

    ALLOWED[kind][framework] * u * S

of the exact one. A sum of n terms has n S in place of S (parity/bounds/sums.py), which holds in any order and of any
terms, so its row is 1. What may be lost by underflow is in the scale, too. Two results of one stage may be apart by
both sides' allowances. A scale of 0 demands equality; one that is infinite says nothing, since a number may overflow.

docs/lockstep.md has the table with what was measured for each row; `python -m benchmarks.lockstep` makes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds import activations, clipping, dropout, embeddings, lbfgs, normalisation
from parity.bounds.losses import rounding
from parity.bounds.measure import Tolerance, largest_finite
from parity.bounds.optimizer_formulas import update
from parity.bounds.precision import Sum
from parity.bounds.running_error import UNIT_ROUNDOFF, exact, followed, largest_number, smallest_normal, where
from parity.bounds.sums import dot_bound, sum_bound, within_range
from parity.experiment.nodes import BatchNorm, Dense, Dropout, Embedding, Node, PReLU
from parity.experiment.optimizers import LBFGS, OPTIMIZERS
from parity.experiment.spec import Dtype, Framework, Identity, Realisation

Array = NDArray[Any]
Arrays = Mapping[str, Array]

# In units of u S, for (Keras, torch). Each is what the operations of the row may round to; the worst element of all
# experiments uses a third to a half of it, but for sums, whose terms seldom round all one way (docs/lockstep.md).
ALLOWED: dict[str, dict[Framework, float]] = {
    kind: {"tf": tf, "torch": torch}
    for kind, tf, torch in (
        # A sum of n products, forward and for both gradients: n (|x| |W| + |b|).
        ("product", 1, 1),
        # Of the samples' deltas, for a bias.
        ("sum", 1, 1),
        # Of a table's rows; of the samples' deltas, for each row.
        ("embedding", 1, 1),
        ("embedding gradient", 1, 1),
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
        # The sigmoid's error, which is 8.4 at most in Keras (docs/lockstep.md), a difference and two products.
        ("sigmoid gradient", 12, 6),
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
        # Each framework's tanh, and the products after it; 1 - t**2 carries twice the error of t.
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
        # Means over the batch, a root, and the terms of x g + (beta - mean g); then three sums.
        ("batch_norm", 3, 3),
        ("batch_norm gamma", 3, 3),
        ("batch_norm gradient", 3, 3),
        ("running statistic", 4, 4),
        # The rounding of 1 - rate in torch, of 1 / (1 - rate), and of the product.
        ("dropout", 2, 3),
        ("dropout gradient", 2, 3),
        # exp, a sum over the units, a quotient; then a product, a sum, a difference and a product.
        ("softmax", 7, 7),
        ("softmax gradient", 4, 4),
        # exp, log, a sum over the classes, and a mean over the samples.
        ("softmax_cross_entropy", 7, 7),
        ("softmax_cross_entropy gradient", 9, 9),
        # log, and a mean over the samples; a quotient, where TensorFlow's kernel multiplies by Eigen's reciprocal.
        ("softmax_cross_entropy_naive", 7, 7),
        ("softmax_cross_entropy_naive gradient", 8, 4),
        # As from logits; that these are rounded logarithms is in the scale.
        ("softmax_cross_entropy_clipped", 4, 4),
        ("softmax_cross_entropy_clipped gradient", 9, 9),
        # exp, log, and a difference; exp, a quotient and a difference.
        ("binary_cross_entropy_logits", 4, 4),
        ("binary_cross_entropy_logits gradient", 4, 4),
        # log, and the rounding of 1 - h.
        ("binary_cross_entropy_naive", 3, 3),
        ("binary_cross_entropy_naive gradient", 4, 4),
        # The same of what is clipped, where a bound's rounding is in the scale.
        ("binary_cross_entropy_clipped", 3, 3),
        ("binary_cross_entropy_clipped gradient", 4, 4),
        # log; two differences, a product and a quotient.
        ("binary_cross_entropy_clamped", 4, 4),
        ("binary_cross_entropy_clamped gradient", 6, 6),
        # The limit; the norm, a quotient and a product.
        ("clip value", 2, 2),
        ("clip norm", 3, 3),
        ("clip global_norm", 3, 3),
        # Pre-training's u < p0, of the same numbers, and the weights that a step leaves alone (parity/bounds/rbm.py).
        ("samples", 0, 0),
        ("untrained", 0, 0),
        # A difference, its square, and a mean over the samples; a difference, and three factors.
        ("mean_squared_error", 6, 6),
        ("mean_squared_error gradient", 6, 6),
    )
}
# Of a slot and of the weights after the update, whose scale is the running error of all operations that lead to them:
# three times that, since the frameworks order these operations differently.
UPDATE: dict[Framework, float] = {"tf": 3, "torch": 3}
# The power of the largest number beyond which an update may overflow on its way: it squares what is divided by a root.
HUGE = 0.2
ALLOWED |= {f"{name} {part}": UPDATE for name in OPTIMIZERS for part in ("slots", "weights")}
# Keras keeps a velocity with the learning rate inside, which is divided out of it and multiplied in again.
ALLOWED |= {f"{name} slots": {"tf": 5, "torch": 3} for name in ("sgd", "rmsprop")}


@dataclass(frozen=True)
class Result:
    """A tensor that a stage gives: its name in a replay, its stage, and its row of ALLOWED."""

    name: str
    stage: str
    kind: str


def results(identity: Identity) -> list[Result]:
    """The results of one step's stages, in the order of the computation."""
    nodes = identity.model
    found = []
    for node in nodes:
        found.append(Result(f"outputs/{node.name}", f"forward {node.name}", forward_row(node)))
        for kind in node.statistic_shapes if isinstance(node, BatchNorm) else ():
            found.append(
                Result(f"statistics/{node.name}/{kind}", f"running statistics {node.name}", "running statistic")
            )
    found.append(Result("cost", "loss", identity.loss))
    found.append(Result(f"deltas/{nodes[-1].name}", "loss gradient", f"{identity.loss} gradient"))
    for position in reversed(range(len(nodes))):
        node, stage = nodes[position], f"backward {nodes[position].name}"
        for kind, row in gradient_rows(node).items():
            found.append(Result(f"gradients/{node.name}/{kind}", stage, row))
        if position:
            found.append(Result(f"deltas/{nodes[position - 1].name}", stage, backward_row(node)))
    if identity.clipping is not None:
        found += [Result(f"clipped/{name}", "clipping", f"clip {identity.clipping.by}") for name in identity.weights]
    kind = identity.optimizer.kind
    for name in identity.weights:
        for slot in identity.optimizer.slots:
            found.append(Result(f"slots/{slot}/{name}", "optimizer", f"{kind} slots"))
        found.append(Result(f"weights/{name}", "optimizer", f"{kind} weights"))
    return found


def forward_row(node: Node) -> str:
    """The row of ALLOWED for a node's output."""
    if isinstance(node, Dense):
        return "product"
    return "embedding" if isinstance(node, Embedding) else node.function


def backward_row(node: Node) -> str:
    """The same for the delta that leaves a node towards its input; the node is not the first."""
    assert not isinstance(node, Embedding)
    return "product" if isinstance(node, Dense) else f"{node.function} gradient"


def gradient_rows(node: Node) -> dict[str, str]:
    """The same for the gradient of each of a node's weights."""
    if isinstance(node, Dense):
        return {"kernel": "product", "bias": "sum"}
    if isinstance(node, Embedding):
        return {"table": "embedding gradient"}
    if isinstance(node, PReLU):
        return {"slope": "product"}
    if isinstance(node, BatchNorm):
        return {"gamma": "batch_norm gamma", "beta": "sum"}
    return {}


def scales(
    identity: Identity,
    realisation: Realisation,
    state: Arrays,
    recorded: Arrays,
    inputs: Array,
    labels: Array,
    dtype: Dtype,
) -> dict[str, Tolerance]:
    """u S for every result in `dtype`, elementwise, from the stages' inputs, which are widened to float64."""
    u = UNIT_ROUNDOFF[dtype]
    with np.errstate(all="ignore"):
        # What is no number has no scale: nothing is said of what is made of it.
        found = node_scales(identity, realisation, state, recorded, inputs, u)
        found |= loss_scales(identity, recorded, labels, u)
        found |= clipping_scales(identity, realisation, recorded, u)
        tolerances = {name: Tolerance(np.asarray(scale)) for name, scale in found.items()}
        return tolerances | optimizer_scales(identity, realisation, state, recorded, inputs, u)


def node_scales(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, u: float
) -> dict[str, Array]:
    """The scales of outputs, running statistics, the gradients of weights, and all deltas but the last node's."""
    found: dict[str, Array] = {}
    previous, factors = None, dropout.factors(identity, state, len(inputs))
    for node in identity.model:
        x = inputs if previous is None else recorded[f"outputs/{previous}"]
        delta = recorded[f"deltas/{node.name}"]
        if isinstance(node, Embedding):
            counted = embeddings.counts(node, inputs)
            found[f"outputs/{node.name}"] = embeddings.output_bound(counted, state[f"weights/{node.name}/table"], u)
            found[f"gradients/{node.name}/table"] = embeddings.gradient_bound(counted, delta, u)
        elif isinstance(node, Dense):
            kernel, bias = state[f"weights/{node.name}/kernel"], state[f"weights/{node.name}/bias"]
            found[f"outputs/{node.name}"] = dot_bound(x, kernel, u, bias)
            found[f"gradients/{node.name}/kernel"] = dot_bound(x.T, delta, u)
            found[f"gradients/{node.name}/bias"] = sum_bound(delta, u)
            backward = dot_bound(delta, kernel.T, u) if previous is not None else delta
        elif isinstance(node, BatchNorm):
            here, backward = normalisation.scales(node, realisation, state, x, delta, u)
            found |= here
        elif isinstance(node, Dropout):
            outputs, backward = np.abs(x) * factors[node.name], np.abs(delta) * factors[node.name]
            found[f"outputs/{node.name}"], backward = (small(scale, u) for scale in (outputs, backward))
        else:
            slope = state[f"weights/{node.name}/slope"] if isinstance(node, PReLU) else node.slope
            found[f"outputs/{node.name}"], backward = activations.bounds(node, realisation, slope, x, delta, u)
            if isinstance(node, PReLU):
                products = np.minimum(x, 0) * delta
                found[f"gradients/{node.name}/slope"] = activations.slope_bound(node, products, u)
        if previous is not None:
            found[f"deltas/{previous}"] = backward
        previous = node.name
    return found


def sums(identity: Identity, state: Arrays, recorded: Arrays, inputs: Array) -> dict[str, Sum]:
    """The terms that are added in each result of a dense layer that is a tensor of sums, by its name."""
    found: dict[str, Sum] = {}
    previous = None
    for node in identity.model:
        x = inputs if previous is None else recorded[f"outputs/{previous}"]
        if isinstance(node, Dense):
            kernel, delta = state[f"weights/{node.name}/kernel"], recorded[f"deltas/{node.name}"]
            found[f"outputs/{node.name}"] = Sum(x, kernel, state[f"weights/{node.name}/bias"])
            found[f"gradients/{node.name}/kernel"] = Sum(x.T, delta)
            found[f"gradients/{node.name}/bias"] = Sum(delta)
            if previous is not None:
                found[f"deltas/{previous}"] = Sum(delta, kernel.T)
        previous = node.name
    return found


def small(scale: Array, u: float) -> Array:
    """u times a condition scale, and what underflow may take; where the scale is 0, nothing is computed."""
    return within_range(np.where(scale > 0, u * scale + smallest_normal(u), 0.0), scale, u)


def loss_scales(identity: Identity, recorded: Arrays, labels: Array, u: float) -> dict[str, Array]:
    """The scales of the cost and of the last node's delta."""
    last = identity.model[-1].name
    found = rounding(identity.loss, recorded[f"outputs/{last}"], labels)
    # The mean over the batch is a sum of so many terms, whatever else the row allows.
    mean = found.terms * found.cost / min(ALLOWED[identity.loss].values())
    cost = within_range(u * (found.cost + mean) + smallest_normal(u), found.terms * found.cost, u)
    delta = within_range(u * found.gradient_scale + smallest_normal(u), found.gradient_scale, u)
    return {"cost": cost, f"deltas/{last}": delta}


def optimizer_scales(
    identity: Identity, realisation: Realisation, state: Arrays, recorded: Arrays, inputs: Array, u: float
) -> dict[str, Tolerance]:
    """The scales of the slots and weights after the update: the running error of its formula."""
    given = {name: exact(gradient, u) for name, gradient in gradients(identity, recorded, clipped=True).items()}
    return {name: tolerance(r) for name, r in updated(identity, realisation, state, inputs, given, u).items()}


def tolerance(number: Any) -> Tolerance:
    """How far rounding may take a Rounded number."""
    scale = number.error
    if number.reach is not None:
        scale = np.where(number.reach < largest_number(number.u), scale, np.inf)
    return Tolerance(np.asarray(scale), number.ends, number.branch)


def gradients(identity: Identity, recorded: Arrays, clipped: bool = False) -> dict[str, Array]:
    """Each weight's recorded gradient by its name; with `clipped`, as the optimizer takes it."""
    group = "clipped" if clipped and identity.clipping is not None else "gradients"
    return {name: recorded[f"{group}/{name}"] for name in identity.weights}


def clipping_scales(identity: Identity, realisation: Realisation, recorded: Arrays, u: float) -> dict[str, Array]:
    """The scales of the clipped gradients, where gradients are clipped."""
    if identity.clipping is None:
        return {}
    found = clipping.bounds(identity.clipping, realisation, gradients(identity, recorded), u)
    return {f"clipped/{name}": bound for name, bound in found.items()}


def updated(
    identity: Identity,
    realisation: Realisation,
    state: Arrays,
    inputs: Array,
    gradients: Mapping[str, Any],
    u: float | None,
) -> dict[str, Any]:
    """The optimizer's step as its formula gives it, with its running error where `u` is given."""
    if isinstance(identity.optimizer, LBFGS):
        return lbfgs.updated(identity.optimizer, state, gradients, u)
    found: dict[str, Any] = {}
    first = identity.layers[0]
    rows = embeddings.named(first, inputs) if identity.sparse and isinstance(first, Embedding) else None
    for name, gradient in gradients.items():
        w: Any = state[f"weights/{name}"]
        slots: dict[str, Any] = {slot: state[f"slots/{slot}/{name}"] for slot in identity.optimizer.slots}
        if u is not None:
            sizes = [identity.optimizer.learning_rate, *map(largest_finite, (w, gradient.value, *slots.values()))]
            huge = max(sizes) > largest_number(u) ** HUGE
            w, slots = exact(w, u), {slot: exact(value, u) for slot, value in slots.items()}
            if huge:
                w, gradient, slots = followed(w), followed(gradient), {n: followed(v) for n, v in slots.items()}
        new_w, new_slots = update(identity.optimizer, realisation, int(state["step"]), w, gradient, slots)
        if rows is not None:
            new_w = where(rows, new_w, w)
            new_slots = {slot: where(rows, value, slots[slot]) for slot, value in new_slots.items()}
        found |= {f"slots/{slot}/{name}": value for slot, value in new_slots.items()} | {f"weights/{name}": new_w}
    return found
