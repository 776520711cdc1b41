"""What a worker's task shares with that of the job before: what is compiled, where only the start is another."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.families import shortened
from parity.experiment.experiments import mlp
from parity.experiment.requested import COSTS, chosen_optimizer, initializer
from parity.experiment.spec import FRAMEWORKS
from parity.recordings import recording
from parity.worker import serving, training
from parity.workers.job import RecordJob

STEPS = 3


def experiment(kernel="normal:0.1", bias="zeros", **changes):
    """Digits through a layer of 8 units with these initializers, and other fields of its identity changed."""
    model = mlp([784, 8, 10], "relu", "linear", initializer(kernel), initializer(bias))
    return shortened("mnist_relu", STEPS, **({"model": model} | changes))


def job(chosen, side="torch", **changes):
    made = RecordJob(chosen.name, chosen.identity, getattr(chosen, side), "cpu", Path("a"), checkpoints=2)
    return replace(made, **changes)


CHANGED = replace(experiment().torch, adam_epsilon="before_correction")


@pytest.mark.parametrize(
    ("asked", "serves"),
    [
        (job(experiment("he_normal", "torch_default")), True),
        (job(experiment(), out=Path("b"), initial_weights=Path("weights")), True),
        (job(experiment(seed=1)), False),
        (job(experiment(dtype="float64")), False),
        (job(experiment(), realisation=CHANGED), False),
        (job(experiment(), reference=Path("b")), False),
        (job(experiment(), checkpoints=3), False),
        (job(shortened("mnist_relu", STEPS)), False),
    ],
)
def test_what_was_compiled_serves_another_start_alone(asked, serves, monkeypatch):
    last = SimpleNamespace(job=job(experiment()), restarted=lambda job: "restarted")
    monkeypatch.setattr(training, "record", lambda task, tell: None)
    monkeypatch.setattr(serving, "Task", lambda *given: "anew")
    assert serving.perform(SimpleNamespace(), asked, lambda message: None, last) == ("restarted" if serves else "anew")


def by_lbfgs(kernel):
    """XOR, full batch, by the optimizer that remembers most."""
    model = mlp([2, 5, 1], "tanh", "linear", initializer(kernel), initializer("normal"))
    return shortened("xor_tanh", STEPS, model=model, loss=COSTS["logits"], optimizer=chosen_optimizer("lbfgs"))


@pytest.mark.parametrize("side", FRAMEWORKS)
@pytest.mark.parametrize("made", [experiment, by_lbfgs])
def test_what_was_compiled_leaves_no_trace(made, side, workers, tmp_path):
    """Recorded first, and behind another start with what that compiled: the same, to the bit."""
    for name, kernel in (("first", "normal:0.1"), ("between", "he_normal"), ("again", "normal:0.1")):
        workers[side].record(job(made(kernel), side, out=tmp_path / name), lambda done, steps: None)
    first, between, again = (recording.read(tmp_path / name) for name in ("first", "between", "again"))
    assert first.checkpoints == again.checkpoints != between.checkpoints
    for step in (*first.checkpoints, STEPS):
        assert recording.digest(first.state(step)) == recording.digest(again.state(step))
    for ours, theirs in ((first.trace, again.trace), (first.loop(), again.loop())):
        assert recording.digest(ours) == recording.digest(theirs)
