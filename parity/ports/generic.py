"""Weights that tell apart what a fresh model's hide: zero biases, statistics of 0 and 1, scales of 1."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.experiment.randomness import Purpose, of_shape

# By how much a value that stands for nothing is moved: enough to matter, too little to make a variance negative.
SHARE = 0.1


def generic(values: Mapping[str, NDArray[Any]], paired: Collection[str]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The weights in float32, those that are paired without what is the same everywhere; which those are.

    Vectors lose their zeros and ones, too: three quarters of an LSTM's bias.
    """
    found, moved = {}, []
    for position, (name, value) in enumerate(values.items()):
        if value.dtype.kind != "f":
            found[name] = value
            continue
        plain = np.isin(value, (0.0, 1.0)) if value.ndim < 2 else np.zeros(value.shape, bool)
        plain |= value.size > 0 and bool(np.ptp(value) == 0)
        if name in paired and plain.any():
            moved.append(name)
            noise = of_shape(Purpose.GENERIC, position, value.shape).clip(-2, 2)
            value = np.where(plain, np.where(value == 0, SHARE * noise, value * (1 + SHARE * noise)), value)
        found[name] = value.astype(np.float32)
    return found, moved
