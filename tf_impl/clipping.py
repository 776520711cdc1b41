"""Gradients clipped before the optimizer takes them: Keras's own way, and torch's where the realisation asks for it."""

from collections.abc import Callable

import keras
import tensorflow as tf

from parity.experiment.optimizers import Clipping
from parity.experiment.spec import Realisation

# (gradients) -> the clipped ones
Clip = Callable[[list[tf.Tensor]], list[tf.Tensor]]

# How Keras's optimizers call it.
ARGUMENTS = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}


def clip_function(clipping: Clipping | None, realisation: Realisation) -> Clip | None:
    """A function that clips gradients in the order of the weights; None where nothing is clipped."""
    if clipping is None:
        return None
    if clipping.by != "value" and realisation.clip_epsilon == "beside_norm":
        return lambda gradients: clipped_by_norm(gradients, clipping)
    # The step that every stock optimizer takes before its own.
    return keras.optimizers.SGD(**{ARGUMENTS[clipping.by]: clipping.limit})._clip_gradients


def clipped_by_norm(gradients: list[tf.Tensor], clipping: Clipping) -> list[tf.Tensor]:
    """The gradients times min(1, limit / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_ has it."""
    norms = [tf.norm(gradient) for gradient in gradients]
    if clipping.by == "global_norm":
        norms = [tf.norm(tf.stack(norms))] * len(gradients)
    factors = [tf.minimum(clipping.limit / (norm + tf.constant(1e-6, norm.dtype)), 1) for norm in norms]
    return [gradient * factor for gradient, factor in zip(gradients, factors, strict=True)]
