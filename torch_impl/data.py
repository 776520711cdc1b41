"""MNIST by torchvision, batches of data that lives on the device, and checksums of what a step really used."""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from parity.data.datasets import Batches, Data
from parity.data.digits import Digits
from parity.data.mnist import FILES, load
from parity.experiment.randomness import checksum_weights


def mnist(folder: Path) -> Digits:
    """All of MNIST in its original order, by torchvision, which keeps it in a subfolder of `folder`."""
    return load(folder, "torchvision", make_mnist, read_mnist)


def make_mnist(kept: Path, by_hand: Path | None) -> None:
    """Let the loader prepare MNIST in the folder `kept`, from files that are there already or a download."""
    from torchvision.datasets import MNIST

    if by_hand is not None:
        raw = kept / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name in FILES:
            shutil.copy(by_hand / name, raw)
    MNIST(kept, download=True)


def read_mnist(kept: Path) -> Digits:
    """The digits that the loader has prepared; it keeps the original order."""
    from torchvision.datasets import MNIST

    arrays = []
    for train in (True, False):
        found = MNIST(kept, train=train)
        arrays += [found.data.numpy().reshape(-1, 784), found.targets.numpy().astype(np.uint8)]
    return Digits(*arrays)


class OnDevice(NamedTuple):
    """Data and Batches as tensors, with the factors of checksums: [batch size, features], [batch size, mask units]."""

    train_inputs: torch.Tensor
    train_labels: torch.Tensor
    test_inputs: torch.Tensor
    test_labels: torch.Tensor
    order: torch.Tensor
    starts: list[int]
    stops: list[int]
    epoch_ends: list[bool]
    checksum_weights: torch.Tensor
    mask_weights: torch.Tensor


def place(data: Data, batches: Batches, mask_units: int, device: str) -> OnDevice:
    """Copy everything a run needs to `device`, once; `mask_units` are those of all dropouts together."""
    # On the CPU these are the arrays themselves.
    tensors = (torch.as_tensor(array, device=device) for array in (
        data.train_inputs, data.train_labels, data.test_inputs, data.test_labels, batches.order,
    ))  # fmt: skip
    # The loop itself runs in Python, so its bounds stay there.
    bounds = (array.tolist() for array in (batches.starts, batches.stops, batches.epoch_ends))
    weights = (checksum_weights(batches.size, columns) for columns in (data.train_inputs.shape[1], mask_units))
    return OnDevice(*tensors, *bounds, *(torch.tensor(array, device=device) for array in weights))


def held(data: Data, placed: OnDevice) -> Data:
    """The data as NumPy sees the tensors on the CPU, whose memory it shares, so that images are held once."""
    # `place` has not copied what is on the CPU.
    return data


def batch(data: OnDevice, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Indices [batch], inputs [batch, features] and labels [batch] of one step."""
    indices = data.order[data.starts[step] : data.stops[step]]
    return indices, data.train_inputs[indices], data.train_labels[indices]


def checksum(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sum of the values' bits times fixed odd factors, modulo 2**64, as int64; values [batch] or like the weights."""
    if values.dtype.is_floating_point:
        values = values.view(torch.int32 if values.dtype == torch.float32 else torch.int64)
    factors = weights[: len(values)]
    if values.dim() == 1:
        factors = factors[:, 0]
    return torch.sum(values.to(torch.int64) * factors)
