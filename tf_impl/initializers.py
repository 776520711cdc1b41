"""Keras's own initializers, by neutral name.

What they are to be is in parity/experiment/initializers.py. They decide the start of training only where a user asks
for it with --init-from; here Keras's generator is seeded, and only here.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import initializers

from parity.experiment.nodes import Initializer
from parity.experiment.spec import Calling


def draw(initializer: Initializer, inputs: int, units: int, bias: bool, seed: int, calling: Calling) -> np.ndarray:
    """Keras's own draw for a dense layer, float32: its kernel [inputs, units] or its bias [units]."""
    shape = (units,) if bias else (inputs, units)
    with tf.device("/CPU:0"):
        return called(initializer, inputs, units, bias, seed, calling)(shape, dtype="float32").numpy()


def called(
    initializer: Initializer, inputs: int, units: int, bias: bool, seed: int, calling: Calling
) -> initializers.Initializer:
    """The stock initializer, called by its name alone ("plain"), with what it cannot know, which is its number ("own"),
    or with all that makes it the neutral formula ("formula").
    """
    name, number = initializer.name, initializer.number
    if name == "keras_default":
        layer = keras.layers.Dense(units)
        stock = layer.bias_initializer if bias else layer.kernel_initializer
        return type(stock).from_config(stock.get_config() | ({} if bias else {"seed": seed}))
    if name == "torch_default":
        # U(-1/sqrt(inputs), 1/sqrt(inputs)) has the variance 1 / (3 inputs). A bias does not show the fan in.
        if bias:
            return initializers.RandomUniform(-(inputs**-0.5), inputs**-0.5, seed=seed)
        return initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed)
    if calling == "formula" and name in SCALES:
        # Keras's classes of these names are truncated.
        return initializers.VarianceScaling(*SCALES[name], "untruncated_normal", seed=seed)
    if name in ("zeros", "ones"):
        return STOCK[name]()
    if name == "constant":
        return STOCK[name](number)
    if calling == "plain" or number is None:
        return STOCK[name](seed=seed)
    if name == "uniform":
        return STOCK[name](-number, number, seed=seed)
    return STOCK[name](stddev=number, seed=seed)


STOCK = {
    "zeros": initializers.Zeros,
    "ones": initializers.Ones,
    "constant": initializers.Constant,
    "normal": initializers.RandomNormal,
    "uniform": initializers.RandomUniform,
    "truncated_normal": initializers.TruncatedNormal,
    "xavier_uniform": initializers.GlorotUniform,
    "xavier_normal": initializers.GlorotNormal,
    "xavier_normal_truncated": initializers.GlorotNormal,
    "he_uniform": initializers.HeUniform,
    "he_normal": initializers.HeNormal,
    "he_normal_truncated": initializers.HeNormal,
    "lecun_uniform": initializers.LecunUniform,
    "lecun_normal": initializers.LecunNormal,
    "lecun_normal_truncated": initializers.LecunNormal,
    "orthogonal": initializers.Orthogonal,
}
# The scale and the fan whose quotient is the variance.
SCALES = {"xavier_normal": (1.0, "fan_avg"), "he_normal": (2.0, "fan_in"), "lecun_normal": (1.0, "fan_in")}
