"""The user's own inference: what it gives in eval mode, and what draws numbers in it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from sys import _getframe
from typing import Any
from unittest import mock

import keras
import tensorflow as tf

from parity.models.places import place

# The layers that draw numbers in train mode.
RANDOM = (keras.layers.Dropout, keras.layers.SpatialDropout1D, keras.layers.SpatialDropout2D, keras.layers.AlphaDropout)


@contextmanager
def still(tell: Callable[[str], None]) -> Iterator[None]:
    """Functions that drop numbers give what they are given; `tell` takes what each would have done, in words."""

    def dropout(x: Any, rate: float, *args: Any, **kwargs: Any) -> Any:
        if rate:
            tell(f"dropout {rate:g} ({place(_getframe(1))})")
        return x

    with mock.patch.object(keras.random, "dropout", dropout), mock.patch.object(tf.nn, "dropout", dropout):
        yield


def settled(model: Any, function: Callable[..., Any], x: Any) -> Any:
    """What the user's predict() gives where no layer is told that it is training."""
    original = keras.layers.Layer.__call__

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        return original(layer, *args, **{**kwargs, **({"training": False} if kwargs.get("training") else {})})

    with mock.patch.object(keras.layers.Layer, "__call__", call):
        return function(model, x)


def dropping(model: Any, function: Callable[..., Any], x: Any) -> list[str]:
    """The layers that draw numbers in train mode, and are in it while the user's predict() runs."""
    found: list[str] = []

    def noting(original: Any) -> Any:
        def call(layer: Any, inputs: Any, training: bool = False) -> Any:
            if training:
                found.append(layer.name)
            return original(layer, inputs, training=training)

        return call

    with ExitStack() as stack:
        for kind in {next(c for c in layer.__mro__ if "call" in vars(c)) for layer in RANDOM}:
            stack.enter_context(mock.patch.object(kind, "call", noting(kind.call)))
        stack.enter_context(still(found.append))
        function(model, x)
    return found
