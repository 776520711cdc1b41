"""Every experiment ends in parity, and with it every option that changes what is computed."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import both_sides, shortened

from parity.experiments import EXPERIMENTS
from parity.options import with_activation, with_initializer
from parity.spec import SGD, Experiment
from parity.verdict import judge

# One epoch of digits; two epochs of XOR and a bit, to have a last one that is not whole.
STEPS = {"mnist": 40, "xor": 230}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_parity(name, seed, record_pair, tmp_path):
    experiment = shortened(name, STEPS[name.split("_")[0]], seed=seed)
    verdict = judge(*record_pair(experiment, tmp_path))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_parity_at_full_length(name, seed, record_pair, tmp_path):
    experiment = EXPERIMENTS[name]
    verdict = judge(*record_pair(replace(experiment, identity=replace(experiment.identity, seed=seed)), tmp_path))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]


def variants() -> dict[str, Experiment]:
    """Experiments that reach what the named ones do not."""
    relu, leaky = shortened("mnist_relu", 45), shortened("xor_leaky_relu", 120)
    model, schedule = relu.identity.model, relu.identity.schedule
    found = {
        f"activation {name}": replace(relu.identity, model=with_activation(model, name))
        for name in ("linear", "sigmoid", "tanh", "leaky_relu")
    }
    found |= {
        f"init {name}": replace(relu.identity, model=with_initializer(model, name))
        for name in ("zeros", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "keras_default")
    }
    found |= {
        "sgd": replace(relu.identity, optimizer=SGD(learning_rate=0.001)),
        "float64": replace(relu.identity, dtype="float64"),
        "partial batches": replace(relu.identity, schedule=replace(schedule, batch_size=96, drop_last=False)),
        "batch of 7": replace(relu.identity, schedule=replace(schedule, batch_size=7)),
    }
    experiments = {name: replace(relu, identity=identity) for name, identity in found.items()}
    return experiments | {
        "Keras's Adam": both_sides(relu, adam_epsilon="before_correction"),
        "Keras's Adam and constants": both_sides(relu, adam_epsilon="before_correction", constants="through_float32"),
        "exact slope": both_sides(leaky, constants="exact"),
        "exact slope in float64": both_sides(shortened("xor_leaky_relu", 120, dtype="float64"), constants="exact"),
    }


@pytest.mark.parametrize("name", variants())
def test_parity_of_variants(name, record_pair, tmp_path):
    verdict = judge(*record_pair(variants()[name], tmp_path))
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]


def test_parity_on_the_real_files(record_pair, mnist_folder, tmp_path):
    ours, theirs = record_pair(shortened("mnist_softmax", 20), tmp_path, data=mnist_folder)
    assert judge(ours, theirs).verdict == "parity"
    assert ours.trace["predictions"].shape == (10_000,)


def test_float64_costs_agree_for_long(record_pair, tmp_path):
    """In float64 rounding takes long to show: the costs agree to 6 digits far beyond where float32 loses them."""
    ours, theirs = record_pair(shortened("mnist_relu", 120, dtype="float64"), tmp_path)
    assert ours.trace["cost"].dtype == np.float64
    np.testing.assert_allclose(ours.trace["cost"], theirs.trace["cost"], rtol=1e-6)


def test_stock_adams_differ_and_the_update_shows_it(record_pair, tmp_path):
    """Keras's own Adam on one side: found where it is, in the new weights of the start step, and nowhere before."""
    experiment = shortened("mnist_relu", 40)
    stock = replace(experiment.tf, adam_epsilon="before_correction", constants="through_float32")
    verdict = judge(*record_pair(replace(experiment, tf=stock), tmp_path))
    assert verdict.verdict == "mismatch"
    failed = [check.name for check in verdict.checks if check.result == "failed"]
    assert failed
    assert all(name.split()[1].startswith("weights/") for name in failed)


@pytest.mark.parametrize("side", ["tf", "torch"])
def test_the_compiled_loop_is_the_replayed_step(side, record_pair, tmp_path):
    """The loop's own state after one step is what replay computes from its start state."""
    recorded = dict(zip(("tf", "torch"), record_pair(shortened("mnist_relu", 1), tmp_path), strict=True))[side]
    replayed = recorded.replay(recorded.manifest.digests["start"], "float32")
    for name, value in recorded.state(1).items():
        np.testing.assert_allclose(value, replayed[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert recorded.trace["cost"][0] == pytest.approx(float(replayed["cost"]), rel=1e-6)
