"""Shapes and dtypes of the arrays in a recording, checked before anything computes with them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.bounds.measure import COLUMNS
from parity.errors import IncomparableError
from parity.experiment.nodes import Embedding
from parity.experiment.spec import DTYPES, Identity, Schedule

Shape = tuple[int, ...]
# A shape and dtype, where None is a length that is nowhere said.
Traced = tuple[tuple[int | None, ...], str]
# What is kept of a twin, as of the run.
OF_TWINS = ("cost", "epoch_cost", "accuracy", "test_loss", "predictions", "test_output")


def step_shapes(identity: Identity) -> dict[str, Shape]:
    """The shape of what a state or a replay holds; the first batch is always a whole one."""
    batch = identity.schedule.batch_size
    shapes: dict[str, Shape] = {"inputs": (batch, identity.layers[0].inputs), "cost": ()}
    for name, units in identity.widths.items():
        shapes[f"outputs/{name}"] = shapes[f"deltas/{name}"] = (batch, units)
    shapes |= {f"statistics/{name}": shape for name, shape in identity.statistic_shapes.items()}
    clipped = () if identity.clipping is None else ("clipped",)
    shapes |= {f"slots/{name}": shape for name, shape in identity.slot_shapes.items()}
    groups = ("gradients", *clipped, "weights")
    return shapes | {f"{group}/{name}": shape for group in groups for name, shape in identity.weight_shapes.items()}


def check_step(
    where: str, identity: Identity, known: Mapping[str, Shape], arrays: Mapping[str, NDArray[Any]], dtype: str
) -> None:
    """Refuse a known array of the wrong shape or dtype, or a label that is no class; missing ones are the verdict's."""
    shapes: dict[str, tuple[Shape, str]] = {name: (shape, dtype) for name, shape in known.items()}
    shapes |= {"labels": ((identity.schedule.batch_size,), "int64"), "step": ((), "int64")}
    first = identity.layers[0]
    if isinstance(first, Embedding) and "inputs" in shapes:
        shapes["inputs"] = shapes["inputs"][0], "int64"
    for name, array in arrays.items():
        if name in shapes:
            check_array(where, name, array, *shapes[name])
    limits = {"labels": max(2, identity.layers[-1].units)}
    if isinstance(first, Embedding):
        limits["inputs"] = first.vocabulary
    for name, limit in limits.items():
        if name in arrays and not ((arrays[name] >= 0) & (arrays[name] < limit)).all():
            raise IncomparableError(f"{where}: {name} are not all from 0 to {limit - 1}; record the run again")


def require_whole(where: str, known: Mapping[str, Shape], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a checkpoint that lacks a tensor which a replay would be fed."""
    lacking = set(known) - {"inputs"} - set(arrays)
    if lacking:
        raise IncomparableError(f"{where}: {min(lacking)} is missing; record the run again")


def traced(dtype: str, consumed: Sequence[str], steps: int, epochs: int) -> dict[str, Traced]:
    """The shape and dtype of what every trace holds."""
    costs: dict[str, Traced] = {"cost": ((steps,), dtype), "epoch_cost": ((epochs,), "float64")}
    return costs | {f"consumed/{name}": ((steps,), "int64") for name in consumed}


def check_trace(
    where: str,
    schedule: Schedule,
    expected: Mapping[str, Traced],
    trace: Mapping[str, NDArray[Any]],
) -> None:
    """Refuse a trace whose arrays have the wrong dtype or not the shape that the schedule asks for."""
    if set(trace) != set(expected):
        raise IncomparableError(f"{where} holds {sorted(trace)}, not {sorted(expected)}")
    (steps,), (epochs,) = expected["cost"][0], expected["epoch_cost"][0]
    if {"steps": steps, "epochs": epochs}[schedule.unit] != schedule.duration:
        raise IncomparableError(f"{where}: {steps} steps in {epochs} epochs, not {schedule.duration} {schedule.unit}")
    for name, (lengths, dtype) in expected.items():
        found = trace[name].shape[:1]
        shape = tuple((*found, 0)[0] if length is None else length for length in lengths)
        check_array(where, name, trace[name], shape, dtype)
    tested = ("predictions", "test_labels", "test_output", "undecided")
    if len({len(trace[name]) for name in tested if name in trace}) > 1:
        raise IncomparableError(f"{where} has not as many labels and outputs as predictions; record the run again")


def check_summaries(where: str, count: int, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a file that does not hold a whole summary of the stages' `count` results for each precision."""
    check_summary_columns(where, arrays, DTYPES, count)


def check_loop(where: str, count: int, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a file without a whole summary of the `count` looped tensors for each step and precision it names."""
    steps = sorted({name.rpartition("/")[0] for name in arrays})
    check_summary_columns(where, arrays, steps, count)


def check_watch(where: str, count: int, stretches: int, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a file without what came of each stretch, or with a step of which there is no whole summary."""
    columns = {"stops": (stretches + 1,), "outcome": (stretches,), "until": (stretches,)}
    for name, shape in columns.items():
        check_array(where, name, arrays.get(name, np.zeros(0)), shape, "int64")
    check_loop(where, count, {name: array for name, array in arrays.items() if name not in columns})


def check_segment(where: str, evaluated: Shape | None, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a file that does not hold a segment's costs step by step, the outputs before it, and the bounds of both.

    `evaluated` is the shape of the outputs, None where there are none.
    """
    lengths = (arrays["costs"].size if "costs" in arrays else 0,)
    shapes: dict[str, Shape] = {"costs": lengths, "noise": lengths, "rounding": ()}
    if evaluated is not None:
        whole = (4 if "evaluation" in arrays and arrays["evaluation"].size else 0,)
        shapes |= {"outputs": evaluated, "outputs_bound": evaluated, "evaluation": whole, "evaluation_bound": whole}
    check_exactly(where, arrays, "costs and outputs", {name: (shape, "float64") for name, shape in shapes.items()})


def check_twins(
    where: str, twins: int, checkpoints: int, trace: Mapping[str, NDArray[Any]], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Refuse a file that does not hold so many twins' costs and outcomes, each of the shape of the run's in `trace`."""
    expected = {name: ((twins, *trace[name].shape), str(trace[name].dtype)) for name in OF_TWINS}
    check_exactly(where, arrays, "twins", expected | {"cost_rounding": ((checkpoints,), "float64")})


def check_flow(where: str, identity: Identity, steps: Sequence[int], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a file that does not hold a row for each checkpoint and a column for each layer."""
    shape = (len(steps), len(identity.layers))
    expected = {"steps": (shape[:1], "int64"), "gradient_norm": (shape, "float64"), "dead_units": (shape, "float64")}
    check_exactly(where, arrays, "rows", expected)


def check_summary_columns(where: str, arrays: Mapping[str, NDArray[Any]], prefixes: Sequence[str], length: int) -> None:
    """Refuse anything but one whole summary of `length` tensors under each prefix."""
    columns = ((f"{prefix}/{column}", dtype) for prefix in prefixes for column, dtype in COLUMNS.items())
    check_exactly(where, arrays, "summaries", {name: ((length,), dtype) for name, dtype in columns})


def check_exactly(
    where: str, arrays: Mapping[str, NDArray[Any]], what: str, expected: Mapping[str, tuple[Shape, str]]
) -> None:
    """Refuse anything but the expected arrays, `what` for short, each of its shape and dtype."""
    if set(arrays) != set(expected):
        raise IncomparableError(f"{where} does not hold the {what} that belong there; record the run again")
    for name, (shape, dtype) in expected.items():
        check_array(where, name, arrays[name], shape, dtype)


def file_names(identity: Identity) -> dict[str, str]:
    """The name of each weight in a file of weights: `layers.<i>.kernel` and `layers.<i>.bias` of the i-th layer.

    An embedding's is `layers.0.table`.
    """
    return {
        f"layers.{i}.{kind}": f"{node.name}/{kind}"
        for i, node in enumerate(identity.layers)
        for kind in node.weight_shapes
    }


def looped(identity: Identity) -> list[str]:
    """The tensors of a loop's step that can be held against a replayed one: its cost, and the state after it."""
    groups = {"statistics": identity.statistics, "slots": identity.slot_shapes, "weights": identity.weights}
    return ["cost", *(f"{group}/{name}" for group, names in groups.items() for name in names)]


def check_array(where: str, name: str, array: NDArray[Any], shape: Shape, dtype: str) -> None:
    """Refuse an array of another shape or dtype."""
    if array.shape != shape or array.dtype != np.dtype(dtype):
        found = f"{array.dtype} {array.shape}"
        raise IncomparableError(f"{where}: {name} is {found} and must be {dtype} {shape}; record the run again")
