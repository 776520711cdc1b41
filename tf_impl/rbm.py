"""Pre-training: each hidden layer as a restricted Boltzmann machine, by contrastive divergence (CD-1).

One step on the Bernoulli units of a layer with kernel W, bias b and visible bias a, from visible units v0
[batch, inputs] and uniforms u [batch, units] in [0, 1):

    p0 = sigmoid(v0 W + b)        h0 = (u < p0)
    v1 = sigmoid(h0 W^T + a)      p1 = sigmoid(v1 W + b)
    W += rate (v0^T p0 - v1^T p1) / batch      b += rate mean(p0 - p1)      a += rate mean(v0 - v1)

(Hinton, Neural Computation 14(8), 2002; where samples are taken and where probabilities: Hinton, A Practical Guide to
Training Restricted Boltzmann Machines, 2010, section 3.) The layers are trained in order, each on the hidden
probabilities of those below (Hinton, Osindero and Teh, Neural Computation 18(7), 2006). The visible biases exist in
pre-training only, and start at 0.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from parity.experiment.randomness import checksum_weights
from parity.experiment.spec import Identity, Realisation
from tf_impl import state as states
from tf_impl.data import OnDevice, batch, checksum
from tf_impl.models import nodes
from tf_impl.train import Build

Arrays = Mapping[str, np.ndarray]
Tensors = dict[str, tf.Tensor]
# (first, last, uniforms [steps, batch, units] float32) -> trace
Chunk = Callable[[int, int, np.ndarray], dict[str, np.ndarray]]
# (state, inputs [batch, features], uniforms [batch, units] float32, recorded) -> what the stages gave
Replay = Callable[[Arrays, np.ndarray, np.ndarray, Arrays | None], dict[str, np.ndarray]]


class Machine(NamedTuple):
    """A hidden layer of `model` as an RBM: its nodes, those `below` it, and its visible bias [inputs]."""

    model: keras.Sequential
    below: list[tuple[str, keras.layers.Layer]]
    name: str
    dense: keras.layers.Dense
    sigmoid: keras.layers.Layer
    visible_bias: keras.Variable


def build(function: Build, identity: Identity, realisation: Realisation, device: str) -> list[Machine]:
    """The hidden layers of the identity's model, made by `function`, in order."""
    with tf.device(device):
        model = function(identity, realisation)
        listed, machines = nodes(model), []
        for i, node in enumerate(identity.dense[:-1]):
            (name, dense), (_, sigmoid) = listed[2 * i : 2 * i + 2]
            visible_bias = keras.Variable("zeros", shape=(node.inputs,))
            machines.append(Machine(model, listed[: 2 * i], name, dense, sigmoid, visible_bias))
        return machines


# There is nothing in here for AutoGraph to translate, which takes its time.
@tf.autograph.experimental.do_not_convert
def stages(machine: Machine, inputs: tf.Tensor, uniforms: tf.Tensor, recorded: Tensors | None) -> Tensors:
    """The results of one step's stages before the update, by name; each is fed what is `recorded`, where that is given.

    `outputs/<node>` of the nodes below; `positive/hidden_inputs`, `positive/hidden` (p0), `positive/samples` (h0);
    `negative/visible_inputs`, `negative/visible` (v1), `cost` (the mean squared error of v1), `negative/hidden_inputs`
    and `negative/hidden` (p1); `gradients/<layer>/kernel`, `.../bias` and `.../visible_bias`.
    """
    found: Tensors = {}

    def kept(name: str, value: tf.Tensor) -> tf.Tensor:
        """Keep what a stage gave, and return what the next one is fed."""
        found[name] = value
        return value if recorded is None else recorded[name]

    name, dense, sigmoid = machine.name, machine.dense, machine.sigmoid
    v0 = tf.cast(inputs, dense.compute_dtype)
    for below, node in machine.below:
        v0 = kept(f"outputs/{below}", node(v0))
    p0 = kept("positive/hidden", sigmoid(kept("positive/hidden_inputs", dense(v0))))
    h0 = kept("positive/samples", tf.cast(tf.cast(uniforms, p0.dtype) < p0, p0.dtype))
    upwards = tf.matmul(h0, dense.kernel, transpose_b=True) + machine.visible_bias
    v1 = kept("negative/visible", tf.sigmoid(kept("negative/visible_inputs", upwards)))
    kept("cost", keras.losses.MeanSquaredError()(v0, v1))
    p1 = kept("negative/hidden", sigmoid(kept("negative/hidden_inputs", dense(v1))))
    n = tf.cast(tf.shape(v0)[0], v0.dtype)
    kept(f"gradients/{name}/kernel", (tf.matmul(v0, p0, transpose_a=True) - tf.matmul(v1, p1, transpose_a=True)) / n)
    kept(f"gradients/{name}/bias", tf.reduce_mean(p0 - p1, axis=0))
    kept(f"gradients/{name}/visible_bias", tf.reduce_mean(v0 - v1, axis=0))
    return found


@tf.autograph.experimental.do_not_convert
def update(machine: Machine, learning_rate: float, given: Tensors) -> None:
    """One step up the gradients in `given`."""
    for weight, variable in trained(machine).items():
        variable.assign_add(learning_rate * given[f"gradients/{weight}"])


def trained(machine: Machine) -> dict[str, keras.Variable]:
    """The weights that the layer's pre-training changes, by neutral name."""
    return states.parameters_of(machine.name, machine.dense) | {f"{machine.name}/visible_bias": machine.visible_bias}


def chunk_function(machine: Machine, learning_rate: float, data: OnDevice) -> Chunk:
    """A function (first, last, uniforms) that trains the layer for steps first to last - 1 and returns their trace.

    The trace holds `cost` [steps] and the checksums `indices`, `inputs`, `uniforms` [steps] int64 of what was used.
    """
    size, units = data.checksum_weights.shape[0], machine.dense.units
    factors = tf.constant(checksum_weights(size, units))
    bound, of_uniforms = tf.TensorSpec([], tf.int32), tf.TensorSpec([None, size, units], tf.float32)

    # One graph for every length of chunk, as in train.py.
    @tf.function(input_signature=[bound, bound, of_uniforms])
    def compiled(first: tf.Tensor, last: tf.Tensor, uniforms: tf.Tensor) -> tuple[tf.Tensor, ...]:
        steps = last - first
        costs = tf.TensorArray(machine.dense.compute_dtype, steps)
        indices_used, inputs_used, uniforms_used = (tf.TensorArray(tf.int64, steps) for _ in range(3))
        for step in tf.range(first, last):
            (indices, inputs, _), drawn = batch(data, step), uniforms[step - first]
            found = stages(machine, inputs, drawn, None)
            update(machine, learning_rate, found)
            costs = costs.write(step - first, found["cost"])
            indices_used = indices_used.write(step - first, checksum(indices, data.checksum_weights))
            inputs_used = inputs_used.write(step - first, checksum(inputs, data.checksum_weights))
            uniforms_used = uniforms_used.write(step - first, checksum(drawn, factors))
        return tuple(a.stack() for a in (costs, indices_used, inputs_used, uniforms_used))

    def chunk(first: int, last: int, uniforms: np.ndarray) -> dict[str, np.ndarray]:
        arrays = compiled(tf.constant(first), tf.constant(last), tf.constant(uniforms))
        names = ("cost", "indices", "inputs", "uniforms")
        return {name: array.numpy() for name, array in zip(names, arrays, strict=True)}

    return chunk


def continued_function(machine: Machine, learning_rate: float, data: OnDevice) -> Chunk:
    """A function (first, last, uniforms) that takes steps first to last - 1 by their stages; returns their `cost`."""
    of_uniforms = tf.TensorSpec([None, data.checksum_weights.shape[0], machine.dense.units], tf.float32)
    bound = tf.TensorSpec([], tf.int32)

    @tf.function(input_signature=[bound, bound, of_uniforms])
    def compiled(first: tf.Tensor, last: tf.Tensor, uniforms: tf.Tensor) -> tf.Tensor:
        costs = tf.TensorArray(machine.dense.compute_dtype, last - first)
        for step in tf.range(first, last):
            found = stages(machine, batch(data, step)[1], uniforms[step - first], None)
            update(machine, learning_rate, found)
            costs = costs.write(step - first, found["cost"])
        return costs.stack()

    def continued(first: int, last: int, uniforms: np.ndarray) -> dict[str, np.ndarray]:
        return {"cost": compiled(tf.constant(first), tf.constant(last), tf.constant(uniforms)).numpy()}

    return continued


def replay_function(machines: list[Machine], layer: int, learning_rate: float, device: str) -> Replay:
    """A function (state, inputs, uniforms, recorded) that runs every stage of one step on a layer, and the update.

    Returned are what `stages` gives, and the state after the step. Each stage, and the update, is fed what is
    `recorded`, or, where that is None, what the stage before it gave here.
    """

    # Compiled, but each stage by itself: every result leaves the graph, so none is fused with the next.
    @tf.function(autograph=False)
    def compiled(inputs: tf.Tensor, uniforms: tf.Tensor, recorded: Tensors | None) -> Tensors:
        found = stages(machines[layer], inputs, uniforms, recorded)
        update(machines[layer], learning_rate, found if recorded is None else recorded)
        return found

    def replay(
        state: Arrays, inputs: np.ndarray, uniforms: np.ndarray, recorded: Arrays | None
    ) -> dict[str, np.ndarray]:
        write(machines, state)
        given = None
        if recorded is not None:
            given = {name: states.to_tensor(name, value, device) for name, value in recorded.items()}
        with tf.device(device):
            found = compiled(tf.constant(inputs), tf.constant(uniforms), given)
        arrays = {name: states.to_array(name, value) for name, value in found.items()}
        return arrays | read(machines, int(state["step"]) + 1)

    return replay


def weights(machines: list[Machine]) -> dict[str, keras.Variable]:
    """All weights of the model and the visible biases, by neutral name."""
    visible = {f"{machine.name}/visible_bias": machine.visible_bias for machine in machines}
    return states.parameters(machines[0].model) | visible


def read(machines: list[Machine], step: int) -> dict[str, np.ndarray]:
    """The state after `step` updates: `weights/...`, the visible biases among them, and `step`."""
    state = {f"weights/{name}": weight.numpy() for name, weight in weights(machines).items()}
    return state | {"step": np.array(step, np.int64)}


def write(machines: list[Machine], state: Arrays) -> None:
    """Give the machines a state."""
    for name, weight in weights(machines).items():
        weight.assign(state[f"weights/{name}"])
