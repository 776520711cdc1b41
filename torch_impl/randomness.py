"""The masks of dropout, made on the device: parity/experiment/randomness.py in int64 tensors, bit for bit.

No generator of the framework decides anything. Products of two words of 32 bits wrap in int64, and their high half is
what a shift leaves of it, without the sign.
"""

from collections.abc import Sequence

import torch

from parity.experiment.randomness import FACTORS, LOW, Purpose, dropout_key, dropout_thresholds, round_keys
from parity.experiment.spec import Identity


def philox(counter: Sequence[torch.Tensor], key: tuple[int, int]) -> Sequence[torch.Tensor]:
    """Four words of 32 bits from four of a counter, elementwise, all held in int64 (Philox4x32-10)."""
    a, b, c, d = counter
    for left, right in round_keys(key):
        first, second = a * FACTORS[0], c * FACTORS[1]
        a, b = ((second >> 32) ^ b ^ left) & LOW, second
        c, d = ((first >> 32) ^ d ^ right) & LOW, first
    return a, b & LOW, c, d & LOW


def dropout_mask(identity: Identity, step: int, inputs: torch.Tensor) -> torch.Tensor:
    """[samples, units of all dropouts side by side] bool: which values a step keeps of inputs [samples, features]."""
    thresholds, samples = torch.tensor(dropout_thresholds(identity), device=inputs.device), len(inputs)
    columns = -(-len(thresholds) // 8)
    if not columns:
        return torch.zeros([samples, 0], dtype=torch.bool, device=inputs.device)
    blocks = torch.arange(samples * columns, device=inputs.device).reshape(samples, columns)
    numbers = (torch.tensor(word, device=inputs.device) for word in (step & LOW, step >> 32, int(Purpose.DROPOUT)))
    words = philox((blocks, *numbers), dropout_key(identity.seed))
    halves = [half for word in words for half in (word & 0xFFFF, word >> 16)]
    return torch.cat(halves, dim=1)[:, : len(thresholds)] >= thresholds
