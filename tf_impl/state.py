"""Neutral names and layouts of weights and slots, and the framework's own.

A state maps `weights/<node>/kernel` (inputs, units), `weights/<node>/bias` (units,) and what else a node holds,
`slots/<slot>/<node>/...` of the same shapes (a history has a leading axis, its latest entry last),
`statistics/<node>/moving_mean` and `statistics/<node>/moving_variance` (units,), which a batch normalisation keeps
without being trained, and `step`, the number of updates made. Keras's layout is the neutral one. A velocity is a sum of
gradients or steps before the learning rate, as torch keeps it.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from parity.experiment.optimizers import HISTORIES, momentum_product
from tf_impl.lbfgs import LBFGS
from tf_impl.models import nodes
from tf_impl.optimizers import ASGD, Rprop

State = dict[str, np.ndarray]

# Neutral names of what Keras calls otherwise, by kind of layer.
NAMES = {keras.layers.Embedding: {"embeddings": "table"}, keras.layers.PReLU: {"alpha": "slope"}}
# What a node keeps without its being trained.
STATISTICS = ("/moving_mean", "/moving_variance")
# The neutral name of each slot, and the attribute of Keras's optimizer that holds it.
SLOTS = {
    keras.optimizers.SGD: {"velocity": "momentums"},
    keras.optimizers.Adam: {"first_moment": "_momentums", "second_moment": "_velocities"},
    keras.optimizers.Adamax: {"first_moment": "_m", "infinity_norm": "_u"},
    keras.optimizers.Nadam: {"first_moment": "_momentums", "second_moment": "_velocities"},
    keras.optimizers.Adagrad: {"accumulator": "_accumulators"},
    keras.optimizers.Adadelta: {
        "second_moment": "_accumulated_grads", "second_moment_of_steps": "_accumulated_delta_vars",
    },
    keras.optimizers.RMSprop: {
        "second_moment": "_velocities", "first_moment": "_average_gradients", "velocity": "_momentums",
    },
    Rprop: {"step_size": "step_sizes", "previous_gradient": "previous_gradients"},
    ASGD: {"average": "averages"},
    LBFGS: {
        "previous_gradient": "previous_gradients", "previous_step": "previous_steps",
        "gradient_changes": "gradient_changes", "steps": "steps",
    },
}  # fmt: skip


def read(model: keras.Model, optimizer: keras.optimizers.Optimizer, step: int) -> State:
    """The state of a model and its optimizer after `step` updates, as NumPy arrays of the model's dtype."""
    state = {f"weights/{name}": variable.numpy() for name, variable in parameters(model).items()}
    state |= {f"statistics/{name}": variable.numpy() for name, variable in statistics(model).items()}
    for slot, variables in slots(model, optimizer).items():
        factor = rate_inside(optimizer, slot)
        entries = (optimizer.spec.history_size,) if slot in HISTORIES else ()
        for name, weight in parameters(model).items():
            state[f"slots/{slot}/{name}"] = np.zeros((*entries, *weight.shape), weight.dtype)
        state |= {f"slots/{slot}/{name}": scaled(variable, 1 / factor) for name, variable in variables.items()}
    return state | {"step": np.array(step, np.int64)}


def write(model: keras.Model, optimizer: keras.optimizers.Optimizer, state: Mapping[str, np.ndarray]) -> None:
    """Give a model and its optimizer a state."""
    step = int(state["step"])
    for name, variable in parameters(model).items():
        variable.assign(state[f"weights/{name}"])
    for name, variable in statistics(model).items():
        variable.assign(state[f"statistics/{name}"])
    optimizer.iterations.assign(step)
    for slot, variables in slots(model, optimizer).items():
        factor = rate_inside(optimizer, slot)
        for name, variable in variables.items():
            variable.assign(scaled(state[f"slots/{slot}/{name}"], factor))
    if isinstance(optimizer, keras.optimizers.Nadam):
        # The product of all shares so far, which follows from the step.
        decay = getattr(optimizer, "momentum_decay", 1.0)
        optimizer._u_product.assign(momentum_product(float(optimizer.beta_1), decay, step))


def rate_inside(optimizer: keras.optimizers.Optimizer, slot: str) -> float:
    """The factor by which Keras's slot differs from the neutral one: it keeps the learning rate inside a velocity."""
    if slot != "velocity":
        return 1.0
    rate = float(optimizer.learning_rate)
    return -rate if isinstance(optimizer, keras.optimizers.SGD) else rate


def scaled(values: np.ndarray | keras.Variable, factor: float) -> np.ndarray:
    """The values times the factor, computed in float64."""
    array = np.asarray(values)
    return array if factor == 1 else np.asarray(array.astype(np.float64) * factor, array.dtype)


def parameters(model: keras.Model) -> dict[str, keras.Variable]:
    """The model's weights by neutral name, in order."""
    return {key: weight for name, node in nodes(model) for key, weight in parameters_of(name, node).items()}


def parameters_of(name: str, node: keras.layers.Layer) -> dict[str, keras.Variable]:
    """The weights of the node called `name` by neutral name, in order."""
    found = {f"{name}/{weight_name(node, variable.name)}": variable for variable in node.variables}
    return {key: variable for key, variable in found.items() if not key.endswith(STATISTICS)}


def statistics(model: keras.Model) -> dict[str, keras.Variable]:
    """The running statistics by neutral name, in order."""
    found = {f"{name}/{weight_name(node, v.name)}": v for name, node in nodes(model) for v in node.variables}
    return {key: variable for key, variable in found.items() if key.endswith(STATISTICS)}


def weight_name(node: keras.layers.Layer, own_name: str) -> str:
    """The neutral name of what the framework calls `own_name` in a node."""
    return next((NAMES[kind][own_name] for kind in NAMES if isinstance(node, kind)), own_name)


def trained(model: keras.Model) -> dict[str, keras.Variable]:
    """The weights that are trained by neutral name, in order."""
    return {name: variable for name, variable in parameters(model).items() if variable.trainable}


def to_array(name: str, value: tf.Tensor) -> np.ndarray:
    """A stage's result `name`, in the neutral layout."""
    return value.numpy()


def to_tensor(name: str, value: np.ndarray, device: str) -> tf.Tensor:
    """The recorded tensor `name`, in the framework's own layout on `device`."""
    with tf.device(device):
        return tf.constant(value)


def slots(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> dict[str, dict[str, keras.Variable]]:
    """The optimizer's slots by name, each a tensor for every weight that is trained."""
    found = {slot: getattr(optimizer, attribute) for slot, attribute in slot_keys(optimizer).items()}
    return {slot: dict(zip(trained(model), variables, strict=True)) for slot, variables in found.items() if variables}


def slot_keys(optimizer: keras.optimizers.Optimizer) -> dict[str, str]:
    """The neutral name of each slot the optimizer may keep, and the attribute of Keras's optimizer that holds it."""
    return next(keys for kind, keys in SLOTS.items() if isinstance(optimizer, kind))
