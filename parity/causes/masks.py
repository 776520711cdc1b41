"""What a mask of Keras's makes of a sequence: which steps are real, and what layers do that skip the others."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN"})
# Layers of Keras's that leave out what is masked of the sequence they read.
LEAVING_OUT = RECURRENT | {"Bidirectional", "GlobalAveragePooling1D"}


def real_steps(kind: str, settings: Mapping[str, Any], x: Array) -> Array | None:
    """Which steps a layer of Keras's that makes masks lets through: bool, (batch, time); None of a layer without.

    `x` is what it reads: tokens (batch, time), or features (batch, time, units) of a Masking.
    """
    if kind == "Embedding" and settings.get("mask_zero") and x.ndim == 2:
        return np.asarray(x != 0)
    if kind == "Masking" and x.ndim == 3:
        return np.asarray((x != settings.get("mask_value", 0.0)).any(axis=-1))
    return None


def closed_up(sequence: Array, real: Array) -> Array:
    """Sequences (batch, time, units) whose real steps stand first, in their order, and the others behind."""
    order = np.argsort(~real, axis=1, kind="stable")
    return np.take_along_axis(sequence, order[:, :, None], axis=1)


def carried_on(states: Array, real: Array) -> Array:
    """What a recurrent layer's states of sequences that are closed up are at each step, masked ones included.

    At a masked step the state stays as it is, and before the first real one it is zero; (batch, time, units).
    """
    known = np.concatenate([np.zeros_like(states[:, :1]), states], axis=1)
    return np.take_along_axis(known, np.cumsum(real, axis=1)[:, :, None], axis=1)


def mean_of_real(sequence: Array, real: Array) -> Array:
    """The mean over the real steps of sequences (batch, time, units); no number where there are none."""
    with np.errstate(all="ignore"):
        return np.asarray((sequence * real[:, :, None]).sum(axis=1) / real.sum(axis=1, keepdims=True))
