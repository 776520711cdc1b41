"""What a stage of the training step gives by its formula, in NumPy: a third opinion beside two frameworks.

It tells which side is off, and, given something else than what was recorded, what a side does as if it had.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds import clipping
from parity.bounds.losses import CLAMP, clipped, one_hot, rounding
from parity.bounds.nodes import kind as kinds
from parity.bounds.nodes.dropout import factors
from parity.bounds.nodes.table import kind
from parity.bounds.stages import gradients, results, updated
from parity.experiment.nodes import Activation, Node
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
    stage_kind, _, node = name.rpartition(" ")
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
        if stage_kind == "forward":
            return {f"outputs/{node}": forward(given, nodes[node])}
        if stage_kind == "running statistics":
            return statistics(given, nodes[node])
        return backward(given, nodes[node]) if stage_kind == "backward" else {}


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


def fed(given: Given, node: Node) -> kinds.Given:
    """What the node is given."""
    names = [other.name for other in given.identity.model]
    position, x = names.index(node.name), given.input_of(node.name)
    # All masks of the step are drawn at once, and only dropouts use any.
    factor = factors(given.identity, given.state, len(x))[node.name] if node in given.identity.dropouts else None
    before = names[position - 1] if position else None
    return kinds.Given(node, given.realisation, given.state, x, factor=factor, before=before)


def forward(given: Given, node: Node) -> Array:
    """A node's output in train mode."""
    return kind(node).value(fed(given, node))


def statistics(given: Given, node: Node) -> dict[str, Array]:
    """The running statistics of a node after the step."""
    return {f"statistics/{node.name}/{name}": value for name, value in kind(node).statistics(fed(given, node)).items()}


def backward(given: Given, node: Node) -> dict[str, Array]:
    """The gradients of a node's weights, and the delta before it where it is not the first node."""
    here = fed(given, node)
    found, before = kind(node).gradients(here, given.recorded[f"deltas/{node.name}"])
    arrays = {f"gradients/{node.name}/{name}": gradient for name, gradient in found.items()}
    return arrays if here.first or before is None else arrays | {f"deltas/{here.before}": before}


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
    for node in given.identity.model:
        here = Given(given.identity, given.realisation, given.state, found, given.inputs, given.labels)
        run = kind(node).value if training else kind(node).evaluated
        found[f"outputs/{node.name}"] = run(fed(here, node))
    here = Given(given.identity, given.realisation, given.state, found, given.inputs, given.labels)
    for name in dict.fromkeys(result.stage for result in results(given.identity)):
        if not name.startswith("forward"):
            found |= stage(here, name)
    return found
