"""The plain loop: one step, a chunk of steps as one compiled call, and what the trained model predicts."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from parity.experiment.randomness import by_node
from parity.experiment.spec import Identity, Realisation
from tf_impl.clipping import Clip
from tf_impl.data import OnDevice, batch, checksum
from tf_impl.losses import Loss, predicted_classes
from tf_impl.models import Masks, forward
from tf_impl.noise import Noise
from tf_impl.optimizers import SparseAdam, optimizer
from tf_impl.randomness import dropout_mask

Trace = dict[str, np.ndarray]
Build = Callable[[Identity, Realisation], keras.Model]


class Step(NamedTuple):
    """The results of one training step: outputs by node, the cost, gradients in the order of the weights."""

    outputs: dict[str, tf.Tensor]
    cost: tf.Tensor
    gradients: list[tf.Tensor]


def build(
    function: Build, identity: Identity, realisation: Realisation, device: str
) -> tuple[keras.Model, keras.optimizers.Optimizer]:
    """The identity's model, made by `function`, and its optimizer, on `device`."""
    with tf.device(device):
        model = function(identity, realisation)
        return model, optimizer(model, identity.optimizer, realisation)


# There is nothing in a step for AutoGraph to translate; to go through all that it calls takes a second and more.
@tf.autograph.experimental.do_not_convert
def train_step(
    model: keras.Model,
    loss: Loss,
    clip: Clip | None,
    updater: keras.optimizers.Optimizer,
    inputs: tf.Tensor,
    labels: tf.Tensor,
    masks: Masks,
) -> Step:
    """Forward, backward and update on one batch: inputs [batch, features], labels [batch], masks of dropouts."""
    weights = model.trainable_variables
    with tf.GradientTape() as tape:
        outputs = forward(model, inputs, training=True, masks=masks)
        cost = loss(list(outputs.values())[-1], labels)
    gradients = tape.gradient(cost, weights)
    if not isinstance(updater, SparseAdam):
        # Keras itself leaves the uses of an embedding's row apart, and squares each (the difference `repeated_rows`).
        gradients = [None if gradient is None else dense(gradient) for gradient in gradients]
    updater.apply(gradients if clip is None else clip(gradients), weights)
    return Step(outputs, cost, gradients)


def dense(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
    """A gradient as an ordinary tensor, the uses of each of its rows added up."""
    return tf.convert_to_tensor(gradient)


def chunk_function(
    model: keras.Model,
    loss: Loss,
    clip: Clip | None,
    updater: keras.optimizers.Optimizer,
    data: OnDevice,
    identity: Identity,
    noise: Noise | None = None,
) -> Callable[[int, int], Trace]:
    """A function (first, last) that trains steps first to last - 1 and returns their trace; with `noise`, a twin's.

    The trace holds `cost` [steps], the checksums `indices`, `inputs`, `labels`, `masks` [steps] int64 of what each step
    used, and `evaluation` [steps, 4] after the last step of an epoch, NaN elsewhere (see `evaluate`).
    """

    # One graph for every length of chunk, since the bounds are tensors. Not jit_compile: XLA was measured three to
    # four times slower here (tf.function's own while loop: 2.9 ms a step of 784-256-256-10, 0.28 ms of XOR).
    @tf.function
    def compiled(first: tf.Tensor, last: tf.Tensor) -> tuple[tf.Tensor, ...]:
        steps = last - first
        costs = tf.TensorArray(model.compute_dtype, steps)
        evaluations = tf.TensorArray(tf.float64, steps)
        indices_used, inputs_used, labels_used, masks_used = (tf.TensorArray(tf.int64, steps) for _ in range(4))
        for step in tf.range(first, last):
            indices, inputs, labels = batch(data, step)
            mask = dropout_mask(identity, step, inputs)
            done = train_step(model, loss, clip, updater, inputs, labels, by_node(identity, mask))
            if noise is not None:
                noise.add(step)
            costs = costs.write(step - first, done.cost)
            indices_used = indices_used.write(step - first, checksum(indices, data.checksum_weights))
            inputs_used = inputs_used.write(step - first, checksum(inputs, data.checksum_weights))
            labels_used = labels_used.write(step - first, checksum(labels, data.checksum_weights))
            masks_used = masks_used.write(step - first, checksum(mask, data.mask_weights))
            measured = tf.fill([4], tf.constant(np.nan, tf.float64))
            if data.epoch_ends[step]:
                measured = evaluate(model, loss, data, identity)
            evaluations = evaluations.write(step - first, measured)
        return tuple(a.stack() for a in (costs, indices_used, inputs_used, labels_used, masks_used, evaluations))

    def chunk(first: int, last: int) -> Trace:
        bounds = tf.constant(first), tf.constant(last)
        names = ("cost", "indices", "inputs", "labels", "masks", "evaluation")
        return dict(zip(names, (array.numpy() for array in compiled(*bounds)), strict=True))

    return chunk


def evaluate(model: keras.Model, loss: Loss, data: OnDevice, identity: Identity) -> tf.Tensor:
    """[4] float64, in eval mode: accuracy and loss on the test set, then on the training set, NaN if not asked for."""
    schedule, threshold = identity.schedule, identity.threshold
    outputs = infer(model, data.test_inputs)
    size = schedule.batch_size if schedule.test_loss == "batch_means_by_samples" else None
    found = [accuracy(outputs, data.test_labels, threshold), mean_loss(loss, outputs, data.test_labels, size)]
    if schedule.evaluate_training:
        outputs = infer(model, data.train_inputs)
        found += [accuracy(outputs, data.train_labels, threshold), mean_loss(loss, outputs, data.train_labels, None)]
    else:
        found += [tf.constant(np.nan, tf.float64)] * 2
    return tf.stack(found)


@tf.autograph.experimental.do_not_convert
def accuracy(outputs: tf.Tensor, labels: tf.Tensor, threshold: float) -> tf.Tensor:
    """Share of the samples that are classified correctly, a float64 scalar."""
    return tf.reduce_mean(tf.cast(tf.equal(predicted_classes(outputs, threshold), labels), tf.float64))


def mean_loss(loss: Loss, outputs: tf.Tensor, labels: tf.Tensor, size: int | None) -> tf.Tensor:
    """The loss, a float64 scalar; of batches of `size`, the sum of their losses divided by the number of samples."""
    if size is None:
        return tf.cast(loss(outputs, labels), tf.float64)
    samples = labels.shape[0]
    count = samples // size
    whole, total = count * size, tf.constant(0, tf.float64)
    # A loop of the graph, which is traced once; a list of batches would be traced batch by batch.
    batches = tf.reshape(outputs[:whole], [count, size, outputs.shape[1]]), tf.reshape(labels[:whole], [count, size])
    for k in tf.range(count):
        total += tf.cast(loss(batches[0][k], batches[1][k]), tf.float64)
    if whole < samples:
        total += tf.cast(loss(outputs[whole:], labels[whole:]), tf.float64)
    return total / samples


@tf.autograph.experimental.do_not_convert
def infer(model: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
    """[samples, units]: what the trained model makes of inputs [samples, features]."""
    return list(forward(model, inputs, training=False, masks={}).values())[-1]


def tested(model: keras.Model, data: OnDevice, threshold: float) -> Trace:
    """The model's results on the test set.

    `predictions` [test samples] int64, each sample's class, and `test_output` [test samples, units], what it rests on.
    """
    outputs = infer(model, data.test_inputs)
    return {"predictions": predicted_classes(outputs, threshold).numpy(), "test_output": outputs.numpy()}
