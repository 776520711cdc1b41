"""Suppositions of what a normalisation may do instead."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds import normalisation
from parity.diagnosis.expected import Given
from parity.diagnosis.suppositions import Arrays, Gives, Supposition, before, with_node
from parity.experiment.nodes import BatchNorm, LayerNorm

Array = NDArray[Any]


def of_batch_norm(node: BatchNorm, gives: Gives) -> Iterator[Supposition]:
    """Momentum taken for its complement, eval mode, and gradients that do not pass the statistics."""
    yield Supposition(
        f"momentum were its complement, {1 - node.momentum:g} and not {node.momentum:g}",
        lambda g, _: gives(with_node(g, node, momentum=1 - node.momentum)),
    )
    yield Supposition("it were in eval mode", lambda g, _: in_eval_mode(g, node))
    for said, mean, variance in (
        ("the batch's mean", False, True), ("the batch's variance", True, False),
        ("the batch's mean and variance", False, False),
    ):  # fmt: skip
        yield Supposition(f"no gradient passed {said}", stopped(gives, node, mean, variance))


def of_layer_norm(node: LayerNorm, gives: Gives) -> Iterator[Supposition]:
    """Another mean or variance: of squares, unbiased, of the batch; and gradients that do not pass the statistics."""
    units = node.units

    def forward(statistics: Callable[[Array], tuple[Array, Array]]) -> Callable[[Given, float], Arrays]:
        """What the layer gives with another mean and variance of x [batch, units]."""

        def gives_changed(given: Given, _: float) -> Arrays:
            x = given.input_of(node.name)
            mean, variance = statistics(x)
            gamma, beta = (given.state[f"weights/{node.name}/{kind}"] for kind in ("gamma", "beta"))
            return {f"outputs/{node.name}": gamma * (x - mean) / np.sqrt(variance + node.epsilon) + beta}

        return gives_changed

    def of_sample(x: Array) -> tuple[Array, Array]:
        return x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)

    changes: dict[str, Callable[[Array], tuple[Array, Array]]] = {
        "x were divided by the root of its mean square": lambda x: (0 * x, (x**2).mean(axis=1, keepdims=True)),
        "the mean stayed in": lambda x: (0 * x, of_sample(x)[1]),
        "the variance were the unbiased one": lambda x: (of_sample(x)[0], of_sample(x)[1] * units / (units - 1)),
        "it normalised each unit over the batch": lambda x: (x.mean(axis=0), x.var(axis=0)),
    }
    for said, statistics in changes.items():
        if units > 1 or "unbiased" not in said:
            yield Supposition(said, forward(statistics))
    for said, mean, variance in (
        ("the sample's mean", False, True), ("the sample's variance", True, False),
        ("the sample's mean and variance", False, False),
    ):  # fmt: skip

        def gives_stopped(given: Given, _: float, mean: bool = mean, variance: bool = variance) -> Arrays:
            x, delta = given.input_of(node.name), given.recorded[f"deltas/{node.name}"]
            (centre, spread), by = of_sample(x), given.state[f"weights/{node.name}/gamma"] * delta
            inverse = 1 / np.sqrt(spread + node.epsilon)
            z = (x - centre) * inverse
            passed = by - mean * by.mean(axis=1, keepdims=True) - variance * z * (by * z).mean(axis=1, keepdims=True)
            return {**gives(given), f"deltas/{before(given, node)}": inverse * passed}

        yield Supposition(f"no gradient passed {said}", gives_stopped)


def in_eval_mode(given: Given, node: BatchNorm) -> dict[str, Array]:
    """Normalised by the running statistics, which stay as they are."""
    x = given.input_of(node.name)
    kept = {f"statistics/{node.name}/{kind}" for kind in ("moving_mean", "moving_variance")}
    output = normalisation.evaluated(normalisation.Evaluated.of(node, given.state), x)
    return {f"outputs/{node.name}": output} | {name: given.state[name] for name in kept}


def stopped(gives: Gives, node: BatchNorm, mean: bool, variance: bool) -> Callable[[Given, float], Arrays]:
    """What a batch norm gives where its gradient passes its mean, or its variance, or not."""

    def gives_stopped(given: Given, _: float) -> dict[str, Array]:
        x, delta = given.input_of(node.name), given.recorded[f"deltas/{node.name}"]
        m = normalisation.moments(node, x, np.zeros_like(x), 0.0)
        z = m.centred * m.inverse
        behind = delta - mean * delta.mean(axis=0) - variance * z * (delta * z).mean(axis=0)
        gamma = given.state[f"weights/{node.name}/gamma"]
        return {**gives(given), f"deltas/{before(given, node)}": gamma * m.inverse * behind}

    return gives_stopped
