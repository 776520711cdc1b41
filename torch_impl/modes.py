"""The user's own inference: what it gives in eval mode, and what draws numbers in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from sys import _getframe
from typing import Any

import torch
from torch.nn import functional
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from parity.models.places import place

# The layers that draw numbers in train mode.
RANDOM = (torch.nn.modules.dropout._DropoutNd,)
# Functions that do, and whether they do unless they are told the mode.
DROPS = {
    functional.dropout: True,
    functional.dropout1d: True,
    functional.dropout2d: True,
    functional.dropout3d: True,
    functional.alpha_dropout: False,
    functional.feature_alpha_dropout: False,
    torch.dropout: True,
}
# Where attention has its share that is dropped, and it drops in either mode.
ATTENTION, SHARE = functional.scaled_dot_product_attention, 4


class Still(TorchFunctionMode):
    """Functions that drop numbers give what they are given; `tell` takes what each would have done, in words."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self.tell = tell

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in DROPS:
            given = dict(zip(("input", "p", "training"), args, strict=False)) | kwargs
            share = given.get("p", 0.5)
            if share and given.get("training", given.get("train", DROPS[func])):
                self.tell(f"{func.__name__} {share:g} ({place(_getframe(1))})")
            return given["input"]
        if func is ATTENTION and (share := kwargs.get("dropout_p", args[SHARE] if len(args) > SHARE else 0.0)):
            self.tell(f"{func.__name__} dropout_p {share:g} ({place(_getframe(1))})")
            args, kwargs = (*args[:SHARE], *((0.0,) if len(args) > SHARE else ()), *args[SHARE + 1 :]), dict(kwargs)
            kwargs |= {"dropout_p": 0.0} if "dropout_p" in kwargs else {}
        return func(*args, **kwargs)


@contextmanager
def still(tell: Callable[[str], None]) -> Iterator[None]:
    """Let no function drop numbers in the block."""
    with Still(tell):
        yield


def settled(model: Any, function: Callable[..., Any], x: Any) -> Any:
    """What the user's predict() gives of a model that is in eval mode when it is called."""
    model.eval()
    with torch.no_grad():
        return function(model, x)


def dropping(model: Any, function: Callable[..., Any], x: Any) -> list[str]:
    """The layers that draw numbers in train mode, and are in it while the user's predict() runs."""
    found: list[str] = []
    names = {id(module): name for name, module in model.named_modules()}

    def before(module: Any, args: Any) -> None:
        if isinstance(module, RANDOM) and module.training and id(module) in names:
            found.append(names[id(module)])

    model.train()
    hook = hooks.register_module_forward_pre_hook(before)
    try:
        with torch.no_grad(), still(found.append):
            function(model, x)
    finally:
        hook.remove()
    return found
