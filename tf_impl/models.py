"""Models from named nodes."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from parity.experiment.nodes import Embedding
from parity.experiment.spec import Identity, Realisation
from tf_impl.layers import layer

# What each dropout keeps in a step, by its name: [batch, units] bool.
Masks = Mapping[str, tf.Tensor]


def sequential(identity: Identity, realisation: Realisation) -> keras.Sequential:
    """The identity's nodes in order, each a layer of the same name, in the dtype set in `runtime`."""
    first = identity.layers[0]
    inputs = keras.Input((first.inputs,), name="inputs", dtype="int64" if isinstance(first, Embedding) else None)
    return keras.Sequential([inputs, *(layer(node, realisation) for node in identity.model)])


def nodes(model: keras.Sequential) -> list[tuple[str, keras.layers.Layer]]:
    """The nodes with their names, in order."""
    return [(node.name, node) for node in model.layers]


def forward(model: keras.Sequential, inputs: tf.Tensor, training: bool, masks: Masks) -> dict[str, tf.Tensor]:
    """Every node's output [batch, units] by the node's name, in order; floats are taken in the model's dtype.

    In `training`, a batch is normalised with its own statistics, and the running ones follow; `masks` [batch, units] by
    the node's name say what each dropout keeps.
    """
    outputs, x = {}, tf.cast(inputs, model.compute_dtype) if inputs.dtype.is_floating else inputs
    for name, node in nodes(model):
        x = outputs[name] = node(x, training=training, **taken(name, masks))
    return outputs


def taken(name: str, masks: Masks) -> Masks:
    """The arguments that the node called `name` takes besides its input."""
    return {"kept": masks[name]} if name in masks else {}
