"""Optimizers: Keras's stock classes, and torch's formulas where the realisation asks for them."""

import keras
import tensorflow as tf

from parity.spec import SGD, Optimizer, Realisation
from tf_impl.runtime import constant


def optimizer(model: keras.Model, spec: Optimizer, realisation: Realisation) -> keras.optimizers.Optimizer:
    """The optimizer of the model's weights, built, its slots zero."""
    if isinstance(spec, SGD):
        built = keras.optimizers.SGD(learning_rate=spec.learning_rate)
    else:
        adam = keras.optimizers.Adam if realisation.adam_epsilon == "before_correction" else TorchAdam
        # Keras rounds the betas of its bias correction if they are Python floats; epsilon reaches the kernel exact.
        betas = constant(spec.beta_1, realisation), constant(spec.beta_2, realisation)
        built = adam(spec.learning_rate, *betas, epsilon=spec.epsilon)
    built.build(model.trainable_variables)
    return built


class TorchAdam(keras.optimizers.Adam):
    """Adam with epsilon added after the bias correction, as torch.optim.Adam adds it.

    m += (1 - beta_1) (g - m);  v = beta_2 v + (1 - beta_2) g^2
    w -= lr / (1 - beta_1^t) * m / (sqrt(v) / sqrt(1 - beta_2^t) + epsilon)
    with the corrections computed in float64 (torch/optim/adam.py, _single_tensor_adam).
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        dtype = variable.dtype
        step = tf.cast(self.iterations + 1, tf.float64)
        beta_1, beta_2 = tf.constant(self.beta_1, tf.float64), tf.constant(self.beta_2, tf.float64)
        step_size = tf.cast(tf.cast(learning_rate, tf.float64) / (1 - beta_1**step), dtype)
        correction = tf.cast(tf.sqrt(1 - beta_2**step), dtype)
        m.assign_add((gradient - m) * tf.cast(1 - beta_1, dtype))
        v.assign(v * tf.cast(beta_2, dtype) + tf.cast(1 - beta_2, dtype) * gradient * gradient)
        denominator = tf.sqrt(v) / correction + tf.constant(self.epsilon, dtype)
        variable.assign_sub(step_size * (m / denominator))
