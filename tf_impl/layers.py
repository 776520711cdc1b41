"""Nodes of a model as Keras layers."""

import keras
import tensorflow as tf

from parity.experiment.nodes import BatchNorm, Dense, Dropout, Embedding, LayerNorm, Node, PReLU
from parity.experiment.spec import Realisation
from tf_impl.activations import activation, prelu


def layer(node: Node, realisation: Realisation) -> keras.layers.Layer:
    """The layer of one node, named like it."""
    if isinstance(node, Embedding):
        return embedding(node)
    if isinstance(node, Dense):
        return dense(node)
    if isinstance(node, BatchNorm):
        return batch_norm(node, realisation)
    if isinstance(node, LayerNorm):
        return layer_norm(node)
    if isinstance(node, Dropout):
        return dropout(node)
    return prelu(node, realisation) if isinstance(node, PReLU) else activation(node, realisation)


def embedding(node: Embedding) -> keras.layers.Embedding:
    """The sum of a table's rows; the table is (vocabulary, units). `state.write` fills it."""
    return SummedEmbedding(node.vocabulary, node.units, embeddings_initializer="zeros", name=node.name)


class SummedEmbedding(keras.layers.Embedding):
    """keras.layers.Embedding, its outputs added up over the tokens."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(super().call(inputs), axis=1)


def dense(node: Dense) -> keras.layers.Dense:
    """A fully connected layer; its kernel is (inputs, units). `state.write` fills it."""
    return keras.layers.Dense(node.units, kernel_initializer="zeros", bias_initializer="zeros", name=node.name)


def batch_norm(node: BatchNorm, realisation: Realisation) -> keras.layers.BatchNormalization:
    """Batch normalisation with gamma, beta and running statistics (units,); `state.write` fills them."""
    stock = realisation.moving_variance == "biased"
    made = keras.layers.BatchNormalization if stock else TorchBatchNorm
    return made(momentum=node.momentum, epsilon=node.epsilon, name=node.name)


class TorchBatchNorm(keras.layers.BatchNormalization):
    """Batch normalisation whose running variance takes the unbiased one, as torch.nn.BatchNorm1d's does."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        before = tf.convert_to_tensor(self.moving_variance)
        outputs = super().call(inputs, training=training)
        if training:
            n = tf.cast(tf.shape(inputs)[0], inputs.dtype)
            unbiased = tf.math.reduce_variance(inputs, axis=0) * n / (n - 1)
            self.moving_variance.assign(before * self.momentum + unbiased * (1 - self.momentum))
        return outputs


def layer_norm(node: LayerNorm) -> keras.layers.LayerNormalization:
    """Layer normalisation with gamma and beta (units,); `state.write` fills them."""
    return keras.layers.LayerNormalization(epsilon=node.epsilon, name=node.name)


def dropout(node: Dropout) -> keras.layers.Layer:
    """Dropout by masks that are given."""
    return MaskedDropout(node.rate, name=node.name)


class MaskedDropout(keras.layers.Layer):
    """keras.layers.Dropout without its generator: its formula (tensorflow/python/ops/nn_ops.py, _dropout)."""

    def __init__(self, rate: float, name: str) -> None:
        super().__init__(name=name)
        self.rate = rate

    def call(self, inputs: tf.Tensor, training: bool | None = None, kept: tf.Tensor | None = None) -> tf.Tensor:
        if not training:
            return inputs
        return tf.where(kept, inputs * tf.constant(1 / (1 - self.rate), inputs.dtype), 0)
