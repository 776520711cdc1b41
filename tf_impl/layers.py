"""Nodes of a model as Keras layers."""

import keras

from parity.spec import Dense, Node, Realisation
from tf_impl.activations import activation


def layer(node: Node, realisation: Realisation) -> keras.layers.Layer:
    """The layer of one node, named like it."""
    return dense(node) if isinstance(node, Dense) else activation(node, realisation)


def dense(node: Dense) -> keras.layers.Dense:
    """A fully connected layer; its kernel is (inputs, units). `state.write` fills it."""
    return keras.layers.Dense(node.units, kernel_initializer="zeros", bias_initializer="zeros", name=node.name)
