"""The masks of dropout, made on the device: parity/randomness.py in int64 tensors, bit for bit.

No generator of the framework decides anything. Products of two words of 32 bits wrap in int64, and their high half is
what a shift leaves of it, without the sign.
"""

from collections.abc import Sequence

import torch

from parity.randomness import FACTORS, LOW, Purpose, dropout_key, dropout_thresholds, round_keys
from parity.spec import Identity


def philox(counter: Sequence[torch.Tensor], key: tuple[int, int]) -> Sequence[torch.Tensor]:
    """Four words of 32 bits from four of a counter, elementwise, all held in int64 (Philox4x32-10)."""
    a, b, c, d = counter
    for left, right in round_keys(key):
        first, second = a * FACTORS[0], c * FACTORS[1]
        a, b = high(second) ^ b ^ left, second & LOW
        c, d = high(first) ^ d ^ right, first & LOW
    return a, b, c, d


def high(product: torch.Tensor) -> torch.Tensor:
    """The upper 32 bits of 64."""
    return (product >> 32) & LOW


def dropout_mask(identity: Identity, step: int, inputs: torch.Tensor) -> torch.Tensor:
    """[samples, units of all dropouts side by side] bool: which values a step keeps of inputs [samples, features]."""
    thresholds, samples = torch.tensor(dropout_thresholds(identity), device=inputs.device), len(inputs)
    if not len(thresholds):
        return torch.zeros([samples, 0], dtype=torch.bool, device=inputs.device)
    count = samples * len(thresholds)
    blocks = torch.arange((count + 3) // 4, device=inputs.device)
    numbers = (torch.tensor(word, device=inputs.device) for word in (step & LOW, step >> 32, int(Purpose.DROPOUT)))
    words = torch.stack(philox((blocks, *numbers), dropout_key(identity.seed)), dim=1)
    return words.reshape(-1)[:count].reshape(samples, len(thresholds)) >= thresholds
