"""A dense layer: products and sums."""

import numpy as np

from parity.bounds.nodes.kind import Array, ByKind, Given, Kind
from parity.bounds.precision import Sum
from parity.bounds.sums import dot_bound, sum_bound


class DenseLayer(Kind):
    """x kernel + bias."""

    def forward_row(self, node: object) -> str:
        return "product"

    def backward_row(self, node: object) -> str:
        return "product"

    def gradient_rows(self, node: object) -> dict[str, str]:
        return {"kernel": "product", "bias": "sum"}

    def value(self, given: Given) -> Array:
        return given.x @ given.weight("kernel") + given.weight("bias")

    def gradients(self, given: Given, delta: Array) -> tuple[ByKind, Array | None]:
        return {"kernel": given.x.T @ delta, "bias": delta.sum(axis=0)}, delta @ given.weight("kernel").T

    def stage_bounds(self, given: Given, delta: Array) -> tuple[dict[str, Array], Array]:
        name, x, u, kernel = given.node.name, given.x, given.u, given.weight("kernel")
        found = {
            f"outputs/{name}": dot_bound(x, kernel, u, given.weight("bias")),
            f"gradients/{name}/kernel": dot_bound(x.T, delta, u),
            f"gradients/{name}/bias": sum_bound(delta, u),
        }
        return found, delta if given.first else dot_bound(delta, kernel.T, u)

    def sums(self, given: Given, delta: Array) -> tuple[dict[str, Sum], Sum | None]:
        name, x, kernel = given.node.name, given.x, given.weight("kernel")
        found = {
            f"outputs/{name}": Sum(x, kernel, given.weight("bias")),
            f"gradients/{name}/kernel": Sum(x.T, delta),
            f"gradients/{name}/bias": Sum(delta),
        }
        return found, None if given.first else Sum(delta, kernel.T)

    def output_error(self, given: Given) -> Array:
        kernel, u = given.weight("kernel"), given.u
        passed = (1 + (given.node.inputs + 1) * u) * (given.error @ np.abs(kernel))
        return dot_bound(given.x, kernel, u, given.weight("bias")) + passed

    def gradient_errors(self, given: Given, delta: Array, error: Array) -> tuple[ByKind, tuple[Array, Array]]:
        x, u, kernel, size = given.x, given.u, given.weight("kernel"), np.abs(delta) + error
        passed = np.abs(x).T @ error + (0.0 if given.first else given.error.T @ size)
        found = {
            "kernel": dot_bound(x.T, delta, u) + (1 + len(x) * u) * passed,
            "bias": sum_bound(delta, u) + error.sum(axis=0),
        }
        if given.first:
            return found, (delta, error)
        behind = dot_bound(delta, kernel.T, u) + (1 + given.node.units * u) * (error @ np.abs(kernel).T)
        return found, (delta @ kernel.T, behind)
