"""The user's own inference: what it gives in eval mode, and what draws numbers in it."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.modules import module as hooks

# The layers that draw numbers in train mode.
RANDOM = (torch.nn.modules.dropout._DropoutNd,)


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
        with torch.no_grad():
            function(model, x)
    finally:
        hook.remove()
    return found
