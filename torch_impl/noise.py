"""The noise of a twin: its weights get impulses of the size of a step's rounding, after every step."""

from collections.abc import Mapping

import numpy as np
import torch

from parity.experiment.randomness import Impulses
from torch_impl.state import own, trained


class Noise:
    """Impulses for the weights of a model, each weight's of a size that `resize` sets; zero until then."""

    def __init__(self, model: torch.nn.Module, device: str) -> None:
        self.device = device
        self.weights = trained(model)
        self.sizes = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}

    def draw(self, impulses: Impulses) -> None:
        """Take the impulses of another twin."""
        dtype = next(iter(self.sizes.values())).dtype
        self.values = torch.tensor(impulses.values, dtype=dtype, device=self.device)
        self.offsets = impulses.offsets.tolist()

    def resize(self, sizes: Mapping[str, np.ndarray]) -> None:
        """Set the size of every weight's impulses, in the neutral layout."""
        for name, size in self.sizes.items():
            size.copy_(own(name, sizes[name], self.device))

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Move the weights by the impulses of a step."""
        position = self.offsets[step]
        for name, weight in self.weights.items():
            values = self.values[position : position + weight.numel()]
            weight.add_(self.sizes[name] * values.reshape(weight.shape))
            position += weight.numel()
