"""L-BFGS, which Keras has none of: torch's, as an optimizer of Keras's."""

from collections.abc import Iterable

import keras
import tensorflow as tf

from parity.experiment import optimizers as specs
from parity.experiment.optimizers import HISTORIES


class LBFGS(keras.optimizers.Optimizer):
    """torch.optim.LBFGS with max_iter=1 and no line search (torch/optim/lbfgs.py, LBFGS.step).

    The update is of all weights together, as one vector of n numbers. The two-loop recursion is Nocedal and Wright's,
    Numerical Optimization, algorithm 7.4. An entry of the history that is not filled yet is zero, and adds nothing.
    """

    def __init__(self, spec: specs.LBFGS) -> None:
        super().__init__(learning_rate=spec.learning_rate)
        self.spec = spec

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the slots: the gradient and the step last taken, and the histories of each weight, the latest last."""
        super().build(variables)
        names = ["previous_gradient", "previous_step"]
        self.previous_gradients, self.previous_steps = self.add_optimizer_variables(variables, names)
        self.gradient_changes, self.steps = (
            [self.add_variable((self.spec.history_size, *v.shape), dtype=v.dtype, name=name) for v in variables]
            for name in HISTORIES
        )

    def _backend_update_step(self, grads: list, trainable_variables: list, learning_rate: tf.Tensor) -> None:
        # Instead of a step for each weight.
        indices = [self._get_variable_index(variable) for variable in trainable_variables]
        slots = self.previous_gradients, self.previous_steps, self.gradient_changes, self.steps
        variables = [[slot[index] for index in indices] for slot in slots]
        g = flat(grads, trainable_variables)
        before, s, changes, steps = (flat(slot, trainable_variables) for slot in variables)
        tolerance_grad, tolerance_change, curvature = (
            tf.constant(value, g.dtype)
            for value in (self.spec.tolerance_grad, self.spec.tolerance_change, self.spec.curvature)
        )

        def move() -> None:
            y = g - before
            kept = dot(y, s) > curvature
            new_changes = tf.where(kept, tf.concat([changes[1:], y[None]], 0), changes)
            new_steps = tf.where(kept, tf.concat([steps[1:], s[None]], 0), steps)
            d = direction(g, new_changes, new_steps)
            share = tf.where(
                tf.reduce_any(before != 0), tf.ones_like(g[0]), tf.minimum(1 / tf.reduce_sum(tf.abs(g)), 1)
            )
            step = tf.cast(learning_rate, g.dtype) * share * d
            # torch keeps a step that leads nowhere as the last one, and does not take it.
            taken = tf.where(dot(g, d) > -tolerance_change, tf.zeros_like(step), step)
            for slot, tensor in zip(variables, (g, step, new_changes, new_steps), strict=True):
                for variable, part in zip(slot, split(tensor, trainable_variables), strict=True):
                    variable.assign(part)
            for variable, part in zip(trainable_variables, split(taken, trainable_variables), strict=True):
                variable.assign_add(part)

        tf.cond(tf.reduce_max(tf.abs(g)) <= tolerance_grad, lambda: None, move)


def direction(g: tf.Tensor, changes: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """[n]: minus the inverse Hessian that the history [history_size, n] stands for, times the gradient g [n]."""
    products = tf.reduce_sum(changes * steps, 1)
    rhos = tf.math.divide_no_nan(tf.ones_like(products), products)

    def from_latest(found: tuple[tf.Tensor, tf.Tensor], pair: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        (q, _), (y, s, rho) = found, pair
        alpha = dot(s, q) * rho
        return q - alpha * y, alpha

    def from_oldest(q: tf.Tensor, pair: tuple[tf.Tensor, ...]) -> tf.Tensor:
        y, s, rho, alpha = pair
        return q + (alpha - dot(y, q) * rho) * s

    start = -g, tf.zeros_like(g[0])
    qs, alphas = tf.scan(from_latest, (changes, steps, rhos), start, reverse=True)
    size = dot(changes[-1], changes[-1])
    scale = tf.where(size > 0, products[-1] / size, tf.ones_like(size))
    return tf.foldl(from_oldest, (changes, steps, rhos, alphas), scale * qs[0])


def dot(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The scalar product of two vectors."""
    return tf.tensordot(x, y, 1)


def flat(tensors: Iterable[tf.Tensor], weights: Iterable[tf.Tensor]) -> tf.Tensor:
    """[n], or [history_size, n], of a slot's tensor of every weight."""
    pairs = ((tf.convert_to_tensor(t), len(w.shape)) for t, w in zip(tensors, weights, strict=True))
    return tf.concat([tf.reshape(t, [*t.shape[: len(t.shape) - rank], -1]) for t, rank in pairs], -1)


def split(tensor: tf.Tensor, weights: list[tf.Tensor]) -> list[tf.Tensor]:
    """Each weight's part of such a tensor."""
    pieces = tf.split(tensor, [w.shape.num_elements() for w in weights], -1)
    return [tf.reshape(piece, [*piece.shape[:-1], *w.shape]) for w, piece in zip(weights, pieces, strict=True)]
