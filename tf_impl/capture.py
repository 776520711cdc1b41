"""One pass of a Keras model as it is: every tensor that its layers make, and the gradients by each of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from sys import _getframe
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from parity.models.calls import INPUTS, Trace
from parity.models.places import place
from parity.models.trees import leaves, mapped
from tf_impl.describe import is_leaf, kind, members, variables

# Their activations act inside of a loop over time.
RECURRENT = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed)


@dataclass
class Pass:
    """What a model gave, all tensors on the way, and what differentiates by them."""

    model: Any
    outputs: Any
    trace: Trace
    tape: tf.GradientTape


def array(tensor: Any) -> np.ndarray:
    """A tensor's values."""
    return np.array(tensor)


def forward(
    model: Any,
    x: Any,
    training: bool,
    sources: Mapping[int, str | None],
    keep: Callable[[str, np.ndarray], None] | None = None,
    watch: bool = False,
    forced: Mapping[str, np.ndarray] | None = None,
) -> Pass:
    """Call the model on `x`; `sources` says where each layer was made. With `watch`, leaks of float64 are noted.

    What is made is written down, and `keep` takes its values by name. Where `forced` has an array of a name, that goes
    on in its place.
    """
    done = Pass(model, None, Trace(array, keep), tf.GradientTape(persistent=True))
    for name, tensor in leaves(x).items():
        done.trace.known(tensor, f"{INPUTS}{name}")
    watching = narrower(done.trace.leak) if watch else nullcontext()
    with done.tape, watching, recording(done, sources, forced or {}):
        done.outputs = model(x, training=training)
    return done


@contextmanager
def narrower(tell: Callable[[str, Any], None]) -> Iterator[None]:
    """Tell of each operation in the block that has floats narrower than float64: the type, and the calling frame."""

    def look(op: str, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None) -> None:
        if op == "Cast" and not inputs[0].shape.rank and float(inputs[0]) * 2**10 % 1 == 0:
            # A constant that has few digits loses none.
            return
        for tensor in (*inputs, *outputs):
            if tensor.dtype in (tf.float32, tf.float16, tf.bfloat16):
                tell(tensor.dtype.name, _getframe(1))
                return

    op_callbacks.add_op_callback(look)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(look)


@contextmanager
def recording(done: Pass, sources: Mapping[int, str | None], forced: Mapping[str, np.ndarray]) -> Iterator[None]:
    """Write down what is called in the block: leaf layers, their activations, and the functions of a graph."""
    paths = {id(layer): path for path, layer in members(done.model)}
    original = keras.Operation.__call__
    within: list[Any] = []

    def add(*args: Any, made: list[Any], outputs: Any, **kwargs: Any) -> Any:
        """Write down what was made; the outputs that go on."""
        names = done.trace.add(*args, made=made, **kwargs)
        changed = {id(t): tf.constant(forced[n], t.dtype) for n, t in zip(names, made, strict=True) if n in forced}
        for name, tensor in zip(names, made, strict=True):
            if id(tensor) in changed:
                done.trace.known(changed[id(tensor)], name)
        return mapped(lambda t: changed.get(id(t), t), outputs) if changed else outputs

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        is_layer = isinstance(layer, keras.layers.Layer)
        if within or (is_layer and not is_leaf(layer)):
            return original(layer, *args, **kwargs)
        path = (paths.get(id(layer), layer.name) or kind(layer)) if is_layer else layer.name
        read = tensors([*args, *kwargs.values()])
        known = id(layer) in paths
        if known:
            done.trace.called.append(paths[id(layer)])
        number = done.trace.number(path)
        source = sources.get(id(layer)) or place(_getframe(1))
        write = partial(add, layer=paths.get(id(layer)), number=number, source=source)
        within.append((path, read, write))
        try:
            outputs = original(layer, *args, **kwargs)
        finally:
            _, read, _ = within.pop()
        made = [t for t in tensors(outputs) if not any(t is other for other in read)]
        activation = getattr(layer, "activation", None) if known else None
        if isinstance(activation, Activation) and activation.called:
            activation.called = False
            write = partial(write, layer=None)
            return write(f"{path}/{activation.name}", activation.name, read=read, made=made, outputs=outputs)
        return write(path, kind(layer), read=read, made=made, outputs=outputs)

    with ExitStack() as changes:
        for _, layer in members(done.model):
            wrap_activation(layer, within, changes)
        changes.callback(setattr, keras.Operation, "__call__", original)
        keras.Operation.__call__ = call
        yield


class Activation:
    """A layer's activation, which writes down what it is given: the layer's own result."""

    def __init__(self, function: Callable[..., Any], within: list[Any]) -> None:
        self.function, self.within, self.called = function, within, False
        self.name = getattr(function, "__name__", type(function).__name__)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        if self.within and not self.called and tf.is_tensor(x):
            path, read, write = self.within[-1]
            x = write(path, "", read=read, made=[x], outputs=x)
            self.within[-1] = path, [x], write
            self.called = True
        return self.function(x, *args, **kwargs)


def wrap_activation(layer: Any, within: list[Any], changes: ExitStack) -> None:
    """Let a layer's own activation say what it is given, until `changes` are undone."""
    function = getattr(layer, "activation", None)
    linear = function is keras.activations.linear
    if not callable(function) or linear or not is_leaf(layer) or isinstance(layer, RECURRENT):
        return
    if isinstance(layer, keras.layers.Activation):
        return
    changes.callback(setattr, layer, "activation", function)
    layer.activation = Activation(function, within)


def tensors(tree: Any) -> list[Any]:
    """The tensors of numbers in a tree, each once."""
    found = [t for t in leaves(tree).values() if tf.is_tensor(t) and (t.dtype.is_floating or t.dtype.is_integer)]
    return list({id(t): t for t in found}.values())


def gradients(done: Pass, cost: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cost's gradients by each tensor of a pass, and by each weight that is trained."""
    weights = {name: v for name, v in variables(done.model).items() if v.trainable}
    made = {name: t for name, t in done.trace.tensors.items() if t.dtype.is_floating}
    found = done.tape.gradient(cost, [*made.values(), *(v.value for v in weights.values())])
    dense = [None if g is None else tf.convert_to_tensor(g) for g in found]
    by_tensor = {name: g for name, g in zip(made, dense, strict=False) if g is not None}
    by_weight = {name: g for name, g in zip(weights, dense[len(made) :], strict=True) if g is not None}
    return by_tensor, by_weight


def weighted_sum(done: Pass, outputs: Sequence[Any], weights: Sequence[np.ndarray]) -> Any:
    """The sum of all outputs' values, each times its weight."""
    with done.tape:
        return tf.add_n([tf.reduce_sum(y * tf.constant(w, y.dtype)) for y, w in zip(outputs, weights, strict=True)])
