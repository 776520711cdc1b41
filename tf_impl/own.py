"""A user's own Keras model: built in either precision, its weights read and written, trained by their optimizer."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from sys import _getframe
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from parity.errors import UsageError
from parity.models.places import own, place
from parity.models.trees import leaves, mapped
from tf_impl import capture
from tf_impl.describe import is_leaf, members, variables

# What makes a layer's result random, and the value at which it does not.
RANDOM = {"rate": 0.0, "dropout": 0.0, "recurrent_dropout": 0.0, "stddev": 0.0, "_dropout": 0.0}
SEED = 0


def build(make: Callable[[], Any]) -> tuple[Any, dict[int, str | None]]:
    """The user's model, and where in their code each of its layers was made."""
    sources: dict[int, str | None] = {}
    original = keras.Operation.__init__

    def created(operation: Any, *args: Any, **kwargs: Any) -> None:
        sources[id(operation)] = place(_getframe(1))
        original(operation, *args, **kwargs)

    tf.config.run_functions_eagerly(True)
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(SEED)
    keras.Operation.__init__ = created
    try:
        model = make()
    finally:
        keras.Operation.__init__ = original
    if not isinstance(model, keras.layers.Layer):
        kind = f"{type(model).__module__}.{type(model).__name__}"
        hint = "; Keras 2's models cannot be captured: build it with keras 3" if "tf_keras" in kind else ""
        raise UsageError(f"build() gave {kind}, not a Keras model{hint}")
    return model, sources


def complete(model: Any, x: Any) -> None:
    """Let a model that makes its weights at its first call make them."""
    if not model.built:
        model(x, training=False)


def read(model: Any, trained: bool = True) -> Iterator[tuple[str, np.ndarray]]:
    """All weights by name, one after the other; or those alone that no gradient trains."""
    for name, variable in variables(model).items():
        if trained or not variable.trainable:
            yield name, np.array(variable.value)


def write(model: Any, values: Mapping[str, np.ndarray]) -> None:
    """Set the weights that are given by name."""
    known = variables(model)
    for name, value in values.items():
        known[name].assign(value)


def save(model: Any, file: Path, said: str) -> None:
    """Write the weights as `model.load_weights` takes them; what is `said` of them is the attribute `parity`."""
    model.save_weights(file)
    with h5py.File(file, "a") as written:
        written.attrs["parity"] = said


def freeze(model: Any, names: list[str]) -> None:
    """Let no optimizer move these weights."""
    for name in names:
        variables(model)[name].trainable = False


def without_randomness(model: Any) -> list[str]:
    """Make everything that draws numbers do nothing; what was changed, in words."""
    found = []
    for path, layer in members(model):
        if not is_leaf(layer):
            continue
        changed = {n: getattr(layer, n, None) for n in RANDOM if isinstance(getattr(layer, n, None), float | int)}
        changed = {name: value for name, value in changed.items() if value}
        inner = [layer, *getattr(layer, "_layers", [])]
        for name in changed:
            for part in inner:
                if hasattr(part, name):
                    setattr(part, name, RANDOM[name])
        found += [f"{path} ({type(layer).__name__} {name.strip('_')} {value:g})" for name, value in changed.items()]
    return found


def given(x: Any, convert: Callable[[Any], Any] | None) -> Any:
    """The arrays of an input as what the model is called with."""
    return mapped(lambda array: tf.convert_to_tensor(array), x) if convert is None else convert(x)


def outputs(tree: Any, convert: Callable[[Any], Any] | None) -> dict[str, Any]:
    """The model's results by name."""
    tree = tree if convert is None else convert(tree)
    return {name: value for name, value in leaves(tree).items() if tf.is_tensor(value)}


def cost(model: Any, function: Callable[..., Any], y: Any, results: Any) -> Any:
    """The user's loss, with what the layers themselves add."""
    return function(y, results) + sum(model.losses, 0.0)


def loss(done: capture.Pass, function: Callable[..., Any], y: Any) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    """The user's loss of a pass: the tensor, its value, and its gradients by the model's results."""
    results = outputs(done.outputs, None)
    with done.tape:
        tensor = cost(done.model, function, y, done.outputs)
    if any(hasattr(result, "_keras_logits") for result in results.values()):
        # Keras's cross-entropies go round a sigmoid, to what it was made of: a gradient by it lacks their part.
        return tensor, np.array(tensor), {}
    found = done.tape.gradient(tensor, list(results.values()))
    by = {n: np.array(tf.convert_to_tensor(g)) for n, g in zip(results, found, strict=True) if g is not None}
    return tensor, np.array(tensor), by


def optimizer(make: Callable[..., Any], model: Any) -> Any:
    """The user's optimizer, new."""
    return make()


def step(model: Any, updater: Any, function: Callable[..., Any], x: Any, y: Any) -> np.ndarray:
    """Train on one batch, as the user's loss and optimizer say; the loss."""
    with tf.GradientTape() as tape:
        value = cost(model, function, y, model(x, training=True))
    trained = model.trainable_variables
    updater.apply(tape.gradient(value, [v.value for v in trained]), trained)
    return np.array(value)


def own_step(model: Any, updater: Any, function: Callable[..., Any], x: Any, y: Any) -> np.ndarray:
    """Train on one batch, as the user's own step does; the loss."""
    return np.array(function(model, updater, x, y))


def predict(model: Any, function: Callable[..., Any] | None, x: Any) -> Any:
    """What the user calls for inference gives."""
    return model(x, training=False) if function is None else function(model, x)


def slots(updater: Any, model: Any) -> dict[str, dict[str, np.ndarray]]:
    """What the optimizer keeps of each weight: by the slot's name, then the weight's."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for (slot, name), variable in slot_variables(updater, model).items():
        found.setdefault(slot, {})[name] = np.array(variable.value)
    return found


def slot_variables(updater: Any, model: Any) -> dict[tuple[str, str], Any]:
    """The optimizer's variables that belong to a weight, by the slot's name and the weight's."""
    found: dict[tuple[str, str], Any] = {}
    known = {v.path.replace("/", "_"): name for name, v in variables(model).items()}
    for variable in updater.variables:
        parts = [path for path in known if variable.name.startswith(f"{path}_")]
        if parts:
            path = max(parts, key=len)
            found[variable.name[len(path) + 1 :], known[path]] = variable
    return found


def pooled(function: Callable[..., Any], x: Any, ksize: Any, strides: Any, padding: Any, *args: Any) -> Any:
    """A pooling, of which TensorFlow has no kernel over three axes in float64: there over two, then over the first."""
    if x.dtype != tf.float64 or x.shape.rank != 5 or "NDHWC" not in args:
        return function(x, ksize, strides, padding, *args)
    (depth, *size), (step, *steps) = (([n] * 3 if isinstance(n, int) else list(n)) for n in (ksize, strides))
    d, h, w, c = x.shape[1:]
    plane = function(tf.reshape(x, (-1, h, w, c)), size, steps, padding)
    h, w = plane.shape[1:3]
    line = function(tf.reshape(plane, (-1, d, h * w, c)), [depth, 1], [step, 1], padding)
    return tf.reshape(line, (-1, line.shape[1], h, w, c))


@contextmanager
def exact_constants(exact: bool = True) -> Iterator[list[float]]:
    """Let the framework's own code take Python's numbers as they are: TensorFlow rounds them through float32.

    It does so in conversions, and in the slope of its leaky ReLU. What the user's own code converts stays what it is.
    The constants that would have been rounded are put into the list. If not `exact`, only what float64 cannot do
    without is made up for, on either way.
    """
    pools = tf.nn.max_pool, tf.nn.avg_pool
    tf.nn.max_pool, tf.nn.avg_pool = (partial(pooled, pool) for pool in pools)
    try:
        with unrounded() if exact else nullcontext([]) as rounded:
            yield rounded
    finally:
        tf.nn.max_pool, tf.nn.avg_pool = pools


@contextmanager
def unrounded() -> Iterator[list[float]]:
    """The part of exact_constants that is about constants."""
    rounded: list[float] = []
    from tensorflow.python.ops import math_ops

    originals = math_ops.cast, tf.convert_to_tensor, tf.nn.leaky_relu

    def exact(x: float) -> Any:
        if float(np.float32(x)) != x:
            rounded.append(x)
        return tf.constant(x, tf.float64)

    def foreign(x: Any) -> bool:
        return isinstance(x, float) and not own(_getframe(2).f_code.co_filename)

    def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        if foreign(x) and tf.as_dtype(dtype) == tf.float64:
            return exact(x)
        return originals[0](x, dtype, name)

    def convert_to_tensor(value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if dtype is None and foreign(value) and keras.config.floatx() == "float64":
            return exact(value)
        return originals[1](value, dtype, *args, **kwargs)

    def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Any:
        if features.dtype != tf.float64:
            return originals[2](features, alpha, name)
        return tf.where(features > 0, features, exact(alpha) * features)

    math_ops.cast = tf.cast = cast
    tf.convert_to_tensor, tf.nn.leaky_relu = convert_to_tensor, leaky_relu
    try:
        yield rounded
    finally:
        math_ops.cast = tf.cast = originals[0]
        tf.convert_to_tensor, tf.nn.leaky_relu = originals[1:]
