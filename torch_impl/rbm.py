"""Pre-training: each hidden layer as a restricted Boltzmann machine, by contrastive divergence (CD-1).

One step on the Bernoulli units of a layer with kernel W, bias b and visible bias a, from visible units v0
[batch, inputs] and uniforms u [batch, units] in [0, 1):

    p0 = sigmoid(v0 W + b)        h0 = (u < p0)
    v1 = sigmoid(h0 W^T + a)      p1 = sigmoid(v1 W + b)
    W += rate (v0^T p0 - v1^T p1) / batch      b += rate mean(p0 - p1)      a += rate mean(v0 - v1)

(Hinton, Neural Computation 14(8), 2002; where samples are taken and where probabilities: Hinton, A Practical Guide to
Training Restricted Boltzmann Machines, 2010, section 3.) The layers are trained in order, each on the hidden
probabilities of those below (Hinton, Osindero and Teh, Neural Computation 18(7), 2006). The visible biases exist in
pre-training only, and start at 0.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from parity.experiment.randomness import checksum_weights
from parity.experiment.spec import Identity, Realisation
from torch_impl import state as states
from torch_impl.data import OnDevice, batch, checksum
from torch_impl.models import nodes
from torch_impl.train import Build

Arrays = Mapping[str, np.ndarray]
Tensors = dict[str, torch.Tensor]
# (first, last, uniforms [steps, batch, units] float32) -> trace
Chunk = Callable[[int, int, np.ndarray], dict[str, np.ndarray]]
# (state, inputs [batch, features], uniforms [batch, units] float32, recorded) -> what the stages gave
Replay = Callable[[Arrays, np.ndarray, np.ndarray, Arrays | None], dict[str, np.ndarray]]


class Machine(NamedTuple):
    """A hidden layer of `model` as an RBM: its nodes, those `below` it, and its visible bias [inputs]."""

    model: torch.nn.Sequential
    below: list[tuple[str, torch.nn.Module]]
    name: str
    dense: torch.nn.Linear
    sigmoid: torch.nn.Module
    visible_bias: torch.Tensor


def build(function: Build, identity: Identity, realisation: Realisation, device: str) -> list[Machine]:
    """The hidden layers of the identity's model, made by `function`, in order."""
    model = function(identity, realisation).to(device)
    listed, machines = nodes(model), []
    for i, node in enumerate(identity.dense[:-1]):
        (name, dense), (_, sigmoid) = listed[2 * i : 2 * i + 2]
        visible_bias = torch.zeros(node.inputs, device=device)
        machines.append(Machine(model, listed[: 2 * i], name, dense, sigmoid, visible_bias))
    return machines


@torch.no_grad()
def stages(machine: Machine, inputs: torch.Tensor, uniforms: torch.Tensor, recorded: Tensors | None) -> Tensors:
    """The results of one step's stages before the update, by name; each is fed what is `recorded`, where that is given.

    `outputs/<node>` of the nodes below; `positive/hidden_inputs`, `positive/hidden` (p0), `positive/samples` (h0);
    `negative/visible_inputs`, `negative/visible` (v1), `cost` (the mean squared error of v1), `negative/hidden_inputs`
    and `negative/hidden` (p1); `gradients/<layer>/kernel`, `.../bias` and `.../visible_bias`.
    """
    found: Tensors = {}

    def kept(name: str, value: torch.Tensor) -> torch.Tensor:
        """Keep what a stage gave, and return what the next one is fed."""
        found[name] = value
        return value if recorded is None else recorded[name]

    name, dense, sigmoid = machine.name, machine.dense, machine.sigmoid
    v0 = inputs.to(dense.weight.dtype)
    for below, node in machine.below:
        v0 = kept(f"outputs/{below}", node(v0))
    p0 = kept("positive/hidden", sigmoid(kept("positive/hidden_inputs", dense(v0))))
    h0 = kept("positive/samples", (uniforms < p0).to(p0.dtype))
    upwards = torch.nn.functional.linear(h0, dense.weight.T, machine.visible_bias)
    v1 = kept("negative/visible", torch.sigmoid(kept("negative/visible_inputs", upwards)))
    kept("cost", torch.nn.MSELoss()(v1, v0))
    p1 = kept("negative/hidden", sigmoid(kept("negative/hidden_inputs", dense(v1))))
    kept(f"gradients/{name}/kernel", (p0.T @ v0 - p1.T @ v1) / len(v0))
    kept(f"gradients/{name}/bias", torch.mean(p0 - p1, dim=0))
    kept(f"gradients/{name}/visible_bias", torch.mean(v0 - v1, dim=0))
    return found


@torch.no_grad()
def update(machine: Machine, learning_rate: float, given: Tensors) -> None:
    """One step up the gradients in `given`."""
    for weight, tensor in trained(machine).items():
        tensor.add_(given[f"gradients/{weight}"], alpha=learning_rate)


def trained(machine: Machine) -> dict[str, torch.Tensor]:
    """The weights that the layer's pre-training changes, by neutral name."""
    return states.parameters_of(machine.name, machine.dense) | {f"{machine.name}/visible_bias": machine.visible_bias}


def chunk_function(machine: Machine, learning_rate: float, data: OnDevice) -> Chunk:
    """A function (first, last, uniforms) that trains the layer for steps first to last - 1 and returns their trace.

    The trace holds `cost` [steps] and the checksums `indices`, `inputs`, `uniforms` [steps] int64 of what was used.
    """
    size, units = len(data.checksum_weights), machine.dense.out_features
    factors = torch.tensor(checksum_weights(size, units), device=data.checksum_weights.device)

    def chunk(first: int, last: int, uniforms: np.ndarray) -> dict[str, np.ndarray]:
        costs, indices_used, inputs_used, uniforms_used = [], [], [], []
        on_device = torch.tensor(uniforms, device=factors.device)
        for step in range(first, last):
            (indices, inputs, _), drawn = batch(data, step), on_device[step - first]
            found = stages(machine, inputs, drawn, None)
            update(machine, learning_rate, found)
            costs.append(found["cost"])
            indices_used.append(checksum(indices, data.checksum_weights))
            inputs_used.append(checksum(inputs, data.checksum_weights))
            uniforms_used.append(checksum(drawn, factors))
        names = ("cost", "indices", "inputs", "uniforms")
        arrays = (costs, indices_used, inputs_used, uniforms_used)
        return {name: torch.stack(array).cpu().numpy() for name, array in zip(names, arrays, strict=True)}

    return chunk


def continued_function(machine: Machine, learning_rate: float, data: OnDevice) -> Chunk:
    """A function (first, last, uniforms) that takes steps first to last - 1 by their stages; returns their `cost`."""

    def continued(first: int, last: int, uniforms: np.ndarray) -> dict[str, np.ndarray]:
        costs, on_device = [], torch.tensor(uniforms, device=data.checksum_weights.device)
        for step in range(first, last):
            found = stages(machine, batch(data, step)[1], on_device[step - first], None)
            update(machine, learning_rate, found)
            costs.append(found["cost"])
        return {"cost": torch.stack(costs).cpu().numpy()}

    return continued


def replay_function(machines: list[Machine], layer: int, learning_rate: float, device: str) -> Replay:
    """A function (state, inputs, uniforms, recorded) that runs every stage of one step on a layer, and the update.

    Returned are what `stages` gives, and the state after the step. Each stage, and the update, is fed what is
    `recorded`, or, where that is None, what the stage before it gave here.
    """

    def replay(
        state: Arrays, inputs: np.ndarray, uniforms: np.ndarray, recorded: Arrays | None
    ) -> dict[str, np.ndarray]:
        write(machines, state)
        given = None
        if recorded is not None:
            given = {name: states.to_tensor(name, value, device) for name, value in recorded.items()}
        batch, drawn = torch.tensor(inputs, device=device), torch.tensor(uniforms, device=device)
        found = stages(machines[layer], batch, drawn, given)
        update(machines[layer], learning_rate, found if given is None else given)
        arrays = {name: states.to_array(name, value) for name, value in found.items()}
        return arrays | read(machines, int(state["step"]) + 1)

    return replay


def weights(machines: list[Machine]) -> dict[str, torch.Tensor]:
    """All weights of the model and the visible biases, by neutral name."""
    visible = {f"{machine.name}/visible_bias": machine.visible_bias for machine in machines}
    return states.parameters(machines[0].model) | visible


def read(machines: list[Machine], step: int) -> dict[str, np.ndarray]:
    """The state after `step` updates: `weights/...`, the visible biases among them, and `step`."""
    state = {f"weights/{name}": states.neutral(name, weight) for name, weight in weights(machines).items()}
    return state | {"step": np.array(step, np.int64)}


def write(machines: list[Machine], state: Arrays) -> None:
    """Give the machines a state."""
    for name, weight in weights(machines).items():
        weight.data.copy_(states.own(name, state[f"weights/{name}"], weight.device))
