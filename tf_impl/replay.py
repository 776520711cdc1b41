"""One step from a given state, stage by stage, each stage run by itself."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from tf_impl import state as states
from tf_impl.losses import Loss
from tf_impl.models import nodes

# (the cost's gradient by a stage's result, weights) -> the cost's gradients by the stage's input and by each weight
Differentiate = Callable[[tf.Tensor, list[keras.Variable]], list[tf.Tensor | None]]


def replay(
    model: keras.Model,
    loss: Loss,
    updater: keras.optimizers.Optimizer,
    state: Mapping[str, np.ndarray],
    inputs: np.ndarray,
    labels: np.ndarray,
    recorded: Mapping[str, np.ndarray] | None,
    device: str,
) -> dict[str, np.ndarray]:
    """Every stage of one step on inputs [batch, features] and labels [batch] from `state`, in the model's dtype.

    Each stage is fed what `recorded` holds of the stages before it, or, where that is None, what they gave here.
    Returns, in the order of the computation, `outputs/<node>` [batch, units], `cost`, `deltas/<node>` [batch, units]
    (the cost's gradient by the node's output), `gradients/<weight>`, and the state after the step (`weights/...`,
    `slots/...`, `step`). What the cost does not depend on has no gradient.
    """
    states.write(model, updater, state)
    found: dict[str, np.ndarray] = {}

    def kept(name: str, value: tf.Tensor | None) -> tf.Tensor | None:
        """Keep what a stage gave, and return what the next one is fed."""
        if value is not None:
            found[name] = value.numpy()
        return value if recorded is None else tf.constant(recorded[name])

    with tf.device(device):
        x, labels, stages = tf.constant(inputs), tf.constant(labels), []
        for name, node in nodes(model):
            y, differentiate = stage(node, x)
            stages.append((name, node, differentiate))
            x = kept(f"outputs/{name}", y)
        cost, differentiate = stage(lambda outputs: loss(outputs, labels), x)
        kept("cost", cost)
        (delta,) = differentiate(tf.ones_like(cost), [])
        for name, node, differentiate in reversed(stages):
            delta = kept(f"deltas/{name}", delta)
            if delta is None:
                break
            weights = states.parameters_of(name, node)
            delta, *gradients = differentiate(delta, list(weights.values()))
            found |= {
                f"gradients/{key}": states.neutral(g)
                for key, g in zip(weights, gradients, strict=True)
                if g is not None
            }
    update(model, updater, found if recorded is None else recorded, device)
    return found | states.read(model, updater, int(state["step"]) + 1)


def stage(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tuple[tf.Tensor, Differentiate]:
    """What a stage makes of x, and its derivative."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return y, lambda delta, weights: tape.gradient(y, [x, *weights], output_gradients=delta)


def update(
    model: keras.Model, updater: keras.optimizers.Optimizer, given: Mapping[str, np.ndarray], device: str
) -> None:
    """One update of the weights by their gradients in `given`."""
    weights = {name: weight for name, weight in states.trained(model).items() if f"gradients/{name}" in given}
    gradients = [states.own(given[f"gradients/{name}"], device) for name in weights]
    updater.apply(gradients, list(weights.values()))
