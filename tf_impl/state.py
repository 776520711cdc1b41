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
        state |= {f"slots/{slot}/{name}": v.numpy() for name, v in zip(parameters(model), variables, strict=True)}
    return state | {"step": np.array(step, np.int64)}


def write(model: keras.Model, optimizer: keras.optimizers.Optimizer, state: Mapping[str, np.ndarray]) -> None:
    """Give a model and its optimizer a state; one of weights alone starts with zero slots at step 0."""
    names = parameters(model)
    for name, variable in names.items():
        variable.assign(state[f"weights/{name}"])
    if "step" not in state:
        return
    optimizer.iterations.assign(int(state["step"]))
    for slot, variables in slots(model, optimizer).items():
        for name, variable in zip(names, variables, strict=True):
            variable.assign(state[f"slots/{slot}/{name}"])


def gradients(model: keras.Model, values: Iterable[tf.Tensor | None]) -> State:
    """Gradients in the order of the model's weights, by neutral name and layout; a weight without one is left out."""
    named = zip(parameters(model), values, strict=True)
    return {name: value.numpy() for name, value in named if value is not None}


def parameters(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by neutral name, in order."""
    return {f"{node.name}/{v.name}": v for node in model.layers for v in node.trainable_variables}


def slots(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, list[keras.Variable]]:
    """The optimizer's slots, each a list in the order of the weights; before the first step they are zero."""
    order = [optimizer._get_variable_index(variable) for variable in parameters(model).values()]
    return {
        slot: [getattr(optimizer, attribute)[index] for index in order]
        for slot, attribute in slot_keys(optimizer).items()
    }


def slot_keys(optimizer: keras.optimizers.Optimizer) -> dict[str, str]:
    """The neutral name of each slot the optimizer keeps, and the attribute of Keras's optimizer that holds it."""
    adam = {"first_moment": "_momentums", "second_moment": "_velocities"}
    return adam if isinstance(optimizer, keras.optimizers.Adam) else {}
