"""Neutral names and layouts of weights and slots, and the framework's own.

A state maps `weights/<node>/kernel` (inputs, units), `weights/<node>/bias` (units,), `slots/<slot>/<node>/...` of the
same shapes, and `step`, the number of updates made. Keras's layout is the neutral one.
"""

from collections.abc import Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

State = dict[str, np.ndarray]


def read(model: keras.Model, optimizer: keras.optimizers.Optimizer, step: int) -> State:
    """The state of a model and its optimizer after `step` updates, as NumPy arrays of the model's dtype."""
    state = {f"weights/{name}": variable.numpy() for name, variable in parameters(model).items()}
    for slot, variables in slots(model, optimizer).items():
        state |= {f"slots/{slot}/{name}": np.zeros_like(state[f"weights/{name}"]) for name in parameters(model)}
        state |= {f"slots/{slot}/{name}": variable.numpy() for name, variable in variables.items()}
    return state | {"step": np.array(step, np.int64)}


def write(model: keras.Model, optimizer: keras.optimizers.Optimizer, state: Mapping[str, np.ndarray]) -> None:
    """Give a model and its optimizer a state; one of weights alone starts with zero slots at step 0."""
    for name, variable in parameters(model).items():
        variable.assign(state[f"weights/{name}"])
    if "step" not in state:
        return
    optimizer.iterations.assign(int(state["step"]))
    for slot, variables in slots(model, optimizer).items():
        for name, variable in variables.items():
            variable.assign(state[f"slots/{slot}/{name}"])


def gradients(model: keras.Model, values: Iterable[tf.Tensor | None]) -> State:
    """Gradients in the order of the model's weights, by neutral name and layout; a weight without one is left out."""
    named = zip(trained(model), values, strict=True)
    return {name: value.numpy() for name, value in named if value is not None}


def parameters(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by neutral name, in order."""
    return {f"{node.name}/{variable.name}": variable for node in model.layers for variable in node.variables}


def trained(model: keras.Model) -> list[str]:
    """The names of the weights that are trained, in order."""
    return [name for name, variable in parameters(model).items() if variable.trainable]


def slots(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, dict[str, keras.Variable]]:
    """The optimizer's slots by name, each a tensor for every weight that is trained."""
    return {
        slot: dict(zip(trained(model), getattr(optimizer, attribute), strict=True))
        for slot, attribute in slot_keys(optimizer).items()
    }


def slot_keys(optimizer: keras.optimizers.Optimizer) -> dict[str, str]:
    """The neutral name of each slot the optimizer keeps, and the attribute of Keras's optimizer that holds it."""
    adam = {"first_moment": "_momentums", "second_moment": "_velocities"}
    return adam if isinstance(optimizer, keras.optimizers.Adam) else {}
