"""One pass of a torch module as it is: every tensor that its layers make, and the gradients by each of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from sys import _getframe
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from parity.models.calls import INPUTS, Trace
from parity.models.places import place
from parity.models.trees import leaves, mapped
from torch_impl.describe import is_leaf, kind, members, variables


@dataclass
class Pass:
    """What a model gave, all tensors on the way, and what differentiates by them."""

    model: Any
    outputs: Any
    trace: Trace
    found: dict[str, Any] = field(default_factory=dict)


def array(tensor: Any) -> np.ndarray:
    """A tensor's values, which do not change with it."""
    return tensor.detach().cpu().numpy().copy()


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
    done = Pass(model, None, Trace(array, keep))
    for name, tensor in leaves(x).items():
        done.trace.known(tensor, f"{INPUTS}{name}")
    model.train(training)
    watching = narrower(done.trace.leak) if watch else nullcontext()
    with watching, recording(done, sources, forced or {}):
        done.outputs = called(model, x)
    return done


def called(model: Any, x: Any) -> Any:
    """The model's result: of named inputs by their names, of several as several arguments."""
    if isinstance(x, Mapping):
        return model(**x)
    return model(*x) if isinstance(x, list | tuple) else model(x)


class Functions(TorchFunctionMode):
    """Writes down the results of functions that are called outside of leaf modules."""

    def __init__(self, within: list[Any], write: Callable[..., Any]) -> None:
        super().__init__()
        self.within, self.write = within, write

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.within:
            return func(*args, **kwargs)
        read = tensors([*args, *kwargs.values()])
        before = [t._version for t in read]
        outputs = func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        name = getattr(func.__self__, "__name__", name) if name == "__get__" else name
        return self.write(name.strip("_"), name.strip("_"), None, read, before, outputs, _getframe(1))


class Narrower(TorchDispatchMode):
    """Tells of operations that have floats narrower than float64."""

    def __init__(self, tell: Callable[[str, Any], None]) -> None:
        super().__init__()
        self.tell = tell

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outputs = func(*args, **(kwargs or {}))
        for tensor in tensors([*args, *(kwargs or {}).values(), outputs]):
            if tensor.dtype in (torch.float32, torch.float16, torch.bfloat16):
                self.tell(str(tensor.dtype).removeprefix("torch."), _getframe(1))
                break
        return outputs


@contextmanager
def narrower(tell: Callable[[str, Any], None]) -> Iterator[None]:
    """Tell of each operation in the block that has floats narrower than float64: the type, and the calling frame."""
    with Narrower(tell):
        yield


class Changed(TorchFunctionMode):
    """Calls functions of some names with other keyword arguments."""

    def __init__(self, keywords: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        self.keywords = keywords

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **{**(kwargs or {}), **self.keywords.get(getattr(func, "__name__", ""), {})})


@contextmanager
def edited(model: Any, edits: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """The model with some of its modules and functions changed, for the time of the block.

    An edit names a module by its `path`, and what to `set` of it, how to `pad` its input with `fill` as
    torch.nn.functional.pad has it, to which [start, stop] of each of the last axes to `crop` its output, and with which
    `arguments` to call it, lists of which are tensors; or a `function`, and its `keywords`.
    """
    undo: list[Callable[[], Any]] = []
    keywords = {edit["function"]: edit["keywords"] for edit in edits if "function" in edit}
    try:
        for edit in (edit for edit in edits if "path" in edit):
            module = model.get_submodule(edit["path"])
            for name, value in edit.get("set", {}).items():
                undo.append(partial(setattr, module, name, getattr(module, name)))
                setattr(module, name, tuple(value) if isinstance(value, list) else value)
            if "pad" in edit:
                pad, fill = edit["pad"], edit.get("fill", 0.0)
                hook = partial(padded, pad=pad, fill=fill)
                undo.append(module.register_forward_pre_hook(hook).remove)
            for name, instead in (("crop", cropped), ("arguments", called_with)):
                if name in edit:
                    # Before what writes its output down, which is a hook of all modules.
                    if "forward" in vars(module):
                        undo.append(partial(setattr, module, "forward", module.forward))
                    else:
                        undo.append(partial(delattr, module, "forward"))
                    module.forward = partial(instead, module.forward, edit[name])
        with Changed(keywords) if keywords else nullcontext():
            yield
    finally:
        for step in reversed(undo):
            step()


def padded(module: Any, args: Any, pad: Sequence[int], fill: float) -> Any:
    """A module's arguments, the first of them padded."""
    return (torch.nn.functional.pad(args[0], list(pad), value=fill), *args[1:])


def cropped(forward: Callable[..., Any], spans: Sequence[Sequence[int]], *args: Any, **kwargs: Any) -> Any:
    """A module's output, cut to these spans of its last axes."""
    return forward(*args, **kwargs)[(..., *(slice(*span) for span in spans))]


def called_with(forward: Callable[..., Any], arguments: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """A module called with other keyword arguments."""
    others = {name: torch.tensor(value) if isinstance(value, list) else value for name, value in arguments.items()}
    return forward(*args, **{**kwargs, **others})


@contextmanager
def recording(done: Pass, sources: Mapping[int, str | None], forced: Mapping[str, np.ndarray]) -> Iterator[None]:
    """Write down what is called in the block: leaf modules, and functions between them."""
    paths = {id(layer): path for path, layer in members(done.model)}
    within: list[Any] = []

    def write(path: str, name: str, module: Any, read: Any, before: Any, outputs: Any, frame: Any) -> Any:
        """Write down what was made; the outputs that go on."""
        unchanged = [t for t, version in zip(read, before, strict=True) if t._version == version]
        made = [t for t in tensors(outputs) if not any(t is other for other in unchanged)]
        if not made:
            return outputs
        number = done.trace.number(path)
        within.append(path)
        source, changed = sources.get(id(module)) or place(frame), {}
        for own in done.trace.add(path, name, paths.get(id(module)), number, read, made, source):
            tensor = done.trace.tensors[own]
            if tensor.requires_grad:
                tensor.register_hook(lambda g, own=own: done.found.__setitem__(own, g.detach().clone()))
            if own in forced:
                value = torch.from_numpy(np.require(forced[own], requirements="W")).to(tensor.dtype)
                if any(tensor is other for other in read):
                    # Changed in place, so whoever goes on may use what was read.
                    tensor.data.copy_(value)
                else:
                    changed[id(tensor)] = value
                    done.trace.known(value, own)
        within.pop()
        return mapped(lambda t: changed.get(id(t), t), outputs) if changed else outputs

    def enter(module: Any, args: Any) -> None:
        if within or is_leaf(module):
            read = tensors(args)
            within.append((read, [t._version for t in read]))

    def leave(module: Any, args: Any, kwargs: Any, outputs: Any) -> Any:
        if not within:
            return None
        read, before = within.pop()
        if not within and id(module) in paths:
            done.trace.called.append(paths[id(module)])
        if not within and outputs is not None:
            path = paths.get(id(module), type(module).__name__) or kind(module)
            read = [*read, *(t for t in tensors(kwargs) if not any(t is other for other in read))]
            before = [*before, *(t._version for t in read[len(before) :])]
            return write(path, kind(module), module, read, before, outputs, _getframe(1))
        return None

    before = hooks.register_module_forward_pre_hook(enter)
    after = hooks.register_module_forward_hook(leave, with_kwargs=True, always_call=True)
    try:
        with Functions(within, write):
            yield
    finally:
        before.remove()
        after.remove()


def tensors(tree: Any) -> list[Any]:
    """The tensors of numbers in a tree, each once."""
    found = [t for t in leaves(tree).values() if isinstance(t, torch.Tensor) and t.dtype != torch.bool]
    return list({id(t): t for t in found}.values())


def gradients(done: Pass, cost: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cost's gradients by each tensor of a pass, and by each weight that is trained."""
    weights = {name: v for name, v in variables(done.model).items() if v.requires_grad}
    done.found.clear()
    if not cost.requires_grad:
        return {}, {}
    found = torch.autograd.grad(cost, list(weights.values()), retain_graph=True, allow_unused=True)
    by_weight = {n: g.to_dense() for n, g in zip(weights, found, strict=True) if g is not None}
    return dict(done.found), by_weight


def weighted_sum(done: Pass, outputs: Sequence[Any], weights: Sequence[np.ndarray]) -> Any:
    """The sum of all outputs' values, each times its weight."""
    return sum((y * torch.as_tensor(w, dtype=y.dtype)).sum() for y, w in zip(outputs, weights, strict=True))
