"""One step of contrastive divergence (tf_impl/rbm.py has the formulas): what its stages give, and how they round.

Tensors have the names of `stages` there. As in parity/stages.py, a stage is run by itself on recorded inputs; a sample
h0 = (u < p0) is then exact, since both sides have the same u and the same p0.

Where a step is run as a whole, a probability's rounding may carry it across its u, and a sample flips. `flips` are
followed by themselves (F beside E, the size of an error as in parity/rounding.py): they are no small errors, and what
one sample does to all visible units is not independent, so they add up as they are, and not in quadrature. u is one of
the 2**24 multiples of 2**-24, and in float32 both sides' p0 lie a few of those apart at most: a few samples in 10**7
flip. In float64, where they lie 1e-16 apart, none does.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.activations import FUNCTIONS, LARGEST
from parity.formulas import update
from parity.nodes import Dense
from parity.optimizers import SGD
from parity.rounded import UNIT_ROUNDOFF, exact
from parity.rounding import SAFETY, SMALLEST, ULPS, quadrature
from parity.spec import Dtype, Identity, Realisation
from parity.stages import Result, forward_row

Array = NDArray[Any]
Arrays = Mapping[str, Array]
# The sums over a batch of both phases.
PHASES = 2


def weight_shapes(identity: Identity) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of a state of pre-training, the visible biases among them, in order."""
    return identity.weight_shapes | {f"{node.name}/visible_bias": (node.inputs,) for node in identity.dense[:-1]}


def trained(node: Dense) -> list[str]:
    """What a layer's pre-training changes."""
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


def results(identity: Identity, layer: int, batch: int) -> list[Result]:
    """What the stages of one step on a layer give, in the order of the computation."""
    node = identity.dense[layer]
    found = [Result(f"outputs/{n.name}", f"forward {n.name}", *forward_row(n)) for n in identity.model[: 2 * layer]]
    positive, negative = f"{node.name} positive phase", f"{node.name} negative phase"
    found += [
        Result("positive/hidden_inputs", positive, "product", node.inputs + 1),
        Result("positive/hidden", positive, "sigmoid", 1),
        Result("positive/samples", f"{node.name} sampling", "samples", 1),
        Result("negative/visible_inputs", f"{node.name} reconstruction", "product", node.units + 1),
        Result("negative/visible", f"{node.name} reconstruction", "sigmoid", 1),
        Result("cost", f"{node.name} reconstruction error", "mean_squared_error", 1),
        Result("negative/hidden_inputs", negative, "product", node.inputs + 1),
        Result("negative/hidden", negative, "sigmoid", 1),
    ]
    for name in trained(node):
        row = "product" if name.endswith("kernel") else "sum"
        found.append(Result(f"gradients/{name}", f"{node.name} gradient", row, PHASES * batch))
    for name in weight_shapes(identity):
        row = "sgd weights" if name in trained(node) else "untrained"
        found.append(Result(f"weights/{name}", f"{node.name} update", row, 1))
    return found


def scales(
    identity: Identity,
    realisation: Realisation,
    layer: int,
    state: Arrays,
    recorded: Arrays,
    inputs: Array,
    dtype: Dtype,
) -> dict[str, Array]:
    """What u S is for every result in `dtype`, elementwise, from the stages' inputs, which are widened to float64."""
    u = UNIT_ROUNDOFF[dtype]
    with np.errstate(all="ignore"):
        found: dict[str, Array] = {}
        v0 = inputs
        for lower, name in zip(identity.dense[:layer], below(identity, layer)[1::2], strict=True):
            z = f"outputs/{lower.name}"
            found[z] = product(v0, state[f"weights/{lower.name}/kernel"], state[f"weights/{lower.name}/bias"])
            found[f"outputs/{name}"] = sigmoid_scale(recorded[z])
            v0 = recorded[f"outputs/{name}"]
        kernel, bias, visible_bias = (state[f"weights/{name}"] for name in trained(identity.dense[layer]))
        p0, h0, v1, p1 = (recorded[name] for name in PASSED_ON)
        found |= {
            "positive/hidden_inputs": product(v0, kernel, bias),
            "positive/hidden": sigmoid_scale(recorded["positive/hidden_inputs"]),
            "positive/samples": np.zeros_like(h0),
            "negative/visible_inputs": product(h0, kernel.T, visible_bias),
            "negative/visible": sigmoid_scale(recorded["negative/visible_inputs"]),
            "cost": np.mean((v1 - v0) ** 2),
            "negative/hidden_inputs": product(v1, kernel, bias),
            "negative/hidden": sigmoid_scale(recorded["negative/hidden_inputs"]),
        }
        sums = gradient_scales(v0, p0, v1, p1)
        found |= {f"gradients/{n}": s for n, s in zip(trained(identity.dense[layer]), sums, strict=True)}
        found = {name: u * scale for name, scale in found.items()}
        return found | update_errors(identity, realisation, layer, state, recorded, u)


# What the stages that follow take of a step: p0, h0, v1, p1.
PASSED_ON = ("positive/hidden", "positive/samples", "negative/visible", "negative/hidden")


def product(x: Array, kernel: Array, bias: Array) -> Array:
    """S of x W + b."""
    return np.abs(x) @ np.abs(kernel) + np.abs(bias)


def sigmoid_scale(z: Array) -> Array:
    """S of sigmoid(z)."""
    return FUNCTIONS["sigmoid"].output_scale(z, None)


def gradient_scales(v0: Array, p0: Array, v1: Array, p1: Array) -> tuple[Array, Array, Array]:
    """S of the gradients of kernel, bias and visible bias."""
    n = len(v0)
    return (v0.T @ p0 + v1.T @ p1) / n, (p0 + p1).sum(axis=0) / n, (v0 + v1).sum(axis=0) / n


def update_errors(
    identity: Identity, realisation: Realisation, layer: int, state: Arrays, recorded: Arrays, u: float
) -> dict[str, Array]:
    """Of the weights after the update, the running error of its formula, which is gradient descent's; 0 of others."""
    assert identity.pretraining is not None
    descent = SGD(identity.pretraining.learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0)
    found = {f"weights/{name}": np.zeros(shape) for name, shape in weight_shapes(identity).items()}
    for name in trained(identity.dense[layer]):
        weight, gradient = exact(state[f"weights/{name}"], u), exact(-recorded[f"gradients/{name}"], u)
        found[f"weights/{name}"] = update(descent, realisation, 0, weight, gradient, {})[0].error
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
) -> dict[str, Array]:
    """How far two runs of a whole step may be apart in the cost and the weights after it, elementwise."""
    assert identity.pretraining is not None
    u, rate = UNIT_ROUNDOFF[dtype], identity.pretraining.learning_rate
    names = trained(identity.dense[layer])
    with np.errstate(all="ignore"):
        cost, gradients = step_errors(identity, layer, state, replay, inputs, uniforms, u)
        rounded = update_errors(identity, realisation, layer, state, replay, u)
        errors = {"cost": cost.rounding + cost.flips} | rounded
        for name, error in zip(names, gradients, strict=True):
            key = f"weights/{name}"
            errors[key] = quadrature(rate * error.rounding, rounded[key]) + rate * error.flips
    floor = max(SMALLEST, float(np.finfo(dtype).tiny))
    exactly = {f"weights/{name}" for name in weight_shapes(identity) if name not in names}
    return {name: error if name in exactly else SAFETY * error + floor for name, error in errors.items()}


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
    flips = (np.abs(uniforms - p0) <= SAFETY * of_p0.rounding).astype(np.float64)
    of_v1 = passed_on(h0, Error(np.zeros_like(h0), flips), kernel.T, visible_bias, v1, u)
    of_p1 = passed_on(v1, of_v1, kernel, bias, p1, u)
    difference = np.abs(v1 - v0)
    cost = Error(
        quadrature(
            2 * np.sqrt((difference**2 * (of_v1.rounding**2 + e0.rounding**2)).sum()) / v0.size,
            ULPS * u * np.mean(difference**2),
        ),
        (2 * difference * of_v1.flips + of_v1.flips**2).sum() / v0.size,
    )
    n = len(v0)
    sums = [np.sqrt(PHASES * n) * u * scale for scale in gradient_scales(v0, p0, v1, p1)]
    squares = [np.square(x) for x in (v0, e0.rounding, p0, of_p0.rounding, v1, of_v1.rounding, p1, of_p1.rounding)]
    x0, ex0, y0, ey0, x1, ex1, y1, ey1 = squares
    products = np.sqrt(x0.T @ ey0 + ex0.T @ y0 + x1.T @ ey1 + ex1.T @ y1) / n
    kernel_flips = (of_v1.flips.T @ (p1 + of_p1.flips) + v1.T @ of_p1.flips) / n
    return cost, [
        Error(quadrature(sums[0], products), kernel_flips),
        Error(quadrature(sums[1], np.sqrt((ey0 + ey1).sum(axis=0)) / n), of_p1.flips.sum(axis=0) / n),
        Error(quadrature(sums[2], np.sqrt((ex0 + ex1).sum(axis=0)) / n), of_v1.flips.sum(axis=0) / n),
    ]


def passed_on(x: Array, error: Error, kernel: Array, bias: Array, p: Array, u: float) -> Error:
    """The error of p = sigmoid(x W + b), whose derivative is p (1 - p) and at most exp(d) times that within d."""
    z = quadrature(np.sqrt(len(kernel) + 1) * u * product(x, kernel, bias), np.sqrt(error.rounding**2 @ kernel**2))
    moved = np.expm1(np.minimum(error.flips @ np.abs(kernel), LARGEST))
    return Error(quadrature(ULPS * u * p, p * (1 - p) * z), p * (1 - p) * moved)
