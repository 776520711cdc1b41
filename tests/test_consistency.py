"""Recordings are checked whole: what no level reads, what is no file, and what two files say differently."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from commands import run
from conftest import shortened

from parity.errors import IncomparableError, UsageError
from parity.recordings import recording
from parity.recordings.recording import FLOW, LOOP, MANIFEST, TRACE, TWINS, WATCH
from parity.workers.job import RecordJob


@pytest.fixture(scope="module")
def whole(workers, tmp_path_factory):
    """torch's recording of three epochs of XOR in float64, the last one not whole, with a twin."""
    experiment = shortened("xor_tanh", 250, dtype="float64")
    job = RecordJob(
        "test", experiment.identity, experiment.torch, "cpu", tmp_path_factory.mktemp("whole"), checkpoints=3, twins=1
    )
    workers["torch"].record(job, lambda done, steps: None)
    return job.out


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def manifest(folder):
    return json.loads((folder / MANIFEST).read_text())


def rewrite_manifest(folder, **changes):
    (folder / MANIFEST).write_text(json.dumps(manifest(folder) | changes))


def refit(folder, *names):
    """Make the manifest's digests of these files those of what they hold now."""
    fitting = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    rewrite_manifest(folder, files=manifest(folder)["files"] | fitting)


def resave(folder, name, **arrays):
    """Change arrays of a file, its digest in the manifest included."""
    safetensors.numpy.save_file({**safetensors.numpy.load_file(folder / name), **arrays}, folder / name)
    refit(folder, name)


def refused(folder, message):
    with pytest.raises(IncomparableError, match=message) as caught:
        recording.read(folder)
    assert "\n" not in str(caught.value)


def listed(folder):
    """Every file of a recording that counts, one of a kind."""
    files = list(manifest(folder)["files"])
    return list({Path(name).parent if "/" in name else name: name for name in files}.values())


def test_every_listed_file_counts(copy):
    """Also those that no level reads, and of which the pictures alone are made."""
    kinds = {Path(name).parts[0] for name in manifest(copy)["files"]}
    assert kinds == {TRACE, LOOP, WATCH, FLOW, TWINS, "states", "lockstep", "segments", "evidence"}
    for name in manifest(copy)["files"]:
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:200])
        refused(copy, "was changed after it was recorded")
        (copy / name).write_bytes(content)
    assert recording.read(copy).manifest.status == "complete"


def test_every_listed_file_holds_arrays(copy):
    """Where the digest was made to fit."""
    before = manifest(copy)["files"]
    for name in listed(copy):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:200])
        refit(copy, name)
        refused(copy, "is damaged")
        (copy / name).write_bytes(content)
        rewrite_manifest(copy, files=before)
    assert recording.read(copy).manifest.status == "complete"


def test_what_a_run_deletes_may_be_missing_and_nothing_else(copy):
    recording.drop_evidence(copy)
    assert recording.read(copy).manifest.status == "complete"
    for name in listed(copy):
        if not name.startswith("evidence"):
            (copy / name).rename(copy / "elsewhere")
            refused(copy, "cannot be read")
            (copy / "elsewhere").rename(copy / name)


def test_a_listed_file_that_is_not_in_the_list(copy):
    files = manifest(copy)["files"]
    for name in listed(copy):
        rewrite_manifest(copy, files={other: digest for other, digest in files.items() if other != name})
        if name.startswith("evidence"):
            assert recording.read(copy).manifest.status == "complete"
        else:
            refused(copy, f"holds no {name}; record the run again")


@pytest.mark.parametrize("name", [
    "../../../etc/passwd", "/etc/passwd", "manifest.json", "states/7.safetensors", "states/../trace.safetensors",
    "evidence/start-float16.safetensors", "lockstep/x.safetensors", "pretrained.safetensors", "", "a\0b",
])  # fmt: skip
def test_a_file_that_is_none_of_the_format(name, copy):
    rewrite_manifest(copy, files=manifest(copy)["files"] | {name: "0" * 64})
    refused(copy, "lists .*, which is no file of this recording")


@pytest.mark.parametrize("key", ["../../../../etc/passwd", "x", "A" * 64, "0" * 63])
def test_a_key_that_is_no_digest(key, copy):
    before = manifest(copy)
    for changes in ({"replays": before["replays"] | {key: 0}}, {"checkpoints": before["checkpoints"] | {"0": key}}):
        rewrite_manifest(copy, **before | changes)
        refused(copy, "a checkpoint's key is a SHA-256, not ")


@pytest.mark.parametrize("name", [MANIFEST, TRACE, FLOW, "states/0.safetensors"])
def test_a_named_pipe_keeps_nobody_waiting(name, copy, whole, tmp_path):
    (copy / name).unlink()
    os.mkfifo(copy / name)
    done = run("parity.compare", copy, whole, folder=tmp_path, timeout=20)
    message = f"error: {copy / name} is no regular file; record the run again\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", message)


@pytest.mark.parametrize("name", [MANIFEST, TRACE, "states", "lockstep", "segments"])
def test_links_are_not_followed(name, copy, tmp_path):
    """Of files and of folders, whether they lead out or not; the recording itself may be reached by one."""
    (tmp_path / "link").symlink_to(copy)
    assert recording.read(tmp_path / "link").manifest.status == "complete"
    for elsewhere in (tmp_path / "elsewhere", copy / "inside"):
        (copy / name).rename(elsewhere)
        (copy / name).symlink_to(elsewhere)
        refused(copy, "is a link or is reached through one, and links lead out of the recording")
        (copy / name).unlink()
        elsewhere.rename(copy / name)


def test_a_device_is_not_read(copy):
    """Opened as a file, it would never end."""
    (copy / FLOW).unlink()
    (copy / FLOW).symlink_to("/dev/zero")
    refused(copy, "is a link")


@pytest.mark.parametrize("change", [lambda x: x + 1e-3, lambda x: np.nextafter(x, 1), lambda x: x * np.nan])
def test_costs_that_are_not_those_of_the_loop(change, copy):
    costs = recording.read(copy).trace["cost"]
    resave(copy, TRACE, cost=change(costs))
    refused(copy, "contradicts itself: step 0 cost .* in the loop's check, and .* in its trace; record the run again")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compare_refuses_costs_that_were_moved(dtype, clean_pair, copy, tmp_path):
    """In both precisions, with every digest made anew: no verdict, and the reason."""
    if dtype == "float32":
        copy = shutil.copytree(clean_pair[0].folder, tmp_path / "other")
    resave(copy, TRACE, cost=recording.read(copy).trace["cost"] + np.dtype(dtype).type(1e-3))
    done = run("parity.compare", copy, copy, folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "contradicts itself" in done.stderr


def test_costs_that_are_not_those_of_a_segment(copy):
    """Behind a checkpoint, in float64."""
    costs = recording.read(copy).trace["cost"].copy()
    costs[3] += 1e-9
    resave(copy, TRACE, cost=costs)
    refused(copy, "the costs from step 1 on are not those of its segment")


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_costs_that_are_not_those_of_an_epoch(epoch, copy):
    before = recording.read(copy).trace
    # Where neither a checkpoint nor a segment is.
    costs, step = before["cost"].copy(), 100 * epoch + 40
    costs[step] += 1e-6
    resave(copy, TRACE, cost=costs)
    refused(copy, f"the cost .* of epoch {epoch} of the run is not the mean of its steps'")
    means = before["epoch_cost"].copy()
    means[epoch] *= 1 + 1e-9
    resave(copy, TRACE, cost=before["cost"], epoch_cost=means)
    refused(copy, f"the cost .* of epoch {epoch} of the run is not the mean of its steps'")


def test_costs_of_twins_that_are_not_those_of_an_epoch(copy):
    costs = recording.read(copy).twins()["cost"]
    costs[0, 120] += 1e-6
    resave(copy, TWINS, cost=costs)
    refused(copy, "of epoch 1 of twin 0 is not the mean")


@pytest.mark.parametrize("schedule", [
    {"drop_last": False, "epoch_cost": "sample_mean", "batch_size": 3},
    {"drop_last": False, "epoch_cost": "batch_mean", "batch_size": 3},
    {"drop_last": True, "batch_size": 3},
    {"passes_per_epoch": 3, "unit": "epochs", "duration": 2},
], ids=str)  # fmt: skip
def test_the_mean_of_an_epoch_of_any_schedule(schedule, workers, tmp_path):
    """What is recorded agrees with itself, and a cost that was moved is noticed."""
    experiment = shortened("xor_tanh", 250)
    asked = replace(experiment.identity.schedule, **schedule)
    identity = replace(experiment.identity, schedule=asked)
    job = RecordJob("test", identity, experiment.torch, "cpu", tmp_path / "out", checkpoints=1)
    workers["torch"].record(job, lambda done, steps: None)
    costs = recording.read(tmp_path / "out").trace["cost"].copy()
    costs[-1] *= 1.001
    resave(tmp_path / "out", TRACE, cost=costs)
    refused(tmp_path / "out", "is not the mean of its steps'")


def test_steps_that_are_not_as_many_epochs(copy):
    trace = recording.read(copy).trace
    for name in ("epoch_cost", "accuracy", "test_loss"):
        resave(copy, TRACE, **{name: np.append(trace[name], 1.0)})
    refused(copy, "250 steps are 3 epochs, not 4")


def test_a_manifest_that_contradicts_itself(copy):
    before = manifest(copy)
    (first, key), *_ = before["checkpoints"].items()
    for changes, message in (
        ({"precision": before["precision"] | {"dtype": "float32"}}, "it was computed in float32, not float64"),
        ({"hand_over": 7}, "another run was taken over at step 7, where no checkpoint is"),
        ({"replays": before["replays"] | {key: 7}}, f"the checkpoint of step {first} was replayed as that of 7"),
    ):
        rewrite_manifest(copy, **before | changes)
        refused(copy, f"contradicts itself: {message}; record the run again")


def test_a_checkpoint_behind_the_end(copy):
    before = manifest(copy)
    shutil.copy(copy / "states/0.safetensors", copy / "states/999.safetensors")
    rewrite_manifest(copy, checkpoints=before["checkpoints"] | {"999": before["checkpoints"]["0"]})
    digest = before["files"]["states/0.safetensors"]
    rewrite_manifest(copy, files=before["files"] | {"states/999.safetensors": digest})
    refused(copy, "there is a checkpoint at step 999 of 250")


def test_gradients_of_other_steps(copy):
    steps = recording.read(copy).flow()["steps"]
    resave(copy, FLOW, steps=steps + 1)
    refused(copy, "the steps whose gradients are shown are not the checkpoints'")


def test_no_manifest_is_no_recording(copy):
    (copy / MANIFEST).unlink()
    with pytest.raises(UsageError, match="holds no recording"):
        recording.read(copy)
