"""What the user's optimizer is, and what it does to each weight at each step: its settings, gradients and rates."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from sys import _getframe
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad

from parity.models.places import place
from torch_impl.capture import array
from torch_impl.describe import variables

CLIPPING = {
    getattr(function, "__wrapped__", function).__code__: (function.__name__, limit)
    for function, limit in ((clip_grad.clip_grad_norm_, "max_norm"), (clip_grad.clip_grad_value_, "clip_value"))
}


@dataclass
class Taken:
    """One step, by weight: the gradient as the optimizer got it, the squares of its parts where it is added up from
    several, the learning rate.
    """

    gradients: dict[str, np.ndarray] = field(default_factory=dict)
    squares: dict[str, np.ndarray] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)


def made(make: Callable[[], Any]) -> tuple[Any, str | None]:
    """What `make` gives, an optimizer, and the line of the user's code that made it."""
    found: list[str | None] = []
    original = torch.optim.Optimizer.__init__

    def created(optimizer: Any, *args: Any, **kwargs: Any) -> None:
        found.append(place(_getframe(1)))
        original(optimizer, *args, **kwargs)

    torch.optim.Optimizer.__init__ = created
    try:
        return make(), next(iter(found), None)
    finally:
        torch.optim.Optimizer.__init__ = original


def settings(updater: Any, model: Any) -> dict[str, dict[str, Any]]:
    """The optimizer's class and numbers, for each weight that it was given."""
    stock = type(updater).__module__.startswith("torch.optim")
    kind = type(updater).__name__ if stock else f"{type(updater).__module__}.{type(updater).__name__}"
    names = {id(v): name for name, v in variables(model).items()}
    found = {}
    for group in getattr(updater, "param_groups", []):
        numbers = {n: v for n, v in group.items() if isinstance(v, bool | int | float | tuple | None) and n != "params"}
        for weight in group["params"]:
            if id(weight) in names:
                found[names[id(weight)]] = {"kind": kind, **numbers}
    return found


def visit(model: Any, values: Mapping[str, np.ndarray]) -> None:
    """Set weights in the midst of training: gradients that the user's code leaves stay."""
    known = variables(model)
    with torch.no_grad():
        for name, value in values.items():
            known[name].copy_(torch.from_numpy(np.require(value, requirements=("C", "W"))))


@contextmanager
def taking(updater: Any, model: Any) -> Iterator[list[Taken]]:
    """Write down each step that the optimizer takes in the block."""
    found: list[Taken] = []
    names = {id(v): name for name, v in variables(model).items()}
    if not isinstance(updater, torch.optim.Optimizer):
        yield found
        return

    def before(optimizer: Any, args: Any, kwargs: Any) -> None:
        taken = Taken()
        for group in optimizer.param_groups:
            for weight in group["params"]:
                name = names.get(id(weight))
                if name is not None and weight.grad is not None:
                    taken.gradients[name] = array(weight.grad.to_dense())
                    taken.rates[name] = float(group["lr"]) if "lr" in group else float("nan")
        found.append(taken)

    hook = updater.register_step_pre_hook(before)
    try:
        yield found
    finally:
        hook.remove()


@contextmanager
def clipping() -> Iterator[list[dict[str, Any]]]:
    """Write down each call in the block that clips gradients: its name, its limit, and the line of the user's code."""
    found: list[dict[str, Any]] = []
    before = sys.getprofile()

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code in CLIPPING:
            name, limit = CLIPPING[frame.f_code]
            found.append({"name": name, "limit": float(frame.f_locals[limit]), "place": place(frame.f_back)})

    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(before)
