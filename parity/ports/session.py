"""A user's model that is open in a side's process, and everything it is run for."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.errors import UsageError
from parity.experiment.randomness import Purpose, of_shape, signs
from parity.experiment.spec import Dtype
from parity.models.calls import INPUTS, Call, Leak
from parity.models.described import Model
from parity.models.trees import leaves, mapped
from parity.ports.arrays import Arrays
from parity.ports.batch import Batch
from parity.ports.source import Source, telling

# Weights of which a model is large.
LARGE = 2**24
# Numbers that are nudged at once.
PATTERN = 2**20
# Takes each array of a run by name, as soon as it is there.
Sink = Callable[[str, NDArray[Any]], None]


@dataclass(frozen=True)
class Plan:
    """What all runs of a recording share: the weights they start from, the optimizer's steps, and what it leaves."""

    weights: Mapping[str, NDArray[Any]]
    steps: int
    frozen: tuple[str, ...] = ()
    output_shapes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Start(Mapping[str, NDArray[Any]]):
    """Weights in a precision, perhaps nudged, each made when it is asked for: all at once would be a model's memory."""

    weights: Mapping[str, NDArray[Any]]
    dtype: Dtype
    nudge: int | None

    def __getitem__(self, name: str) -> NDArray[Any]:
        value = self.weights[name]
        value = value.astype(self.dtype, copy=False) if value.dtype.kind == "f" else value
        return value if self.nudge is None else nudged(value, self.nudge, list(self.weights).index(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


@dataclass
class Session:
    """A user's side: its functions, the batch, and the model in the precision that it was last asked for."""

    side: SimpleNamespace
    source: Source
    batch: Batch
    name: str
    built: tuple[Dtype, Any, dict[int, str | None]] | None = None
    random: list[str] = field(default_factory=list)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    leaks: dict[str, list[Leak]] = field(default_factory=dict)
    watch: bool = False
    lacking: dict[str, str] = field(default_factory=dict)
    # What runs at the moment, and in each of these the functions of the user's that would drop numbers, in words.
    now: str = ""
    drawn: dict[str, dict[str, None]] = field(default_factory=dict)

    def model(self, dtype: Dtype) -> Any:
        """The user's model in this precision."""
        if self.built is not None and self.built[0] == dtype:
            return self.built[1]
        self.built = None
        gc.collect()
        self.side.runtime.set_dtype(dtype)
        # What a framework's own constructors round, as a regulariser's factor, is not rounded in float64.
        with telling(f"{self.name}: build()"), self.side.own.exact_constants(dtype == "float64"):
            model, sources = self.side.own.build(self.source.build)
        self.random = self.side.own.without_randomness(model)
        with telling(f"{self.name}: the model's first call"):
            self.side.own.complete(model, self.inputs(self.batch.in_precision(dtype)))
        self.built = dtype, model, sources
        return model

    def drew(self, what: str) -> None:
        """Take down what would have dropped numbers."""
        self.drawn.setdefault(self.now, {})[what] = None

    @contextmanager
    def exactly(self, exact: bool = True) -> Iterator[list[float]]:
        """Run the user's code without dropping numbers; if `exact`, the framework's constants as they are."""
        with self.side.own.exact_constants(exact) as rounded, self.side.modes.still(self.drew):
            yield rounded

    def inputs(self, batch: Batch) -> Any:
        """A batch as what the model is called with: made anew for each call, since one may change it in place."""
        with telling(f"{self.name}: inputs()"):
            return self.side.own.given(mapped(np.copy, batch.x), self.source.inputs)

    def own_inputs(self, batch: Batch) -> Any:
        """A batch as the user's own functions are called with it: arrays in Keras, the model's inputs in torch."""
        return mapped(np.copy, batch.x) if self.side.name == "tf" else self.inputs(batch)

    def targets(self, batch: Batch) -> Any:
        """The targets of a batch, as the user's loss takes them."""
        return mapped(np.copy, batch.y) if self.side.name == "tf" else self.side.own.given(batch.y, None)

    def described(self) -> tuple[Model, list[Call], tuple[tuple[int, ...], ...]]:
        """The model's layers in the order in which the batch calls them, what that made, the shapes of what it gave."""
        model = self.model("float64")
        with self.exactly(False):
            done = self.forward(model, self.inputs(self.batch.in_precision("float64")), False)
        assert self.built is not None
        shapes = tuple(tuple(int(n) for n in value.shape) for value in self.named_outputs(done.outputs).values())
        done.trace.release()
        return self.side.describe.described(model, done.trace.calls, self.built[2]), done.trace.calls, shapes

    def forward(self, model: Any, x: Any, training: bool, keep: Sink | None = None) -> Any:
        """One pass; `keep` takes all tensors of it."""
        assert self.built is not None
        mode = self.now = "train" if training else "eval"
        with telling(f"{self.name}: calling the model in {mode} mode"):
            done = self.side.capture.forward(model, x, training, self.built[2], keep, self.watch)
        if self.watch:
            self.leaks.setdefault(mode, done.trace.leaks())
        for what in self.random if training else ():
            # Made to do nothing, a layer is called all the same.
            if what.rpartition(" (")[0] in done.trace.called:
                self.drew(what)
        return done

    def named_outputs(self, tree: Any) -> dict[str, Any]:
        """The model's results by name."""
        with telling(f"{self.name}: outputs()"):
            found = self.side.own.outputs(tree, self.source.outputs)
        if not found:
            raise UsageError(f"{self.name}: the model gives no tensor")
        return found

    def run(
        self,
        dtype: Dtype,
        plan: Plan,
        sink: Sink,
        nudge: int | None = None,
        exact: bool = True,
    ) -> bool:
        """Everything that is judged: `sink` takes each array.

        With `nudge`, a number, weights and inputs that are not whole numbers are moved by one unit in the last place,
        at random. Unless `exact`, the framework's own code rounds constants through float32, as it ships; returned is
        whether it would have.
        """
        model, side = self.model(dtype), self.side
        batch = self.batch.in_precision(dtype)
        start = Start(plan.weights, dtype, nudge)
        if nudge is not None:
            batch = Batch(nudged_tree(batch.x, nudge), batch.y)
        for name, value in leaves(self.inputs(batch)).items():
            sink(f"{INPUTS}{name}", side.capture.array(value))
        side.own.write(model, start)
        side.own.freeze(model, list(plan.frozen))
        with self.exactly(exact) as rounded:
            self.evaluate(model, batch, sink, "eval", None if plan.steps else plan)
            self.predict(model, batch, sink)
            if self.source.predict is not None:
                side.own.write(model, start)
            if plan.steps:
                self.train_pass(model, batch, sink, plan, start)
                self.train(model, batch, plan.steps, sink)
                self.evaluate(model, batch, sink, "after", None)
        if sum(value.size for value in plan.weights.values()) > LARGE:
            # An optimizer's slots would stay, since it is in a circle of references.
            gc.collect()
        return bool(rounded)

    def evaluate(self, model: Any, batch: Batch, sink: Sink, level: str, plan: Plan | None) -> None:
        """A pass in eval mode: all tensors of the first, the results alone of the one after training.

        With a plan it is differentiated, too.
        """
        keep = below(sink, level) if level == "eval" else None
        done = self.forward(model, self.inputs(batch), False, keep)
        self.calls.setdefault(level, done.trace.calls)
        for name, tensor in self.named_outputs(done.outputs).items():
            sink(f"outputs/{level}/{name}", self.side.capture.array(tensor))
        if plan is not None:
            self.differentiate(done, batch, sink, plan)
        done.trace.release()

    def forced(
        self, plan: Plan, tensors: Mapping[str, NDArray[Any]], sink: Sink, edits: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """What each stage makes in eval mode when `tensors` go on in place of what the stages before it made.

        `edits` are of torch's model alone.
        """
        model = self.model("float64")
        self.side.own.write(model, Start(plan.weights, "float64", None))
        x = self.inputs(self.batch.in_precision("float64"))
        assert self.built is not None
        changed = self.side.capture.edited(model, edits) if edits else nullcontext()
        with self.exactly(), telling(f"{self.name}: calling the model in eval mode"), changed:
            self.side.capture.forward(model, x, False, self.built[2], sink, forced=tensors).trace.release()

    def predict(self, model: Any, batch: Batch, sink: Sink) -> None:
        """What the user calls for inference, where they say what that is on this side."""
        if self.source.predict is None:
            return
        for name, tensor in self.named_outputs(self.predicted(model, batch)).items():
            sink(f"outputs/predict/{name}", self.side.capture.array(tensor))

    def predicted(self, model: Any, batch: Batch) -> Any:
        """What the user's own predict() gives."""
        self.now = "predict"
        with telling(f"{self.name}: predict()"):
            return self.side.own.predict(model, self.source.predict, self.own_inputs(batch))

    def train_pass(self, model: Any, batch: Batch, sink: Sink, plan: Plan, start: Start) -> None:
        """A pass in train mode, its gradients, and what it does to the buffers of `start`; then they are as before."""
        done = self.forward(model, self.inputs(batch), True, below(sink, "train"))
        self.calls.setdefault("train", done.trace.calls)
        for name, tensor in self.named_outputs(done.outputs).items():
            sink(f"outputs/train/{name}", self.side.capture.array(tensor))
        changed = {}
        for name, value in self.side.own.read(model, trained=False):
            before = start[name].astype(value.dtype)
            if not np.array_equal(value, before, equal_nan=value.dtype.kind == "f"):
                changed[name] = before
                sink(f"buffers/{name}", value)
        self.differentiate(done, batch, sink, plan)
        done.trace.release()
        self.side.own.write(model, changed)

    def differentiate(self, done: Any, batch: Batch, sink: Sink, plan: Plan) -> None:
        """The loss of a pass, and gradients of its results, each weighted at random."""
        side, results = self.side, self.named_outputs(done.outputs)
        if self.source.loss is not None and batch.y is not None:
            _, value, by_output = self.lost(done, batch)
            sink("loss", value)
            for name, value in by_output.items():
                sink(f"loss-gradient/{name}", value)
        floats = {n: t for n, t in results.items() if side.capture.array(t).dtype.kind == "f"}
        others = dict(zip(results, plan.output_shapes, strict=False))
        weights = [self.cotangent(i, tuple(t.shape), others.get(n)) for i, (n, t) in enumerate(floats.items())]
        try:
            with telling(f"{self.name}: differentiating the model"):
                cost = side.capture.weighted_sum(done, list(floats.values()), weights)
                by_tensor, by_weight = side.capture.gradients(done, cost)
        except UsageError as error:
            if plan.steps:
                raise
            # TensorFlow has no gradient of a grouped convolution on a CPU, say; who only uses a model needs none.
            self.lacking["backward"] = str(error)
            return
        for name, value in by_tensor.items():
            sink(f"gradient/{name}", side.capture.array(value))
        for name, value in by_weight.items():
            sink(f"weight-gradient/{name}", side.capture.array(value))

    def lost(self, done: Any, batch: Batch) -> tuple[Any, NDArray[Any], Arrays]:
        """The user's loss of a pass: the tensor, its value, and its gradients by the model's results."""
        with telling(f"{self.name}: loss()"):
            found: tuple[Any, NDArray[Any], Arrays] = self.side.own.loss(done, self.source.loss, self.targets(batch))
        if found[1].shape != ():
            raise UsageError(f"{self.name}: loss() gives a tensor of shape {found[1].shape}, not one number")
        return found

    def cotangent(self, number: int, shape: tuple[int, ...], other: tuple[int, ...] | None) -> NDArray[np.float64]:
        """By what the result `number` is weighted: at random, the same on both sides, of which `other` is Keras's."""
        if other is None or other == shape or len(other) < 3:
            return of_shape(Purpose.COTANGENT, number, shape)
        neutral = np.moveaxis(of_shape(Purpose.COTANGENT, number, other), -1, 1)
        return neutral if neutral.shape == shape else of_shape(Purpose.COTANGENT, number, shape)

    def train(self, model: Any, batch: Batch, steps: int, sink: Sink) -> None:
        """Steps of the user's optimizer, by their own step() where they wrote one: the weights after each."""
        own, source = self.side.own, self.source
        if source.optimizer is None or (source.loss is None and source.step is None):
            return
        with telling(f"{self.name}: optimizer()"):
            updater = own.optimizer(source.optimizer, model)
        costs, self.now = [], "steps"
        for number in range(steps):
            with telling(f"{self.name}: training step {number}"):
                costs.append(self.step(model, updater, batch))
            if number in (0, steps - 1):
                level = "steps" if number else "step"
                for name, value in own.read(model):
                    sink(f"{level}/{name}", value)
            if not number:
                for slot, values in own.slots(updater, model).items():
                    for name, value in values.items():
                        sink(f"slots/{slot}/{name}", value)
        sink("costs", np.array(costs).reshape(steps))

    def step(self, model: Any, updater: Any, batch: Batch) -> NDArray[Any]:
        """Train on a batch, by the user's own step() where they wrote one; the loss."""
        own, source, y = self.side.own, self.source, self.targets(batch)
        if source.step is not None:
            cost: NDArray[Any] = own.own_step(model, updater, source.step, self.own_inputs(batch), y)
        else:
            cost = own.step(model, updater, source.loss, self.inputs(batch), y)
        return cost


def below(sink: Sink, level: str) -> Sink:
    """A sink that writes every name below a level."""
    return lambda name, value: sink(f"{level}/{name}", value)


def nudged(array: NDArray[Any], number: int, position: int) -> NDArray[Any]:
    """Every float one unit in the last place up or down, at random."""
    if array.dtype.kind != "f":
        return array
    # One pattern over and over: of a large weight, a sign for each number would be as much memory as the weight.
    towards = (signs(0, number, position, (min(array.size, PATTERN),)) * np.inf).astype(array.dtype)
    flat = array.reshape(-1).copy()
    for start in range(0, flat.size, PATTERN):
        block = flat[start : start + PATTERN]
        np.nextafter(block, towards[: block.size], out=block)
    return flat.reshape(array.shape)


def nudged_tree(tree: Any, number: int, position: int = 2**15) -> Any:
    """A tree of arrays, each nudged, but for those of whole numbers."""
    if isinstance(tree, dict):
        return {name: nudged_tree(v, number, position + i) for i, (name, v) in enumerate(tree.items())}
    if isinstance(tree, tuple):
        return tuple(nudged_tree(v, number, position + i) for i, v in enumerate(tree))
    return tree if tree is None or whole(tree) else nudged(tree, number, position)


def whole(array: NDArray[Any]) -> bool:
    """Whether an input holds whole numbers alone, as tokens, counts and masks do, whatever their type.

    Nothing rounds them, and a model may take them apart: the token before a nudged 8 is 7.
    """
    return array.dtype.kind != "f" or bool(np.all(array == np.rint(array)))
