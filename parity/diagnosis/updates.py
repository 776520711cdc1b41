"""Known shapes of mistake in an optimizer's update, as suppositions on one weight and its slots, or on all."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.stages import gradients, taken_gradient
from parity.diagnosis.expected import Given
from parity.diagnosis.suppositions import Arrays, Supposition, all_of, changed, instead, numbers_of, with_state
from parity.experiment.optimizers import HISTORIES, LBFGS, SGD, Moments, Optimizer

Array = NDArray[Any]
GIVES = all_of(["optimizer"])
KEPT = "the step before were not kept in the history"


def of_update(given: Given) -> Iterator[Supposition]:
    """What an optimizer may do instead: with other numbers, another count of steps, other gradients, other slots."""
    optimizer, step = given.identity.optimizer, int(given.state["step"])
    yield Supposition("nothing were updated", lambda g, _: {name: g.state[name] for name in GIVES(g)})
    yield Supposition("the gradients were zero", lambda g, _: GIVES(times(g, 0.0)))
    for said, other in (("ahead", step + 1), ("behind", step - 1)):
        if other >= 0:
            yield Supposition(f"the count of updates were one {said}", at_step(other))
    if given.identity.clipping is not None:
        yield Supposition("the gradients were not clipped", lambda g, _: GIVES(times(g, 1.0, clipped=False)))
    if isinstance(optimizer, Moments):
        swapped = {"beta_1": optimizer.beta_2, "beta_2": optimizer.beta_1}
        yield Supposition("beta_1 and beta_2 were swapped", with_numbers(optimizer, **swapped))
    yield from of_slots(given)
    if isinstance(optimizer, SGD) and optimizer.momentum:
        said = "not Nesterov's" if optimizer.nesterov else "Nesterov's"
        yield Supposition(f"the momentum were {said}", with_numbers(optimizer, nesterov=not optimizer.nesterov))
        yield Supposition("Nesterov's momentum took the velocity from before the step", old_velocity)
        share = 1 - optimizer.momentum
        yield Supposition("gradients entered the velocity times 1 - momentum", lambda g, _: GIVES(times(g, share)))
    for field in numbers_of(optimizer):
        neutral = getattr(optimizer, field)
        if 0 < neutral < 1 and field not in ("learning_rate", "epsilon", "tolerance_grad", "tolerance_change"):
            says = f"{field} were its complement, {1 - neutral:g} and not {neutral:g}"
            yield Supposition(says, with_numbers(optimizer, **{field: 1 - neutral}))
    for field in numbers_of(optimizer):
        neutral = getattr(optimizer, field)
        yield Supposition(instead(field, neutral), with_number(optimizer, field), neutral)
    yield Supposition("the gradients were times {}", lambda g, at: GIVES(times(g, at)), 1.0)


def at_step(step: int) -> Callable[[Given, float], Arrays]:
    """The update at another step."""
    return lambda g, _: GIVES(with_state(g, "step", np.int64(step)))


def with_numbers(optimizer: Optimizer, **numbers: Any) -> Callable[[Given, float], Arrays]:
    """The update with other settings."""
    return lambda g, _: GIVES(changed(g, optimizer=replace(optimizer, **numbers)))


def with_number(optimizer: Optimizer, field: str) -> Callable[[Given, float], Arrays]:
    """The update with another number in one setting."""
    return lambda g, at: with_numbers(optimizer, **{field: at})(g, at)


def of_slots(given: Given) -> Iterator[Supposition]:
    """Slots that are not what they were before the step."""
    optimizer = given.identity.optimizer
    for slot in optimizer.slots:
        names = [f"slots/{slot}/{name}" for name in given.identity.weights]
        if any(given.state[name].any() for name in names):
            # Without the step before there is no pair of it and of what the gradient changed by.
            says = f"{slot} were zero before the step"
            says = KEPT if isinstance(optimizer, LBFGS) and slot == "previous_step" else says
            yield Supposition(says, each(names, lambda x: 0 * x))
        if isinstance(optimizer, LBFGS) and slot in HISTORIES:
            yield Supposition(f"{slot} were read from the other end", each(names, lambda x: x[::-1]))
    if isinstance(optimizer, LBFGS):
        size = sum(float(np.abs(g).sum()) for g in gradients(given.identity, given.recorded, clipped=True).values())
        if not any(given.state[f"slots/previous_step/{name}"].any() for name in given.identity.weights) and size > 1:
            longer = with_numbers(optimizer, learning_rate=optimizer.learning_rate * size)
            yield Supposition("the first step were not shortened by the size of the gradient", longer)
        yield Supposition("its step led nowhere and were not taken", with_numbers(optimizer, tolerance_change=1e300))
        histories = [f"slots/{slot}/{name}" for slot in HISTORIES for name in given.identity.weights]
        if any(given.state[name].any() for name in histories):
            yield Supposition("the history were empty", each(histories, lambda x: 0 * x))
            yield Supposition("the newest pair of the history were missing", each(histories, older))


def older(history: Array) -> Array:
    """A history [pairs, ...] without its newest pair, which stands last."""
    return np.concatenate([np.zeros_like(history[:1]), history[:-1]])


def each(names: list[str], change: Callable[[Array], Array]) -> Callable[[Given, float], Arrays]:
    """The update with these tensors of the state changed."""

    def gives(given: Given, _: float) -> Arrays:
        for name in names:
            given = with_state(given, name, change(given.state[name]))
        return GIVES(given)

    return gives


def times(given: Given, factor: float, clipped: bool = True) -> Given:
    """With the gradients that the optimizer takes times a factor, clipped or not."""
    taken = gradients(given.identity, given.recorded, clipped)
    recorded = {**given.recorded, **{taken_gradient(given.identity, name): factor * g for name, g in taken.items()}}
    return replace(given, recorded=recorded)


def old_velocity(given: Given, _: float) -> Arrays:
    """The update by the gradient and the momentum's share of the velocity from before the step."""
    optimizer = given.identity.optimizer
    assert isinstance(optimizer, SGD)
    found = dict(GIVES(given))
    for name, g in gradients(given.identity, given.recorded, clipped=True).items():
        step = g + optimizer.momentum * given.state[f"slots/velocity/{name}"]
        found[f"weights/{name}"] = given.state[f"weights/{name}"] - optimizer.learning_rate * step
    return found
