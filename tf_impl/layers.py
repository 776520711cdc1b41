"""Nodes of a model as Keras layers."""

import keras

from parity.nodes import Dense, Node, PReLU
from parity.spec import Realisation
from tf_impl.activations import activation, prelu


def layer(node: Node, realisation: Realisation) -> keras.layers.Layer:
    """The layer of one node, named like it."""
    if isinstance(node, Dense):
        return dense(node)
    return prelu(node, realisation) if isinstance(node, PReLU) else activation(node, realisation)


def dense(node: Dense) -> keras.layers.Dense:
    """A fully connected layer; its kernel is (inputs, units). `state.write` fills it."""
    return keras.layers.Dense(node.units, kernel_initializer="zeros", bias_initializer="zeros", name=node.name)
