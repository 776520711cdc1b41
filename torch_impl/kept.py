"""What an optimizer of the user's keeps: read where it has taken steps, and put into a new one, to be saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from torch_impl import own
from torch_impl.describe import variables

Slots = dict[str, dict[str, np.ndarray]]


def kept(model: Any, make: Callable[..., Any]) -> tuple[int, Slots]:
    """Steps taken, and slots by name and weight: of the optimizer that the user makes, or of `module.optimizer`."""
    for updater in (own.optimizer(make, model), getattr(model, "optimizer", None)):
        counts = [] if updater is None else [int(state.get("step", 1)) for state in updater.state.values()]
        if max(counts, default=0) > 0:
            return max(counts), own.slots(updater, model)
    return 0, {}


def put(model: Any, make: Callable[..., Any], count: int, slots: Slots, file: Path) -> None:
    """Save the `state_dict` of the user's optimizer as if it had taken `count` steps, for `load_state_dict`."""
    updater = own.optimizer(make, model)
    before = {name: value.detach().clone() for name, value in variables(model).items()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight) if weight.requires_grad else None
    # A step makes the slots.
    updater.step()
    own.write(model, {name: value.numpy() for name, value in before.items()})
    groups = {id(weight): group for group in updater.param_groups for weight in group["params"]}
    for name, weight in variables(model).items():
        state = updater.state.get(weight, {})
        for slot, value in list(state.items()):
            if slot == "step":
                state[slot] = torch.full_like(value, count) if isinstance(value, torch.Tensor) else count
            elif isinstance(value, torch.Tensor) and value.shape == weight.shape:
                put_slot(updater, groups[id(weight)], slot, value, slots, name)
    torch.save(updater.state_dict(), file)


def put_slot(updater: Any, group: Any, slot: str, value: Any, slots: Slots, name: str) -> None:
    """Fill one slot of one weight from what Keras would keep, of which `own.as_keras` is so many times torch's."""
    called, shift = own.as_keras(updater, group, slot, np.zeros(1))
    if name in slots.get(called, {}):
        factor = own.as_keras(updater, group, slot, np.ones(1))[1] - shift
        value.copy_(torch.from_numpy(((slots[called][name] - shift) / factor).astype(np.float32)))
