"""Known shapes of mistake in the layers, the loss and the clipping of a step, as suppositions."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from parity.bounds.clipping import norms
from parity.bounds.losses import one_hot, rounding
from parity.bounds.nodes.dropout import factors
from parity.bounds.stages import gradients
from parity.diagnosis.expected import Given, cost, last_output, log_softmax
from parity.diagnosis.normalisations import of_batch_norm, of_layer_norm
from parity.diagnosis.suppositions import (
    Arrays,
    Gives,
    Supposition,
    all_of,
    before,
    changed,
    instead,
    numbers_of,
    rounded_inputs,
    with_node,
    with_recorded,
    with_state,
)
from parity.experiment.nodes import Activation, BatchNorm, Dense, Dropout, Embedding, LayerNorm, Node
from parity.experiment.optimizers import ClipBy

Array = NDArray[Any]
LOSS = ("loss", "loss gradient")


def of_node(given: Given, node: Node) -> Iterator[Supposition]:
    """What a layer may do instead."""
    kinds = ("forward", "running statistics", "backward") if isinstance(node, BatchNorm) else ("forward", "backward")
    gives = all_of([f"{kind} {node.name}" for kind in kinds])
    names = [n.name for n in given.identity.model]
    position = names.index(node.name)
    fed = f"outputs/{names[position - 1]}" if position else "inputs"
    if isinstance(node, Dense):
        yield from of_dense(given, node, gives)
    elif isinstance(node, Activation):
        for function in get_args(Activation.__annotations__["function"]):
            other = replace(node, function=function, slope=0.01 if function in ("leaky_relu", "elu") else None)
            if function not in (node.function, "softmax") and function != "linear":
                yield Supposition(f"the function were {function}", with_other(gives, node, other))
    elif isinstance(node, Dropout):
        yield from of_dropout(given, node, gives)
    elif isinstance(node, BatchNorm):
        yield from of_batch_norm(node, gives)
    elif isinstance(node, LayerNorm):
        yield from of_layer_norm(node, gives)
    elif isinstance(node, Embedding):
        for said, part in (("the first", slice(1, None)), ("the last", slice(None, -1))):
            yield Supposition(f"{said} word of each sample were left out", with_words(gives, part))
    for field in numbers_of(node):
        neutral = getattr(node, field)
        if not (isinstance(node, Dropout) and field == "rate"):
            yield Supposition(instead(field, neutral), with_setting(gives, node, field), neutral)
    yield from rounded_inputs(given, fed, "its input", gives)


def with_words(gives: Gives, part: slice) -> Callable[[Given, float], Arrays]:
    """What an embedding gives of some words of each sample."""
    return lambda g, _: gives(replace(g, inputs=g.inputs[:, part]))


def with_setting(gives: Gives, node: Node, field: str) -> Callable[[Given, float], Arrays]:
    """What a stage gives with another number in one of a node's settings."""
    return lambda g, at: gives(with_node(g, node, **{field: at}))


def with_other(gives: Gives, node: Node, other: Node) -> Callable[[Given, float], Arrays]:
    """What a stage gives with another node in the place of one."""
    return lambda g, _: gives(changed(g, model=tuple(other if n.name == node.name else n for n in g.identity.model)))


def of_dense(given: Given, node: Dense, gives: Gives) -> Iterator[Supposition]:
    """Biases and kernels that are not used as they should be."""
    kernel, bias = (f"weights/{node.name}/{kind}" for kind in ("kernel", "bias"))
    of_kernel, of_bias = (f"gradients/{node.name}/{kind}" for kind in ("kernel", "bias"))
    if given.state[bias].any():
        yield Supposition("its bias were left out", with_weight(gives, bias, np.zeros_like, of_bias))
        yield Supposition("its bias were added twice", with_weight(gives, bias, lambda x: 2 * x, of_bias))
    yield Supposition("its bias had no gradient", fixed({**gives(given), of_bias: 0 * given.state[bias]}))
    if node.inputs == node.units:
        yield Supposition("its kernel were transposed", with_weight(gives, kernel, lambda x: x.T, of_kernel))
    names = [n.name for n in given.identity.model]
    position = names.index(node.name)
    if position > 1:
        fed, skipped = f"outputs/{names[position - 1]}", given.recorded[f"outputs/{names[position - 2]}"]
        if skipped.shape == given.recorded[fed].shape:
            yield Supposition(
                f"{names[position - 1]} were left out", lambda g, _: gives(with_recorded(g, fed, skipped))
            )


def with_weight(
    gives: Gives, name: str, change: Callable[[Array], Array], gradient: str
) -> Callable[[Given, float], Arrays]:
    """What a layer gives with a weight changed in a linear way, which its gradient is, too."""

    def gives_changed(given: Given, _: float) -> Arrays:
        found = gives(with_state(given, name, change(given.state[name])))
        return {**found, gradient: change(found[gradient])}

    return gives_changed


def of_dropout(given: Given, node: Dropout, gives: Gives) -> Iterator[Supposition]:
    """Masks of other steps and layers, and other factors."""
    step = int(given.state["step"])
    for said, other in (("next", step + 1), ("previous", step - 1)):
        if other >= 0:
            yield Supposition(f"the mask were that of the {said} step", at_step(gives, other))
    yield Supposition("what is kept were not scaled", lambda g, _: scaled_back(gives(g), 1 - node.rate))
    yield Supposition("what is kept were divided by the rate and not by the share kept", lambda g, _: scaled_back(
        gives(g), (1 - node.rate) / node.rate))  # fmt: skip
    samples = len(given.inputs)
    own = factors(given.identity, given.state, samples)
    for name, factor in own.items():
        if name != node.name and factor.shape == own[node.name].shape:
            yield Supposition(f"its mask were that of {name}", masked_as(node, name))
    forward_as = f"outputs/{node.name}"
    yield Supposition("its gradient were that of the identity", lambda g, _: {
        name: value if name == forward_as else g.recorded[f"deltas/{node.name}"] for name, value in gives(g).items()
    })  # fmt: skip


def scaled_back(arrays: Arrays, factor: float) -> dict[str, Array]:
    """Each array times a factor."""
    return {name: value * factor for name, value in arrays.items()}


def at_step(gives: Gives, step: int) -> Callable[[Given, float], Arrays]:
    """What a stage gives at another step."""
    return lambda g, _: gives(with_state(g, "step", np.int64(step)))


def masked_as(node: Dropout, other: str) -> Callable[[Given, float], Arrays]:
    """What a dropout gives with the mask of another one."""

    def gives(given: Given, _: float) -> dict[str, Array]:
        factor = factors(given.identity, given.state, len(given.inputs))[other]
        return {
            f"outputs/{node.name}": given.input_of(node.name) * factor,
            f"deltas/{before(given, node)}": given.recorded[f"deltas/{node.name}"] * factor,
        }

    return gives


def of_loss(given: Given) -> Iterator[Supposition]:
    """Samples left out, smoothed labels, penalties, and outputs that come in changed."""
    gives, name, loss = all_of(LOSS), last_output(given), given.identity.loss
    delta = f"deltas/{given.identity.model[-1].name}"

    def of(outputs: Array, labels: Array) -> dict[str, Array]:
        return {"cost": np.asarray(cost(loss, outputs, labels)), delta: rounding(loss, outputs, labels).gradient}

    def without(part: slice) -> Callable[[Given, float], Arrays]:
        def gives_without(g: Given, _: float) -> Arrays:
            found = of(g.recorded[name][part], g.labels[part])
            whole = np.zeros_like(g.recorded[name])
            whole[part] = found[delta]
            return {"cost": found["cost"], delta: whole}

        return gives_without

    if len(given.labels) > 1:
        yield Supposition("the first sample of the batch were left out", without(slice(1, None)))
        yield Supposition("the last sample of the batch were left out", without(slice(None, -1)))
        yield Supposition("each label were that of the sample before", lambda g, _: gives(
            replace(g, labels=np.roll(g.labels, 1))))  # fmt: skip
    yield Supposition("its input were times {}", lambda g, at: with_factor(
        gives(with_recorded(g, name, at * g.recorded[name])), delta, at), 1.0)  # fmt: skip
    yield Supposition("a penalty were added, {} times the mean of the squared outputs", lambda g, at: penalised(
        gives(g), g.recorded[name], delta, at), 0.0)  # fmt: skip
    if loss == "softmax_cross_entropy":
        yield Supposition("the labels were smoothed by {}", lambda g, at: smoothed(g, name, delta, at), 0.0)
    yield from rounded_inputs(given, name, "its input", gives)


def fixed(arrays: Arrays) -> Callable[[Given, float], Arrays]:
    """A function that gives these arrays."""
    return lambda g, _: arrays


def with_factor(arrays: Arrays, delta: str, factor: float) -> dict[str, Array]:
    """The gradient by what was multiplied first."""
    return {**arrays, delta: factor * arrays[delta]}


def penalised(arrays: Arrays, outputs: Array, delta: str, share: float) -> dict[str, Array]:
    """A cost and its gradient, with so much of the mean square of the outputs."""
    added = share * float((outputs**2).mean())
    return {"cost": arrays["cost"] + added, delta: arrays[delta] + 2 * share * outputs / outputs.size}


def smoothed(given: Given, name: str, delta: str, share: float) -> dict[str, Array]:
    """Softmax cross-entropy of labels of which a share is given to all classes alike."""
    z = given.recorded[name]
    target = (1 - share) * one_hot(z, given.labels.astype(np.int64)) + share / z.shape[1]
    logs = log_softmax(z)
    return {"cost": np.asarray(-(target * logs).sum(axis=1).mean()), delta: (np.exp(logs) - target) / len(z)}


def of_clipping(given: Given) -> Iterator[Supposition]:
    """Other limits and norms, no clipping, and gradients stretched to the limit."""
    clip, gives = given.identity.clipping, all_of(["clipping"])
    assert clip is not None
    raw = gradients(given.identity, given.recorded)
    yield Supposition("nothing were clipped", fixed({f"clipped/{n}": x for n, x in raw.items()}))
    for by in get_args(ClipBy):
        if by != clip.by:
            other = changed(given, clipping=replace(clip, by=by))
            yield Supposition(f"gradients were clipped by {by} and not by {clip.by}", fixed(gives(other)))
    yield Supposition(instead("the limit", clip.limit), lambda g, at: gives(
        changed(g, clipping=replace(clip, limit=at))), clip.limit)  # fmt: skip
    if clip.by != "value":
        reached = norms(clip, raw)
        stretched = {f"clipped/{n}": x * clip.limit / reached[n] for n, x in raw.items()}
        yield Supposition("gradients within the limit were stretched to it", fixed(stretched))
