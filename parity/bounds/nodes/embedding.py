"""A sum of embeddings, as a product with the tokens' counts."""

import numpy as np
from numpy.typing import NDArray

from parity.bounds.nodes.kind import Array, ByKind, Given, Kind
from parity.bounds.sums import terms_bound
from parity.experiment.nodes import Embedding


class EmbeddingSum(Kind):
    """The sum of a table's rows that x [batch, length] names."""

    def forward_row(self, node: object) -> str:
        return "embedding"

    def gradient_rows(self, node: object) -> dict[str, str]:
        return {"table": "embedding gradient"}

    def value(self, given: Given) -> Array:
        return counts(given.node, given.x) @ given.weight("table")

    def gradients(self, given: Given, delta: Array) -> tuple[ByKind, Array | None]:
        return {"table": counts(given.node, given.x).T @ delta}, None

    def stage_bounds(self, given: Given, delta: Array) -> tuple[dict[str, Array], Array]:
        name, counted = given.node.name, counts(given.node, given.x)
        found = {
            f"outputs/{name}": output_bound(counted, given.weight("table"), given.u),
            f"gradients/{name}/table": gradient_bound(counted, delta, given.u),
        }
        return found, delta

    def output_error(self, given: Given) -> Array:
        return output_bound(counts(given.node, given.x), given.weight("table"), given.u)

    def gradient_errors(self, given: Given, delta: Array, error: Array) -> tuple[ByKind, tuple[Array, Array]]:
        counted = counts(given.node, given.x)
        return {"table": gradient_bound(counted, delta, given.u) + counted.T @ error}, (delta, error)


def counts(node: Embedding, tokens: Array) -> NDArray[np.float64]:
    """[batch, vocabulary]: how often each of the tokens [batch, length] occurs in each sample."""
    places = tokens + node.vocabulary * np.arange(len(tokens))[:, None]
    found = np.bincount(places.ravel(), minlength=len(tokens) * node.vocabulary)
    return found.reshape(len(tokens), node.vocabulary).astype(np.float64)


def named(node: Embedding, tokens: Array) -> NDArray[np.bool_]:
    """[vocabulary, 1]: which of the table's rows the tokens name, and so have a gradient."""
    return np.isin(np.arange(node.vocabulary), tokens)[:, None]


def output_bound(counted: Array, table: Array, u: float) -> Array:
    """[batch, units]: how far the sums of the rows of a table [vocabulary, units] may be off (see sums.py)."""
    return terms_bound(counted.sum(axis=1)[:, None], counted @ np.abs(table), u)


def gradient_bound(counted: Array, delta: Array, u: float) -> Array:
    """[vocabulary, units]: the same of a table's gradient, a sum over as many deltas as a row was named."""
    return terms_bound(counted.sum(axis=0)[:, None], counted.T @ np.abs(delta), u)
