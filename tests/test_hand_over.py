"""A run that goes on in the other framework, and back: weights and slots taken over on the way."""

from dataclasses import replace

import numpy as np
import pytest
from commands import run
from conftest import shortened

from parity.errors import UsageError
from parity.experiment.requested import chosen_optimizer
from parity.recordings import recording
from parity.verdict import judge
from parity.workers.job import RecordJob

STEPS = 600
OPTIMIZERS = {
    "adam": "adam",
    "adamw": "adamw:learning_rate=0.01",
    "rmsprop": "rmsprop:momentum=0.9,centered=true,learning_rate=0.001",
    "sgd": "sgd:momentum=0.9,learning_rate=0.1",
    "adagrad": "adagrad",
    "adadelta": "adadelta",
    "adamax": "adamax",
    "nadam": "nadam",
}
# For CI: two slots of one shape, a velocity that Keras keeps otherwise, three slots, and a product beside the slots.
SOME = {"adam", "nadam"}


def record(workers, side, experiment, out, checkpoints, reference=None, hand_over=None):
    realisation = getattr(experiment, side)
    job = RecordJob(experiment.name, experiment.identity, realisation, "cpu", out, reference=reference,
                    checkpoints=checkpoints, hand_over=hand_over)  # fmt: skip
    workers[side].record(job, lambda done, steps: None)
    return recording.read(out)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.ci if name in SOME else pytest.mark.slow) for name in OPTIMIZERS],
)
def test_torch_to_keras_and_back(name, workers, tmp_path):
    """Keras goes on from torch's step 300, and torch from Keras's step 450."""
    experiment = shortened("mnist_softmax", STEPS)
    identity = replace(experiment.identity, optimizer=chosen_optimizer(OPTIMIZERS[name]))
    # From small weights, which train to the same whatever rounds on the way.
    model = tuple(replace(node, kernel=node.bias) for node in identity.model)
    experiment = replace(experiment, identity=replace(identity, model=model))
    a = record(workers, "torch", experiment, tmp_path / "a", (0, 300, 450))
    b = record(workers, "tf", experiment, tmp_path / "b", (0, 450, 599), a.folder, hand_over=300)
    c = record(workers, "torch", experiment, tmp_path / "c", (0, 599), b.folder, hand_over=450)
    assert list(b.checkpoints) == [0, 300, 450, 599]
    for before, after, step in ((a, b, 300), (b, c, 450)):
        assert after.manifest.hand_over == step
        verdict = judge(before, after)
        assert verdict.verdict == "parity", [check for check in verdict.checks if check.result == "failed"]
        taken, given = after.state(step), before.state(step)
        assert set(taken) == set(given)
        for tensor, value in given.items():
            # Keras keeps the learning rate inside a velocity, which rounds it.
            np.testing.assert_allclose(taken[tensor], value, rtol=2**-22 if "velocity" in tensor else 0, err_msg=tensor)
        costs = [side.trace["cost"][step:] for side in (before, after)]
        np.testing.assert_allclose(*costs, rtol=1e-4)


def test_without_its_slots_a_run_goes_on_otherwise(workers, tmp_path):
    """What the test above would miss if the slots mattered to nothing."""
    experiment = shortened("mnist_softmax", 60)
    a = record(workers, "torch", experiment, tmp_path / "a", (0, 30))
    state = a.state(30)
    emptied = {name: np.zeros_like(value) if name.startswith("slots/") else value for name, value in state.items()}
    _, evidence = a.checkpoint(30)
    recorder = recording.Recorder(a.folder, a.manifest)
    recorder.save(recording.state_file(30), emptied)
    before, key = a.checkpoints[30], recording.key(emptied, evidence)
    recorder.save_evidence(30, key, evidence)
    recorder.save_segment(key, a.segment(before))
    recorder.finish("complete")
    b = record(workers, "torch", experiment, tmp_path / "b", (0,), a.folder, hand_over=30)
    costs = [side.trace["cost"][30:] for side in (a, b)]
    assert np.abs(costs[0] - costs[1]).max() > 0.01


def test_where_there_is_no_checkpoint(workers, tmp_path):
    experiment = shortened("mnist_softmax", 20)
    a = record(workers, "torch", experiment, tmp_path / "a", (0, 15))
    message = f"--hand-over 10: {a.folder} has checkpoints at steps 0, 15; take one of them"
    with pytest.raises(UsageError, match=message):
        record(workers, "tf", experiment, tmp_path / "b", 3, a.folder, hand_over=10)
    done = run(
        "parity.record", "mnist_softmax", "--steps", "20", "--framework", "tf", "--reference", a.folder,
        "--hand-over", "10", "--out", tmp_path / "b", folder=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hand-over", "3"], "--hand-over takes the state of a recording; name it with --reference"),
        (["--steps", "9", "--checkpoints", "0,9"], "no checkpoint at step 9: the run has steps 0 to 8"),
        (
            ["--epochs", "1", "--batch-size", "96", "--keep-last-batch", "--checkpoints", "41,"],
            "no checkpoint at step 41: its batch is a smaller one",
        ),
        (
            ["--checkpoints", "1,-2"],
            "argument --checkpoints: must be steps, which count from 0, such as 0,300, or 0,20-44, not 1,-2 "
            "(see python -m parity.record --help)",
        ),
    ],
)
def test_bad_requests(arguments, message, tmp_path):
    done = run("parity.record", "mnist_softmax", "--framework", "tf", *arguments, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")
