"""Neutral names and layouts of weights and slots, and the framework's own.

A state maps `weights/<node>/kernel` (inputs, units), `weights/<node>/bias` (units,) and what else a node holds,
`slots/<slot>/<node>/...` of the same shapes, and `step`, the number of updates made. Keras's layout is the neutral one.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from tf_impl.models import nodes

State = dict[str, np.ndarray]

# Neutral names of what Keras calls otherwise, by kind of layer.
NAMES = {keras.layers.PReLU: {"alpha": "slope"}}


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


def parameters(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by neutral name, in order."""
    return {key: weight for name, node in nodes(model) for key, weight in parameters_of(name, node).items()}


def parameters_of(name: str, node: keras.layers.Layer) -> dict[str, keras.Variable]:
    """The weights of the node called `name` by neutral name, in order."""
    return {f"{name}/{weight_name(node, variable.name)}": variable for variable in node.variables}


def weight_name(node: keras.layers.Layer, own_name: str) -> str:
    """The neutral name of what the framework calls `own_name` in a node."""
    return next((NAMES[kind][own_name] for kind in NAMES if isinstance(node, kind)), own_name)


def trained(model: keras.Model) -> dict[str, keras.Variable]:
    """The weights that are trained by neutral name, in order."""
    return {name: variable for name, variable in parameters(model).items() if variable.trainable}


def to_array(name: str, value: tf.Tensor) -> np.ndarray:
    """What a stage gave as `name`, in the neutral layout."""
    return value.numpy()


def to_tensor(name: str, value: np.ndarray, device: str) -> tf.Tensor:
    """What is recorded as `name`, in the framework's own layout on `device`."""
    with tf.device(device):
        return tf.constant(value)


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
