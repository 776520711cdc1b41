"""L-BFGS: parity on XOR, its bounds and decisions, a run that goes on in the other framework, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import shortened, xor_lbfgs
from test_hand_over import record

from parity.bounds import lbfgs
from parity.bounds.running_error import UNIT_ROUNDOFF, Rounded, exact
from parity.bounds.signed_error import Affine
from parity.data.datasets import planned
from parity.errors import UsageError
from parity.experiment.optimizers import LBFGS, OPTIMIZERS
from parity.experiment.requested import chosen_optimizer, with_cost
from parity.recordings import start
from parity.verdict import judge

STEPS = 30


def failures(verdict):
    return [check for check in verdict.checks if check.result == "failed"]


@pytest.mark.ci
def test_parity(record_pair, tmp_path):
    """It learns XOR, on both sides the same way."""
    pair = record_pair(xor_lbfgs(STEPS, dtype="float64", seed=9), tmp_path)
    verdict = judge(*pair)
    assert verdict.verdict == "parity", failures(verdict)
    assert all(side.trace["cost"][0] > 0.6 and side.trace["cost"][-1] < 0.02 for side in pair)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xor_tanh", "xor_sigmoid"])
@pytest.mark.parametrize("seed", range(4))
def test_parity_of_ten_layers(name, seed, record_pair, tmp_path):
    experiment = shortened(name, 300, seed=seed, optimizer=OPTIMIZERS["lbfgs"])
    experiment = replace(experiment, identity=with_cost(experiment.identity, "logits"))
    verdict = judge(*record_pair(experiment, tmp_path, checkpoints=12))
    assert verdict.verdict == "parity", failures(verdict)


@pytest.mark.ci
def test_torch_to_keras_and_back(workers, tmp_path):
    """Keras goes on from torch's step 10, and torch from Keras's step 20: with the pairs that the other one kept."""
    experiment = xor_lbfgs(40, dtype="float64", seed=9)
    a = record(workers, "torch", experiment, tmp_path / "a", (0, 10, 20))
    b = record(workers, "tf", experiment, tmp_path / "b", (0, 20, 39), a.folder, hand_over=10)
    c = record(workers, "torch", experiment, tmp_path / "c", (0, 39), b.folder, hand_over=20)
    for before, after, step in ((a, b, 10), (b, c, 20)):
        verdict = judge(before, after)
        assert verdict.verdict == "parity", failures(verdict)
        taken, given = after.state(step), before.state(step)
        assert set(taken) == set(given)
        for tensor, value in given.items():
            np.testing.assert_array_equal(taken[tensor], value, err_msg=tensor)
        np.testing.assert_allclose(after.trace["cost"][step:], before.trace["cost"][step:], rtol=1e-6)
    assert all(entry.any() for entry in a.state(10)["slots/steps/dense_1/kernel"])


def test_batches_are_refused():
    for name, samples in (("mnist_softmax", 4000), ("xor_tanh", 4)):
        identity = shortened(name, 2, optimizer=OPTIMIZERS["lbfgs"]).identity
        order = np.arange(samples)[None].repeat(2, 0)
        whole = replace(identity, schedule=replace(identity.schedule, batch_size=samples))
        assert len(planned(whole, order)) == 2
        parts = replace(identity, schedule=replace(identity.schedule, batch_size=samples // 2))
        with pytest.raises(UsageError, match=f"--batch-size {samples}, not {samples // 2}"):
            planned(parts, order)


N = 40


def states(count, o, dtype=np.float64):
    """Weights, gradients and slots on the way down a valley of 40 dimensions, curved from 1e-3 to 1."""
    w = np.sin(np.arange(N) + 1.0).astype(dtype)
    slots = {"previous_gradient": np.zeros(N, dtype), "previous_step": np.zeros(N, dtype)}
    slots |= {name: np.zeros((o.history_size, N), dtype) for name in ("gradient_changes", "steps")}
    for _ in range(count):
        g = (np.geomspace(1e-3, 1, N) * np.sin(w)).astype(dtype)
        yield w, g, slots
        w, slots = lbfgs.update(o, w, g, slots)


def rounded(o, w, g, slots, error=0.0):
    """The update with its errors in float32."""
    u = UNIT_ROUNDOFF["float32"]
    numbers = {name: exact(values, u) for name, values in slots.items()}
    w, found = lbfgs.update(o, exact(w, u), Rounded(g, error, u), numbers)
    return {"weights": w, **found}


def test_the_error_that_is_followed_is_not_exceeded():
    """float32 stays within the errors that float64 foretells at worst, some hundred times what it makes of 40 terms."""
    o = chosen_optimizer("lbfgs:history_size=5")
    used = []
    for w, g, slots in states(30, o, np.float32):
        wide = {name: values.astype(np.float64) for name, values in slots.items()}
        foretold = rounded(o, w.astype(np.float64), g.astype(np.float64), wide)
        narrow, found = lbfgs.update(o, w, g, slots)
        for name, values in {"weights": narrow, **found}.items():
            assert values.dtype == np.float32
            off = np.abs(values.astype(np.float64) - foretold[name].value)
            assert (off <= foretold[name].error).all()
            if name == "previous_step":
                used.append((off / foretold[name].error).max())
    assert min(used) > 0.003


def test_errors_of_the_gradient_are_passed_on():
    """Gradients moved within their errors give steps within theirs, which are not ten times what some of them make."""
    o = chosen_optimizer("lbfgs:history_size=5")
    *_, (w, g, slots) = states(12, o)
    error = 1e-3 * np.abs(g - slots["previous_gradient"])
    here, (_, there) = rounded(o, w, g, slots, error)["previous_step"], lbfgs.update(o, w, g, slots)
    rng = np.random.Generator(np.random.Philox(1))
    moved = [lbfgs.update(o, w, g + error * rng.choice([-1, 1], N), slots)[1]["previous_step"] for _ in range(300)]
    size = np.max([np.abs(m - there["previous_step"]) for m in moved], axis=0)
    assert (size <= here.error).all()
    assert np.median(here.error / size) < 10


@pytest.mark.parametrize("number", ["tolerance_grad", "curvature", "tolerance_change"])
def test_where_rounding_decides_both_outcomes_are_covered(number):
    o = OPTIMIZERS["lbfgs"]
    *_, (w, g, slots) = states(3, o)

    def near(factor):
        """The number that decides, at its threshold times a factor."""
        if number == "curvature":
            y, s = g - slots["previous_gradient"], slots["previous_step"]
            return o, w, g, slots | {"previous_step": s * (factor * o.curvature / (y @ s))}
        step = lbfgs.update(o, w, g, slots)[1]["previous_step"]
        thresholds = {"tolerance_grad": np.abs(g).max(), "tolerance_change": -(g @ step)}
        return replace(o, **{number: factor * float(thresholds[number])}), w, g, slots

    low, high = (lbfgs.update(*near(factor))[0] for factor in (0.999, 1.001))
    apart, unsure, sure = np.abs(high - low), rounded(*near(1.0))["weights"], rounded(*near(1.001))["weights"]
    assert (apart <= 1.01 * unsure.error + 0.01 * apart.max()).all()
    assert apart.max() > 1e3 * sure.error.max()


def test_what_is_divided_by_what_may_be_zero_decides_nothing():
    u = UNIT_ROUNDOFF["float32"]
    with np.errstate(all="ignore"):
        number = 1 / Affine(1e-8, 1e-5, u)
        # As the last element of a direction, whose errors have causes in common.
        number = number - number * Affine(1.0, 0.0, u)
    assert not number.error <= 1e300
    assert lbfgs.decisions(number, -0.5) == [True, False]


def test_numbers():
    assert chosen_optimizer("lbfgs:learning_rate=0.5,history_size=5") == LBFGS(0.5, 5, 1e-7, 1e-9)
    for wrong in ("tolerance_grad=-1", "tolerance_change=nan", "history_size=0", "learning_rate=0"):
        with pytest.raises(ValueError, match=wrong.split("=")[0].replace("_rate", " rate")):
            chosen_optimizer(f"lbfgs:{wrong}")


def test_the_history_starts_empty():
    state = start.state(xor_lbfgs(1).identity, None, None)
    assert state["slots/steps/dense_1/kernel"].shape == (3, 2, 5)
    assert state["slots/previous_step/dense_1/kernel"].shape == (2, 5)
    assert not any(values.any() for name, values in state.items() if name.startswith("slots/"))
