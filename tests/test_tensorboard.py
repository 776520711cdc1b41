"""What --tensorboard writes, as TensorBoard itself reads it: the recordings' own numbers, under the same tags."""

import json
import subprocess
import sys

import numpy as np
import pytest
from commands import run

from parity.recordings import recording
from parity.report.tensorboard import runs

# TensorBoard loads TensorFlow where that is installed, so it has a process of its own.
READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = {}
for run in ("Keras", "torch"):
    events = EventAccumulator(f"{sys.argv[1]}/{run}", size_guidance={"scalars": 0, "histograms": 0}).Reload()
    tags = events.Tags()
    found[run] = {
        "scalars": {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "histograms": {tag: [(e.step, e.histogram_value.num) for e in events.Histograms(tag)]
                       for tag in tags["histograms"]},
    }
print(json.dumps(found))
"""


def shown(folder):
    done = subprocess.run([sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorboard")
    arguments = ("--steps", "45", "--batch-size", "100", "--checkpoints", "3", "--verdict", "quick", "--no-figures")
    done = run("parity.run", "mnist_relu", *arguments, "--out", "run", "--tensorboard", "events", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.ci
def test_both_sides_have_the_same_tags_and_their_own_numbers(written):
    found = shown(written / "events")
    assert found["Keras"]["scalars"].keys() == found["torch"]["scalars"].keys()
    assert found["Keras"]["histograms"].keys() == found["torch"]["histograms"].keys()
    for label, side in (("Keras", "tf"), ("torch", "torch")):
        kept, scalars = recording.read(written / "run" / side), found[label]["scalars"]
        flow = kept.flow()
        np.testing.assert_array_equal(scalars["cost"], [*enumerate(kept.trace["cost"].tolist())])
        assert scalars["epoch/accuracy"] == [
            [1, pytest.approx(float(kept.trace["accuracy"][0]))],
            [2, pytest.approx(float(kept.trace["accuracy"][1]))],
        ]
        norms = [value for _, value in scalars["gradient_norm/dense_2"]]
        np.testing.assert_allclose(norms, flow["gradient_norm"][:, 1], rtol=1e-6)
        assert [step for step, _ in scalars["dead_units/dense_1"]] == list(kept.checkpoints)
        counts = found[label]["histograms"]
        assert counts["weights/dense_3/bias"] == [[step, 10.0] for step in kept.checkpoints]
        # Of a batch, before the evidence went.
        assert counts["outputs/relu_1"] == [[step, 100 * 256.0] for step in kept.checkpoints]
        assert counts["gradients/dense_1/kernel"] == [[step, 784 * 256.0] for step in kept.checkpoints]


@pytest.mark.ci
def test_a_comparison_has_what_is_left_of_recordings(written):
    done = run("parity.compare", "run", "--tensorboard", "again", folder=written)
    assert done.returncode == 0, done.stderr
    first, again = shown(written / "events"), shown(written / "again")
    assert again["torch"]["scalars"] == first["torch"]["scalars"]
    assert {tag for tag in first["torch"]["histograms"] if tag.startswith("weights/")} == {
        *again["torch"]["histograms"]
    }


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["Keras", "torch"], ["Keras", "torch"]),
        (["torch 2.14.1+cu130", "torch 2.11.0"], ["torch_2.14.1_cu130", "torch_2.11.0"]),
        (["torch ../../../x", "/tmp/b"], ["torch_.._.._.._x", "tmp_b"]),
        (["../..", "Keras"], ["1_", "2_Keras"]),
        (["a", "a"], ["1_a", "2_a"]),
    ],
)
def test_no_label_leads_out_of_the_folder(labels, names):
    assert runs(labels) == names


def test_a_folder_that_holds_something_is_refused_before_training(tmp_path):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "kept").touch()
    done = run("parity.run", "mnist_relu", "--tensorboard", "events", "--out", "new", folder=tmp_path)
    assert done.returncode == 2
    assert "--tensorboard events" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_a_folder_that_nothing_was_written_to_is_gone(tmp_path):
    done = run("parity.compare", "nowhere", "--tensorboard", "left", folder=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "left").exists()
