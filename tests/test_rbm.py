"""Pre-training: both sides' contrastive divergence, samples that flip, and how training starts from what it gave."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from conftest import pretrained
from numpy_step import contrastive_divergence

from parity.bounds import rbm
from parity.bounds.measure import summary
from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.errors import IncomparableError, UsageError
from parity.experiment import randomness
from parity.experiment.experiments import EXPERIMENTS
from parity.recordings import recording
from parity.recordings.recording import PRETRAINED, PRETRAINING
from parity.verdict import judge, judge_alone, lockstep
from parity.verdict.checks import Check
from parity.workers.job import RecordJob, in_order

STEPS = 80
LAST = "outputs/sigmoid_1"


@pytest.fixture(scope="module")
def pair(record_pair, tmp_path_factory):
    """Both sides, each with the other's checkpoints replayed."""
    return record_pair(pretrained(1), tmp_path_factory.mktemp("pretrained"), checkpoints=2)


def of_pretraining(verdict) -> list[Check]:
    return [check for check in verdict.checks if check.level == "pretraining"]


def test_parity(pair):
    verdict = judge(*pair)
    assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]
    found = of_pretraining(verdict)
    assert {check.result for check in found} == {"passed"}
    for recorded in pair:
        before = recorded.pretraining
        assert list(before.checkpoints) == [0, 39, 40, 79]
        assert before.trace["cost"].shape == before.trace["consumed/uniforms"].shape == (STEPS,)
        assert before.trace["epoch_cost"].shape == (2,)
        # Something is learned of the digits, layer by layer.
        assert before.trace["cost"][39] < before.trace["cost"][0] / 2
    x, y = (recorded.pretraining for recorded in pair)
    tensors = sum(len(x.phase.results(step)) for step in x.checkpoints)
    assert len(lockstep.checks(x, y)) == tensors * 2 * 2 * 2
    assert any("starts from the weights that torch's pre-training gave" in check.reason for check in found)
    assert judge_alone(pair[0]).verdict == "parity"


def test_both_sides_are_the_formulas(pair):
    """A step on either layer, from the recorded state, as plain NumPy computes it."""
    for recorded in pair:
        before = recorded.pretraining
        identity, asked = before.manifest.identity, before.manifest.identity.pretraining
        for step, layer in ((39, "dense_1"), (79, "dense_2")):
            state, evidence = before.checkpoint(step)
            state = {name: value.astype(np.float64) for name, value in state.items()}
            kernel, bias, visible_bias = (state[f"weights/{name}"] for name in rbm.trained(identity.dense[step // 40]))
            # Layer 1 is trained on the digits, whose probabilities are not recorded apart.
            v0 = evidence[LAST] if layer == "dense_2" else digits(identity, step)
            uniforms = randomness.hidden_uniforms(identity.seed, step, *evidence["positive/hidden"].shape)
            found = contrastive_divergence(v0, kernel, bias, visible_bias, uniforms, asked.learning_rate)
            np.testing.assert_array_equal(found["positive/samples"], evidence["positive/samples"])
            for name in ("positive/hidden", "negative/visible", "negative/hidden", "cost"):
                np.testing.assert_allclose(evidence[name], found[name], rtol=1e-12)
            for kind in ("kernel", "bias", "visible_bias"):
                np.testing.assert_allclose(evidence[f"weights/{layer}/{kind}"], found[kind], rtol=1e-12, atol=1e-15)


def digits(identity, step):
    """The float32 pixels of a step, widened."""
    from parity.data import datasets
    from parity.recordings import start

    content = datasets.load("digits", None, "float32")
    batches = datasets.plan(
        identity.pretraining.schedule(2), start.pretraining_order(identity, len(content.train_labels))
    )
    return content.train_inputs[batches.order[batches.starts[step] : batches.stops[step]]].astype(np.float64)


def whole_step(identity, state, inputs, uniforms):
    """A step on the first layer as the recordings call it: what is looped, and the tensors on the way."""
    kernel, bias, visible_bias = (state[f"weights/dense_1/{kind}"] for kind in ("kernel", "bias", "visible_bias"))
    found = contrastive_divergence(inputs, kernel, bias, visible_bias, uniforms, identity.pretraining.learning_rate)
    changed = {f"weights/dense_1/{kind}": found.pop(kind) for kind in ("kernel", "bias", "visible_bias")}
    changes = {f"gradients/{name[8:]}": (changed[name] - state[name]) / 0.1 for name in changed}
    return {**state, **found, **changed, **changes}


def share(identity, state, ours, theirs, inputs, uniforms, dtype="float32"):
    """How much of the bound the largest deviation of two whole steps uses."""
    bounds = rbm.step_bounds(
        identity, EXPERIMENTS["mnist_rbm"].torch, 0, state, ours, inputs, uniforms.astype(np.float64), dtype
    )
    return summary(list(bounds), ours, theirs, bounds, {})["measured"].max()


def test_a_sample_that_flips_is_no_alarm(rng_step):
    """A u within rounding of p opens the bound as far as a flip goes; one that is not near leaves it closed."""
    identity, state, inputs, uniforms = rng_step
    clean = whole_step(identity, state, inputs, uniforms)
    row, unit = 7, 3
    p = clean["positive/hidden"][row, unit]
    tie, other = uniforms.copy(), uniforms.copy()
    tie[row, unit], other[row, unit] = p * (1 - 2.0**-24), p * (1 + 2.0**-24)
    ours, theirs = (whole_step(identity, state, inputs, u) for u in (tie, other))
    assert ours["positive/samples"][row, unit] != theirs["positive/samples"][row, unit]
    assert 0.01 < share(identity, state, ours, theirs, inputs, tie) <= 1
    # The same flip, where the u that both were given is far from p, and where precision leaves no doubt.
    assert share(identity, state, ours, theirs, inputs, np.full_like(tie, 2.0)) > 10
    assert share(identity, state, ours, theirs, inputs, tie, "float64") > 1e9


@pytest.fixture
def rng_step():
    """A state, inputs and uniforms of a step on the first layer."""
    identity = pretrained(1).identity
    state = {
        f"weights/{name}": value.astype(np.float64) for name, value in randomness.initial_weights(identity).items()
    }
    state |= {f"weights/dense_{i}/visible_bias": np.zeros(n) for i, n in ((1, 784), (2, 16))}
    uniforms = randomness.hidden_uniforms(0, 0, 100, 16).astype(np.float64)
    return identity, state | {"step": np.array(0, np.int64)}, digits(identity, 0), uniforms


def test_rounding_stays_within_the_bound_of_a_whole_step(rng_step):
    """float32 in NumPy against float64, with uniforms that no probability comes near."""
    identity, state, inputs, uniforms = rng_step
    narrow = {name: np.asarray(v, np.float32) if v.dtype.kind == "f" else v for name, v in state.items()}
    ours = whole_step(identity, state, inputs, uniforms)
    theirs = whole_step(identity, narrow, inputs.astype(np.float32), uniforms)
    used = share(identity, {n: np.asarray(v, np.float64) for n, v in narrow.items()}, ours, theirs, inputs, uniforms)
    assert 0.005 < used <= 1
    assert UNIT_ROUNDOFF["float32"] > np.abs(ours["cost"] - theirs["cost"]) / ours["cost"] / 100


@pytest.mark.slow
def test_recorded_apart(workers, tmp_path):
    """Each side's training starts from its own pre-training, so nothing is comparable; with a reference all is."""
    experiment = pretrained(2)
    folders = {}
    for name, side, reference in (("a", "torch", None), ("b", "tf", None), ("c", "tf", "a")):
        folders[name] = tmp_path / name
        job = RecordJob("mnist_rbm", experiment.identity, getattr(experiment, side), "cpu", tmp_path / name,
                        reference=reference and tmp_path / reference, checkpoints=4)  # fmt: skip
        for phase in in_order(job):
            workers[side].record(phase, lambda done, steps: None)
    a, b, c = (recording.read(folder) for folder in folders.values())
    assert judge(a, c).verdict == "parity"
    apart = judge(a, b)
    assert apart.verdict == "incomparable"
    assert [check.name for check in apart.checks if check.result == "failed"] == ["start"]
    # Started alike, but with nothing replayed.
    lacking = replace(b.pretraining, manifest=replace(b.pretraining.manifest, checkpoints={}, replays={}))
    verdict = judge(a, replace(c, pretraining=lacking))
    assert verdict.verdict != "parity"


def test_a_start_that_neither_side_gave(pair):
    ours, theirs = pair
    state = {name: value.copy() for name, value in theirs.state(0).items()}
    state["weights/dense_1/bias"] += 1
    moved = Moved(ours.folder, ours.manifest, ours.trace, ours.label, pretraining=ours.pretraining)
    object.__setattr__(moved, "start_state", state)
    failed = [check for check in judge(moved, theirs).checks if check.result == "failed"]
    assert [check.name for check in failed] == ["start of the training"]


class Moved(recording.Recording):
    """A recording with another start state."""

    def state(self, step):
        return self.start_state if step == 0 else super().state(step)


@pytest.fixture
def copy(pair, tmp_path):
    """A copy of torch's recording, to be damaged."""
    return shutil.copytree(pair[1].folder, tmp_path / "copy")


def test_a_recording_without_its_pretraining(copy):
    shutil.rmtree(copy / PRETRAINING)
    with pytest.raises(UsageError, match=r"pretraining holds no recording"):
        recording.read(copy)


def test_a_pretraining_that_lies_elsewhere(copy, tmp_path):
    (copy / PRETRAINING).rename(tmp_path / "elsewhere")
    (copy / PRETRAINING).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IncomparableError, match="pretraining is a link, and links lead out of the recording"):
        recording.read(copy)


def test_weights_that_the_pretraining_did_not_give(copy):
    """With every digest made to fit."""
    folder = copy / PRETRAINING
    weights = safetensors.numpy.load_file(folder / PRETRAINED)
    weights["layers.0.bias"] = weights["layers.0.bias"] + 1
    safetensors.numpy.save_file(weights, folder / PRETRAINED)
    manifest = json.loads((folder / recording.MANIFEST).read_text())
    manifest["files"][PRETRAINED] = hashlib.sha256((folder / PRETRAINED).read_bytes()).hexdigest()
    (folder / recording.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(IncomparableError, match="the weights that pre-training gave are not those of its last state"):
        recording.read(copy)


def test_the_pretraining_alone(copy):
    with pytest.raises(UsageError, match="holds the pretraining of a recording, not its training"):
        recording.read(copy / PRETRAINING)


def test_the_pretraining_of_another_side(copy, pair):
    shutil.rmtree(copy / PRETRAINING)
    shutil.copytree(pair[0].folder / PRETRAINING, copy / PRETRAINING)
    with pytest.raises(IncomparableError, match="is not the pre-training of"):
        recording.read(copy)


def test_a_pretraining_of_an_experiment_that_has_none(copy):
    path = copy / PRETRAINING / recording.MANIFEST
    content = json.loads(path.read_text())
    content["identity"]["pretraining"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(IncomparableError, match="the experiment has no pre-training"):
        recording.read(copy)


def test_the_weights_it_gave_are_kept_for_others(pair):
    x = pair[1].pretraining
    assert PRETRAINED in x.manifest.files
    given, state = x.load(PRETRAINED), x.state(STEPS)
    np.testing.assert_array_equal(given["layers.1.kernel"], state["weights/dense_2/kernel"])
    np.testing.assert_array_equal(pair[0].state(0)["weights/dense_2/kernel"], state["weights/dense_2/kernel"])


def test_a_mean_may_underflow():
    """Its bound is no denormal number, which torch's process would take for zero; what is made of zeros has none."""
    v1, p1 = np.full((69, 3), 1e-296), np.ones((69, 2))
    v1[1:], v1[:, 0], none = 0.0, 0.0, np.zeros((69, 2))
    kernel, _, visible = rbm.gradient_scales(np.zeros((69, 3)), none, v1, p1, UNIT_ROUNDOFF["float64"])
    smallest = np.finfo(np.float64).tiny
    assert (kernel[1:] >= smallest).all()
    assert (visible[1:] >= smallest).all()
    assert (kernel[0] == 0).all()
    assert visible[0] == 0
