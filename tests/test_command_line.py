"""The commands, as a user types them: files, output, messages and exit status."""

import json

import numpy as np
import pytest
import safetensors.numpy
from commands import run

from parity.experiment import randomness
from parity.experiment.experiments import EXPERIMENTS
from parity.recordings import recording, start


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One epoch of mnist_softmax through parity.run, with the user's own weights and batch order."""
    folder = tmp_path_factory.mktemp("run")
    drawn = randomness.initial_weights(EXPERIMENTS["mnist_softmax"].identity)
    weights = {"layers.0.kernel": drawn["dense_1/kernel"] / 10, "layers.0.bias": drawn["dense_1/bias"] + 1}
    safetensors.numpy.save_file(weights, folder / "weights.safetensors")
    np.save(folder / "order.npy", np.arange(4000, dtype=np.int32)[None, ::-1])
    options = ["--epochs", 1, "--initial-weights", "weights.safetensors", "--batch-order", "order.npy", "--out", "out"]
    done = run("parity.run", "mnist_softmax", *options, folder=folder)
    return done, folder / "out", weights


def test_run_ends_in_parity(finished):
    done, _, _ = finished
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["verdict: parity", "written to out"]
    assert done.stderr == ""
    assert done.stdout.startswith(
        "Keras and torch trained the same: every stage of 12 checkpoints within rounding; costs "
    )
    assert "mnist_softmax: 784-10, adam, float32, 40 steps" in done.stdout
    for level in ("preflight", "consumed", "lockstep", "loop", "trajectory", "outcome"):
        assert level in done.stdout


def test_run_writes_what_it_says(finished):
    _, out, _ = finished
    pictures = {"costs.png", "accuracy.png", "flow.png", "noise.png"}
    assert {path.name for path in out.iterdir()} == {"tf", "torch", "verdict.json", "report.html", *pictures}
    for picture in pictures:
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
        assert (out / picture).stat().st_size > 10_000
    assert [recording.read(out / side).manifest.framework for side in ("tf", "torch")] == ["tf", "torch"]
    assert not list(out.rglob("*.partial"))
    # What only a replay needs is gone, and the recordings are still whole.
    assert not list(out.rglob("evidence"))
    assert len(recording.read(out / "tf").manifest.replays) == 2 * 12


def test_verdict_json(finished):
    _, out, _ = finished
    verdict = json.loads((out / "verdict.json").read_text())
    assert set(verdict) == {
        "format", "experiment", "data", "verdict", "checks", "judged", "not_judged", "diagnosis",
    }  # fmt: skip
    assert (verdict["format"], verdict["experiment"], verdict["verdict"]) == (3, "mnist_softmax", "parity")
    assert verdict["diagnosis"] is None
    assert verdict["judged"] == ["preflight", "consumed", "lockstep", "loop", "trajectory", "outcome"]
    assert verdict["not_judged"] == {}
    assert verdict["data"] == {"Keras": "the embedded digits", "torch": "the embedded digits"}
    keys = {"name", "level", "result", "measured", "bound", "where", "reason", "side", "supplement", "decisive"}
    keys |= {"follows", "since"}
    assert all(set(check) == keys for check in verdict["checks"])
    results = {level: {c["result"] for c in verdict["checks"] if c["level"] == level} for level in
               ("preflight", "consumed", "lockstep", "loop", "trajectory", "outcome")}  # fmt: skip
    assert results == {
        "preflight": {"passed"}, "consumed": {"passed"}, "lockstep": {"passed"}, "loop": {"passed"},
        "trajectory": {"not_judged", "passed"}, "outcome": {"passed"},
    }  # fmt: skip


def test_the_users_weights_and_order_are_used(finished):
    _, out, weights = finished
    for side in ("tf", "torch"):
        recorded = recording.read(out / side)
        state = recorded.state(0)
        assert (state["weights/dense_1/kernel"] == weights["layers.0.kernel"]).all()
        assert (state["weights/dense_1/bias"] == weights["layers.0.bias"]).all()
        used = range(3999, 3899, -1)
        factors = randomness.checksum_weights(100, 784)[:, 0]
        assert recorded.trace["consumed/indices"][0] == np.sum(np.array(used) * factors, dtype=np.int64)


def test_compare_needs_no_framework(finished, tmp_path):
    _, out, _ = finished
    block = (
        "import sys\nfor name in ('tensorflow', 'keras', 'torch', 'tf_impl', 'torch_impl'): sys.modules[name] = None"
    )
    done = run("parity.compare", out / "tf", out / "torch", "--out", "again", folder=tmp_path, code=block)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "verdict: parity"
    assert (tmp_path / "again/verdict.json").read_text() == (out / "verdict.json").read_text()


def test_compare_quietly(finished, tmp_path):
    _, out, _ = finished
    done = run("parity.compare", out / "tf", out / "torch", "--quiet", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "verdict: parity\n")


def test_check_one_recording(finished, tmp_path):
    _, out, _ = finished
    done = run("parity.compare", "--alone", out / "torch", folder=tmp_path)
    last = "verdict: parity (of one recording with its own replays: lockstep and loop judged)"
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, last)
    assert "Keras" not in done.stdout
    both = run("parity.compare", out, "--quiet", folder=tmp_path)
    assert (both.returncode, both.stdout) == (0, "verdict: parity\n")
    for arguments in ([out / "tf"], ["--alone", out / "tf", out / "torch"]):
        done = run("parity.compare", *arguments, folder=tmp_path)
        message = "error: give two recordings, a folder that parity.run wrote, or one recording and --alone (see "
        message += "python -m parity.compare --help)\n"
        assert (done.returncode, done.stderr) == (2, message)


def test_figures_without_matplotlib(finished, tmp_path):
    _, out, _ = finished
    block = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n: None if n == 'matplotlib' else f(n)"
    done = run("parity.compare", out / "tf", out / "torch", "--out", "again", folder=tmp_path, code=block)
    assert done.returncode == 2
    assert done.stderr == "error: matplotlib is not installed: use --no-figures, or pip install matplotlib\n"
    assert not (tmp_path / "again").exists()
    done = run("parity.compare", out / "tf", out / "torch", "--out", "b", "--no-figures", folder=tmp_path, code=block)
    assert done.returncode == 0
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["verdict.json"]


@pytest.mark.ci
def test_recordings_made_apart_compare(finished, tmp_path):
    """parity.record twice, both from what torch draws, then parity.compare; and against a run of other settings."""
    options = ["mnist_softmax", "--steps", 5, "--seed", 3, "--init", "orthogonal", "--init-from", "torch"]
    for side in ("tf", "torch"):
        done = run("parity.record", *options, "--framework", side, "--out", side, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"recorded in {side}" in done.stdout
        assert_started_from(tmp_path / side / "initial.safetensors", recording.read(tmp_path / side))
    done = run("parity.compare", "tf", "torch", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "verdict: parity")
    done = run("parity.compare", "tf", finished[1] / "torch", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "verdict: incomparable")
    assert "record both with the same options" in done.stdout


def assert_started_from(file, recorded):
    drawn = start.read_weights(file, recorded.manifest.identity)
    assert not any(
        (value == randomness.initial_weights(recorded.manifest.identity)[name]).all() for name, value in drawn.items()
    )
    for name, value in drawn.items():
        assert (recorded.state(0)[f"weights/{name}"] == value).all()


@pytest.mark.ci
def test_a_mismatch_has_status_1(tmp_path):
    """Also where both start from what Keras draws."""
    options = ["mnist_softmax", "--steps", 5, "--choice", "tf:adam_epsilon=before_correction", "--out", "out"]
    done = run("parity.run", *options, "--init-from", "tf", "--no-figures", folder=tmp_path)
    for side in ("tf", "torch"):
        assert_started_from(tmp_path / "out/initial.safetensors", recording.read(tmp_path / "out" / side))
    assert done.returncode == 1
    # Of the three ways in which Keras's own Adam is another, one.
    cause = "diagnosis: step 0, optimizer: 1 cause\n  adam_epsilon: Keras before_correction, torch after_correction\n"
    assert f"\nverdict: mismatch\n{cause}" in done.stdout
    assert "first divergence: lockstep, step 0, optimizer, weights/dense_1/kernel[" in done.stdout
    assert "far beyond anything that rounding explains" in done.stdout
    title = "Adam adds epsilon before the bias correction in Keras, after it in torch"
    assert done.stdout.splitlines()[0] == f"Keras and torch part first at step 0, in the optimizer: {title}"
    assert json.loads((tmp_path / "out/verdict.json").read_text())["verdict"] == "mismatch"


def test_list(tmp_path):
    done = run("parity", folder=tmp_path)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[: len(EXPERIMENTS)]] == list(EXPERIMENTS)
