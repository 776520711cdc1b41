"""Recordings from one reference's start, and the table of all pairs."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from commands import run
from conftest import shortened

from parity.experiment import randomness
from parity.recordings import recording
from parity.workers.job import RecordJob

EXPERIMENT = shortened("mnist_softmax", 3)


@pytest.fixture(scope="module")
def versions(workers, tmp_path_factory):
    """DIR/VERSION/EXPERIMENT: two honest sides, and a torch with the other's Adam that lacks one experiment."""
    folder = tmp_path_factory.mktemp("versions")
    for version, side, changes in (
        ("tf-1", "tf", {}), ("torch-1", "torch", {}), ("torch-2", "torch", {"adam_epsilon": "before_correction"}),
    ):  # fmt: skip
        for experiment in (EXPERIMENT, shortened("xor_tanh", 3)):
            if changes and experiment is not EXPERIMENT:
                continue
            realisation = replace(getattr(experiment, side), **changes)
            out = folder / version / experiment.name
            job = RecordJob(experiment.name, experiment.identity, realisation, "cpu", out)
            workers[side].record(job, lambda done, steps: None)
    return folder


def test_table(versions, tmp_path):
    done = run("parity.matrix", versions, folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    assert head == ["", "`mnist_softmax`", "`xor_tanh`"]
    assert [cells[0] for cells in rows] == ["tf-1, torch-1", "tf-1, torch-2", "torch-1, torch-2"]
    for cell in rows[0][1:]:
        assert cell.startswith("parity; ")
        assert cell.endswith("the costs agree to 6 digits at every step of 3")
    for cells in rows[1:]:
        assert cells[1].startswith("**mismatch**: lockstep float64 weights/dense_1/kernel: ")
        assert cells[2] == "not recorded"


def test_sides_of_one_framework_are_told_apart(versions, tmp_path):
    folders = [versions / name / "mnist_softmax" for name in ("torch-1", "torch-2")]
    done = run("parity.compare", *folders, folder=tmp_path)
    assert done.returncode == 1
    assert all(str(folder) in done.stdout for folder in folders)
    other = shutil.copytree(folders[1], tmp_path / "other")
    manifest = (other / recording.MANIFEST).read_text()
    version = recording.read(other).manifest.environment["torch"]
    (other / recording.MANIFEST).write_text(manifest.replace(f'"torch": "{version}"', '"torch": "1.0"'))
    done = run("parity.compare", folders[0], other, folder=tmp_path)
    assert f"torch {version}" in done.stdout
    assert "torch 1.0" in done.stdout


def test_table_in_a_file(versions, tmp_path):
    shutil.copytree(versions, tmp_path / "all", ignore=shutil.ignore_patterns("torch-2"))
    done = run("parity.matrix", "all", "--out", "table.md", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "table.md").read_text().count("parity; ") == 2


def test_a_damaged_recording_has_its_cell(versions, tmp_path):
    shutil.copytree(versions, tmp_path / "all", ignore=shutil.ignore_patterns("torch-2"))
    (tmp_path / "all/tf-1/xor_tanh" / recording.TRACE).write_bytes(b"|")
    done = run("parity.matrix", "all", folder=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert "was changed after it was recorded; record the run again |\n" in done.stdout


def test_nothing_to_compare(tmp_path):
    done = run("parity.matrix", ".", folder=tmp_path)
    message = "error: . holds recordings of 0 versions, and a comparison takes two\n"
    assert (done.returncode, done.stderr) == (2, message)


@pytest.mark.ci
def test_a_reference_gives_its_start(tmp_path, workers):
    """Weights that no seed draws reach a second recording through the first."""
    drawn = randomness.initial_weights(EXPERIMENT.identity)
    weights = {"layers.0.kernel": drawn["dense_1/kernel"] / 3, "layers.0.bias": drawn["dense_1/bias"] + 1}
    safetensors.numpy.save_file(weights, tmp_path / "weights.safetensors")
    job = RecordJob("mnist_softmax", EXPERIMENT.identity, EXPERIMENT.torch, "cpu", tmp_path / "reference",
                    initial_weights=tmp_path / "weights.safetensors")  # fmt: skip
    workers["torch"].record(job, lambda done, steps: None)
    options = ["mnist_softmax", "--framework", "tf", "--reference", "reference", "--no-evidence"]
    done = run("parity.record", *options, "--steps", 3, "--out", "other", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    replayed = recording.read(tmp_path / "other").manifest.replays
    assert set(replayed) > set(recording.read(tmp_path / "reference").checkpoints.values())
    assert not (tmp_path / "other" / recording.EVIDENCE).exists()
    state = recording.read(tmp_path / "other").state(0)
    assert np.array_equal(state["weights/dense_1/kernel"], weights["layers.0.kernel"])
    assert run("parity.compare", "reference", "other", folder=tmp_path).returncode == 0
    for more, message in (
        (["--steps", 4], "--reference reference was recorded with other settings: schedule.duration 4 and 3; use its "
                         "options"),
        (["--steps", 3, "--reference", "other"],
         "other holds no evidence/0.safetensors; a reference is made by parity.record"),
        (["--steps", 3, "--initial-weights", "weights.safetensors"],
         "--reference brings its own weights; leave --initial-weights away"),
        (["--steps", 3, "--init-from", "tf"], "--reference brings its own weights; leave --init-from away"),
    ):  # fmt: skip
        done = run("parity.record", *options, *more, "--out", "third", folder=tmp_path)
        assert (done.returncode, done.stderr) == (2, f"error: {message}\n")
