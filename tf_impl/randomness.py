"""The masks of dropout, made on the device: parity/experiment/randomness.py in int64 tensors, bit for bit.

No generator of the framework decides anything. Products of two words of 32 bits wrap in int64, and their high half is
what a shift leaves of it, without the sign.
"""

from collections.abc import Sequence

import tensorflow as tf

from parity.experiment.randomness import FACTORS, LOW, Purpose, dropout_key, dropout_thresholds, round_keys
from parity.experiment.spec import Identity


def philox(counter: Sequence[tf.Tensor], key: tuple[int, int]) -> Sequence[tf.Tensor]:
    """Four words of 32 bits from four of a counter, elementwise, all held in int64 (Philox4x32-10)."""
    a, b, c, d = counter
    for left, right in round_keys(key):
        first, second = a * FACTORS[0], c * FACTORS[1]
        a, b = (shifted(second, 32) ^ b ^ left) & LOW, second
        c, d = (shifted(first, 32) ^ d ^ right) & LOW, first
    return a, b & LOW, c, d & LOW


def shifted(values: tf.Tensor, bits: int) -> tf.Tensor:
    """The values shifted to the right."""
    return tf.bitwise.right_shift(values, tf.constant(bits, tf.int64))


@tf.autograph.experimental.do_not_convert
def dropout_mask(identity: Identity, step: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """[samples, units of all dropouts side by side] bool: which values a step keeps of inputs [samples, features]."""
    thresholds, samples = dropout_thresholds(identity), tf.shape(inputs, tf.int64)[0]
    columns = -(-len(thresholds) // 8)
    if not columns:
        return tf.zeros([samples, 0], tf.bool)
    blocks, step = tf.reshape(tf.range(samples * columns), [samples, columns]), tf.cast(step, tf.int64)
    numbers = step & LOW, shifted(step, 32), tf.constant(Purpose.DROPOUT, tf.int64)
    words = philox((blocks, *numbers), dropout_key(identity.seed))
    halves = [half for word in words for half in (word & 0xFFFF, shifted(word, 16))]
    return tf.concat(halves, axis=1)[:, : len(thresholds)] >= thresholds
