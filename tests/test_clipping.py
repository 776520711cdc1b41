"""Gradient clipping: each way in both frameworks and both frameworks' ways, against a formula of its own."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import both_sides, shortened

from parity.bounds import clipping
from parity.errors import UsageError
from parity.experiment.optimizers import Clipping
from parity.experiment.requested import chosen_clipping
from parity.experiment.spec import is_read
from parity.verdict import judge

# Below the norms and the largest values of the first gradients.
WAYS = {"value:0.01": 0.01, "norm:0.3": 0.3, "global_norm:0.3": 0.3}

ALWAYS = {("norm:0.3", "none"), ("global_norm:0.3", "beside_norm")}


def experiment(text, epsilon="beside_norm"):
    found = shortened("mnist_softmax", 3, clipping=chosen_clipping(text))
    return both_sides(found, clip_epsilon=epsilon)


@pytest.mark.parametrize(
    ("text", "epsilon"),
    [
        pytest.param(text, epsilon, marks=[] if (text, epsilon) in ALWAYS else pytest.mark.ci)
        for text in WAYS
        for epsilon in ("beside_norm", "none")
    ],
)
def test_parity(text, epsilon, record_pair, tmp_path):
    """Both frameworks agree at every stage, and give what NumPy makes of the recorded gradients."""
    pair = record_pair(experiment(text, epsilon), tmp_path)
    verdict = judge(*pair)
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]
    names = [check.name for check in verdict.checks if check.level == "lockstep"]
    assert any("float64 clipped/dense_1/kernel" in name for name in names)
    start, limit = pair[0].start("float64"), WAYS[text]
    gradients = [start[f"gradients/dense_1/{kind}"] for kind in ("kernel", "bias")]
    norms = [np.sqrt(np.sum(g**2)) for g in gradients]
    if text.startswith("global"):
        norms = [np.hypot(*norms)] * 2
    for kind, gradient, norm in zip(("kernel", "bias"), gradients, norms, strict=True):
        expected = gradient * min(1, limit / (norm + (1e-6 if epsilon == "beside_norm" else 0)))
        if text.startswith("value"):
            expected = np.clip(gradient, -limit, limit)
        np.testing.assert_allclose(start[f"clipped/dense_1/{kind}"], expected, rtol=1e-14)
    # The limit bites, or nothing would be tested.
    assert np.abs(start["clipped/dense_1/kernel"]).max() < 0.9 * np.abs(gradients[0]).max()


def test_parity_of_recordings_made_apart(record_pair, tmp_path):
    verdict = judge(*record_pair(experiment("global_norm:0.3"), tmp_path, exchange=False))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]
    assert "float32 clipped/dense_1/bias" in {check.name for check in verdict.checks}


def test_a_limit_that_nothing_reaches_changes_nothing(record_pair, tmp_path):
    for side in record_pair(experiment("norm:1e6"), tmp_path):
        start = side.start("float64")
        np.testing.assert_array_equal(start["clipped/dense_1/kernel"], start["gradients/dense_1/kernel"])


@pytest.mark.parametrize("text", ["value:0.1", "norm:0.1", "global_norm:0.1", "norm:100"])
def test_the_error_that_is_followed_is_not_exceeded(text):
    """Gradients moved within their errors give clipped ones within theirs, which are what the worst of them needs."""
    rng = np.random.Generator(np.random.Philox(1))
    gradients = {"a": rng.normal(size=(5, 4)), "b": rng.normal(size=4)}
    errors = {name: 1e-6 * np.abs(g) * rng.random(g.shape) for name, g in gradients.items()}
    way, realisation = chosen_clipping(text), experiment(text).torch

    def clipped(values):
        if way.by == "value":
            return {name: np.clip(g, -way.limit, way.limit) for name, g in values.items()}
        norms = clipping.norms(way, values)
        return {name: g * clipping.factor(way, realisation, norms[name]) for name, g in values.items()}

    here, allowed = clipped(gradients), clipping.errors(way, realisation, gradients, errors, 0.0)
    moved = [
        clipped({name: g + errors[name] * rng.choice([-1, 1], g.shape) for name, g in gradients.items()})
        for _ in range(200)
    ]
    for name in gradients:
        furthest = np.max([np.abs(m[name] - here[name]) for m in moved], axis=0)
        assert (furthest <= (1 + 1e-9) * allowed[name] + 1e-15).all()
        if way.by != "value":
            assert (allowed[name] <= 5 * furthest).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nrm:1", "unknown way of clipping 'nrm'; did you mean norm?"),
        ("norm", "--clip norm: write norm:LIMIT, a finite number above zero"),
        ("value:0", "--clip value:0: write value:LIMIT, a finite number above zero"),
        ("norm:nan", "--clip norm:nan: write norm:LIMIT, a finite number above zero"),
    ],
)
def test_bad_requests(text, message):
    with pytest.raises(UsageError) as raised:
        chosen_clipping(text)
    assert str(raised.value) == message


def test_the_choice_is_read_where_it_matters():
    chosen = experiment("norm:1")
    for way, read in ((None, False), (Clipping("value", 1.0), False), (Clipping("global_norm", 1.0), True)):
        assert is_read("clip_epsilon", replace(chosen.identity, clipping=way), chosen.torch) == read
