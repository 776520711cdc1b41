"""The user's loss as it is, and changed: what would make it the other side's."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from sys import _getframe
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity.models.places import place
from parity.models.trees import leaves, mapped
from tf_impl import own
from tf_impl.describe import variables

# What may be done to results before they reach a loss.
TRANSFORMS: Mapping[str, Callable[[Any], Any]] = {
    "log": tf.math.log,
    "softmax": tf.nn.softmax,
    "log_softmax": tf.nn.log_softmax,
    "sigmoid": tf.sigmoid,
    "logit": lambda p: tf.math.log(p) - tf.math.log1p(-p),
    "exp": tf.exp,
}


def evaluated(
    model: Any, function: Callable[..., Any], y: Any, outputs: Any, variant: Mapping[str, Any]
) -> tuple[np.ndarray, dict[str, np.ndarray], list[dict[str, Any]]]:
    """The user's loss of given results, its gradients by them, and the calls of stock losses in it.

    `variant` changes it: "outputs" is a transform of the results, "call" the settings of a stock loss, "scale" a
    factor. What the layers themselves add to it is left out.
    """
    seen: list[dict[str, Any]] = []
    given = mapped(tf.identity, outputs)
    with tf.GradientTape() as tape, watched(seen, {}):
        for tensor in leaves(given).values():
            tape.watch(tensor)
        value = wrapped(function, variant)(y, given)
    named = own.outputs(given, None)
    found = tape.gradient(value, list(named.values()))
    by = {n: np.array(tf.convert_to_tensor(g)) for n, g in zip(named, found, strict=True) if g is not None}
    return np.array(value), by, seen


def wrapped(function: Callable[..., Any], variant: Mapping[str, Any]) -> Callable[..., Any]:
    """The user's loss with a change."""

    @wraps(function)
    def loss(y: Any, outputs: Any) -> Any:
        outputs = mapped(TRANSFORMS[variant["outputs"]], outputs) if "outputs" in variant else outputs
        with watched([], variant.get("call", {})):
            return function(y, outputs) * variant.get("scale", 1.0)

    return loss


def penalty(model: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What the model itself adds to a loss, its regularisers, and the gradients of that by the weights."""
    weights = {name: v for name, v in variables(model).items() if v.trainable}
    with tf.GradientTape() as tape:
        value = sum(model.losses, tf.constant(0.0, keras.config.floatx()))
    found = tape.gradient(value, [v.value for v in weights.values()])
    return np.array(value), {
        n: np.array(tf.convert_to_tensor(g)) for n, g in zip(weights, found, strict=True) if g is not None
    }


@contextmanager
def watched(seen: list[dict[str, Any]], change: Mapping[str, Any]) -> Iterator[None]:
    """Write down the calls of stock losses in the block, and change them."""
    original = keras.losses.Loss.__call__

    def call(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        kept = dict(getattr(loss, "_fn_kwargs", {})), loss.reduction
        settings = {n: v for n, v in kept[0].items() if isinstance(v, bool | int | float | str)}
        at = {"name": type(loss).__name__, "place": place(_getframe(1)), "weighted": sample_weight is not None}
        shapes = [[int(n) for n in np.shape(v)] for v in (y_pred, y_true)]
        seen.append({**at, "shapes": shapes, "settings": {**settings, "reduction": str(kept[1])}})
        if hasattr(loss, "_fn_kwargs"):
            loss._fn_kwargs |= {name: value for name, value in change.items() if name in kept[0]}
        loss.reduction = change.get("reduction", kept[1])
        try:
            return original(loss, y_true, y_pred, sample_weight)
        finally:
            if hasattr(loss, "_fn_kwargs"):
                loss._fn_kwargs = kept[0]
            loss.reduction = kept[1]

    keras.losses.Loss.__call__ = call
    try:
        yield
    finally:
        keras.losses.Loss.__call__ = original
