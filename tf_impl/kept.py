"""What an optimizer of the user's keeps: read where it has taken steps, and put into a new one, to be saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tf_impl.own import slot_variables

Slots = dict[str, dict[str, np.ndarray]]


def kept(model: Any, make: Callable[..., Any]) -> tuple[int, Slots]:
    """Steps taken, and slots by name and weight: of the optimizer that the user makes, or of the one compiled with."""
    for updater in (make(), getattr(model, "optimizer", None)):
        if updater is not None and updater.built and int(updater.iterations) > 0:
            found: Slots = {}
            for (slot, name), variable in slot_variables(updater, model).items():
                found.setdefault(slot, {})[name] = np.array(variable.value)
            return int(updater.iterations), found
    return 0, {}


def put(model: Any, make: Callable[..., Any], count: int, slots: Slots, file: Path) -> None:
    """Compile the model with the user's optimizer, as if it had taken `count` steps: `own.save` saves both in one."""
    updater = make()
    model.compile(optimizer=updater)
    updater.build(model.trainable_variables)
    updater.iterations.assign(count)
    known = slot_variables(updater, model)
    for slot, values in slots.items():
        for name, value in values.items():
            known[slot, name].assign(value)
