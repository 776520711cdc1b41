"""A worker's programs in one precision, as functions of NumPy arrays: the training, or the pre-training."""

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.errors import IncomparableError
from parity.experiment import randomness
from parity.experiment.spec import LABELS, Identity
from parity.recordings.recording import Arrays
from parity.steps.phases import Pretraining
from parity.workers.job import RecordJob

# What the uniforms of a chunk of steps may take, in bytes.
LARGEST_DRAW = 2**24


class Program(NamedTuple):
    """A model with all that trains it.

    read         (step) -> the state, which is that after `step` updates
    write        (state)
    chunk        (first, last) -> the trace of the steps first to last - 1
    continued    (first, last) -> the costs of the steps first to last - 1, taken by their stages as `step` takes one
    step         (state, inputs, labels or uniforms, recorded) -> what the stages of one step gave, and the state after
    infer        (inputs) -> what the model makes of them in eval mode; None in pre-training
    evaluate     () -> accuracy and loss on the test set, then on the training set, in float64; None in pre-training
    tested       () -> what the model makes of the test set; None in pre-training
    twin         () -> the noise of a twin, and `chunk` with it; None in pre-training
    """

    read: Callable[[int], dict[str, NDArray[Any]]]
    write: Callable[[Arrays], None]
    chunk: Callable[[int, int], dict[str, NDArray[Any]]]
    continued: Callable[[int, int], dict[str, NDArray[Any]]]
    step: Callable[..., dict[str, NDArray[Any]]]
    infer: Callable[[NDArray[Any]], NDArray[Any]] | None
    evaluate: Callable[[], NDArray[np.float64]] | None
    tested: Callable[[], dict[str, NDArray[Any]]] | None
    twin: Callable[[], tuple[Any, Callable[[int, int], dict[str, NDArray[Any]]]]] | None


def training(side: SimpleNamespace, job: RecordJob, build: Any, place: str, on_device: Any) -> Program:
    """The model that `build` makes, and its optimizer."""
    identity = job.identity
    model, updater = side.train.build(build, identity, job.realisation, place)
    require_shapes(side, identity, model)
    loss = side.losses.loss(identity.loss)
    clip = side.clipping.clip_function(identity.clipping, job.realisation)

    def infer(inputs: NDArray[Any]) -> NDArray[Any]:
        found = side.train.infer(model, side.state.to_tensor("inputs", inputs, place))
        return side.state.to_array("outputs", found)

    def evaluate() -> NDArray[np.float64]:
        return side.state.to_array("evaluation", side.train.evaluate(model, loss, on_device, identity))

    def twin() -> tuple[Any, Callable[[int, int], dict[str, NDArray[Any]]]]:
        noise = side.noise.Noise(model, place)
        return noise, side.train.chunk_function(model, loss, clip, updater, on_device, identity, noise)

    return Program(
        read=partial(side.state.read, model, updater),
        write=partial(side.state.write, model, updater),
        chunk=side.train.chunk_function(model, loss, clip, updater, on_device, identity),
        continued=side.replay.continued_function(model, loss, clip, updater, on_device, identity),
        step=side.replay.replay_function(model, loss, clip, updater, identity, place),
        infer=infer,
        evaluate=evaluate,
        tested=partial(side.train.tested, model, on_device, identity.threshold),
        twin=twin,
    )


def require_shapes(side: SimpleNamespace, identity: Identity, model: Any) -> None:
    """Refuse a model with a weight of another shape than the settings give it, and so than the other side's has.

    It would be filled by repeating what it is given, or not at all. One that is missing is the verdict's to tell.
    """
    for name, weight in side.state.parameters(model).items():
        # Gradients have the neutral layout of their weights.
        shape, expected = side.state.to_array(f"gradients/{name}", weight).shape, identity.weight_shapes.get(name)
        if expected is not None and shape != expected:
            raise IncomparableError(
                f"{LABELS[side.name]}'s model is another one: its weights/{name} has shape {shape}, "
                f"and the settings, which both sides share, give it {expected}"
            )


def pretraining(
    side: SimpleNamespace, job: RecordJob, build: Any, place: str, on_device: Any, phase: Pretraining
) -> Program:
    """The hidden layers of that model as RBMs."""
    identity, asked = job.identity, job.identity.pretraining
    assert asked is not None
    machines = side.rbm.build(build, identity, job.realisation, place)
    chunks = [side.rbm.chunk_function(machine, asked.learning_rate, on_device) for machine in machines]
    continued = [side.rbm.continued_function(machine, asked.learning_rate, on_device) for machine in machines]
    steps = [side.rbm.replay_function(machines, layer, asked.learning_rate, place) for layer in range(len(machines))]

    def by_layers(functions: Sequence[Callable[..., Arrays]], first: int, last: int) -> dict[str, NDArray[Any]]:
        """Layer by layer, and so many steps at once that their uniforms stay small."""
        traces = []
        while first < last:
            layer = phase.layer(first)
            end = (layer + 1) * phase.steps_per_layer
            units = identity.dense[layer].units
            longest = max(1, LARGEST_DRAW // (4 * phase.batch * units))
            stop = min(last, end, first + longest)
            drawn = [randomness.hidden_uniforms(identity.seed, k, phase.batch, units) for k in range(first, stop)]
            traces.append(functions[layer](first, stop, np.stack(drawn)))
            first = stop
        return {name: np.concatenate([trace[name] for trace in traces]) for name in traces[0]}

    return Program(
        read=partial(side.rbm.read, machines),
        write=partial(side.rbm.write, machines),
        chunk=partial(by_layers, chunks),
        continued=partial(by_layers, continued),
        step=lambda state, *given: steps[phase.layer(int(state["step"]))](state, *given),
        infer=None,
        evaluate=None,
        tested=None,
        twin=None,
    )
