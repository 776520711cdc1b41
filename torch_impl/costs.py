"""The user's loss as it is, and changed: what would make it the other side's."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from sys import _getframe
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from parity.models.places import place
from parity.models.trees import leaves, mapped
from torch_impl import own
from torch_impl.capture import array

STOCK = [
    getattr(functional, name)
    for name in (
        "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "cross_entropy", "nll_loss", "binary_cross_entropy",
        "binary_cross_entropy_with_logits", "kl_div", "poisson_nll_loss",
    )
]  # fmt: skip
# What may be done to results before they reach a loss, or a stock loss. The classes are the second axis.
TRANSFORMS: Mapping[str, Callable[[Any], Any]] = {
    "log": torch.log,
    "softmax": lambda x: torch.softmax(x, 1),
    "log_softmax": lambda x: torch.log_softmax(x, 1),
    "sigmoid": torch.sigmoid,
    "logit": lambda p: torch.log(p) - torch.log1p(-p),
    "exp": torch.exp,
}


class Stock(TorchFunctionMode):
    """Writes down the calls of stock losses, and changes them."""

    def __init__(self, change: Mapping[str, Any], seen: list[dict[str, Any]]) -> None:
        super().__init__()
        self.change, self.seen = change, seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in STOCK:
            return func(*args, **(kwargs or {}))
        bound = inspect.signature(func).bind(*args, **(kwargs or {}))
        bound.apply_defaults()
        given = bound.arguments
        settings = {n: v for n, v in given.items() if isinstance(v, bool | int | float | str)}
        weighted = any(given.get(name) is not None for name in ("weight", "pos_weight"))
        shapes = [list(given[name].shape) for name in ("input", "target") if isinstance(given.get(name), torch.Tensor)]
        at = {"name": func.__name__, "place": place(_getframe(1)), "weighted": weighted, "shapes": shapes}
        self.seen.append({**at, "settings": settings})
        return changed(func, given, self.change)


def changed(func: Any, given: Mapping[str, Any], change: Mapping[str, Any]) -> Any:
    """A stock loss called as `change` says: settings by name, "swap", "input" or "target" a transform.

    "function" is another one. "over": "samples" divides what is weighted by the number of samples, not by the sum of
    the weights.
    """
    given = dict(given)
    if "function" in change:
        func = getattr(functional, change["function"])
        given = {name: given[name] for name in ("input", "target", "reduction")}
    if change.get("swap"):
        given["input"], given["target"] = given["target"], given["input"]
    for name in ("input", "target"):
        if name in change:
            given[name] = TRANSFORMS[change[name]](given[name])
    given |= {name: value for name, value in change.items() if name in given and name not in ("input", "target")}
    if change.get("shape") == "target" and given["input"].numel() == given["target"].numel():
        given["target"] = given["target"].reshape(given["input"].shape)
    if change.get("over") == "samples":
        given["reduction"] = "sum"
        return func(**given) / given["target"].numel()
    return func(**given)


def evaluated(
    model: Any, function: Callable[..., Any], y: Any, outputs: Any, variant: Mapping[str, Any]
) -> tuple[np.ndarray, dict[str, np.ndarray], list[dict[str, Any]]]:
    """The user's loss of given results, its gradients by them, and the calls of stock losses in it.

    `variant` changes it: "outputs" is a transform of the results, "shape" what gets the other's shape before the loss
    is called, "call" the change of a stock loss, "scale" a factor.
    """
    seen: list[dict[str, Any]] = []
    given = mapped(lambda t: t.detach().clone().requires_grad_(t.is_floating_point()), outputs)
    with Stock({}, seen):
        tensor = own.cost(model, wrapped(function, variant), y, given)
    named = {name: t for name, t in leaves(given).items() if t.requires_grad}
    found = torch.autograd.grad(tensor, list(named.values()), allow_unused=True) if tensor.requires_grad else ()
    by = {n: array(g) for n, g in zip(named, found, strict=False) if g is not None}
    return array(tensor), by, seen


def wrapped(function: Callable[..., Any], variant: Mapping[str, Any]) -> Callable[..., Any]:
    """The user's loss with a change."""

    @wraps(function)
    def loss(outputs: Any, y: Any, *more: Any, **named: Any) -> Any:
        outputs = mapped(TRANSFORMS[variant["outputs"]], outputs) if "outputs" in variant else outputs
        if variant.get("shape") in ("outputs", "targets"):
            outputs, y = alike(outputs, y, variant["shape"])
        with Stock(variant.get("call", {}), []):
            return function(outputs, y, *more, **named) * variant.get("scale", 1.0)

    return loss


def alike(outputs: Any, y: Any, which: str) -> tuple[Any, Any]:
    """Results or targets in the other's shape, where both have as many numbers."""
    if not isinstance(outputs, torch.Tensor) or not isinstance(y, torch.Tensor) or outputs.numel() != y.numel():
        return outputs, y
    return (outputs.reshape(y.shape), y) if which == "outputs" else (outputs, y.reshape(outputs.shape))


def penalty(model: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What the model itself adds to a loss, and its gradients by the weights: nothing in torch."""
    return np.zeros(()), {}


@contextmanager
def watched(seen: list[dict[str, Any]], change: Mapping[str, Any]) -> Iterator[None]:
    """Write down the calls of stock losses in the block, and change them."""
    with Stock(change, seen):
        yield
