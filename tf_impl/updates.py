"""What the user's optimizer is, and what it does to each weight at each step: its settings, gradients and rates."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from sys import _getframe
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity.models.places import place
from tf_impl.describe import variables


@dataclass
class Taken:
    """One step, by weight: the gradient as the optimizer got it, the squares of its parts where it is added up from
    several, the learning rate.
    """

    gradients: dict[str, np.ndarray] = field(default_factory=dict)
    squares: dict[str, np.ndarray] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)


def made(make: Callable[[], Any]) -> tuple[Any, str | None]:
    """What `make` gives, an optimizer, and the line of the user's code that made it."""
    found: list[str | None] = []
    original = keras.optimizers.Optimizer.__init__

    def created(optimizer: Any, *args: Any, **kwargs: Any) -> None:
        found.append(place(_getframe(1)))
        original(optimizer, *args, **kwargs)

    keras.optimizers.Optimizer.__init__ = created
    try:
        return make(), next(iter(found), None)
    finally:
        keras.optimizers.Optimizer.__init__ = original


def settings(updater: Any, model: Any) -> dict[str, dict[str, Any]]:
    """The optimizer's class and numbers, for each weight that it was given."""
    if not isinstance(updater, keras.optimizers.Optimizer):
        return {}
    stock = type(updater).__module__.startswith("keras.")
    kind = type(updater).__name__ if stock else f"{type(updater).__module__}.{type(updater).__name__}"
    numbers = {
        n: v for n, v in updater.get_config().items() if isinstance(v, bool | int | float | None) and n != "name"
    }
    found = {}
    for name, variable in variables(model).items():
        if any(variable is trained for trained in model.trainable_variables):
            decayed = updater._use_weight_decay(variable)
            found[name] = {"kind": kind, **numbers, "weight_decay": numbers.get("weight_decay") if decayed else None}
    return found


def visit(model: Any, values: Mapping[str, np.ndarray]) -> None:
    """Set weights in the midst of training."""
    known = variables(model)
    for name, value in values.items():
        known[name].assign(value)


@contextmanager
def taking(updater: Any, model: Any) -> Iterator[list[Taken]]:
    """Write down each step that the optimizer takes in the block."""
    found: list[Taken] = []
    names = {id(v): name for name, v in variables(model).items()}
    if not isinstance(updater, keras.optimizers.Optimizer):
        yield found
        return
    original = updater.apply

    def apply(grads: Any, trainable_variables: Any = None) -> Any:
        taken, rate = Taken(), float(updater.learning_rate)
        grads = list(grads)
        weights = updater._trainable_variables if trainable_variables is None else list(trainable_variables)
        for gradient, weight in zip(grads, weights, strict=True):
            name = names.get(id(weight))
            if name is not None and gradient is not None:
                taken.gradients[name] = np.array(tf.convert_to_tensor(gradient))
                taken.rates[name] = rate
                if isinstance(gradient, tf.IndexedSlices):
                    squares = tf.IndexedSlices(tf.square(gradient.values), gradient.indices, gradient.dense_shape)
                    taken.squares[name] = np.array(tf.convert_to_tensor(squares))
        found.append(taken)
        return original(grads, trainable_variables)

    updater.apply = apply
    try:
        yield found
    finally:
        updater.apply = original


@contextmanager
def clipping() -> Iterator[list[dict[str, Any]]]:
    """Write down each call in the block that clips gradients: none in Keras, whose optimizers clip by themselves."""
    yield []
