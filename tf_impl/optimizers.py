"""Optimizers: Keras's stock classes, and torch's formulas where the realisation asks for them."""

import keras
import tensorflow as tf

from parity.experiment import optimizers as specs
from parity.experiment.optimizers import Optimizer
from parity.experiment.spec import Realisation, decays_weights
from tf_impl.lbfgs import LBFGS
from tf_impl.runtime import constant, exact


def optimizer(model: keras.Model, spec: Optimizer, realisation: Realisation) -> keras.optimizers.Optimizer:
    """The optimizer of the model's weights, built; `state.write` fills its slots."""
    built = BUILDERS[type(spec)](spec, realisation)
    if spec.weight_decay and decays_weights(spec, realisation):
        built.weight_decay = constant(spec.weight_decay, realisation)
    elif spec.weight_decay:
        add_l2(built, spec.weight_decay)
    built.build(model.trainable_variables)
    return built


def add_l2(built: keras.optimizers.Optimizer, decay: float) -> None:
    """Let weight decay be a term of the gradient, decay * w, as torch's optimizers take it."""
    stock = built.update_step
    built.update_step = lambda gradient, variable, learning_rate: stock(
        gradient + tf.constant(decay, variable.dtype) * variable, variable, learning_rate
    )


def sgd(spec: specs.SGD, realisation: Realisation) -> keras.optimizers.Optimizer:
    momentum = constant(spec.momentum, realisation)
    return keras.optimizers.SGD(spec.learning_rate, momentum=momentum, nesterov=spec.nesterov)


def adam(spec: specs.Adam | specs.AdamW, realisation: Realisation) -> keras.optimizers.Optimizer:
    stock = keras.optimizers.AdamW if isinstance(spec, specs.AdamW) else keras.optimizers.Adam
    made = stock if realisation.adam_epsilon == "before_correction" else TorchAdam
    return made(spec.learning_rate, **betas(spec, realisation), **epsilon(spec, realisation))


def sparse_adam(spec: specs.SparseAdam, realisation: Realisation) -> keras.optimizers.Optimizer:
    return SparseAdam(spec.learning_rate, spec.beta_1, spec.beta_2, spec.epsilon)


def adamax(spec: specs.Adamax, realisation: Realisation) -> keras.optimizers.Optimizer:
    made = keras.optimizers.Adamax if realisation.adamax_epsilon == "in_denominator" else TorchAdamax
    return made(spec.learning_rate, **betas(spec, realisation), **epsilon(spec, realisation))


def nadam(spec: specs.NAdam, realisation: Realisation) -> keras.optimizers.Optimizer:
    # The stock class has 0.96 built in, which it rounds, and no momentum_decay.
    if spec.momentum_decay == 1 and realisation.constants == "through_float32":
        return keras.optimizers.Nadam(spec.learning_rate, spec.beta_1, spec.beta_2, **epsilon(spec, realisation))
    return TorchNAdam(
        spec.momentum_decay, learning_rate=spec.learning_rate, beta_1=spec.beta_1, beta_2=spec.beta_2,
        **epsilon(spec, realisation),
    )  # fmt: skip


def adagrad(spec: specs.Adagrad, realisation: Realisation) -> keras.optimizers.Optimizer:
    made = keras.optimizers.Adagrad if realisation.adagrad_epsilon == "inside_root" else TorchAdagrad
    return made(spec.learning_rate, spec.initial_accumulator, **epsilon(spec, realisation))


def adadelta(spec: specs.Adadelta, realisation: Realisation) -> keras.optimizers.Optimizer:
    # The stock class multiplies rho, as it is, by a variable, which a NumPy number would take for an array.
    return keras.optimizers.Adadelta(spec.learning_rate, rho=spec.rho, **epsilon(spec, realisation))


def rmsprop(spec: specs.RMSprop, realisation: Realisation) -> keras.optimizers.Optimizer:
    made = keras.optimizers.RMSprop if realisation.rmsprop_epsilon == "inside_root" else TorchRMSprop
    numbers = {"rho": exact(spec.rho), "momentum": exact(spec.momentum), "centered": spec.centered}
    return made(spec.learning_rate, **numbers, **epsilon(spec, realisation))


def rprop(spec: specs.Rprop, realisation: Realisation) -> keras.optimizers.Optimizer:
    return Rprop(spec.learning_rate, (spec.eta_minus, spec.eta_plus), (spec.smallest_step, spec.largest_step))


def asgd(spec: specs.ASGD, realisation: Realisation) -> keras.optimizers.Optimizer:
    return ASGD(spec.learning_rate, spec.decay, spec.power, spec.averaging_from)


def lbfgs(spec: specs.LBFGS, realisation: Realisation) -> keras.optimizers.Optimizer:
    return LBFGS(spec)


def betas(spec: specs.Adam | specs.AdamW | specs.Adamax, realisation: Realisation) -> dict[str, float]:
    """Both betas; Keras rounds those of its bias correction if they are Python floats."""
    return {name: constant(getattr(spec, name), realisation) for name in ("beta_1", "beta_2")}


def epsilon(spec: Optimizer, realisation: Realisation) -> dict[str, float]:
    """The identity's epsilon, or nothing, which leaves it to Keras's class."""
    return {} if realisation.epsilon_value == "keras_default" else {"epsilon": exact(spec.epsilon)}


BUILDERS = {
    specs.SGD: sgd,
    specs.Adam: adam,
    specs.AdamW: adam,
    specs.SparseAdam: sparse_adam,
    specs.Adamax: adamax,
    specs.NAdam: nadam,
    specs.Adagrad: adagrad,
    specs.Adadelta: adadelta,
    specs.RMSprop: rmsprop,
    specs.Rprop: rprop,
    specs.ASGD: asgd,
    specs.LBFGS: lbfgs,
}


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


class SparseAdam(keras.optimizers.Adam):
    """torch.optim.SparseAdam, which Keras has no counterpart of (torch/optim/_functional.py, sparse_adam).

    Adam of the rows that a sparse gradient holds, the uses of each added up; other rows and their moments stay:
    m += (1 - beta_1) (g - m);  v += (1 - beta_2) (g^2 - v)
    w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t) * m / (sqrt(v) + epsilon)
    with the corrections computed in float64.
    """

    def update_step(self, gradient: tf.IndexedSlices, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index, dtype = self._get_variable_index(variable), variable.dtype
        step, rate = tf.cast(self.iterations + 1, tf.float64), tf.cast(learning_rate, tf.float64)
        beta_1, beta_2 = tf.constant(self.beta_1, tf.float64), tf.constant(self.beta_2, tf.float64)
        rows, position = tf.unique(gradient.indices)
        g = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
        m, v = tf.gather(self._momentums[index], rows), tf.gather(self._velocities[index], rows)
        m += (g - m) * tf.cast(1 - beta_1, dtype)
        v += (g * g - v) * tf.cast(1 - beta_2, dtype)
        size = tf.cast(rate * tf.sqrt(1 - beta_2**step) / (1 - beta_1**step), dtype)
        moved = size * (m / (tf.sqrt(v) + tf.constant(self.epsilon, dtype)))
        self.assign(self._momentums[index], tf.IndexedSlices(m, rows))
        self.assign(self._velocities[index], tf.IndexedSlices(v, rows))
        self.assign_sub(variable, tf.IndexedSlices(moved, rows))


class TorchAdamax(keras.optimizers.Adamax):
    """Adamax with epsilon added to the gradient's size, as torch.optim.Adamax adds it.

    m += (1 - beta_1) (g - m);  u = max(beta_2 u, |g| + epsilon);  w -= lr / (1 - beta_1^t) * m / u
    with the correction computed in float64 (torch/optim/adamax.py, _single_tensor_adamax).
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        m, u = self._m[index], self._u[index]
        dtype = variable.dtype
        beta_1 = tf.constant(self.beta_1, tf.float64)
        correction = 1 - beta_1 ** tf.cast(self.iterations + 1, tf.float64)
        m.assign_add((gradient - m) * tf.cast(1 - beta_1, dtype))
        u.assign(tf.maximum(tf.constant(self.beta_2, dtype) * u, tf.abs(gradient) + tf.constant(self.epsilon, dtype)))
        variable.assign_sub(tf.cast(tf.cast(learning_rate, tf.float64) / correction, dtype) * (m / u))


class TorchNAdam(keras.optimizers.Nadam):
    """Nadam whose momentum_decay can be chosen, computed in float64, as torch.optim.NAdam does.

    mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2);  m += (1 - beta_1) (g - m);  v = beta_2 v + (1 - beta_2) g^2
    w -= lr ((1 - mu_t) / (1 - prod mu) g + mu_(t+1) / (1 - prod mu mu_(t+1)) m) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    (torch/optim/nadam.py, _single_tensor_nadam). `_u_product` holds the product of the mu so far.
    """

    def __init__(self, momentum_decay: float, **numbers: float) -> None:
        super().__init__(**numbers)
        self.momentum_decay = momentum_decay

    def share(self, step: tf.Tensor) -> tf.Tensor:
        """mu at a step counted from 1, a float64 scalar."""
        decay = tf.constant(0.96, tf.float64) ** (step * tf.constant(self.momentum_decay, tf.float64))
        return tf.constant(self.beta_1, tf.float64) * (1 - 0.5 * decay)

    def _backend_update_step(self, grads: list, trainable_variables: list, learning_rate: tf.Tensor) -> None:
        mu = self.share(tf.cast(self.iterations + 1, tf.float64))
        self._u_product.assign(self._u_product * tf.cast(mu, self._u_product.dtype))
        # Past the stock class, which would multiply by its own mu.
        super(keras.optimizers.Nadam, self)._backend_update_step(grads, trainable_variables, learning_rate)

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        dtype = variable.dtype
        step, rate = tf.cast(self.iterations + 1, tf.float64), tf.cast(learning_rate, tf.float64)
        mu, mu_next, product = self.share(step), self.share(step + 1), tf.cast(self._u_product, tf.float64)
        beta_1, beta_2 = tf.constant(self.beta_1, tf.float64), tf.constant(self.beta_2, tf.float64)
        m.assign_add((gradient - m) * tf.cast(1 - beta_1, dtype))
        v.assign(v * tf.cast(beta_2, dtype) + tf.cast(1 - beta_2, dtype) * gradient * gradient)
        denominator = tf.sqrt(v / tf.cast(1 - beta_2**step, dtype)) + tf.constant(self.epsilon, dtype)
        variable.assign_sub(tf.cast(rate * (1 - mu) / (1 - product), dtype) * (gradient / denominator))
        variable.assign_sub(tf.cast(rate * mu_next / (1 - product * mu_next), dtype) * (m / denominator))


class TorchAdagrad(keras.optimizers.Adagrad):
    """Adagrad with epsilon added to the root, as torch.optim.Adagrad adds it: w -= lr g / (sqrt(a) + epsilon)."""

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        accumulator = self._accumulators[self._get_variable_index(variable)]
        accumulator.assign_add(gradient * gradient)
        denominator = tf.sqrt(accumulator) + tf.constant(self.epsilon, variable.dtype)
        variable.assign_sub(tf.cast(learning_rate, variable.dtype) * (gradient / denominator))


class TorchRMSprop(keras.optimizers.RMSprop):
    """RMSprop with epsilon added to the root, as torch.optim.RMSprop adds it: g / (sqrt(v) + epsilon).

    The learning rate stays inside the velocity, as the stock class has it.
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index, dtype = self._get_variable_index(variable), variable.dtype
        v, rho = self._velocities[index], tf.constant(self.rho, dtype)
        rest = tf.constant(1 - self.rho, dtype)
        v.assign(rho * v + rest * gradient * gradient)
        spread = tf.convert_to_tensor(v)
        if self.centered:
            average = self._average_gradients[index]
            average.assign_add((gradient - average) * rest)
            spread = v - average * average
        step = tf.cast(learning_rate, dtype) * (gradient / (tf.sqrt(spread) + tf.constant(self.epsilon, dtype)))
        if self.momentum > 0:
            velocity = self._momentums[index]
            velocity.assign(tf.constant(self.momentum, dtype) * velocity + step)
            step = velocity
        variable.assign_sub(step)


class Rprop(keras.optimizers.Optimizer):
    """torch.optim.Rprop, which Keras has no counterpart of (torch/optim/rprop.py, _single_tensor_rprop).

    A weight's step grows by eta_plus while its gradient keeps its sign; where that turns, the step shrinks by eta_minus
    and is not taken.
    """

    def __init__(self, learning_rate: float, etas: tuple[float, float], steps: tuple[float, float]) -> None:
        super().__init__(learning_rate=learning_rate)
        self.etas, self.steps = etas, steps

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the slots: each weight's step, and the gradient it last took."""
        super().build(variables)
        names = ["step_size", "previous_gradient"]
        self.step_sizes, self.previous_gradients = self.add_optimizer_variables(variables, names)

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index, dtype = self._get_variable_index(variable), variable.dtype
        size, previous = self.step_sizes[index], self.previous_gradients[index]
        minus, plus, smallest, largest = (tf.constant(value, dtype) for value in (*self.etas, *self.steps))
        turned = tf.sign(gradient * previous)
        factor = tf.where(turned > 0, plus, tf.where(turned < 0, minus, tf.ones_like(turned)))
        size.assign(tf.clip_by_value(size * factor, smallest, largest))
        taken = tf.where(turned < 0, tf.zeros_like(gradient), gradient)
        variable.assign_sub(tf.sign(taken) * size)
        previous.assign(taken)


class ASGD(keras.optimizers.Optimizer):
    """torch.optim.ASGD, which Keras has no counterpart of (torch/optim/asgd.py, _single_tensor_asgd).

    eta_t = lr / (1 + decay lr t)^power;  w = (1 - decay eta_t) w - eta_t g;  average += (w - average) / (t - from)
    """

    def __init__(self, learning_rate: float, decay: float, power: float, averaging_from: float) -> None:
        super().__init__(learning_rate=learning_rate)
        self.decay, self.power, self.averaging_from = decay, power, averaging_from

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the slot: each weight's average."""
        super().build(variables)
        (self.averages,) = self.add_optimizer_variables(variables, ["average"])

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        average, dtype = self.averages[self._get_variable_index(variable)], variable.dtype
        rate, step = tf.cast(learning_rate, tf.float64), tf.cast(self.iterations, tf.float64)
        decay, power = tf.constant(self.decay, tf.float64), tf.constant(self.power, tf.float64)
        # torch keeps eta in the weights' dtype.
        eta = tf.cast(tf.cast(rate / (1 + decay * rate * step) ** power, dtype), tf.float64)
        share = 1 / tf.maximum(step - tf.constant(self.averaging_from, tf.float64), 1)
        variable.assign(tf.cast(1 - decay * eta, dtype) * variable - tf.cast(eta, dtype) * gradient)
        moved = average + tf.cast(share, dtype) * (variable - average)
        average.assign(tf.where(share == 1, tf.convert_to_tensor(variable), moved))
