"""One step of contrastive divergence (tf_impl/rbm.py has the formulas): what its stages give, and how they round.

Tensors have the names of `stages` there. As in parity/bounds/stages.py, a stage is run by itself on recorded inputs; a
sample h0 = (u < p0) is then exact, since both sides have the same u and the same p0.

Where a step is run as a whole, a probability's rounding may carry it across its u, and a sample flips. `flips` are
followed by themselves (F beside E, the size of an error as in parity/bounds/whole_step.py), since they are no small
errors. u is one of the 2**24 multiples of 2**-24, and in float32 both sides' p0 lie a few of those apart at most: a few
samples in 10**7 flip. In float64, where they lie 1e-16 apart, none does.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.bounds.activations import FUNCTIONS, LARGEST
from parity.bounds.measure import Tolerance
from parity.bounds.nodes.table import kind
from parity.bounds.optimizer_formulas import update
from parity.bounds.precision import Sum
from parity.bounds.rows import ALLOWED
from parity.bounds.running_error import UNIT_ROUNDOFF, exact, smallest_normal
from parity.bounds.stages import Result, at_least, tolerance
from parity.bounds.sums import dot_bound, sum_bound
from parity.experiment.nodes import Dense
from parity.experiment.optimizers import SGD
from parity.experiment.spec import Dtype, Identity, Realisation

Array = NDArray[Any]
Arrays = Mapping[str, Array]
# What one operation of these rows may round to, on whichever side.
SIGMOID, SQUARED = (max(ALLOWED[kind].values()) for kind in ("sigmoid", "mean_squared_error"))


def weight_shapes(identity: Identity) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of a state of pre-training, the visible biases among them, in order."""
    return identity.weight_shapes | {f"{node.name}/visible_bias": (node.inputs,) for node in identity.dense[:-1]}


def trained(node: Dense) -> list[str]:
    """The weights that a layer's pre-training changes."""
    return [f"{node.name}/{kind}" for kind in ("kernel", "bias", "visible_bias")]


def shapes(identity: Identity, layer: int, batch: int) -> dict[str, tuple[int, ...]]:
    """The shape of each float of a state or of a step on a layer."""
    node = identity.dense[layer]
    found: dict[str, tuple[int, ...]] = {"cost": ()}
    found |= {f"outputs/{name}": (batch, identity.widths[name]) for name in below(identity, layer)}
    hidden, visible = (batch, node.units), (batch, node.inputs)
    found |= {f"positive/{name}": hidden for name in ("hidden_inputs", "hidden", "samples")}
    found |= {f"negative/{name}": visible for name in ("visible_inputs", "visible")}
    found |= {f"negative/{name}": hidden for name in ("hidden_inputs", "hidden")}
    weights = weight_shapes(identity)
    found |= {f"gradients/{name}": weights[name] for name in trained(node)}
    return found | {f"weights/{name}": shape for name, shape in weights.items()}


def below(identity: Identity, layer: int) -> list[str]:
    """The names of the nodes below a dense layer, in order."""
    return [node.name for node in identity.model[: identity.model.index(identity.dense[layer])]]


def results(identity: Identity, layer: int) -> list[Result]:
    """The results of one step's stages on a layer, in the order of the computation."""
    node = identity.dense[layer]
    found = [
        Result(f"outputs/{n.name}", f"forward {n.name}", kind(n).forward_row(n)) for n in identity.model[: 2 * layer]
    ]
    positive, negative = f"{node.name} positive phase", f"{node.name} negative phase"
    found += [
        Result("positive/hidden_inputs", positive, "product"),
        Result("positive/hidden", positive, "sigmoid"),
        Result("positive/samples", f"{node.name} sampling", "samples"),
        Result("negative/visible_inputs", f"{node.name} reconstruction", "product"),
        Result("negative/visible", f"{node.name} reconstruction", "sigmoid"),
        Result("cost", f"{node.name} reconstruction error", "mean_squared_error"),
        Result("negative/hidden_inputs", negative, "product"),
        Result("negative/hidden", negative, "sigmoid"),
    ]
    for name in trained(node):
        row = "product" if name.endswith("kernel") else "sum"
        found.append(Result(f"gradients/{name}", f"{node.name} gradient", row))
    for name in weight_shapes(identity):
        row = "sgd weights" if name in trained(node) else "untrained"
        found.append(Result(f"weights/{name}", f"{node.name} update", row))
    return found


def scales(
    identity: Identity,
    realisation: Realisation,
    layer: int,
    state: Arrays,
    recorded: Arrays,
    inputs: Array,
    dtype: Dtype,
) -> dict[str, Tolerance]:
    """u S for every result in `dtype`, elementwise, from the stages' inputs, which are widened to float64."""
    u = UNIT_ROUNDOFF[dtype]
    with np.errstate(all="ignore"):
        found: dict[str, Array] = {}
        v0 = inputs
        for lower, name in zip(identity.dense[:layer], below(identity, layer)[1::2], strict=True):
            z = f"outputs/{lower.name}"
            found[z] = dot_bound(v0, state[f"weights/{lower.name}/kernel"], u, state[f"weights/{lower.name}/bias"])
            found[f"outputs/{name}"] = sigmoid_scale(recorded[z], u)
            v0 = recorded[f"outputs/{name}"]
        kernel, bias, visible_bias = (state[f"weights/{name}"] for name in trained(identity.dense[layer]))
        p0, h0, v1, p1 = (recorded[name] for name in PASSED_ON)
        error = np.mean((v1 - v0) ** 2)
        found |= {
            "positive/hidden_inputs": dot_bound(v0, kernel, u, bias),
            "positive/hidden": sigmoid_scale(recorded["positive/hidden_inputs"], u),
            "positive/samples": np.zeros_like(h0),
            "negative/visible_inputs": dot_bound(h0, kernel.T, u, visible_bias),
            "negative/visible": sigmoid_scale(recorded["negative/visible_inputs"], u),
            "cost": (1 + v0.size / SQUARED) * u * error + smallest_normal(u),
            "negative/hidden_inputs": dot_bound(v1, kernel, u, bias),
            "negative/hidden": sigmoid_scale(recorded["negative/hidden_inputs"], u),
        }
        sums = gradient_scales(v0, p0, v1, p1, u)
        found |= {f"gradients/{n}": s for n, s in zip(trained(identity.dense[layer]), sums, strict=True)}
        tolerances = {name: Tolerance(at_least(scale, u)) for name, scale in found.items()}
        return tolerances | update_errors(identity, realisation, layer, state, recorded, u)


def sums(identity: Identity, layer: int, state: Arrays, recorded: Arrays, inputs: Array) -> dict[str, Sum]:
    """The terms that are added in each result that is a product, by its name."""
    v0 = recorded[f"outputs/{below(identity, layer)[-1]}"] if layer else inputs
    kernel, bias, visible_bias = (state[f"weights/{name}"] for name in trained(identity.dense[layer]))
    return {
        "positive/hidden_inputs": Sum(v0, kernel, bias),
        "negative/visible_inputs": Sum(recorded["positive/samples"], kernel.T, visible_bias),
        "negative/hidden_inputs": Sum(recorded["negative/visible"], kernel, bias),
    }


# What the stages that follow take of a step: p0, h0, v1, p1.
PASSED_ON = ("positive/hidden", "positive/samples", "negative/visible", "negative/hidden")


def sigmoid_scale(z: Array, u: float) -> Array:
    """u S of sigmoid(z)."""
    return u * FUNCTIONS["sigmoid"].output_scale(z, None) + smallest_normal(u)


def gradient_scales(v0: Array, p0: Array, v1: Array, p1: Array, u: float) -> tuple[Array, Array, Array]:
    """How far the gradients of kernel, bias and visible bias may be off: means over the batch of both phases."""
    n, both, hidden, visible = len(v0), v0.T @ p0 + v1.T @ p1, (p0 + p1).sum(axis=0), (v0 + v1).sum(axis=0)
    return (
        mean_bound(dot_bound(v0.T, p0, u) + dot_bound(v1.T, p1, u) + 2 * u * both, both, n, u),
        mean_bound(sum_bound(np.concatenate([p0, p1]), u) + u * hidden, hidden, n, u),
        mean_bound(sum_bound(np.concatenate([v0, v1]), u) + u * visible, visible, n, u),
    )


def mean_bound(bound: Array, magnitudes: Array, n: int, u: float) -> Array:
    """How far a sum divided by n may be off, whose terms' magnitudes add up so: the quotient may be taken for zero."""
    return bound / n + np.where(magnitudes > 0, smallest_normal(u), 0.0)


def update_errors(
    identity: Identity, realisation: Realisation, layer: int, state: Arrays, recorded: Arrays, u: float
) -> dict[str, Tolerance]:
    """The scales of the updated weights: the running error of gradient descent's formula; 0 for other weights."""
    assert identity.pretraining is not None
    descent = SGD(identity.pretraining.learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0)
    found = {f"weights/{name}": Tolerance(np.zeros(shape)) for name, shape in weight_shapes(identity).items()}
    for name in trained(identity.dense[layer]):
        weight, gradient = exact(state[f"weights/{name}"], u), exact(-recorded[f"gradients/{name}"], u)
        found[f"weights/{name}"] = tolerance(update(descent, realisation, 0, weight, gradient, {})[0])
    return found


class Error(NamedTuple):
    """How far a tensor may be off: by rounding, E, and by samples that flip, F."""

    rounding: Array
    flips: Array


def step_bounds(
    identity: Identity,
    realisation: Realisation,
    layer: int,
    state: Arrays,
    replay: Arrays,
    inputs: Array,
    uniforms: Array,
    dtype: Dtype,
) -> dict[str, Tolerance]:
    """How far a run of a whole step may be off in the cost and the weights after it, elementwise."""
    assert identity.pretraining is not None
    u, rate = UNIT_ROUNDOFF[dtype], identity.pretraining.learning_rate
    names = trained(identity.dense[layer])
    with np.errstate(all="ignore"):
        cost, gradients = step_errors(identity, layer, state, replay, inputs, uniforms, u)
        found = {"cost": Tolerance(np.asarray(cost.rounding + cost.flips))}
        found |= update_errors(identity, realisation, layer, state, replay, u)
        for name, error in zip(names, gradients, strict=True):
            key = f"weights/{name}"
            found[key] = Tolerance(rate * (1 + u) * (error.rounding + error.flips) + found[key].scale)
    return found


def step_errors(
    identity: Identity, layer: int, state: Arrays, replay: Arrays, inputs: Array, uniforms: Array, u: float
) -> tuple[Error, list[Error]]:
    """The errors of the cost and of the gradients of kernel, bias and visible bias."""
    v0, e0 = inputs, Error(np.zeros_like(inputs), np.zeros_like(inputs))
    for lower, name in zip(identity.dense[:layer], below(identity, layer)[1::2], strict=True):
        p = replay[f"outputs/{name}"]
        e0 = passed_on(v0, e0, state[f"weights/{lower.name}/kernel"], state[f"weights/{lower.name}/bias"], p, u)
        v0 = p
    kernel, bias, visible_bias = (state[f"weights/{name}"] for name in trained(identity.dense[layer]))
    p0, h0, v1, p1 = (replay[name] for name in PASSED_ON)
    of_p0 = passed_on(v0, e0, kernel, bias, p0, u)
    flips = (np.abs(uniforms - p0) <= of_p0.rounding).astype(np.float64)
    of_v1 = passed_on(h0, Error(np.zeros_like(h0), flips), kernel.T, visible_bias, v1, u)
    of_p1 = passed_on(v1, of_v1, kernel, bias, p1, u)
    difference = np.abs(v1 - v0)
    off = of_v1.rounding + e0.rounding
    cost = Error(
        (2 * difference * off + off**2).mean() + (SQUARED + v0.size) * u * np.mean(difference**2),
        (2 * difference * of_v1.flips + of_v1.flips**2).mean(),
    )
    n = len(v0)
    sums = gradient_scales(v0, p0, v1, p1, u)
    errors = (e0.rounding, of_p0.rounding, of_v1.rounding, of_p1.rounding)
    ex0, ey0, ex1, ey1 = errors
    products = (v0.T @ ey0 + ex0.T @ (p0 + ey0) + v1.T @ ey1 + ex1.T @ (p1 + ey1)) / n
    kernel_flips = (of_v1.flips.T @ (p1 + of_p1.flips) + v1.T @ of_p1.flips) / n
    return cost, [
        Error(sums[0] + products, kernel_flips),
        Error(sums[1] + (ey0 + ey1).sum(axis=0) / n, of_p1.flips.sum(axis=0) / n),
        Error(sums[2] + (ex0 + ex1).sum(axis=0) / n, of_v1.flips.sum(axis=0) / n),
    ]


def passed_on(x: Array, error: Error, kernel: Array, bias: Array, p: Array, u: float) -> Error:
    """The error of p = sigmoid(x W + b), whose derivative is p (1 - p) and at most exp(d) times that within d."""
    z = dot_bound(x, kernel, u, bias) + error.rounding @ np.abs(kernel)
    moved = np.expm1(np.minimum(error.flips @ np.abs(kernel), LARGEST))
    own = SIGMOID * (u * p + smallest_normal(u))
    return Error(own + p * (1 - p) * np.expm1(np.minimum(z, LARGEST)), p * (1 - p) * moved)
