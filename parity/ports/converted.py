"""Weights, and what an optimizer keeps of them, read and written by a side's process as its framework does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.ports.arrays import Arrays
from parity.ports.session import Session, Start
from parity.ports.source import telling

COUNT, OPTIMIZER = "count", ".optimizer.pt"


def kept(session: Session) -> Arrays:
    """What the user's optimizer keeps in float32, if it has taken any step: "count", and "SLOT/WEIGHT" for each."""
    model = session.model("float32")
    with telling(f"{session.name}: optimizer()"):
        count, slots = session.side.kept.kept(model, session.source.optimizer)
    found = {f"{slot}/{name}": value for slot, values in slots.items() for name, value in values.items()}
    return {COUNT: np.array(count), **found}


def save(session: Session, weights: Mapping[str, NDArray[Any]], kept: Arrays | None, file: Path, said: str) -> None:
    """Write weights in float32 as the framework itself does, with what is `said` of them, and what is `kept`."""
    model, own = session.model("float32"), session.side.own
    own.write(model, Start(weights, "float32", None))
    if kept is not None:
        slots: dict[str, Arrays] = {}
        for key, value in kept.items():
            slot, slash, name = key.partition("/")
            if slash:
                slots.setdefault(slot, {})[name] = value
        with telling(f"{session.name}: optimizer()"):
            session.side.kept.put(model, session.source.optimizer, int(kept[COUNT]), slots, beside(file))
    own.save(model, file, said)


def beside(file: Path) -> Path:
    """Where torch's optimizer is saved: "port.optimizer.pt" beside "port.safetensors"."""
    return file.with_name(file.name.removesuffix(".safetensors") + OPTIMIZER)
