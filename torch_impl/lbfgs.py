"""L-BFGS: torch's stock class, one iteration a step, and what it keeps of each weight."""

from collections.abc import Iterable, Mapping

import torch

from parity.experiment.optimizers import HISTORIES

SLOTS = ("previous_gradient", "previous_step", *HISTORIES)
# Each slot of every weight; a history has a leading axis.
Slots = Mapping[str, Mapping[torch.nn.Parameter, torch.Tensor]]


class LBFGS(torch.optim.LBFGS):
    """torch's stock class with max_iter=1: it evaluates its closure once, before anything else, for gradients.

    These are there already, and without a line search nothing depends on the closure's value.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], **numbers: float) -> None:
        super().__init__(parameters, max_iter=1, **numbers)

    def step(self, closure: None = None) -> None:
        super().step(lambda: 0.0)


def slots(optimizer: LBFGS) -> Slots:
    """The vectors that torch keeps of all weights together, split by weight."""
    (group,) = optimizer.param_groups
    kept = optimizer.state[group["params"][0]]
    found = {"previous_gradient": kept["prev_flat_grad"], "previous_step": kept["d"] * kept["t"]}
    for slot, key in zip(HISTORIES, ("old_dirs", "old_stps"), strict=True):
        empty = [torch.zeros_like(kept["d"])] * (group["history_size"] - len(kept[key]))
        found[slot] = torch.stack([*empty, *kept[key]])
    return {slot: split(tensor, group["params"]) for slot, tensor in found.items()}


def restore(optimizer: LBFGS, given: Slots) -> None:
    """Give an optimizer its slots, and the numbers that torch keeps beside them and that follow from them."""
    (group,) = optimizer.param_groups
    found = {slot: flat([tensors[p] for p in group["params"]], group["params"]) for slot, tensors in given.items()}
    pairs = [(y, s) for y, s in zip(*(found[slot] for slot in HISTORIES), strict=True) if y.any()]
    optimizer.state[group["params"][0]] = {
        "func_evals": 0,
        # What matters is whether there was an iteration before.
        "n_iter": int(found["previous_gradient"].any()),
        # torch keeps the step as a direction and its length.
        "d": found["previous_step"],
        "t": 1.0,
        "old_dirs": [y for y, s in pairs],
        "old_stps": [s for y, s in pairs],
        "ro": [1.0 / y.dot(s) for y, s in pairs],
        "H_diag": pairs[-1][0].dot(pairs[-1][1]) / pairs[-1][0].dot(pairs[-1][0]) if pairs else 1,
        "prev_flat_grad": found["previous_gradient"],
        "prev_loss": 0.0,
    }


def flat(tensors: Iterable[torch.Tensor], weights: Iterable[torch.Tensor]) -> torch.Tensor:
    """[n], or [history_size, n], of a slot's tensor of every weight."""
    return torch.cat([t.reshape(*t.shape[: t.ndim - w.ndim], -1) for t, w in zip(tensors, weights, strict=True)], -1)


def split(tensor: torch.Tensor, weights: list[torch.nn.Parameter]) -> dict[torch.nn.Parameter, torch.Tensor]:
    """Each weight's part of such a tensor."""
    pieces = torch.split(tensor, [w.numel() for w in weights], -1)
    return {w: piece.reshape(*piece.shape[:-1], *w.shape) for w, piece in zip(weights, pieces, strict=True)}
