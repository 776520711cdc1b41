"""A live Keras model, in the process of the user's own: copied in either precision, and nothing changed for good."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity.errors import UsageError


def ready() -> None:
    """Raise UsageError where Keras runs on another framework than TensorFlow in this process."""
    if keras.backend.backend() != "tensorflow":
        raise UsageError(f"Keras runs on {keras.backend.backend()} here: live models need its TensorFlow backend")


def copied(model: Any) -> Any:
    """The same model with the same weights, new, in the precision that is set; what is given stays as it is."""
    try:
        made = renewed(model)
        made.set_weights(model.get_weights())
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        hint = "give the function that builds it, or its file"
        raise UsageError(f"Keras cannot make another {type(model).__name__} ({reason}): {hint}") from error
    for ours, theirs in zip(made.variables, model.variables, strict=True):
        ours.trainable = theirs.trainable
    return made


def renewed(model: Any) -> Any:
    """The model as its configuration says, with float32 replaced by the precision that is set, and its weights made."""
    classes = {type(layer).__name__: type(layer) for layer in model._flatten_layers()}
    with keras.utils.custom_object_scope({n: c for n, c in classes.items() if not c.__module__.startswith("keras.")}):
        made = type(model).from_config(precise(model.get_config()))
    if not made.built:
        made.build_from_config(model.get_build_config() or {})
    return made


def precise(config: Any) -> Any:
    """A configuration with the precision that is set in place of float32."""
    if isinstance(config, dict):
        return {name: precise(value) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(precise(value) for value in config)
    return keras.config.floatx() if config == "float32" else config


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back what the block sets for the whole process: precision, eager functions, names, generators."""
    from keras.src.backend.common import global_state
    from tensorflow.python.eager import context

    settings = global_state.GLOBAL_STATE_TRACKER, global_state.GLOBAL_SETTINGS_TRACKER
    floatx, eagerly = keras.config.floatx(), tf.config.functions_run_eagerly()
    own = context.context()
    seeds = random.getstate(), np.random.get_state()
    # The second is there only where somebody has set a seed.
    seeded = {name: getattr(own, name) for name in ("_seed", "_rng") if hasattr(own, name)}
    try:
        with tf.device("/CPU:0"):
            yield
    finally:
        global_state.GLOBAL_STATE_TRACKER, global_state.GLOBAL_SETTINGS_TRACKER = settings
        keras.config.set_floatx(floatx)
        tf.config.run_functions_eagerly(eagerly)
        random.setstate(seeds[0])
        np.random.set_state(seeds[1])
        for name in ("_seed", "_rng"):
            if name in seeded:
                setattr(own, name, seeded[name])
            elif hasattr(own, name):
                delattr(own, name)
