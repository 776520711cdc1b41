"""Why a batch norm's moving statistics part: the share of the past, and which variance of a batch is kept."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.causes.cause import Cause
from parity.causes.rules import close

Array = NDArray[np.float64]
PLACES = tuple[str | None, str | None]


@dataclass(frozen=True)
class Kept:
    """A moving statistic of both sides, [channels]: before a batch, and after it; `count` numbers of a channel in it.

    `momenta` are Keras's share of the past and torch's share of the batch, `rounding` is that of the statistic.
    """

    is_variance: bool
    before: Array
    keras: Array
    torch: Array
    momenta: tuple[float, float]
    count: int
    rounding: float


def of_statistics(kept: Kept, layer: str, places: PLACES) -> Iterator[Cause]:
    """What makes torch's statistic of Keras's: the other momentum, the unbiased variance, or both; nothing else.

    Keras keeps m old + (1 - m) s of the batch's statistic s, torch (1 - m) old + m s, where its variance is divided by
    n - 1 (keras/src/layers/normalization/batch_normalization.py; torch/nn/modules/batchnorm.py).
    """
    past, share = kept.momenta
    if not 0 <= past < 1 or kept.count < 2:
        return
    batch = (kept.keras - past * kept.before) / (1 - past)
    rounding = kept.rounding * max(1.0, share / (1 - past))
    for unbiased in (False, True) if kept.is_variance else (False,):
        found = batch * (kept.count / (kept.count - 1) if unbiased else 1.0)
        if close((1 - share) * kept.before + share * found, kept.torch, rounding):
            if abs(past - (1 - share)) > 1e-12:
                yield Cause(
                    "batchnorm_momentum", "buffers",
                    f"{layer}: Keras's momentum {past:g} is the share of the past, torch's {share:g} that of the batch",
                    f"BatchNorm(..., momentum={1 - past:g})", "port",
                    "with this momentum, torch's moving statistics are made of Keras's", *places, "batchnorm_defaults",
                )  # fmt: skip
            if unbiased:
                yield Cause(
                    "batchnorm_moving_variance", "buffers",
                    f"{layer}: torch's moving variance keeps the unbiased variance of a batch, Keras's the biased one",
                    f"torch: multiply a batch's share of running_var by (n - 1) / n = {kept.count - 1}/{kept.count}",
                    "framework", "so scaled, torch's moving variance is Keras's", *places, "batchnorm_moving_variance",
                )  # fmt: skip
            return


def of_still(who: str, layer: str, places: PLACES) -> Cause:
    """Moving statistics that one side alone leaves as they are in train mode."""
    fix = "no eval() of that layer in train mode" if who == "torch" else "trainable=True, and training=True in the call"
    return Cause(
        "frozen_batchnorm", "buffers", f"{layer}: {who}'s moving statistics stay as they are in train mode", fix,
        "port",
        "after a pass in train mode they are equal to the bit, and the other side's are not", *places,
        "frozen_batchnorm",
    )  # fmt: skip
