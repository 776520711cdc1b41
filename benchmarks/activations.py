"""How exact each activation is in each framework: writes docs/activations.md and docs/activations.png.

    python -m benchmarks.activations

Each framework runs each function and its derivative on a dense grid of points, in float32 and float64, through the same
replay of stages that lockstep judges, under either value of every choice. The results are held against mpmath's in 40
digits. Needs both frameworks, mpmath and matplotlib.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

from parity.bounds import activations
from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.experiment.experiments import ELU_SLOPE, LEAKY_SLOPE, TF_MODEL, TORCH_MODEL
from parity.experiment.experiments import activation as node_of
from parity.experiment.nodes import Dense, Initializer, Node
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.spec import (
    DTYPES,
    FRAMEWORKS,
    LABELS,
    Dtype,
    Framework,
    Identity,
    Realisation,
    Schedule,
    own_choices,
)
from parity.worker import serving

ROOT = Path(__file__).parents[1]
NAMES = [name for name in activations.FUNCTIONS if name != "linear"]
MODELS = {"tf": TF_MODEL, "torch": TORCH_MODEL}
# Every choice as each framework makes it, by the name of that framework.
ZEROS = Initializer("zeros", None)
CHOICES: dict[Framework, dict[str, Any]] = {side: own_choices(side) for side in FRAMEWORKS}
SLOPES = {"leaky_relu": LEAKY_SLOPE, "elu": ELU_SLOPE, "prelu": float(np.float32(0.3))}
SPECIAL = (-np.inf, -0.0, 0.0, np.inf, np.nan)
# A softmax takes a row of so many units; to the other functions a row is nothing.
UNITS = 4
mp.mp.dps = 40
Array = NDArray[Any]
Results = dict[str, Array]
Formula = Callable[[Any], Any]


def grid(points: int, dtype: Dtype) -> Array:
    """[about points / UNITS, UNITS]: dense ranges, all magnitudes of normal numbers to 1e4, kinks, their neighbours."""
    magnitudes = np.logspace(np.log10(2 * np.finfo(dtype).tiny), 4, points // 4)
    kinks = np.array([-3, 0, 3, 20, 40], dtype)
    neighbours = [np.nextafter(kinks, np.array(towards, dtype)) for towards in (-99, 99)]
    ranges = np.linspace(-45, 45, points // 4), np.linspace(-3.5, 3.5, points // 4)
    values = np.concatenate([*ranges, magnitudes, -magnitudes, kinks, *neighbours]).astype(dtype)
    # Zero's own neighbours are denormal, and either framework may take them for zero.
    values = values[(values == 0) | (np.abs(values) >= np.finfo(dtype).tiny)]
    return np.resize(values, (-(-len(values) // UNITS), UNITS))


def points_of(points: int, dtype: Dtype) -> Array:
    """[rows, UNITS]: one row of each special value, then the grid."""
    special = np.repeat(np.array(SPECIAL, dtype)[:, None], UNITS, axis=1)
    return np.concatenate([special, grid(points, dtype)])


def delta_of(name: str, x: Array) -> Array:
    """[rows, UNITS]: the delta that a function's derivative is multiplied by; equal ones would cancel in a softmax."""
    return np.resize(np.array([1, -2, 3, 0.5], x.dtype), x.shape) if name == "softmax" else np.ones_like(x)


def network(names: list[str], rows: int) -> Identity:
    """Dense layers with one of the activations behind each, so that a single replay runs them all."""
    nodes: list[Node] = []
    for position, name in enumerate(names, start=1):
        nodes.append(Dense(f"dense_{position}", UNITS, UNITS, ZEROS, ZEROS))
        nodes.append(node_of(position, name, UNITS))  # type: ignore[arg-type]
    nodes.append(Dense("output", UNITS, 1, ZEROS, ZEROS))
    schedule = Schedule(rows, False, True, 1, 1, "steps", "batch_mean", "sample_mean", False)
    identity = "xor", "scaled", tuple(nodes), None, "binary_cross_entropy_logits", None, OPTIMIZERS["sgd"]
    return Identity(*identity, schedule, 0, "float32")


def run(side: SimpleNamespace, realisation: Realisation, x: Array) -> Results:
    """`<function>/value` and `<function>/derivative`, the derivative times its delta, at x [rows, UNITS]."""
    names = [*NAMES, "softmax"]
    identity, dtype, place = network(names, len(x)), x.dtype.name, side.runtime.devices()["cpu"]
    side.runtime.set_dtype(dtype)
    built = side.train.build(serving.load_function(realisation.model), identity, realisation, place)
    replay = side.replay.replay_function(built[0], side.losses.loss(identity.loss), None, built[1], identity, place)
    shapes = identity.weight_shapes.items()
    state = {f"weights/{name}": np.full(shape, SLOPES["prelu"], dtype) for name, shape in shapes}
    recorded = {f"gradients/{name}": np.zeros(shape, dtype) for name, shape in shapes} | {"cost": np.zeros((), dtype)}
    for node in identity.model:
        recorded[f"outputs/{node.name}"] = x
        recorded[f"deltas/{node.name}"] = x if isinstance(node, Dense) else delta_of(node.function, x)
    recorded["outputs/output"] = recorded["deltas/output"] = np.full((len(x), 1), 0.5, dtype)
    found = replay(state | {"step": np.array(0)}, x, np.zeros(len(x), np.int64), recorded)
    results: Results = {}
    for position, name in enumerate(names, start=1):
        results[f"{name}/value"] = found[f"outputs/{name}_{position}"]
        results[f"{name}/derivative"] = found[f"deltas/dense_{position}"]
    return results


def measure_side(side: Framework, folder: Path, code: Path) -> None:
    """Write what one framework computes at `folder`'s points, as <choices>/<dtype>/<function>/...; for its process."""
    # The points are not made here: torch's switch for denormal numbers changes NumPy's arithmetic too.
    points = dict(np.load(folder / "points.npz"))
    loaded = serving.load_side(side, 1, code)
    found: Results = {}
    for choices, values in CHOICES.items():
        realisation = Realisation(MODELS[side], **values)
        for dtype in DTYPES:
            results = run(loaded, realisation, points[dtype])
            found |= {f"{choices}/{dtype}/{name}": array for name, array in results.items()}
    np.savez(folder / f"{side}.npz", **found)  # type: ignore[arg-type]


def measure(
    points: int, folder: Path, sides: Sequence[Framework] = FRAMEWORKS, code: Path = ROOT
) -> dict[Framework, Results]:
    """What each framework computes, as `<choices>/<dtype>/<function>/...`; `code` may hold another implementation."""
    np.savez(folder / "points.npz", **{dtype: points_of(points, dtype) for dtype in DTYPES})  # type: ignore[arg-type]
    running = []
    for side in sides:
        command = [sys.executable, "-m", "benchmarks.activations", "--side", side]
        command += ["--folder", str(folder), "--code", str(code)]
        running.append(subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, said = process.communicate()
        if process.returncode:
            raise RuntimeError(said[-3000:])
    return {side: dict(np.load(folder / f"{side}.npz")) for side in sides}


def stock_choices(side: Framework, name: str) -> Framework:
    """Whose choices make a side run its stock function: its own, but torch rounds where Keras does not in one case."""
    return side if name != "hard_sigmoid" else {"tf": "torch", "torch": "tf"}[side]  # type: ignore[return-value]


def truths(choices: Framework) -> dict[str, tuple[Formula, Formula]]:
    """Each function and its derivative, for mpmath's numbers, with the constants of that framework's choices."""

    def constant(value: float, exact: Any = None) -> Any:
        if CHOICES[choices]["constants"] == "through_float32":
            return mp.mpf(float(np.float32(value)))
        return mp.mpf(value) if exact is None else exact

    below, linear = CHOICES[choices]["selu_at_zero"] == "slope_below", CHOICES[choices]["softplus_above_20"] == "linear"
    scale, alpha = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")
    root_half, cube, leaky = constant(0.5**0.5, mp.sqrt(0.5)), constant(0.044715), constant(LEAKY_SLOPE)
    root = mp.sqrt(2 / mp.pi)
    prelu = mp.mpf(SLOPES["prelu"]), 0 if CHOICES[choices]["prelu_at_zero"] == "zero" else mp.mpf(SLOPES["prelu"])

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + mp.exp(-x))

    def softplus(x: Any) -> Any:
        return mp.log1p(mp.exp(-abs(x))) + max(x, 0)

    def t(x: Any) -> Any:
        return mp.tanh(root * (x + cube * x**3))

    def m(x: Any) -> Any:
        return mp.tanh(softplus(x))

    def cdf(x: Any) -> Any:
        return mp.erfc(-x * root_half) / 2

    return {
        "relu": (lambda x: max(x, 0), lambda x: int(x > 0)),
        "leaky_relu": (lambda x: x if x > 0 else leaky * x, lambda x: 1 if x > 0 else leaky),
        "prelu": (
            lambda x: x if x > 0 else prelu[0] * x,
            lambda x: 1 if x > 0 else prelu[0] if x < 0 else prelu[1],
        ),
        "elu": (
            lambda x: x if x > 0 else ELU_SLOPE * mp.expm1(x),
            lambda x: 1 if x > 0 else ELU_SLOPE * mp.exp(x),
        ),
        "selu": (
            lambda x: scale * (x if x > 0 else alpha * mp.expm1(x)),
            lambda x: scale * (1 if x > 0 or (x == 0 and not below) else alpha * mp.exp(x)),
        ),
        "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
        "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2),
        "hard_sigmoid": (
            lambda x: min(max(x + 3, 0), 6) / mp.mpf(6),
            lambda x: constant(1 / 6, mp.mpf(1) / 6) if abs(x) < 3 else 0,
        ),
        "gelu": (
            lambda x: x * cdf(x),
            lambda x: cdf(x) + x * root_half * mp.exp(-((x * root_half) ** 2)) / mp.sqrt(mp.pi),
        ),
        "gelu_tanh": (
            lambda x: x * (1 + t(x)) / 2,
            lambda x: (1 + t(x)) / 2 + x * (1 - t(x) ** 2) / 2 * root * (1 + 3 * cube * x**2),
        ),
        "silu": (lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x))),
        "softplus": (
            lambda x: x if linear and x > 20 else softplus(x),
            lambda x: 1 if linear and x > 20 else sigmoid(x),
        ),
        "mish": (lambda x: x * m(x), lambda x: m(x) + x * (1 - m(x) ** 2) * sigmoid(x)),
    }


def softmax_truth(x: Array, delta: Array) -> tuple[Array, Array]:
    """The softmax of each row and its derivative times delta [rows, UNITS], in 40 digits, as Python objects."""
    values = np.array([[mp.exp(mp.mpf(float(z)) - float(max(row))) for z in row] for row in x], object)
    values /= values.sum(axis=1, keepdims=True)
    return values, values * (delta - (values * delta).sum(axis=1, keepdims=True))


def truth(name: str, choices: Framework, x: Array) -> tuple[Array, Array]:
    """A function and its derivative times its delta at x [rows, UNITS], as exact as mpmath's 40 digits."""
    if name == "softmax":
        return softmax_truth(x, delta_of(name, x).astype(object))
    value, derivative = truths(choices)[name]
    exact = [mp.mpf(float(number)) for number in x.flat]
    return tuple(np.array([f(z) for z in exact], object).reshape(x.shape) for f in (value, derivative))  # type: ignore[return-value]


def errors(found: Array, exact: Array) -> Array:
    """|found - exact|, computed in 40 digits, as float64."""
    return np.array([float(abs(mp.mpf(float(a)) - b)) for a, b in zip(found.flat, exact.flat, strict=True)]).reshape(
        found.shape
    )


def ulps(found: Array, exact: Array, dtype: Dtype) -> float:
    """The largest error in units in the last place of the exact value; denormal numbers count as zero."""
    size = np.abs(exact.astype(np.float64))
    spacing = np.spacing(np.maximum(size, np.finfo(dtype).tiny).astype(dtype)).astype(np.float64)
    error = np.where((size < np.finfo(dtype).tiny) & (np.abs(found) < np.finfo(dtype).tiny), 0, errors(found, exact))
    return float((error / spacing).max())


def shares(found: Results, choices: Framework, name: str, exact: tuple[Array, Array], x: Array) -> tuple[float, float]:
    """The largest error of a function and of its derivative on the grid x, in u times its condition scale."""
    dtype, wide = x.dtype.name, x.astype(np.float64)
    realisation = Realisation("", **CHOICES[choices])
    node = node_of(1, name, UNITS)  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        scales = activations.scales(node, realisation, SLOPES.get(name), wide, delta_of(name, wide))
    # Either framework may take a denormal number for zero, in a factor or in a product.
    floor = 4 * np.finfo(dtype).tiny * np.maximum(1, np.abs(wide))
    worst = []
    for kind, true, scale in zip(("value", "derivative"), exact, scales, strict=True):
        error = errors(found[f"{choices}/{dtype}/{name}/{kind}"][len(SPECIAL) :], true)
        with np.errstate(all="ignore"):
            worst.append(float(np.where(error <= floor, 0, error / UNIT_ROUNDOFF[dtype] / scale).max()))
    return worst[0], worst[1]


def page(measured: dict[Framework, Results], points: int) -> str:
    """docs/activations.md."""
    grids = {dtype: points_of(points, dtype)[len(SPECIAL) :] for dtype in DTYPES}
    exact = {
        (name, side, dtype): truth(name, stock_choices(side, name), grids[dtype])
        for name in [*NAMES, "softmax"]
        for side in FRAMEWORKS
        for dtype in DTYPES
    }
    return TEXT.format(
        points=grids["float32"].size,
        ulps=table(["function", *COLUMNS], [[name, *ulps_row(name, measured, exact)] for name in [*NAMES, "softmax"]]),
        scales=table(
            ["function", *COLUMNS], [[name, *scales_row(name, measured, exact, grids)] for name in [*NAMES, "softmax"]]
        ),
        special=table(
            ["function", "at", *(f"{LABELS[side]} {kind}" for kind in ("f", "f'") for side in FRAMEWORKS)],
            [row for name in NAMES for row in special_rows(name, measured)],
        ),
    )


def ulps_row(name: str, measured: dict[Framework, Results], exact: dict[Any, tuple[Array, Array]]) -> list[str]:
    """A function's largest errors in units in the last place, for each column."""
    cells = []
    for dtype in DTYPES[::-1]:
        for kind, position in (("value", 0), ("derivative", 1)):
            for side in FRAMEWORKS:
                found = measured[side][f"{stock_choices(side, name)}/{dtype}/{name}/{kind}"][len(SPECIAL) :]
                worst = ulps(found, exact[name, side, dtype][position], dtype)
                cells.append(f"{worst:.2g}" if worst < 0.25 / UNIT_ROUNDOFF[dtype] else "no digit")
    return cells


def scales_row(
    name: str, measured: dict[Framework, Results], exact: dict[Any, tuple[Array, Array]], grids: dict[Dtype, Array]
) -> list[str]:
    """The same in units of u times the condition scale."""
    cells = []
    for dtype in DTYPES[::-1]:
        found = [
            shares(measured[side], stock_choices(side, name), name, exact[name, side, dtype], grids[dtype])
            for side in FRAMEWORKS
        ]
        cells += [f"{pair[position]:.2g}" for position in (0, 1) for pair in found]
    return cells


def special_rows(name: str, measured: dict[Framework, Results]) -> list[list[str]]:
    """What both frameworks give in float32 at infinities, zero and NaN."""
    rows = []
    for position, x in enumerate(SPECIAL):
        if np.copysign(1, x) < 0 and x == 0:
            continue
        cells = [
            f"{measured[side][f'{stock_choices(side, name)}/float32/{name}/{kind}'][position, 0]:.5g}"
            for kind in ("value", "derivative")
            for side in FRAMEWORKS
        ]
        rows.append([name, f"{x:g}", *cells])
    return rows


def table(header: list[str], rows: list[list[str]]) -> str:
    """Rows in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


COLUMNS = [f"{LABELS[side]} {kind}, {dtype}" for dtype in DTYPES[::-1] for kind in ("f", "f'") for side in FRAMEWORKS]
TEXT = """# Activations

Every activation of both frameworks, as `python -m benchmarks.activations` measures it: the stock functions, on
{points} points from the smallest normal number to 1e4 of either sign, kinks and their neighbours included, held against
40 digits.

![Each activation and its derivative](activations.png)

## Errors in units in the last place

The worst point of each. Where a result cancels to nearly nothing, as `gelu` far below zero, few of its digits are right
or none ("no digit"). That is rounding all the same: of the numbers that cancelled, as the next table shows. In float64
Keras's `leaky_relu`, `gelu` and `gelu_tanh` and torch's derivative of `hard_sigmoid` are held against the function with
the constant that they round through float32, and torch's `softplus` against the one that is x above 20: these are
choices (`parity/experiment/spec.py`), not errors.

{ulps}

## Errors in units of u times the condition scale

What lockstep judges by: the scale is that of `parity/bounds/activations.py`, its `allowed` and
`gradient_allowed` say how much is allowed.

{scales}

## At infinities, zero and NaN

In float32. `selu` and `prelu` have different derivatives at zero; a choice gives either framework the other's.

{special}
"""


def draw(file: Path) -> None:
    """Each function and its derivative, from mpmath."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    x = np.linspace(-5, 5, 801)
    figure, axes = plt.subplots(4, 4, figsize=(12, 10), sharex=True, constrained_layout=True)
    for axis, name in zip(axes.flat, NAMES, strict=False):
        value, derivative = truths("torch")[name]
        axis.plot(x, [float(value(mp.mpf(z))) for z in x], label="f")
        axis.plot(x, [float(derivative(mp.mpf(z))) for z in x], label="f'", linestyle="--")
        axis.axhline(0, color="grey", linewidth=0.5)
        axis.set_ylim(-2, 3)
        axis.set_title(name)
    for axis in axes.flat[len(NAMES) :]:
        axis.set_visible(False)
    axes.flat[0].legend()
    # Nothing of the day or the version, so that the same figure is the same file.
    figure.savefig(file, dpi=80, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=4000, metavar="N", help="on the grid (default 4000)")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", metavar="FOLDER", help="where to write")
    parser.add_argument("--side", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--code", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side is not None:
        measure_side(options.side, options.folder, options.code)
        return
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(options.points, Path(folder))
    (options.docs / "activations.md").write_text(page(measured, options.points))
    draw(options.docs / "activations.png")


if __name__ == "__main__":
    main()
