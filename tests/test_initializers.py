"""The frameworks' own initializers against the formulas: what they draw, and by what name they differ."""

import math
from pathlib import Path

import numpy as np
import pytest
from conftest import shortened

from benchmarks.distributions import Sample
from benchmarks.initializers import BIAS, CASES, KERNEL, PLAIN, Case, drawn_from, measure, page, picture
from parity.errors import UsageError
from parity.experiment import randomness
from parity.experiment.initializers import distribution
from parity.experiment.nodes import Dense, Initializer
from parity.experiment.randomness import Purpose
from parity.experiment.requested import initializer, with_initializer
from parity.experiment.spec import FRAMEWORKS
from parity.recordings import start
from parity.workers.job import DrawJob

ROOT = Path(__file__).parents[1]
# Where a name of the framework's own means another formula, and which.
OWN = {
    ("tf", "xavier_normal"): "xavier_normal_truncated",
    ("tf", "he_normal"): "he_normal_truncated",
    ("tf", "lecun_normal"): "lecun_normal_truncated",
    ("torch", "truncated_normal:0.05"): "normal:0.05",
}
# What the name alone means, on a kernel (inputs, units).
BY_NAME = {
    ("tf", "normal"): "normal:0.05",
    ("tf", "uniform"): "uniform:0.05",
    ("tf", "truncated_normal"): "truncated_normal:0.05",
    ("tf", "xavier_normal"): "xavier_normal_truncated",
    ("tf", "he_normal"): "he_normal_truncated",
    ("torch", "uniform"): "uniform from 0 to 1",
    ("torch", "he_uniform"): "he_uniform, inputs and units swapped",
    ("torch", "he_normal"): "he_normal, inputs and units swapped",
}


@pytest.fixture(scope="module")
def found(workers):
    return measure(workers)


@pytest.mark.ci
def test_who_draws_what(found):
    """Our draws and the frameworks', asked for the formula, have it; by their own names they differ in these."""
    names = {key: figures.name for key, figures in found.items()}
    for case in CASES:
        assert [names[who, "formula", case] for who in ("neutral", *FRAMEWORKS)] == 3 * [case.name]
        for side in FRAMEWORKS:
            assert names[side, "own", case] == OWN.get((side, case.name), case.name)
    for case in PLAIN:
        for side in FRAMEWORKS:
            assert names[side, "plain", case] == BY_NAME.get((side, case.name), case.name)


@pytest.mark.ci
def test_orthogonal(found):
    departures = {
        key[0]: figures.departure
        for key, figures in found.items()
        if key[1:] == ("formula", Case("orthogonal", *KERNEL, False))
    }
    unit = 2.0**-24
    # Ours is exact but for each entry's rounding: at most 2 u |q||q'| for unit vectors q and q', and a little.
    assert departures["neutral"] <= 2.01 * unit
    # A product's bound, as in parity/bounds/stages.py.
    assert max(departures[side] for side in FRAMEWORKS) <= 3 * math.sqrt(KERNEL[0]) * unit


@pytest.mark.parametrize("shape", [(30, 7), (7, 30), (12, 12), (5, 1)])
def test_orthogonal_is_the_q_of_a_qr_decomposition(shape):
    raw = randomness.words(0, Purpose.WEIGHTS, 0, math.prod(shape) + math.prod(shape) % 2)
    normal = randomness.normals(raw)[: math.prod(shape)].reshape(max(shape), min(shape))
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diag(r))
    np.testing.assert_allclose(randomness.orthonormal(raw, *shape), q if shape[0] >= shape[1] else q.T, atol=1e-13)


# What is wrong with a million values, and what shows it.
FAULTS = {
    "a hundredth too wide": (lambda values: values * np.float32(1.01), "deviation"),
    "moved by a hundredth of the deviation": (lambda values: values + values.std() / 100, "mean"),
    "one value outside": (lambda values: np.append(values, np.float32(4.001 * values.std())), "largest"),
    "another distribution": (lambda values: np.sign(values) * values.std(), "distribution"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["he_uniform", "he_normal_truncated"])
def test_a_planted_fault_is_found(name, fault):
    change, problem = FAULTS[fault]
    case = Case(name, *KERNEL, bias=False)
    values = randomness.initial_weights(case.identity)["dense/kernel"].ravel()
    assert Sample(values).problem(case.formula) is None
    assert Sample(change(values)).problem(case.formula) == problem


def test_the_wrong_fan_is_named():
    turned = Case("lecun_uniform", *reversed(KERNEL), bias=False)
    values = randomness.initial_weights(turned.identity)["dense/kernel"]
    sought = Case("lecun_uniform", *KERNEL, bias=False)
    assert drawn_from(Sample(values), sought) == "lecun_uniform, inputs and units swapped"


def test_each_tensor_is_drawn_from_a_seed_of_its_own(workers, tmp_path):
    """Two kernels of one shape differ, as does another seed's; the same job draws the same again."""
    experiment = shortened("xor_tanh", 1)
    drawn = {}
    for side, worker in workers.items():
        for seed in (0, 1):
            identity = shortened("xor_tanh", 1, seed=seed).identity
            for again in (False, True):
                file = tmp_path / f"{side}-{seed}-{again}"
                worker.draw(DrawJob(identity, "own", file))
                drawn[side, seed, again] = start.read_weights(file, identity)
    for side in FRAMEWORKS:
        tensors = [value for seed in (0, 1) for value in drawn[side, seed, False].values()]
        assert len({value.tobytes() for value in tensors}) == len(tensors) == 2 * len(experiment.identity.weights)
        for name, value in drawn[side, 0, False].items():
            assert (value == drawn[side, 0, True][name]).all()


@pytest.mark.ci
def test_the_page(found, tmp_path):
    """It has every initializer, and the figures of now would not say anything else."""
    written = (ROOT / "docs" / "initializers.md").read_text()
    assert named(page(found)) == named(written)
    picture(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def named(text):
    """The page without its measured figures: the cells that are no numbers."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("|")]
    return [[cell for cell in row if not cell.replace(".", "").replace("e-", "").isdigit()] for row in rows]


def test_names_as_typed():
    assert initializer("normal") == Initializer("normal", 1.0)
    assert initializer("normal:0.05") == Initializer("normal", 0.05)
    assert initializer("constant:-1e-3") == Initializer("constant", -0.001)
    assert initializer("glorot_uniform") == initializer("xavier_uniform")
    assert initializer("kaiming_normal") == initializer("he_normal") == Initializer("he_normal", None)
    assert initializer("glorot_normal_truncated").name == "xavier_normal_truncated"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("constant", "initializer constant needs its value, as in constant:0.1"),
        ("normal:", "initializer 'normal:': '' is not a number"),
        ("normal:wide", "initializer 'normal:wide': 'wide' is not a number"),
        ("normal:0", "initializer normal: deviation must be a finite number above zero, not 0.0"),
        ("uniform:-1", "initializer uniform: bound must be a finite number above zero, not -1.0"),
        ("constant:nan", "initializer constant: value must be below 2**100, not nan"),
        ("normal:1e38", "initializer normal: deviation must be below 2**100, not 1e+38"),
        ("zeros:1", "initializer zeros takes no number"),
        ("glorot_unifrom", "unknown initializer 'xavier_unifrom'; did you mean xavier_uniform?"),
    ],
)
def test_names_that_are_wrong(text, message):
    with pytest.raises((UsageError, ValueError)) as caught:
        initializer(text)
    assert str(caught.value) == message


def test_a_bias_has_no_fans():
    zeros = Initializer("zeros", None)
    for name in ("orthogonal", "he_normal", "lecun_uniform"):
        with pytest.raises(ValueError, match=f"dense: initializer {name} is for kernels, not for a bias"):
            Dense("dense", 2, 2, kernel=zeros, bias=initializer(name))


def test_only_a_frameworks_default_is_one_of_the_biases():
    model = shortened("mnist_relu", 1).identity.model
    for name, bias in (("orthogonal", "torch_default"), ("keras_default", "keras_default")):
        changed = [node for node in with_initializer(model, initializer(name)) if isinstance(node, Dense)]
        assert {(node.kernel.name, node.bias.name) for node in changed} == {(name, bias)}


def test_the_defaults_of_a_bias():
    assert distribution(initializer("keras_default"), *BIAS, bias=True).deviation == 0
    assert distribution(initializer("torch_default"), *BIAS, bias=True).largest == pytest.approx(2**-0.5)
