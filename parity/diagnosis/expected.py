"""What a stage of the training step gives by its formula, in NumPy: a third opinion beside two frameworks.

It tells which side is off, and, given something else than what was recorded, what a side does as if it had.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds import activations, clipping, embeddings, normalisation
from parity.bounds.dropout import factors
from parity.bounds.evaluated import value
from parity.bounds.losses import CLAMP, clipped, one_hot, rounding
from parity.bounds.stages import gradients, results, updated
from parity.bounds.whole_step import slope_of
from parity.experiment.nodes import Activation, BatchNorm, Dense, Dropout, Embedding, Node, PReLU
from parity.experiment.spec import ROUNDED, Identity, LossName, Realisation

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True)
class Given:
    """All that the stages of a step are given: settings, the state before it, what stages gave, inputs and labels."""

    identity: Identity
    realisation: Realisation
    state: Arrays
    recorded: Arrays
    inputs: Array
    labels: Array

    def input_of(self, name: str) -> Array:
        """What a node is fed."""
        names = [node.name for node in self.identity.model]
        position = names.index(name)
        return self.recorded[f"outputs/{names[position - 1]}"] if position else self.inputs

    def weights(self) -> dict[str, Array]:
        """The state's weights, by their own names."""
        return {name: self.state[f"weights/{name}"] for name in self.identity.weights}


def stage(given: Given, name: str) -> dict[str, Array]:
    """What the stage called `name` gives, by the names of its results; those without a formula here are left out."""
    kind, _, node = name.rpartition(" ")
    given = replace(
        given, identity=replace(given.identity, model=tuple(constant(given, n) for n in given.identity.model))
    )
    nodes = {n.name: n for n in given.identity.model}
    if (
        getattr(nodes.get(node), "function", None) in ROUNDED - {"leaky_relu"}
        and given.realisation.constants != "exact"
    ):
        return {}
    with np.errstate(all="ignore"):
        if name == "optimizer":
            taken = gradients(given.identity, given.recorded, clipped=True)
            return updated(given.identity, given.realisation, given.state, given.inputs, taken, None)
        if name == "clipping":
            return {f"clipped/{key}": g for key, g in clipped_gradients(given).items()}
        if name == "loss":
            return {"cost": np.asarray(cost(given.identity.loss, given.recorded[last_output(given)], given.labels))}
        if name == "loss gradient":
            found = rounding(given.identity.loss, given.recorded[last_output(given)], given.labels)
            return {f"deltas/{given.identity.model[-1].name}": found.gradient}
        if kind == "forward":
            return {f"outputs/{node}": forward(given, nodes[node])}
        if kind == "running statistics":
            return statistics(given, nodes[node])
        return backward(given, nodes[node]) if kind == "backward" else {}


def constant(given: Given, node: Node) -> Node:
    """A node with its slope as the side takes it, which may round it through float32."""
    if given.realisation.constants != "through_float32" or not (
        isinstance(node, Activation) and node.function == "leaky_relu"
    ):
        return node
    return replace(node, slope=float(np.float32(node.slope)))


def last_output(given: Given) -> str:
    """The name of the model's output."""
    return f"outputs/{given.identity.model[-1].name}"


def forward(given: Given, node: Node) -> Array:
    """What a node makes of what it is fed, in train mode."""
    x = given.input_of(node.name)
    if isinstance(node, BatchNorm):
        m = normalisation.moments(node, x, np.zeros_like(x), 0.0)
        gamma, beta = (given.state[f"weights/{node.name}/{kind}"] for kind in ("gamma", "beta"))
        return gamma * m.centred * m.inverse + beta
    if isinstance(node, Dropout):
        return x * factors(given.identity, given.state, len(x))[node.name]
    return value(node, given.realisation, given.weights(), x)


def statistics(given: Given, node: Node) -> dict[str, Array]:
    """The running mean and variance of a batch norm after the step."""
    assert isinstance(node, BatchNorm)
    x = given.input_of(node.name)
    new = {"moving_mean": x.mean(axis=0), "moving_variance": x.var(axis=0)}
    if given.realisation.moving_variance == "unbiased":
        new["moving_variance"] = x.var(axis=0, ddof=1)
    old = {kind: given.state[f"statistics/{node.name}/{kind}"] for kind in new}
    share = node.momentum
    return {f"statistics/{node.name}/{kind}": share * old[kind] + (1 - share) * new[kind] for kind in new}


def backward(given: Given, node: Node) -> dict[str, Array]:
    """The gradients of a node's weights, and the delta before it where it is not the first node."""
    name, x, delta = node.name, given.input_of(node.name), given.recorded[f"deltas/{node.name}"]
    behind: Array | None = None
    found: dict[str, Array] = {}
    if isinstance(node, Embedding):
        return {f"gradients/{name}/table": embeddings.counts(node, x).T @ delta}
    if isinstance(node, Dense):
        found = {"kernel": x.T @ delta, "bias": delta.sum(axis=0)}
        behind = delta @ given.state[f"weights/{name}/kernel"].T
    elif isinstance(node, BatchNorm):
        m = normalisation.moments(node, x, np.zeros_like(x), 0.0)
        found = {"gamma": (delta * m.centred * m.inverse).sum(axis=0), "beta": delta.sum(axis=0)}
        behind = normalisation.delta_behind(m, given.state[f"weights/{name}/gamma"], delta, np.zeros_like(x))[0]
    elif isinstance(node, Dropout):
        behind = delta * factors(given.identity, given.state, len(x))[name]
    elif node.function == "softmax":
        p = activations.softmax(x)[0]
        behind = p * (delta - (delta * p).sum(axis=1, keepdims=True))
    else:
        assert isinstance(node, Activation | PReLU)
        slope = slope_of(node, given.weights())
        behind = activations.elementwise(node, given.realisation).derivative(x, slope) * delta
        if isinstance(node, PReLU):
            found = {"slope": activations.slope_sum(node, np.minimum(x, 0) * delta)}
    arrays = {f"gradients/{name}/{kind}": gradient for kind, gradient in found.items()}
    before = [a.name for a, b in pairwise(given.identity.model) if b.name == name]
    return arrays | {f"deltas/{other}": behind for other in before}


def clipped_gradients(given: Given) -> dict[str, Array]:
    """Each weight's gradient, clipped."""
    clip, raw = given.identity.clipping, gradients(given.identity, given.recorded)
    assert clip is not None
    if clip.by == "value":
        return {name: np.clip(g, -clip.limit, clip.limit) for name, g in raw.items()}
    norms = clipping.norms(clip, raw)
    return {name: g * clipping.factor(clip, given.realisation, norms[name]) for name, g in raw.items()}


def cost(loss: LossName, outputs: Array, labels: Array) -> float:
    """The mean cost of a batch: outputs [batch, units], labels [batch]."""
    return float(COSTS[loss](outputs, labels.astype(np.int64)))


def log_softmax(z: Array) -> Array:
    """The logarithm of each row's softmax."""
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def of_class(values: Array, labels: Array) -> float:
    """The mean, negative, of the values [batch, classes] at the labels."""
    return float(-(values * one_hot(values, labels)).sum(axis=1).mean())


def binary(h: Array, labels: Array, least: float = -np.inf) -> float:
    """The mean of -log(h) or -log(1 - h), whose logarithms are not below `least`."""
    return float(-np.maximum(np.where(labels[:, None] == 1, np.log(h), np.log1p(-h)), least).mean())


def squared(outputs: Array, labels: Array) -> float:
    """The mean of the squared differences from the labels, of several units from 1 at the label."""
    target = labels[:, None] if outputs.shape[1] == 1 else one_hot(outputs, labels)
    return float(((outputs - target) ** 2).mean())


COSTS: dict[LossName, Callable[[Array, Array], float]] = {
    "softmax_cross_entropy": lambda z, y: of_class(log_softmax(z), y),
    "softmax_cross_entropy_naive": lambda p, y: -float(np.log(p[one_hot(p, y) == 1]).mean()),
    "softmax_cross_entropy_clipped": lambda p, y: of_class(log_softmax(np.log(clipped(p)[0])), y),
    "binary_cross_entropy_logits": lambda z, y: float(
        (np.maximum(z, 0) - z * y[:, None] + np.log1p(np.exp(-np.abs(z)))).mean()
    ),
    "binary_cross_entropy_naive": binary,
    "binary_cross_entropy_clipped": lambda h, y: binary(clipped(h)[0], y),
    "binary_cross_entropy_clamped": lambda h, y: binary(h, y, CLAMP),
    "mean_squared_error": squared,
}


def whole_step(given: Given, training: bool = True) -> dict[str, Array]:
    """All that a step gives, each stage fed what the one before it gave here; forward as in eval mode on demand."""
    found: dict[str, Array] = {}
    x = given.inputs
    for node in given.identity.model:
        here = Given(given.identity, given.realisation, given.state, found, given.inputs, given.labels)
        if training or not isinstance(node, BatchNorm | Dropout):
            x = forward(here, node)
        elif isinstance(node, BatchNorm):
            x = normalisation.evaluated(normalisation.Evaluated.of(node, given.state), x)
        found[f"outputs/{node.name}"] = x
    here = Given(given.identity, given.realisation, given.state, found, given.inputs, given.labels)
    for name in dict.fromkeys(result.stage for result in results(given.identity)):
        if not name.startswith("forward"):
            found |= stage(here, name)
    return found
