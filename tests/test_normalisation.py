"""Batch normalisation: both choices in both frameworks, a step in plain NumPy, and batches that have no variance."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import both_sides, shortened

from parity.bounds.nodes.batch_norm import BatchNormalisation
from parity.bounds.nodes.kind import Given
from parity.bounds.nodes.layer_norm import LayerNormalisation
from parity.bounds.running_error import UNIT_ROUNDOFF, smallest_normal
from parity.data.datasets import plan, require_variances
from parity.errors import UsageError
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.nodes import BatchNorm, Dense, LayerNorm
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.requested import with_activation
from parity.experiment.spec import is_read
from parity.verdict import judge, judge_alone
from parity.worker.replays import convert


def experiment(batch, steps, choice="unbiased", **changes):
    """mnist_batchnorm in batches of another size, the last one of an epoch kept."""
    found = shortened("mnist_batchnorm", steps, **changes)
    schedule = replace(found.identity.schedule, batch_size=batch, drop_last=False)
    found = replace(found, identity=replace(found.identity, schedule=schedule))
    return both_sides(found, moving_variance=choice)


def failed(verdict):
    return [check for check in verdict.checks if check.result == "failed"]


def assert_same_statistics(pair, kinds, rtol):
    """After the last step, behind a smaller batch, which no checkpoint has."""
    ours, theirs = (recorded.state(7) for recorded in pair)
    for name in (f"statistics/batch_norm_{i}/{kind}" for i in (1, 2) for kind in kinds):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol, err_msg=name)


@pytest.fixture(scope="module")
def apart(record_pair, tmp_path_factory):
    """Both sides in Keras's way and float64, recorded apart; the epoch's sixth batch is a smaller one."""
    folder = tmp_path_factory.mktemp("apart")
    return record_pair(experiment(700, 7, "biased", dtype="float64"), folder, checkpoints=3, exchange=False)


@pytest.mark.ci
def test_parity_with_a_partial_batch(record_pair, tmp_path):
    pair = record_pair(experiment(700, 7), tmp_path, checkpoints=3)
    verdict = judge(*pair)
    assert verdict.verdict == "parity", failed(verdict)
    # A bias before batch norm has the gradient zero but for rounding, which Adam divides by its own size: the biases
    # of the two sides, and with them the means, drift apart without changing anything else.
    assert_same_statistics(pair, ["moving_variance"], rtol=1e-3)


def test_parity_of_recordings_made_apart(apart):
    verdict = judge(*apart)
    assert verdict.verdict == "parity", failed(verdict)
    assert_same_statistics(apart, ["moving_mean", "moving_variance"], rtol=1e-6)
    names = {check.name for check in verdict.checks if check.level == "lockstep"}
    assert {f"{d} statistics/batch_norm_2/moving_variance" for d in ("float32", "float64")} <= names


def test_a_recording_alone(apart):
    for recorded in apart:
        verdict = judge_alone(recorded)
        assert verdict.verdict == "parity", failed(verdict)


def test_biased_against_unbiased_in_batches_of_two(record_pair, tmp_path):
    """Found in the running variances alone, which no step depends on.

    Of two samples the normalised ones are 1 and -1 but for epsilon, so every gradient behind cancels; that must not
    alarm. Adam would make steps of what is left.
    """
    chosen = experiment(2, 4, optimizer=OPTIMIZERS["sgd"])
    chosen = replace(chosen, tf=replace(chosen.tf, moving_variance="biased"))
    verdict = judge(*record_pair(chosen, tmp_path))
    found = failed(verdict)
    assert verdict.verdict == "mismatch"
    assert found[0].where.startswith("step 0, running statistics batch_norm_1, statistics/batch_norm_1/moving_variance")
    assert all("moving_variance" in check.name for check in found), found


def test_the_step_in_numpy(apart):
    """The first batch norm's results in float64, from the formulas of the paper and a derivative by differences."""
    start = apart[1].start("float64")
    state = apart[1].state(0)
    x, delta = start["outputs/dense_1"], start["deltas/batch_norm_1"]
    rest = start["gradients/dense_1/bias"]
    mean, variance = x.mean(axis=0), x.var(axis=0)

    def norm(values):
        return (values - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-5)

    np.testing.assert_allclose(start["outputs/batch_norm_1"], norm(x), rtol=0, atol=1e-12)
    np.testing.assert_allclose(start["gradients/batch_norm_1/gamma"], (delta * norm(x)).sum(axis=0), atol=1e-14)
    np.testing.assert_allclose(start["gradients/batch_norm_1/beta"], delta.sum(axis=0), atol=1e-14)
    np.testing.assert_allclose(start["statistics/batch_norm_1/moving_mean"], 0.1 * mean, rtol=1e-12)
    np.testing.assert_allclose(start["statistics/batch_norm_1/moving_variance"], 0.9 + 0.1 * variance, rtol=1e-12)
    assert state["statistics/batch_norm_1/moving_variance"].tolist() == [1.0] * 32
    # A bias in front of it changes nothing.
    assert np.abs(rest).max() < 1e-15
    for sample, unit in ((0, 0), (17, 5), (699, 31)):
        ends = []
        for step in (-1e-5, 1e-5):
            moved = x.copy()
            moved[sample, unit] += step
            ends.append((norm(moved) * delta)[:, unit].sum())
        expected = (ends[1] - ends[0]) / 2e-5
        np.testing.assert_allclose(start["deltas/dense_1"][sample, unit], expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize(("samples", "batch", "alone"), [(7, 3, True), (8, 3, False), (6, 3, False)])
def test_a_last_batch_of_one_is_refused(samples, batch, alone):
    identity = experiment(batch, 3).identity
    batches = plan(identity.schedule, np.arange(samples)[None].repeat(2, 0))
    if alone:
        with pytest.raises(UsageError, match="more than one sample in a batch, and step 2 has one; choose another"):
            require_variances(identity, batches)
    else:
        require_variances(identity, batches)
    require_variances(EXPERIMENTS["mnist_no_batchnorm"].identity, batches)


def test_a_batch_of_one_is_refused_before_training(workers, record_pair, tmp_path):
    """3 * 1333 = 3999 of the 4,000 digits."""
    with pytest.raises(UsageError, match="step 1333 has one"):
        record_pair(experiment(3, 1334), tmp_path)
    assert not list(tmp_path.glob("*/manifest.json"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: experiment(1, 3), "more than one sample in a batch"),
        (lambda: BatchNorm("a", 3, 1.0, 1e-5), "momentum must be from 0 to below 1"),
        (lambda: BatchNorm("a", 3, 0.9, 0.0), "epsilon must be"),
        (lambda: BatchNorm("a", 0, 0.9, 1e-5), "units must be"),
        (lambda: LayerNorm("a", 3, 0.0), "epsilon must be"),
        (lambda: LayerNorm("a", 0, 1e-5), "units must be"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def named(bounds):
    """Those of y and of gamma's gradient."""
    return bounds["outputs/a"], bounds["gradients/a/gamma"]


def layer_norm_in_float32(x, gamma, beta, delta):
    """y, gamma's gradient and the one by x in float32, each as Keras and as torch compute it (see layer_norm.py)."""
    x, gamma, beta, delta = (np.asarray(a, np.float32) for a in (x, gamma, beta, delta))
    n, mean = np.float32(x.shape[1]), x.mean(1, keepdims=True)
    r = 1 / np.sqrt(((x - mean) ** 2).mean(1, keepdims=True) + np.float32(1e-5))
    g, by = gamma * r, gamma * delta
    ds, db = (by * x).sum(1, keepdims=True), by.sum(1, keepdims=True)
    b = (db * mean - ds) * r * r * r / n
    keras = x * g + (beta - mean * g), ((delta * x - delta * mean) * r).sum(0)
    torch = (x * r - mean * r) * gamma + beta, (delta * (x * r - mean * r)).sum(0)
    passed = delta * g - db * r / n + (x - mean) * b, r * by + b * x + (-b * mean - db * r / n)
    return (*keras, passed[0]), (*torch, passed[1])


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e6])
def test_what_float32_makes_of_a_layer_norm_is_within_its_bound(offset, size):
    """Also where x is far from zero, so that little is left of x - mean; with one element changed it is not."""
    rng = np.random.default_rng(7)
    x = (offset + rng.normal(size=(50, 24))) * size
    x, delta = x.astype(np.float32).astype(np.float64), rng.normal(size=(50, 24)).astype(np.float32).astype(np.float64)
    gamma, beta = (rng.normal(size=24).astype(np.float32).astype(np.float64) for _ in "gb")
    node, norm = LayerNorm("a", 24, 1e-5), LayerNormalisation()
    given = Given(node, None, {"weights/a/gamma": gamma, "weights/a/beta": beta}, x, UNIT_ROUNDOFF["float32"])
    gradients, passed = norm.gradients(given, delta)
    bounds, bound = norm.stage_bounds(given, delta)
    exact = norm.value(given), gradients["gamma"], passed
    allowed = [3 * b for b in (*named(bounds), bound)]
    for side in layer_norm_in_float32(x, gamma, beta, delta):
        for found, right, most in zip(side, exact, allowed, strict=True):
            assert (np.abs(found - right) <= most).all()
    if offset < 1e4:
        # Of x that far away float32 keeps three digits of a deviation.
        assert (np.abs(1e-3 * exact[0]) > allowed[0]).mean() > 0.9


def batch_norm_in_float32(x, gamma, beta, delta):
    """y, gamma's gradient and the one by x in float32, each as Keras and as torch compute it (see normalisation.py)."""
    x, gamma, beta, delta = (np.asarray(a, np.float32) for a in (x, gamma, beta, delta))
    n, mean = np.float32(len(x)), x.mean(0)
    centred = x - mean
    r = 1 / np.sqrt((centred * centred).mean(0) + np.float32(1e-5))
    g = gamma * r
    # Keras: the derivative of x g + (beta - mean g) by x, by the mean and by the root.
    by_g = (delta * x).sum(0) - mean * delta.sum(0)
    by_variance = np.float32(-0.5) * (gamma * by_g * r) * (r * r)
    keras = x * g + (beta - mean * g), by_g * r
    passed = delta * g - delta.sum(0) * g / n + by_variance * (2 / n) * centred
    # torch: sums of delta and of delta times what is centred, multiplied by gamma last.
    dot = (centred * delta).sum(0)
    torch = x * g + (beta - mean * g), dot * r
    return (*keras, passed), (*torch, (delta - delta.sum(0) / n - centred * (dot * r * r / n)) * r * gamma)


@pytest.mark.parametrize(
    ("node", "norm", "in_float32"),
    [
        (BatchNorm("a", 6, 0.9, 1e-5), BatchNormalisation(), batch_norm_in_float32),
        (LayerNorm("a", 6, 1e-5), LayerNormalisation(), layer_norm_in_float32),
    ],
)
def test_numbers_of_any_size_are_within_the_bound_or_beyond_the_range(node, norm, in_float32):
    """Sizes drawn from 1e-37 to 1e37, so that anything on the way may overflow, or come to nothing."""
    rng, judged = np.random.default_rng(3), 0
    for _ in range(2000):
        sizes = 10 ** rng.uniform(-37, 37, 4)
        shapes = (5, 6), 6, 6, (5, 6)
        drawn = [convert(size * rng.normal(size=shape), "float32") for size, shape in zip(sizes, shapes, strict=True)]
        x, gamma, beta, delta = (a.astype(np.float64) for a in drawn)
        state = {"weights/a/gamma": gamma, "weights/a/beta": beta}
        state |= {"statistics/a/moving_mean": np.zeros(6), "statistics/a/moving_variance": np.ones(6)}
        with np.errstate(all="ignore"):
            given = Given(node, EXPERIMENTS["mnist_batchnorm"].torch, state, x, UNIT_ROUNDOFF["float32"])
            gradients, passed = norm.gradients(given, delta)
            bounds, bound = norm.stage_bounds(given, delta)
            exact = norm.value(given), gradients["gamma"], passed
            for side in in_float32(*drawn):
                for found, right, most in zip(side, exact, (*named(bounds), bound), strict=True):
                    finite = np.isfinite(most)
                    judged += np.count_nonzero(finite)
                    smallest = smallest_normal(given.u)
                    assert (np.abs(found - right) <= 3 * np.maximum(most, smallest))[finite].all(), sizes
    # Of 66 numbers on either side.
    assert judged > 2000 * 66


def test_another_activation_keeps_the_batch_norm():
    identity = EXPERIMENTS["mnist_batchnorm"].identity
    model = with_activation(identity.model, "tanh")
    assert [node.name for node in model] == [
        "dense_1", "batch_norm_1", "tanh_1", "dense_2", "batch_norm_2", "tanh_2", "dense_3"
    ]  # fmt: skip
    assert [node.name for node in with_activation(model, "linear") if not isinstance(node, Dense)] == [
        "batch_norm_1", "batch_norm_2"
    ]  # fmt: skip


def test_the_choice_is_read_where_it_matters():
    for name in ("mnist_batchnorm", "mnist_no_batchnorm"):
        chosen = EXPERIMENTS[name]
        assert is_read("moving_variance", chosen.identity, chosen.torch) == (name == "mnist_batchnorm")
