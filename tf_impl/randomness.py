"""The masks of dropout, made on the device: parity/randomness.py in int64 tensors, bit for bit.

No generator of the framework decides anything. Products of two words of 32 bits wrap in int64, and their high half is
what a shift leaves of it, without the sign.
"""

from collections.abc import Sequence

import tensorflow as tf

from parity.randomness import FACTORS, LOW, Purpose, dropout_key, dropout_thresholds, round_keys
from parity.spec import Identity


def philox(counter: Sequence[tf.Tensor], key: tuple[int, int]) -> Sequence[tf.Tensor]:
    """Four words of 32 bits from four of a counter, elementwise, all held in int64 (Philox4x32-10)."""
    a, b, c, d = counter
    for left, right in round_keys(key):
        first, second = a * FACTORS[0], c * FACTORS[1]
        a, b = high(second) ^ b ^ left, second & LOW
        c, d = high(first) ^ d ^ right, first & LOW
    return a, b, c, d


def high(product: tf.Tensor) -> tf.Tensor:
    """The upper 32 bits of 64."""
    return tf.bitwise.right_shift(product, tf.constant(32, tf.int64)) & LOW


def dropout_mask(identity: Identity, step: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """[samples, units of all dropouts side by side] bool: which values a step keeps of inputs [samples, features]."""
    thresholds, samples = dropout_thresholds(identity), tf.shape(inputs, tf.int64)[0]
    if not len(thresholds):
        return tf.zeros([samples, 0], tf.bool)
    count = samples * len(thresholds)
    step = tf.cast(step, tf.int64)
    numbers = step & LOW, high(step), tf.constant(Purpose.DROPOUT, tf.int64)
    words = tf.stack(philox((tf.range((count + 3) // 4), *numbers), dropout_key(identity.seed)), axis=1)
    return tf.reshape(tf.reshape(words, [-1])[:count], [samples, len(thresholds)]) >= thresholds
