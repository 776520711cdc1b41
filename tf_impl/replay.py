"""One step from a given state, stage by stage, each stage run by itself."""

from collections.abc import Callable, Mapping
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from parity.experiment.randomness import by_node
from parity.experiment.spec import Identity
from tf_impl import state as states
from tf_impl.clipping import Clip
from tf_impl.data import OnDevice, batch
from tf_impl.losses import Loss
from tf_impl.models import Masks, nodes, taken
from tf_impl.optimizers import SparseAdam
from tf_impl.randomness import dropout_mask
from tf_impl.train import dense

# (the cost's gradient by a stage's result, weights) -> the cost's gradients by the stage's input and by each weight
Differentiate = Callable[[tf.Tensor, list[keras.Variable]], list[tf.Tensor | None]]
Arrays = Mapping[str, np.ndarray]
Tensors = dict[str, tf.Tensor]
Replay = Callable[[Arrays, np.ndarray, np.ndarray, Arrays | None], dict[str, np.ndarray]]


def replay_function(
    model: keras.Model,
    loss: Loss,
    clip: Clip | None,
    updater: keras.optimizers.Optimizer,
    identity: Identity,
    device: str,
) -> Replay:
    """A function (state, inputs [batch, features], labels [batch], recorded) that runs every stage of one step.

    The step starts from `state`, whose `step` is its number; all is in the model's dtype. Each stage is fed what
    `recorded` holds of the stages before it, or, where that is None, what they gave here. Returned are, in the order of
    the computation, `outputs/<node>` [batch, units], `cost`, `deltas/<node>` [batch, units] (the cost's gradient by the
    node's output), `gradients/<weight>`, `clipped/<weight>` where gradients are clipped, and the state after the step
    (`weights/...`, `slots/...`, `statistics/...`, `step`). What the cost does not depend on has no gradient.
    """

    # Compiled, but each stage by itself: every result leaves the graph, so none is fused with the next.
    @tf.function(autograph=False)
    def compiled(step: tf.Tensor, inputs: tf.Tensor, labels: tf.Tensor, recorded: Tensors | None) -> Tensors:
        masks = by_node(identity, dropout_mask(identity, step, inputs))
        found = stages(model, loss, inputs, labels, masks, recorded)
        found |= clipped(model, clip, found if recorded is None else recorded)
        update(model, updater, found if recorded is None else recorded, inputs)
        return found

    def replay(state: Arrays, inputs: np.ndarray, labels: np.ndarray, recorded: Arrays | None) -> dict[str, np.ndarray]:
        states.write(model, updater, state)
        given = None
        if recorded is not None:
            given = {name: states.to_tensor(name, value, device) for name, value in recorded.items()}
        with tf.device(device):
            found = compiled(*(tf.constant(array) for array in (state["step"], inputs, labels)), given)
        arrays = {name: states.to_array(name, value) for name, value in found.items()}
        return arrays | states.read(model, updater, int(state["step"]) + 1)

    return replay


def continued_function(
    model: keras.Model,
    loss: Loss,
    clip: Clip | None,
    updater: keras.optimizers.Optimizer,
    data: OnDevice,
    identity: Identity,
) -> Callable[[int, int], dict[str, np.ndarray]]:
    """A function (first, last) that takes steps first to last - 1 by their stages, and returns their `cost` [steps]."""

    # One graph for every length, as in train.py: what is fused there is fused here.
    @tf.function
    def compiled(first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        costs = tf.TensorArray(model.compute_dtype, last - first)
        for step in tf.range(first, last):
            _, inputs, labels = batch(data, step)
            masks = by_node(identity, dropout_mask(identity, step, inputs))
            found = stages(model, loss, inputs, labels, masks, None)
            found |= clipped(model, clip, found)
            update(model, updater, found, inputs)
            costs = costs.write(step - first, found["cost"])
        return costs.stack()

    def continued(first: int, last: int) -> dict[str, np.ndarray]:
        return {"cost": compiled(tf.constant(first), tf.constant(last)).numpy()}

    return continued


@tf.autograph.experimental.do_not_convert
def stages(
    model: keras.Model, loss: Loss, x: tf.Tensor, labels: tf.Tensor, masks: Masks, recorded: Tensors | None
) -> Tensors:
    """The results of the stages before the update, by name; `masks` are those of the dropouts."""
    found: Tensors = {}

    def kept(name: str, value: tf.Tensor | None) -> tf.Tensor | None:
        """Keep what a stage gave, and return what the next one is fed."""
        if value is not None:
            found[name] = value
        return value if recorded is None else recorded[name]

    trained, backward = states.trained(model), []
    for name, node in nodes(model):
        y, differentiate = stage(partial(node, training=True, **taken(name, masks)), x)
        weights = {key: weight for key, weight in states.parameters_of(name, node).items() if key in trained}
        backward.append((name, weights, differentiate))
        x = kept(f"outputs/{name}", y)
    cost, differentiate = stage(lambda outputs: loss(outputs, labels), x)
    kept("cost", cost)
    (delta,) = differentiate(tf.ones_like(cost), [])
    for name, weights, differentiate in reversed(backward):
        delta = kept(f"deltas/{name}", delta)
        if delta is None:
            break
        delta, *gradients = differentiate(delta, list(weights.values()))
        found |= {f"gradients/{key}": dense(g) for key, g in zip(weights, gradients, strict=True) if g is not None}
    return found


def stage(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tuple[tf.Tensor, Differentiate]:
    """A stage as a function of x, and its derivative."""
    with tf.GradientTape() as tape:
        # Tokens have no gradient.
        if x.dtype.is_floating:
            tape.watch(x)
        y = function(x)
    return y, lambda delta, weights: tape.gradient(y, [x, *weights], output_gradients=delta)


@tf.autograph.experimental.do_not_convert
def clipped(model: keras.Model, clip: Clip | None, given: Tensors) -> Tensors:
    """The weights' gradients in `given` as they are clipped; none where nothing clips."""
    names = [name for name in states.trained(model) if f"gradients/{name}" in given]
    if clip is None:
        return {}
    found = clip([given[f"gradients/{name}"] for name in names])
    return {f"clipped/{name}": gradient for name, gradient in zip(names, found, strict=True)}


@tf.autograph.experimental.do_not_convert
def update(model: keras.Model, updater: keras.optimizers.Optimizer, given: Tensors, inputs: tf.Tensor) -> None:
    """One update of the weights by their gradients in `given`, clipped if they are there so.

    An optimizer of sparse gradients gets those rows of them that the `inputs` [batch, tokens] named.
    """
    weights = {name: weight for name, weight in states.trained(model).items() if f"gradients/{name}" in given}
    gradients = [given.get(f"clipped/{name}", given[f"gradients/{name}"]) for name in weights]
    if isinstance(updater, SparseAdam):
        gradients = [sparse(gradient, inputs) for gradient in gradients]
    updater.apply(gradients, list(weights.values()))


def sparse(gradient: tf.Tensor, tokens: tf.Tensor) -> tf.IndexedSlices:
    """The rows of a gradient [vocabulary, units] that tokens [batch, length] named."""
    rows, _ = tf.unique(tf.reshape(tokens, [-1]))
    return tf.IndexedSlices(tf.gather(gradient, rows), rows, tf.shape(gradient, tf.int64))
