"""Sums of embeddings in NumPy, as products with the tokens' counts, and how far rounding may take them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.sums import terms_bound
from parity.experiment.nodes import Embedding

Array = NDArray[Any]


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
