"""Activations, element by element or, of a softmax, row by row, and PReLU, whose slope is a weight."""

from typing import Any

import numpy as np

from parity.bounds import activations
from parity.bounds.nodes.kind import Array, ByKind, Given, Kind
from parity.bounds.rows import allowed


class Pointwise(Kind):
    """A function of the pre-activation."""

    def slope(self, given: Given) -> Any:
        """The slope below zero of a function that has one."""
        return given.node.slope

    def value(self, given: Given) -> Array:
        if given.node.function == "softmax":
            return activations.softmax(given.x)[0]
        return activations.elementwise(given.node, given.realisation).value(given.x, self.slope(given))

    def gradients(self, given: Given, delta: Array) -> tuple[ByKind, Array | None]:
        if given.node.function == "softmax":
            p, _ = activations.softmax(given.x)
            return {}, p * (delta - (delta * p).sum(axis=1, keepdims=True))
        return {}, delta * self.derivative(given, given.x)

    def derivative(self, given: Given, x: Array) -> Array:
        """f'(x)."""
        return activations.elementwise(given.node, given.realisation).derivative(x, self.slope(given))

    def stage_bounds(self, given: Given, delta: Array) -> tuple[dict[str, Array], Array]:
        given_delta = given.node, given.realisation, self.slope(given), given.x, delta, given.u
        output, backward = activations.bounds(*given_delta)
        return {f"outputs/{given.node.name}": output}, backward

    def output_error(self, given: Given) -> Array:
        node, x, error = given.node, given.x, given.error
        own, _ = activations.bounds(node, given.realisation, self.slope(given), x, np.zeros_like(x), given.u)
        own = allowed(node.function) * own
        if node.function == "softmax":
            return own + activations.softmax_moved(activations.softmax(x)[0], error)
        steepest = np.max([np.abs(self.derivative(given, x + side * error)) for side in (-1, 0, 1)], axis=0)
        return own + steepest * error

    def gradient_errors(self, given: Given, delta: Array, error: Array) -> tuple[ByKind, tuple[Array, Array]]:
        node, x, size = given.node, given.x, np.abs(delta) + error
        _, own = activations.bounds(node, given.realisation, self.slope(given), x, size, given.u)
        own = allowed(f"{node.function} gradient") * own
        if node.function == "softmax":
            p, p_error = activations.softmax(x)[0], self.output_error(given)
            mean = (p * delta).sum(axis=1, keepdims=True)
            mean_error = (p * error + p_error * size).sum(axis=1, keepdims=True)
            passed = (p + p_error) * (error + mean_error) + p_error * np.abs(delta - mean)
            return {}, (p * (delta - mean), own + passed)
        derivative = self.derivative(given, x)
        # One side may be at one end of the pre-activation's error and the other side at the other.
        ends = (np.abs(self.derivative(given, x + side * given.error) - derivative) for side in (-1, 1))
        return {}, (delta * derivative, own + np.abs(derivative) * error + size * np.maximum(*ends))


class LearnedSlope(Pointwise):
    """PReLU. The slope's gradient is the sum of what lies below zero times its delta."""

    def slope(self, given: Given) -> Any:
        return given.weight("slope")

    def gradient_rows(self, node: object) -> dict[str, str]:
        return {"slope": "product"}

    def gradients(self, given: Given, delta: Array) -> tuple[ByKind, Array | None]:
        behind = super().gradients(given, delta)[1]
        return {"slope": activations.slope_sum(given.node, np.minimum(given.x, 0) * delta)}, behind

    def stage_bounds(self, given: Given, delta: Array) -> tuple[dict[str, Array], Array]:
        found, backward = super().stage_bounds(given, delta)
        products = np.minimum(given.x, 0) * delta
        found[f"gradients/{given.node.name}/slope"] = activations.slope_bound(given.node, products, given.u)
        return found, backward

    def gradient_errors(self, given: Given, delta: Array, error: Array) -> tuple[ByKind, tuple[Array, Array]]:
        node, x = given.node, given.x
        below, size = np.minimum(x, 0), np.abs(delta) + error
        moved = np.abs(below) * error + np.where(x - given.error < 0, given.error, 0) * size
        own = activations.slope_bound(node, below * delta, given.u)
        _, behind = super().gradient_errors(given, delta, error)
        return {"slope": own + activations.slope_sum(node, moved)}, behind
