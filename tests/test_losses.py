"""The losses by themselves where outputs are saturated, and in training: alike on both sides, and as published."""

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from conftest import shortened

from parity.bounds.losses import rounding
from parity.bounds.rows import ALLOWED
from parity.bounds.stages import UNIT_ROUNDOFF
from parity.data import datasets
from parity.experiment import randomness
from parity.experiment.experiments import EXPERIMENTS, NORMAL, mlp
from parity.experiment.requested import COSTS, with_cost
from parity.experiment.spec import FRAMEWORKS, Dtype, Experiment, LossName, Schedule
from parity.steps.phases import Training
from parity.verdict import judge
from parity.worker import chunks

INF, NAN = math.inf, math.nan
TABLE = [16.0, 17.0, 30.0, 200.0, 1000.0, -16.0, -30.0, -90.0, -1000.0, 0.0, 0.5]


def neighbours(value: float) -> list[float]:
    """A number and those next to it, in float64 and in float32."""
    near = [np.nextafter(value, 0), np.nextafter(value, 1)]
    return [value, *map(float, near), *(float(np.nextafter(np.float32(value), np.float32(to))) for to in (0, 1))]


PROBABILITIES = [0.0, 1.0, 1e-45, 1e-30, 1e-12, 0.3, 0.5, 1 - 1e-12, *neighbours(1e-7), *neighbours(1 - 1e-7)]
BINARY: list[list[float]] = [[p] for p in PROBABILITIES]
SEVERAL: list[list[float]] = [[p, (1 - p) / 4, 3 * (1 - p) / 4] for p in PROBABILITIES]
OUTPUTS: dict[LossName, list[list[float]]] = {
    "binary_cross_entropy_naive": BINARY,
    "binary_cross_entropy_clipped": BINARY,
    "binary_cross_entropy_clamped": BINARY,
    "binary_cross_entropy_logits": [[z] for z in TABLE],
    "softmax_cross_entropy": [[z, 0.0, 1.0] for z in TABLE],
    "softmax_cross_entropy_naive": SEVERAL,
    "softmax_cross_entropy_clipped": SEVERAL,
    "mean_squared_error": [[0.0], [1.0], [0.3], [1e-30]],
}
# Those that are given probabilities.
OF_PROBABILITIES = {name for name in OUTPUTS if name.endswith(("_naive", "_clipped", "_clamped"))}
# A file, its text and what replaces it; and the results that then differ from the other side's.
TF_CLIPPED = "keras.losses.BinaryCrossentropy()(targets(outputs, labels), tf.identity(outputs))"
FAULTS: dict[str, list[tuple[tuple[str, str, str], str]]] = {
    "tf": [
        (("losses.py", TF_CLIPPED, TF_CLIPPED.replace("tf.identity(outputs)", "outputs")),
         "binary_cross_entropy_clipped table float32"),
        (("losses.py", "np.float64(np.float32(1e-12))", "1e-12"), "binary_cross_entropy_clamped outputs float64"),
        (("losses.py", "tf.maximum(tf.math.log1p(-h), -100)", "tf.math.log1p(-h)"),
         "binary_cross_entropy_clamped outputs float32"),
    ],
    "torch": [
        (("losses.py", "(1e-7, 1 - 1e-7)", "(1e-8, 1 - 1e-8)"), "binary_cross_entropy_clipped outputs float64"),
        (("losses.py", "probabilities < low", "probabilities <= low"),
         "softmax_cross_entropy_clipped outputs float64"),
        (("losses.py", "probabilities > high", "probabilities >= high"),
         "binary_cross_entropy_clipped outputs float32"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """What both sides made of TABLE and OUTPUTS: computed[side]["clean"], or [number of a fault]."""
    folder = tmp_path_factory.mktemp("saturation")
    faults = {side: [(edit, found.split()[0]) for edit, found in listed] for side, listed in FAULTS.items()}
    (folder / "job.json").write_text(json.dumps({"table": TABLE, "outputs": OUTPUTS, "faults": faults}))

    def compute(side: str) -> dict[str, dict[str, list]]:
        (folder / side).mkdir()
        script = Path(__file__).parent / "saturation.py"
        command = [sys.executable, str(script), side, str(folder / "job.json"), str(folder / side)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return {path.stem: json.loads(path.read_text()) for path in (folder / side).glob("*.json")}

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FRAMEWORKS, pool.map(compute, FRAMEWORKS), strict=True))


def differing(ours: dict[str, list], theirs: dict[str, list]) -> set[str]:
    """The results of `ours` that are further from `theirs` than both sides' roundings allow."""
    return {name for name in ours if not all(within(name, *case) for case in zip(
        samples(name), ours[name], theirs[name], strict=True
    ))}  # fmt: skip


def samples(name: str) -> list[tuple[list[float], int]]:
    """The sample and the label of each entry of a list of results."""
    loss, kind, _ = name.split()
    values = [[z] for z in TABLE] if kind == "table" else OUTPUTS[loss]  # type: ignore[index]
    return [(value, label) for value in values for label in range(max(2, len(value)))]


def within(name: str, sample: tuple[list[float], int], ours: tuple, theirs: tuple) -> bool:
    """Whether a cost and its gradient are as close as the loss's rows allow; behind a sigmoid, roughly."""
    loss, kind, dtype = name.split()
    values, label = sample
    found = np.array([ours[0], *ours[1]]), np.array([theirs[0], *theirs[1]])
    if kind == "table" and loss != "binary_cross_entropy_logits":
        return bool(np.allclose(*found, rtol=0.01, atol=1e-6, equal_nan=True))
    return bool(apart(loss, dtype, values, label, *found) <= 1)  # type: ignore[arg-type]


def apart(loss: LossName, dtype: Dtype, values: list[float], label: int, x: np.ndarray, y: np.ndarray) -> float:
    """How far apart a cost and its gradient are on both sides, as a share of what is allowed."""
    outputs = np.array([values], dtype).astype(np.float64)
    outputs[np.abs(outputs) < np.finfo(dtype).tiny] = 0
    with np.errstate(all="ignore"):
        scales = rounding(loss, outputs, np.array([label]))
        allowed = [sum(ALLOWED[row].values()) for row in (loss, f"{loss} gradient")]
        bounds = np.array([allowed[0] * scales.cost, *(allowed[1] * scales.gradient_scale[0])]) * UNIT_ROUNDOFF[dtype]
        ratio = np.abs(x - y) / np.where(np.isfinite(bounds), bounds, 0)
        ratio = np.where((x == y) | (np.isnan(x) & np.isnan(y)) | (np.abs(x - y) <= np.finfo(dtype).tiny), 0, ratio)
    return float(ratio.max())


def test_saturated_outputs_are_alike(computed):
    """Probabilities at 0, 1 and Keras's clip, logits of 1000: the same cost and gradient, or NaN on both sides."""
    ours, theirs = computed["tf"]["clean"], computed["torch"]["clean"]
    assert set(ours) == set(theirs)
    assert {name.split()[0] for name in ours} == set(OUTPUTS) == set(COSTS.values())
    assert differing(ours, theirs) == set()


@pytest.mark.parametrize("side", FRAMEWORKS)
def test_float32_is_float64_but_for_rounding(side, computed):
    """Of outputs that both hold exactly, such as the logits of a sample that is right beyond doubt."""
    found, seen = computed[side]["clean"], 0
    for loss in OUTPUTS:
        results = zip(*(found[f"{loss} outputs {dtype}"] for dtype in ("float32", "float64")), strict=True)
        for (values, label), (narrow, wide) in zip(samples(f"{loss} outputs float32"), results, strict=True):
            if np.array_equal(values, np.array(values, np.float32)):
                x, y = (np.array([cost, *gradient]) for cost, gradient in (narrow, wide))
                assert apart(loss, "float32", values, label, x, y) <= 1, (loss, values, label)
                seen += 1
    assert seen > 50


@pytest.mark.parametrize(
    ("side", "number"), [(side, number) for side, faults in FAULTS.items() for number in range(len(faults))]
)
def test_a_planted_fault_is_found(side, number, computed):
    faulty, other = computed[side][str(number)], computed["torch" if side == "tf" else "tf"]["clean"]
    assert FAULTS[side][number][1] in differing(faulty, other)


# The cost of a logit and its gradient by the logit, in float32.
SATURATION = {
    (16.0, 0, "logits"): (16, 1), (16.0, 0, "clipped"): (15.94, 1), (16.0, 0, "clamped"): (15.94, 1),
    (16.0, 0, "naive"): (15.94, 1),
    (17.0, 0, "logits"): (17, 1), (17.0, 0, "clipped"): (15.94, 0), (17.0, 0, "clamped"): (100, 0),
    (17.0, 0, "naive"): (INF, NAN),
    (200.0, 0, "logits"): (200, 1), (200.0, 0, "clipped"): (15.94, 0), (200.0, 0, "clamped"): (100, 0),
    (200.0, 0, "naive"): (INF, NAN),
    (17.0, 1, "naive"): (NAN, NAN), (17.0, 1, "logits"): (0, 0), (17.0, 1, "clipped"): (0, 0),
    (17.0, 1, "clamped"): (0, 0),
    (-30.0, 1, "logits"): (30, -1), (-30.0, 1, "clipped"): (16.118, 0), (-30.0, 1, "clamped"): (30, -0.0936),
    (-30.0, 1, "naive"): (30, -1),
    (-90.0, 1, "logits"): (90, -1), (-90.0, 1, "clamped"): (100, 0), (-90.0, 1, "clipped"): (16.118, 0),
}  # fmt: skip


@pytest.mark.parametrize("side", FRAMEWORKS)
def test_how_each_form_saturates(side, computed):
    found = computed[side]["clean"]
    for (z, label, cost), expected in SATURATION.items():
        results = found[f"{COSTS[cost]} table float32"]
        value, (slope,) = results[2 * TABLE.index(z) + label]
        np.testing.assert_allclose((value, slope), expected, rtol=1e-3, atol=1e-6, err_msg=f"{z}, {label}, {cost}")


def with_small_model(cost: str, dtype: Dtype) -> Experiment:
    """Three steps on XOR with a cost: 2-3-2 where it needs an output for each class, otherwise 2-3-1."""
    widths, ending = ([2, 3, 2], "softmax") if cost.startswith("softmax") else ([2, 3, 1], "sigmoid")
    model = mlp(widths, "tanh", ending, NORMAL, NORMAL)
    identity = EXPERIMENTS["xor_tanh"].identity
    ended = replace(identity, model=model, loss="mean_squared_error")
    return shortened("xor_tanh", 3, dtype=dtype, **{
        field: getattr(with_cost(ended, cost), field) for field in ("model", "loss")
    })  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "cost",
    [
        pytest.param(cost, marks=[] if cost in ("softmax_clipped", "logits", "clamped") else [pytest.mark.slow])
        for cost in COSTS
    ],
)
def test_parity_of_saturated_training(cost, dtype, record_pair, tmp_path):
    """With weights fifty times as large; the naive costs, which would be NaN at once, with their own."""
    experiment = with_small_model(cost, dtype)
    factor = 1 if cost.endswith("naive") else 50
    drawn = randomness.initial_weights(experiment.identity)
    weights = {f"layers.{int(n[6]) - 1}.{n[8:]}": factor * value for n, value in drawn.items()}
    safetensors.numpy.save_file(weights, tmp_path / "weights")
    verdict = judge(*record_pair(experiment, tmp_path, initial_weights=tmp_path / "weights"))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]


@pytest.mark.parametrize(
    ("cost", "model", "message"),
    [
        ("binary_cross_entropy_logits", mlp([2, 1], "tanh", "sigmoid", NORMAL, NORMAL),
         "binary_cross_entropy_logits takes logits, and the model ends in sigmoid"),
        ("binary_cross_entropy_clamped", mlp([2, 1], "tanh", "linear", NORMAL, NORMAL),
         "binary_cross_entropy_clamped takes probabilities, and the model does not end in sigmoid"),
        ("softmax_cross_entropy_clipped", mlp([2, 2], "tanh", "linear", NORMAL, NORMAL),
         "softmax_cross_entropy_clipped takes probabilities, and the model does not end in softmax"),
        ("softmax_cross_entropy", mlp([2, 2], "tanh", "softmax", NORMAL, NORMAL),
         "softmax_cross_entropy takes logits, and the model ends in softmax"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_end_as_its_loss_needs(cost, model, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        replace(EXPERIMENTS["xor_tanh"].identity, loss=cost, model=model)


@pytest.mark.parametrize(("epoch_cost", "expected"), [("batch_mean", [4.0, 2.5]), ("sample_mean", [20 / 7, 2.5])])
def test_epochs_with_a_partial_batch(epoch_cost, expected):
    """Seven samples in batches of three; the second epoch ends before its last batch."""
    schedule = Schedule(3, False, False, 1, 5, "steps", epoch_cost, "sample_mean", True)
    batches = datasets.plan(schedule, np.arange(7)[None].repeat(2, 0))
    columns = dict.fromkeys(("indices", "inputs", "labels"), np.zeros(5)) | {"evaluation": np.zeros((5, 4))}
    phase = Training(replace(EXPERIMENTS["xor_tanh"].identity, schedule=schedule))
    trace = chunks.join([{"cost": np.array([1, 3, 8, 2, 3], np.float32), **columns}], batches, phase)
    np.testing.assert_allclose(trace["epoch_cost"], expected)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_gradient_moves_no_further_than_is_said_where_outputs_may_move(name):
    """Outputs near 0, 1 and the clips among them, each moved by anything up to its extent, or by all of it."""
    draw = np.random.default_rng(len(name))
    units, checked = len(OUTPUTS[name][0]), 0
    for _ in range(4000):
        size = 10 ** draw.uniform(-18, 0.5)
        if name in OF_PROBABILITIES:
            # Some almost 1.
            outputs = 10 ** draw.uniform(-9, 0, (2, units))
            outputs = np.where(draw.random((2, units)) < 0.5, outputs, 1 - outputs)
        else:
            outputs = draw.normal(0, 10 ** draw.uniform(-2, 1.5), (2, units))
        extent = size * draw.random((2, units)) * (np.abs(outputs) if draw.random() < 0.5 else 1.0)
        share = draw.uniform(-1, 1, (2, units)) if draw.random() < 0.5 else draw.choice([-1.0, 1.0], (2, units))
        labels = draw.integers(0, max(2, units), 2)
        moved = outputs + share * extent
        if name in OF_PROBABILITIES and not ((moved > 0) & (moved < 1)).all():
            continue
        extent = np.maximum(extent, np.abs(moved - outputs))
        with np.errstate(all="ignore"):
            before, after = rounding(name, outputs, labels), rounding(name, moved, labels)
            allowed = before.moved(extent) * (1 + 1e-6) + 1e-13 * np.abs(before.gradient)
            apart = np.abs(after.gradient - before.gradient)
        assert not np.any(apart > allowed), (name, outputs, moved, labels, apart, allowed)
        checked += 1
    assert checked > 500
