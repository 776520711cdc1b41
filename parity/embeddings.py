"""Sums of embeddings in NumPy, as products with the tokens' counts, and how far rounding may take them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.nodes import Embedding

Array = NDArray[Any]


def counts(node: Embedding, tokens: Array) -> NDArray[np.float64]:
    """[batch, vocabulary]: how often each of the tokens [batch, length] occurs in each sample."""
    places = tokens + node.vocabulary * np.arange(len(tokens))[:, None]
    found = np.bincount(places.ravel(), minlength=len(tokens) * node.vocabulary)
    return found.reshape(len(tokens), node.vocabulary).astype(np.float64)


def named(node: Embedding, tokens: Array) -> NDArray[np.bool_]:
    """[vocabulary, 1]: which of the table's rows the tokens name, and so have a gradient."""
    return np.isin(np.arange(node.vocabulary), tokens)[:, None]


def gradient_scale(counted: Array, delta: Array) -> Array:
    """[vocabulary, units]: the condition scale of a table's gradient, times the root of its sums' length.

    That is how often a row was named, which depends on the batch.
    """
    return np.sqrt(counted.sum(axis=0))[:, None] * (counted.T @ np.abs(delta))
