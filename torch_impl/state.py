"""Neutral names and layouts of weights and slots, and the framework's own.

A state maps `weights/<node>/kernel` (inputs, units), `weights/<node>/bias` (units,) and what else a node holds,
`slots/<slot>/<node>/...` of the same shapes (a history has a leading axis, its latest entry last),
`statistics/<node>/moving_mean` and `statistics/<node>/moving_variance` (units,), which a batch normalisation keeps
without being trained, and `step`, the number of updates made. torch keeps a kernel transposed, as (units, inputs). A
velocity is a sum of gradients or steps before the learning rate, as torch keeps it.
"""

from collections.abc import Mapping

import numpy as np
import torch

from parity.experiment.optimizers import HISTORIES, momentum_product
from torch_impl import lbfgs
from torch_impl.lbfgs import LBFGS
from torch_impl.models import nodes

State = dict[str, np.ndarray]

# Neutral names of what torch calls otherwise, by kind of layer.
NAMES = {
    torch.nn.Embedding: {"weight": "table"},
    torch.nn.Linear: {"weight": "kernel", "bias": "bias"},
    torch.nn.PReLU: {"weight": "slope"},
    torch.nn.LayerNorm: {"weight": "gamma", "bias": "beta"},
    torch.nn.BatchNorm1d: {
        "weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance",
    },
}  # fmt: skip
# What a node keeps without its being trained.
STATISTICS = ("/moving_mean", "/moving_variance")
# What has a weight's layout.
OF_WEIGHTS = ("gradients/", "clipped/")
# The neutral name of each slot, and its key in torch's optimizer state.
SLOTS = {
    torch.optim.SGD: {"velocity": "momentum_buffer"},
    torch.optim.SparseAdam: {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"},
    torch.optim.Adam: {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"},
    torch.optim.Adamax: {"first_moment": "exp_avg", "infinity_norm": "exp_inf"},
    torch.optim.NAdam: {"first_moment": "exp_avg", "second_moment": "exp_avg_sq"},
    torch.optim.Adagrad: {"accumulator": "sum"},
    torch.optim.Adadelta: {"second_moment": "square_avg", "second_moment_of_steps": "acc_delta"},
    torch.optim.RMSprop: {"second_moment": "square_avg", "first_moment": "grad_avg", "velocity": "momentum_buffer"},
    torch.optim.Rprop: {"step_size": "step_size", "previous_gradient": "prev"},
    torch.optim.ASGD: {"average": "ax"},
    # It keeps them for all weights together.
    LBFGS: {},
}


def read(model: torch.nn.Module, optimizer: torch.optim.Optimizer, step: int) -> State:
    """The state of a model and its optimizer after `step` updates, as NumPy arrays of the model's dtype."""
    state = {f"weights/{name}": neutral(name, parameter) for name, parameter in parameters(model).items()}
    state |= {f"statistics/{name}": neutral(name, tensor) for name, tensor in statistics(model).items()}
    for slot, tensors in slots(model, optimizer).items():
        state |= {f"slots/{slot}/{name}": neutral_slot(slot, name, tensor) for name, tensor in tensors.items()}
    return state | {"step": np.array(step, np.int64)}


def write(model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, np.ndarray]) -> None:
    """Give a model and its optimizer a state, with everything that torch would make at a weight's first update."""
    step = int(state["step"])
    for name, parameter in parameters(model).items():
        parameter.data.copy_(own(name, state[f"weights/{name}"], parameter.device))
        values = optimizer.state[parameter]
        for slot, key in slot_keys(optimizer).items():
            if f"slots/{slot}/{name}" in state:
                values[key] = own(name, state[f"slots/{slot}/{name}"], parameter.device).to(parameter)
        values.update(counters(optimizer, step, parameter))
    if isinstance(optimizer, LBFGS):
        weights = parameters(model).items()
        lbfgs.restore(
            optimizer,
            {
                slot: {p: own_slot(slot, name, state[f"slots/{slot}/{name}"], p.device).to(p) for name, p in weights}
                for slot in lbfgs.SLOTS
            },
        )
    for name, tensor in statistics(model).items():
        tensor.copy_(own(name, state[f"statistics/{name}"], tensor.device))


def counters(optimizer: torch.optim.Optimizer, step: int, parameter: torch.Tensor) -> dict[str, torch.Tensor | int]:
    """State that torch keeps besides a weight's slots, and that follows from the number of updates made."""
    if isinstance(optimizer, torch.optim.SGD | LBFGS):
        return {}
    if isinstance(optimizer, torch.optim.SparseAdam):
        return {"step": step}
    group = optimizer.param_groups[0]
    # Beside the weights only where the step is one kernel; elsewhere torch keeps these numbers on the CPU.
    device = parameter.device if group.get("fused") else "cpu"
    found = {"step": torch.tensor(float(step), device=device, dtype=torch.float32)}
    if isinstance(optimizer, torch.optim.NAdam):
        product = momentum_product(group["betas"][0], group["momentum_decay"], step)
        found["mu_product"] = torch.tensor(product, dtype=parameter.dtype)
    if isinstance(optimizer, torch.optim.ASGD):
        eta = group["lr"] / (1 + group["lambd"] * group["lr"] * step) ** group["alpha"]
        share = 1 / max(1.0, step - group["t0"])
        found |= {name: torch.tensor(value, dtype=parameter.dtype) for name, value in (("eta", eta), ("mu", share))}
    return found


def parameters(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The model's weights by neutral name, in order."""
    return {key: weight for name, node in nodes(model) for key, weight in parameters_of(name, node).items()}


def parameters_of(name: str, node: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The weights of the node called `name` by neutral name, in order."""
    return {f"{name}/{weight_name(node, key)}": parameter for key, parameter in node.named_parameters()}


def statistics(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The running statistics by neutral name, in order."""
    found = {f"{name}/{weight_name(node, key)}": b for name, node in nodes(model) for key, b in node.named_buffers()}
    return {key: tensor for key, tensor in found.items() if key.endswith(STATISTICS)}


def weight_name(node: torch.nn.Module, own_name: str) -> str:
    """The neutral name of what the framework calls `own_name` in a node."""
    return next((NAMES[kind].get(own_name, own_name) for kind in NAMES if isinstance(node, kind)), own_name)


def trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The weights that are trained by neutral name, in order."""
    return {name: parameter for name, parameter in parameters(model).items() if parameter.requires_grad}


def slots(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, torch.Tensor]]:
    """The optimizer's slots by name, each a tensor for every weight."""
    if isinstance(optimizer, LBFGS):
        found = lbfgs.slots(optimizer)
        return {slot: {name: tensors[p] for name, p in parameters(model).items()} for slot, tensors in found.items()}
    found = {
        slot: {name: optimizer.state[p][key] for name, p in parameters(model).items() if key in optimizer.state[p]}
        for slot, key in slot_keys(optimizer).items()
    }
    return {slot: tensors for slot, tensors in found.items() if tensors}


def slot_keys(optimizer: torch.optim.Optimizer) -> dict[str, str]:
    """The neutral name of each slot the optimizer may keep, and its key in torch's optimizer state."""
    return next(keys for kind, keys in SLOTS.items() if isinstance(optimizer, kind))


def to_array(name: str, value: torch.Tensor) -> np.ndarray:
    """A stage's result `name`, in the neutral layout."""
    return neutral(name, value) if name.startswith(OF_WEIGHTS) else value.detach().cpu().numpy()


def to_tensor(name: str, value: np.ndarray, device: str) -> torch.Tensor:
    """The recorded tensor `name`, in the framework's own layout on `device`."""
    return own(name, value, device) if name.startswith(OF_WEIGHTS) else torch.tensor(value, device=device)


def neutral(name: str, tensor: torch.Tensor) -> np.ndarray:
    """A copy of the weight `name`, or of what has its layout, in the neutral one: a kernel transposed."""
    array = tensor.detach().cpu().numpy()
    return np.array(array.T if name.endswith("/kernel") else array, order="C")


def own(name: str, value: np.ndarray, device: str) -> torch.Tensor:
    """The weight `name`, or what has its layout, in the framework's own on `device`, from the neutral one."""
    return torch.tensor(value.T.copy() if name.endswith("/kernel") else value, device=device)


def neutral_slot(slot: str, name: str, tensor: torch.Tensor) -> np.ndarray:
    """A copy of a slot of the weight `name` in the neutral layout, a history entry by entry."""
    return np.stack([neutral(name, entry) for entry in tensor]) if slot in HISTORIES else neutral(name, tensor)


def own_slot(slot: str, name: str, value: np.ndarray, device: str) -> torch.Tensor:
    """A slot of the weight `name` in the framework's own layout on `device`, a history entry by entry."""
    return torch.stack([own(name, entry, device) for entry in value]) if slot in HISTORIES else own(name, value, device)
