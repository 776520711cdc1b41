"""A user's own torch module: built in either precision, its weights read and written, trained by their optimizer."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from sys import _getframe
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch.overrides import TorchFunctionMode

from parity.errors import UsageError
from parity.models.places import place
from parity.models.trees import leaves, mapped
from torch_impl import capture
from torch_impl.describe import is_leaf, members, variables

# What makes a layer's result random, and the value at which it does not.
RANDOM = {"p": 0.0, "dropout": 0.0}
NORMS = (torch.nn.PairwiseDistance, torch.nn.LPPool1d, torch.nn.LPPool2d)
SEED = 0


def build(make: Callable[[], Any]) -> tuple[Any, dict[int, str | None]]:
    """The user's model, and where in their code each of its layers was made."""
    sources: dict[int, str | None] = {}
    original = torch.nn.Module.__init__

    def created(module: Any, *args: Any, **kwargs: Any) -> None:
        sources[id(module)] = place(_getframe(1))
        original(module, *args, **kwargs)

    torch.set_deterministic_debug_mode("warn")
    torch.manual_seed(SEED)
    torch.nn.Module.__init__ = created
    try:
        model = make()
    finally:
        torch.nn.Module.__init__ = original
    if isinstance(model, torch.jit.ScriptModule):
        raise UsageError("build() gave a scripted module, which cannot be captured: give the plain one")
    if hasattr(model, "_orig_mod"):
        raise UsageError("build() gave a compiled module, which cannot be captured: give the plain one (_orig_mod)")
    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"build() gave {type(model).__module__}.{type(model).__name__}, not a torch.nn.Module")
    return model, sources


def complete(model: Any, x: Any) -> None:
    """Let a model that makes its weights at its first call make them."""
    if any(isinstance(p, torch.nn.parameter.UninitializedTensorMixin) for p in variables(model).values()):
        with torch.no_grad():
            model.eval()
            capture.called(model, x)


def read(model: Any, trained: bool = True) -> Iterator[tuple[str, np.ndarray]]:
    """All weights by name, one after the other; or those alone that no gradient trains."""
    for name, variable in variables(model).items():
        if trained or not variable.requires_grad:
            yield name, capture.array(variable)


def write(model: Any, values: Mapping[str, np.ndarray]) -> None:
    """Set the weights that are given by name; no gradients are left of an earlier run."""
    known = variables(model)
    model.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, value in values.items():
            known[name].copy_(torch.from_numpy(np.require(value, requirements=("C", "W"))))


def save(model: Any, file: Path, said: str) -> None:
    """Write the `state_dict`, as `load_state_dict` takes it; what is `said` of it is the metadata's `parity`."""
    state = model.state_dict()
    strange = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise UsageError(f"the state_dict has {strange[0]}, which is no tensor: a safetensors file cannot hold it")
    # Copies, since weights that are tied lie in one memory, which the format refuses.
    kept = {name: value.detach().clone().contiguous() for name, value in state.items()}
    safetensors.torch.save_file(kept, file, {"format": "pt", "parity": said})


def freeze(model: Any, names: list[str]) -> None:
    """Let no optimizer move these weights."""
    for name in names:
        variables(model)[name].requires_grad_(False)


def without_randomness(model: Any) -> list[str]:
    """Make everything that draws numbers do nothing; what was changed, in words."""
    found = []
    for path, layer in members(model):
        if not is_leaf(layer) or isinstance(layer, NORMS):
            continue
        changed = {n: getattr(layer, n, None) for n in RANDOM if isinstance(getattr(layer, n, None), float | int)}
        changed = {name: value for name, value in changed.items() if value}
        for name in changed:
            setattr(layer, name, RANDOM[name])
        found += [f"{path} ({type(layer).__name__} {name} {value:g})" for name, value in changed.items()]
    return found


def given(x: Any, convert: Callable[[Any], Any] | None) -> Any:
    """The arrays of an input as what the model is called with."""
    return mapped(torch.from_numpy, x) if convert is None else convert(x)


def outputs(tree: Any, convert: Callable[[Any], Any] | None) -> dict[str, Any]:
    """The model's results by name, in Keras's layout where the user says how."""
    tree = tree if convert is None else convert(tree)
    return {name: value for name, value in leaves(tree).items() if isinstance(value, torch.Tensor)}


def cost(model: Any, function: Callable[..., Any], y: Any, results: Any) -> Any:
    """The user's loss; it may ask for the module, too."""
    more = (model,) if "module" in inspect.signature(function).parameters else ()
    return function(results, y, *more)


def loss(done: capture.Pass, function: Callable[..., Any], y: Any) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
    """The user's loss of a pass: the tensor, its value, and its gradients by the model's results."""
    results = outputs(done.outputs, None)
    tensor = cost(done.model, function, y, done.outputs)
    if not tensor.requires_grad:
        return tensor, capture.array(tensor), {}
    sources = [y for y in results.values() if y.requires_grad]
    found = torch.autograd.grad(tensor, sources, retain_graph=True, allow_unused=True)
    named = zip([n for n, y in results.items() if y.requires_grad], found, strict=True)
    return tensor, capture.array(tensor), {n: capture.array(g) for n, g in named if g is not None}


def optimizer(make: Callable[..., Any], model: Any) -> Any:
    """The user's optimizer, new."""
    return make(model.parameters())


def step(model: Any, updater: Any, function: Callable[..., Any], x: Any, y: Any) -> np.ndarray:
    """Train on one batch, as the user's loss and optimizer say; the loss."""
    model.train()
    updater.zero_grad()
    value = cost(model, function, y, capture.called(model, x))
    value.backward()
    updater.step()
    return capture.array(value)


def own_step(model: Any, updater: Any, function: Callable[..., Any], x: Any, y: Any) -> np.ndarray:
    """Train on one batch, as the user's own step does; the loss."""
    model.train()
    value = function(model, updater, x, y)
    return capture.array(value) if isinstance(value, torch.Tensor) else np.array(value)


def predict(model: Any, function: Callable[..., Any] | None, x: Any) -> Any:
    """What the user calls for inference gives; their own call finds the model as training leaves it."""
    model.train(function is not None)
    with torch.no_grad():
        return capture.called(model, x) if function is None else function(model, x)


def slots(updater: Any, model: Any) -> dict[str, dict[str, np.ndarray]]:
    """What the optimizer keeps of each weight: by the slot's name, then the weight's.

    Where a stock optimizer keeps what Keras does but for a constant, it is taken in, and the name says how.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    groups = {id(variable): group for group in updater.param_groups for variable in group["params"]}
    for name, variable in variables(model).items():
        for slot, value in updater.state.get(variable, {}).items():
            if isinstance(value, torch.Tensor) and value.shape == variable.shape:
                called, kept = as_keras(updater, groups[id(variable)], slot, capture.array(value))
                found.setdefault(called, {})[name] = kept
    return found


def as_keras(updater: Any, group: Mapping[str, Any], slot: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    """A slot as Keras's optimizer of the same name has it: the name, and the values.

    Keras's momentum is of what is added to a weight; torch's largest gradient has its first step's epsilon in it.
    """
    if slot == "momentum_buffer" and isinstance(updater, torch.optim.SGD):
        return f"-lr * {slot}", -float(group["lr"]) * value
    if slot == "momentum_buffer" and isinstance(updater, torch.optim.RMSprop):
        return f"lr * {slot}", float(group["lr"]) * value
    if slot == "exp_inf" and isinstance(updater, torch.optim.Adamax):
        return f"{slot} - eps", value - group["eps"]
    return slot, value


class Exact(TorchFunctionMode):
    """Computes what torch does with a rounded constant with an exact one: its hard sigmoid's slope, backward."""

    def __init__(self, rounded: list[float]) -> None:
        super().__init__()
        self.rounded = rounded

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.hardsigmoid and args[0].dtype == torch.float64:
            self.rounded.append(1 / 6)
            return torch.nn.functional.relu6(args[0] + 3) / 6
        return func(*args, **(kwargs or {}))


@contextmanager
def exact_constants(exact: bool = True) -> Iterator[list[float]]:
    """Let the framework's own code take its constants as they are: torch rounds one through float32.

    The constants that would have been rounded are put into the list. If not `exact`, nothing is changed.
    """
    rounded: list[float] = []
    with Exact(rounded) if exact else nullcontext():
        yield rounded


def witness(kind: str, settings: dict[str, Any], weights: list[np.ndarray], inputs: list[np.ndarray]) -> np.ndarray:
    """What a stock layer of Keras's makes on torch in eval mode, in float64, of these weights and inputs.

    Keras is loaded for it, on torch, and stays in the process. Raises UsageError where it is there on another backend,
    or has no such layer, or the layer takes other weights.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        import keras

        if keras.backend.backend() != "torch":
            raise UsageError(f"Keras runs on {keras.backend.backend()} here")
        keras.config.set_floatx("float64")
        with torch.no_grad(), keras.device("cpu"):
            layer = getattr(keras.layers, kind).from_config({**settings, "dtype": "float64"})
            given = [torch.from_numpy(np.require(x, requirements="W")) for x in inputs]
            call = partial(layer, given[0]) if len(given) == 1 else partial(layer, given)
            call(training=False) if has_training(layer) else call()
            layer.set_weights(weights)
            return capture.array(call(training=False) if has_training(layer) else call())
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"Keras's {kind} does not run on torch: {' '.join(str(error).split())[:200]}") from error


def has_training(layer: Any) -> bool:
    """Whether a layer of Keras's takes the mode as an argument."""
    return "training" in inspect.signature(layer.call).parameters
