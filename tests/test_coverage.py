"""Every combination of docs/coverage.md: Keras's stages, fed what torch recorded, give the same in float64."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import get_args

import pytest
from conftest import selected

from benchmarks.coverage import TABLES
from parity.diagnosis import Sides
from parity.experiment.nodes import ActivationName, Dense, InitializerName
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.requested import COSTS
from parity.experiment.spec import FRAMEWORKS, LABELS, own_choices
from parity.recordings import recording
from parity.recordings.recording import Recording
from parity.verdict import lockstep
from parity.workers.job import RecordJob

# By their row, and by their column where they have but one.
RUNS = {
    ", ".join([run.row, *(run.columns if len(run.columns) == 1 else ())]): run.experiment
    for runs in TABLES.values()
    for run in runs()
}


def job(name, side, folder):
    experiment = RUNS[name]
    return RecordJob("", experiment.identity, getattr(experiment, side), "cpu", folder, checkpoints=2)


@pytest.fixture(scope="module")
def recorded(workers, request, tmp_path_factory):
    """torch's recordings by name, made one after the other while Keras replays those that are there."""
    root = tmp_path_factory.mktemp("torch")

    def record(place: int, name: str) -> Recording:
        folder = root / str(place)
        workers["torch"].record(job(name, "torch", folder), lambda done, steps: None)
        return recording.read(folder)

    with ThreadPoolExecutor(1) as pool:
        yield {name: pool.submit(record, place, name) for place, name in enumerate(selected(request, "name"))}
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def keras_stages(workers, recorded, tmp_path):
    """A function (name, choices) that checks each stage of Keras, with other choices, on torch's checkpoints."""

    def checked(name, choices):
        asked, owner = job(name, "tf", tmp_path), recorded[name].result()
        realisation = replace(asked.realisation, **choices)
        manifest = replace(owner.manifest, framework="tf", realisation=realisation)
        side = replace(owner, manifest=manifest, label=LABELS["tf"])
        (found,) = Sides(workers, {"tf": asked}).replayed("tf", owner, list(owner.checkpoints), [realisation])
        replays = [
            lockstep.Replay(step, key, owner.label, ("torch",), side, summaries)
            for (step, key), summaries in zip(owner.checkpoints.items(), found, strict=True)
        ]
        assert [replay.step for replay in replays] == [0, 2]
        return [check for replay in replays for check in lockstep.stages(replay, "float64")]

    return checked


@pytest.mark.parametrize("name", RUNS)
def test_lockstep(name, keras_stages):
    checks = keras_stages(name, {})
    assert [check for check in checks if check.result != "passed"] == []
    assert 0 < max(check.share for check in checks) <= 1


@pytest.mark.parametrize(
    ("name", "field", "stage"),
    [
        ("adam, Keras's way, digits", "adam_epsilon", "optimizer"),
        ("clipping by norm, torch's way", "clip_epsilon", "clipping"),
    ],
)
def test_another_choice_is_found(name, field, stage, keras_stages):
    """In the stage that reads it, and nowhere else."""
    taken = getattr(RUNS[name].tf, field)
    (other,) = {own_choices(side)[field] for side in FRAMEWORKS} - {taken}
    failed = [check for check in keras_stages(name, {field: other}) if check.result == "failed"]
    assert {check.where.split(", ")[1] for check in failed} == {stage}


def test_nothing_is_left_out():
    """Each function, initializer, optimizer and cost that an option takes is in one of the combinations."""
    identities = [experiment.identity for experiment in RUNS.values()]
    nodes = [node for identity in identities for node in identity.model]
    assert {node.function for node in nodes if hasattr(node, "function")} >= set(get_args(ActivationName)) - {"linear"}
    assert {node.kernel.name for node in nodes if isinstance(node, Dense)} == set(get_args(InitializerName))
    assert {identity.optimizer.kind for identity in identities} == set(OPTIMIZERS)
    assert {identity.loss for identity in identities} == set(COSTS.values())
