"""Every experiment ends in parity, and with it every option that changes what is computed."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from conftest import both_sides, shortened, with_activations

from parity.experiment import randomness
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.requested import with_activation
from parity.experiment.spec import Experiment
from parity.recordings import recording
from parity.verdict import judge
from parity.workers.job import RecordJob

# One epoch of digits; two epochs of XOR and a bit, to have a last one that is not whole.
STEPS = {"mnist": 40, "xor": 230}


# The others reach nothing more of the code, and these take longest; tests/test_rbm.py has a smaller pre-training,
# tests/test_dropout.py masks.
ALWAYS = {"mnist_softmax", "mnist_relu", "xor_tanh"}
LONG = {
    "mnist_rbm", "mnist_deep_relu", "mnist_deep_sigmoid", "mnist_he", "mnist_sigmoid", "mnist_xavier",
    "mnist_dropout", "mnist_no_batchnorm", "xor_sigmoid", "xor_linear",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ALWAYS else pytest.mark.slow if name in LONG else pytest.mark.ci)
        for name in EXPERIMENTS
    ],
)
def test_parity(name, record_pair, tmp_path):
    experiment = shortened(name, STEPS[name.split("_")[0]])
    verdict = judge(*record_pair(experiment, tmp_path))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_parity_at_full_length(name, seed, record_pair, tmp_path):
    experiment = EXPERIMENTS[name]
    experiment = replace(experiment, identity=replace(experiment.identity, seed=seed))
    verdict = judge(*record_pair(experiment, tmp_path, checkpoints=12))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]


def variants() -> dict[str, Experiment]:
    """Experiments that reach what neither the named ones nor the combinations of tests/test_coverage.py do."""
    relu, leaky = with_activations(["relu", "relu"], 45), shortened("xor_leaky_relu", 120)
    schedule = relu.identity.schedule
    found = {
        "float64": replace(relu.identity, dtype="float64"),
        "partial batches": replace(
            relu.identity, schedule=replace(schedule, batch_size=96, drop_last=False, epoch_cost="sample_mean")
        ),
        "batch of 7": replace(relu.identity, schedule=replace(schedule, batch_size=7)),
    }
    experiments = {name: replace(relu, identity=identity) for name, identity in found.items()}
    return experiments | {
        "Keras's Adam": both_sides(relu, adam_epsilon="before_correction"),
        "Keras's Adam and constants": both_sides(relu, adam_epsilon="before_correction", constants="through_float32"),
        "Keras's own Adam": both_sides(
            relu, adam_epsilon="before_correction", constants="through_float32", epsilon_value="keras_default"
        ),
        "exact slope": both_sides(leaky, constants="exact"),
        "exact slope in float64": both_sides(shortened("xor_leaky_relu", 120, dtype="float64"), constants="exact"),
    }


# Those that reach no code which another variant or an experiment does not.
ALIKE = {
    "batch of 7", "float64", "Keras's Adam", "Keras's Adam and constants", "exact slope", "exact slope in float64",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in variants()]
)
def test_parity_of_variants(name, record_pair, tmp_path):
    verdict = judge(*record_pair(variants()[name], tmp_path, checkpoints=2))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]


def test_parity_on_the_real_files(record_pair, mnist_folder, tmp_path):
    ours, theirs = record_pair(shortened("mnist_softmax", 20), tmp_path, data=mnist_folder)
    assert judge(ours, theirs).verdict == "parity"
    assert ours.trace["predictions"].shape == (10_000,)


@pytest.mark.parametrize("seed", [pytest.param(3, marks=pytest.mark.ci), pytest.param(5, marks=pytest.mark.slow)])
def test_an_adam_step_far_from_linear(seed, record_pair, tmp_path):
    """tanh saturates, so many gradients are no larger than their own error: each side may round to its own end."""
    experiment = shortened("mnist_relu", 1, seed=seed)
    model = with_activation(experiment.identity.model, "tanh")
    experiment = replace(experiment, identity=replace(experiment.identity, model=model))
    assert judge(*record_pair(experiment, tmp_path)).verdict == "parity"


@pytest.mark.parametrize("name", ["xor_relu", "xor_leaky_relu"])
@pytest.mark.parametrize("seed", [16, pytest.param(19, marks=pytest.mark.slow)])
def test_a_saturated_start_proves_nothing(name, seed, record_pair, tmp_path):
    """The unprotected cost is NaN or infinite from the first step: not parity, and not a mismatch either."""
    pair = record_pair(shortened(name, 3, seed=seed), tmp_path)
    ended = [not np.isfinite(recorded.trace["cost"]).all() for recorded in pair]
    assert ended[0] == ended[1]
    assert judge(*pair).verdict == ("insufficient" if ended[0] else "parity")


def test_denormal_weights(workers, tmp_path):
    """A weight that is a denormal in float32 is zero to both sides, as in a pruned net."""
    experiment = shortened("mnist_softmax", 3)
    weights = {f"layers.0.{n.split('/')[1]}": v for n, v in randomness.initial_weights(experiment.identity).items()}
    weights["layers.0.kernel"][0, 0] = 1e-40
    safetensors.numpy.save_file(weights, tmp_path / "weights")
    pair = []
    for side, worker in workers.items():
        realisation = getattr(experiment, side)
        job = RecordJob(
            "", experiment.identity, realisation, "cpu", tmp_path / side, initial_weights=tmp_path / "weights"
        )
        worker.record(job, lambda done, steps: None)
        pair.append(recording.read(tmp_path / side))
    assert judge(*pair).verdict == "parity"


@pytest.mark.ci
def test_float64_costs_agree_for_long(record_pair, tmp_path):
    """In float64 rounding takes long to show: the costs agree to 6 digits far beyond where float32 loses them."""
    ours, theirs = record_pair(shortened("mnist_relu", 120, dtype="float64"), tmp_path)
    assert ours.trace["cost"].dtype == np.float64
    np.testing.assert_allclose(ours.trace["cost"], theirs.trace["cost"], rtol=1e-6)


def test_stock_adams_differ_and_the_update_shows_it(record_pair, tmp_path):
    """Keras's own Adam on one side: found in the optimizer of the first step, and nothing but new weights differs."""
    experiment = with_activations(["relu", "relu"], 40)
    stock = replace(experiment.tf, adam_epsilon="before_correction", constants="through_float32")
    verdict = judge(*record_pair(replace(experiment, tf=stock), tmp_path))
    assert verdict.verdict == "mismatch"
    failed = [check for check in verdict.checks if check.result == "failed" and check.follows is None]
    assert {check.level for check in failed} == {"lockstep"}
    assert failed[0].where.startswith("step 0, optimizer, weights/dense_1/kernel[")
    assert all(", optimizer, weights/" in check.where and "float64" in check.name for check in failed)
