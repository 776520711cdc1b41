"""The formulas of the optimizers, in NumPy: one weight's update from its gradient and slots.

Each function takes (optimizer, realisation, t, w, g, slots): `t` the number of updates made before, the weight, its
gradient, and its slots by name, all of one shape; arrays, or Rounded numbers, which then tell how far rounding may take
the result. It returns the new weight and the new slots. Sources: torch/optim and keras/src/optimizers, whose stock
classes run in training; tests hold the formulas against them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from parity.bounds.running_error import (
    Branch,
    Rounded,
    average,
    blocks,
    exact,
    held,
    joined,
    parts,
    share,
    where,
    worse,
)
from parity.experiment.optimizers import (
    ASGD,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RMSprop,
    Rprop,
    SparseAdam,
    momentum_product,
    momentum_share,
)
from parity.experiment.spec import Realisation, decays_weights, realised

Slots = Mapping[str, Any]
Update = tuple[Any, dict[str, Any]]


# Elements of a weight that are updated at once: what a formula makes on its way, some hundred arrays, stays in a
# processor's cache.
BLOCK = 2**15


def update(optimizer: Optimizer, realisation: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """The optimizer's update of one weight."""
    optimizer = realised(optimizer, realisation)
    if not isinstance(w, Rounded) or w.value.size <= BLOCK:
        return update_block(optimizer, realisation, t, w, g, slots)
    names = ["weight", *slots]
    each = zip(*(blocks(number, BLOCK) for number in (w, g, *slots.values())), strict=True)
    found = []
    for w_part, g_part, *slot_parts in each:
        new_w, new = update_block(optimizer, realisation, t, w_part, g_part, dict(zip(slots, slot_parts, strict=True)))
        found.append({"weight": new_w, **new})
    whole = {name: joined([part[name] for part in found], w.value.shape) for name in names}
    return whole.pop("weight"), whole


def update_block(optimizer: Optimizer, realisation: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """The same of some elements, by the optimizer's formula."""
    decay = optimizer.weight_decay
    if decay and decays_weights(optimizer, realisation):
        w = w - optimizer.learning_rate * decay * w
    elif decay:
        g = g + decay * w
    return UPDATES[type(optimizer)](optimizer, realisation, t, w, g, slots)


def sgd(o: SGD, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """b = momentum b + g;  w -= learning_rate b, or with Nesterov's momentum w -= learning_rate (g + momentum b)."""
    if not o.momentum:
        return w - o.learning_rate * g, {}
    b = with_rate(o.momentum * slots["velocity"] + g, o.learning_rate)
    return w - o.learning_rate * (g + o.momentum * b if o.nesterov else b), {"velocity": b}


def with_rate(velocity: Any, rate: float) -> Any:
    """A velocity that Keras keeps times the learning rate, which is divided out of it: what underflows with it."""
    if not isinstance(velocity, Rounded):
        return velocity
    return worse(velocity, (velocity * rate) / rate)


def adam(o: Adam | AdamW, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """Epsilon after the bias correction as in torch, or before it as in Keras."""
    m = average(o.beta_1, slots["first_moment"], g)
    v = average(o.beta_2, slots["second_moment"], np.square(g))
    # Keras, and torch on a GPU, compute the corrections in the weights' own dtype, which loses as many digits as beta
    # is close to 1.
    first, second = (1 - np.power(held(beta, w), t + 1) for beta in (o.beta_1, o.beta_2))
    if r.adam_epsilon == "after_correction":
        root = np.sqrt(v) / np.sqrt(second)
        moved = share(o.learning_rate / first, m, root + o.epsilon)
    else:
        moved = share(o.learning_rate * np.sqrt(second) / first, m, np.sqrt(v) + o.epsilon)
    return w - moved, {"first_moment": m, "second_moment": v}


def sparse_adam(o: SparseAdam, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """The update of rows that have a gradient (stages.py leaves the others as they are); epsilon before the correction.

    torch computes the corrections in float64.
    """
    m = average(o.beta_1, slots["first_moment"], g)
    v = average(o.beta_2, slots["second_moment"], np.square(g))
    rate = o.learning_rate * np.sqrt(1 - o.beta_2 ** (t + 1)) / (1 - o.beta_1 ** (t + 1))
    return w - share(rate, m, np.sqrt(v) + o.epsilon), {"first_moment": m, "second_moment": v}


def adamax(o: Adamax, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """Epsilon beside the gradient's size as in torch, or in the denominator as in Keras."""
    m = average(o.beta_1, slots["first_moment"], g)
    if r.adamax_epsilon == "beside_gradient":
        norm = np.maximum(o.beta_2 * slots["infinity_norm"], np.abs(g) + o.epsilon)
        moved = share(o.learning_rate / (1 - np.power(held(o.beta_1, w), t + 1)), m, norm)
    else:
        norm = np.maximum(o.beta_2 * slots["infinity_norm"], np.abs(g))
        moved = share(o.learning_rate, m, (1 - np.power(held(o.beta_1, w), t + 1)) * (norm + o.epsilon))
    return w - moved, {"first_moment": m, "infinity_norm": norm}


def nadam(o: NAdam, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2), and the product of all so far in place of beta_1^t."""
    m = average(o.beta_1, slots["first_moment"], g)
    v = average(o.beta_2, slots["second_moment"], np.square(g))
    mu, mu_next = (held(momentum_share(o.beta_1, o.momentum_decay, step), w) for step in (t + 1, t + 2))
    here, behind = (held(momentum_product(o.beta_1, o.momentum_decay, steps), w) for steps in (t + 1, t + 2))
    denominator = np.sqrt(v / (1 - np.power(held(o.beta_2, w), t + 1))) + o.epsilon
    look_ahead = mu_next * m / (1 - behind) + (1 - mu) * g / (1 - here)
    return w - share(o.learning_rate, look_ahead, denominator), {"first_moment": m, "second_moment": v}


def adagrad(o: Adagrad, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """Epsilon outside the root as in torch, or inside as in Keras."""
    a = slots["accumulator"] + np.square(g)
    return w - share(o.learning_rate, g, rooted(a, o.epsilon, r.adagrad_epsilon)), {"accumulator": a}


def adadelta(o: Adadelta, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """Both frameworks add epsilon inside both roots."""
    v = average(o.rho, slots["second_moment"], np.square(g))
    before = slots["second_moment_of_steps"]
    moved = share(g, np.sqrt(before + o.epsilon), np.sqrt(v + o.epsilon))
    after = average(o.rho, before, np.square(moved))
    return w - o.learning_rate * moved, {"second_moment": v, "second_moment_of_steps": after}


def rmsprop(o: RMSprop, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """Epsilon outside the root as in torch, or inside as in Keras."""
    v = average(o.rho, slots["second_moment"], np.square(g))
    found, spread = {"second_moment": v}, v
    if o.centered:
        found["first_moment"] = average(o.rho, slots["first_moment"], g)
        spread = v - np.square(found["first_moment"])
    root = rooted(spread, o.epsilon, r.rmsprop_epsilon)
    if not o.momentum:
        return w - share(o.learning_rate, g, root), found
    found["velocity"] = with_rate(o.momentum * slots["velocity"] + g / root, o.learning_rate)
    return w - o.learning_rate * found["velocity"], found


def rooted(v: Any, epsilon: float, place: str) -> Any:
    """The root of v, epsilon inside or outside."""
    return np.sqrt(v + epsilon) if place == "inside_root" else np.sqrt(v) + epsilon


def rprop(o: Rprop, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """The step grows while the gradient keeps its sign; where it turns, the step shrinks and is not taken."""
    before = parts(slots["previous_gradient"])[0]
    size, gradient = slots["step_size"], parts(g)[0]
    turned = np.sign(gradient) * np.sign(before)
    if not isinstance(w, Rounded):
        return by_signs(o, np.sign(gradient), turned, w, g, size)
    new_w, found = by_signs(o, np.sign(gradient), turned, w, g, size)
    # Where the gradient or its product with the last one is within rounding of zero, its sign is open.
    product = g * slots["previous_gradient"]
    open_sign = np.abs(gradient) <= parts(g)[1]
    # What is made of zeros alone is zero everywhere.
    open_sign &= parts(g)[1] > 0
    open_product = (np.abs(product.value) <= product.error) & (product.error > 0)
    at = np.flatnonzero(open_sign | open_product)
    if at.size == 0:
        return new_w, found
    ways = []
    given = [array.reshape(-1)[at] for array in (w.value, gradient, parts(size)[0], before, open_sign)]
    for sign, way in ((s, turn) for s in (-1.0, 0.0, 1.0) for turn in (s, 0.0)):
        ways.append(open_way(o, sign, way, *given))
    outcomes = {name: np.stack([way[name] for way in ways]) for name in ways[0]}
    here = {"weight": new_w, **found}
    own = {"previous_gradient": parts(g)[1].reshape(-1)[at]}
    new_w, *kept = (branched(here[name], Branch(at, outcomes[name]), own.get(name, 0.0)) for name in here)
    return new_w, dict(zip(found, kept, strict=True))


def by_signs(o: Rprop, sign: Any, turned: Any, w: Any, g: Any, size: Any) -> Update:
    """The update where the gradient's sign and that of its product with the last one are known."""
    factor = np.where(turned > 0, o.eta_plus, np.where(turned < 0, o.eta_minus, 1.0))
    size = np.minimum(np.maximum(size * factor, o.smallest_step), o.largest_step)
    nothing: Any = exact(np.zeros_like(sign), g.u) if isinstance(g, Rounded) else 0.0
    kept = where(turned < 0, nothing, g)
    return w - np.where(turned < 0, 0.0, sign) * size, {"step_size": size, "previous_gradient": kept}


def open_way(o: Rprop, sign: float, turn: float, w: Any, g: Any, size: Any, before: Any, open_sign: Any) -> Slots:
    """The update of elements whose gradient has this sign, and its product with the last one that of `turn` times it.

    NaN where that is not open to an element.
    """
    turned = turn * np.sign(before)
    new_w, found = by_signs(o, np.full_like(w, sign), turned, w, g, size)
    possible = open_sign | (np.sign(g) == sign)
    return {name: np.where(possible, value, np.nan) for name, value in {"weight": new_w, **found}.items()}


def branched(number: Rounded, branch: Branch, own: Any) -> Rounded:
    """A number with outcomes beside its own, and the rounding of these, and the error that they have already."""
    error = number.error.copy()
    error.reshape(-1)[branch.positions] += own + 4 * number.u * np.nanmax(np.abs(branch.outcomes), axis=0)
    return Rounded(number.value, error, number.u, None, number.reach, number.ends, branch)


def asgd(o: ASGD, r: Realisation, t: int, w: Any, g: Any, slots: Slots) -> Update:
    """eta_t = learning_rate / (1 + decay learning_rate t)^power;  w = (1 - decay eta_t) w - eta_t g."""
    eta = held(o.learning_rate / (1 + o.decay * o.learning_rate * t) ** o.power, w)
    w = w * (1 - o.decay * eta) - eta * g
    share = 1 / max(1.0, t - o.averaging_from)
    average = w if share == 1 else slots["average"] + share * (w - slots["average"])
    return w, {"average": average}


UPDATES: dict[type, Callable[..., Update]] = {
    SGD: sgd,
    Adam: adam,
    AdamW: adam,
    SparseAdam: sparse_adam,
    Adamax: adamax,
    NAdam: nadam,
    Adagrad: adagrad,
    Adadelta: adadelta,
    RMSprop: rmsprop,
    Rprop: rprop,
    ASGD: asgd,
}
