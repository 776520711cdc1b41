"""Inputs, and how a run is cut into steps."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import both_sides, shortened

from parity.data import datasets
from parity.errors import UsageError
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.randomness import batch_order, checksum_weights
from parity.experiment.spec import FRAMEWORKS, Schedule
from parity.verdict import judge


def schedule(**changes):
    fields = {"batch_size": 3, "shuffle": False, "drop_last": True, "passes_per_epoch": 1, "duration": 2}
    fields |= {"unit": "epochs", "epoch_cost": "batch_mean", "test_loss": "sample_mean", "evaluate_training": False}
    return Schedule(**(fields | changes))


def cut(asked, samples):
    """The plan of a schedule over so many samples, in file order, as a list of batches."""
    order = np.tile(np.arange(samples), (datasets.passes_needed(asked, samples), 1))
    batches = datasets.plan(asked, order)
    taken = [batches.order[a:b].tolist() for a, b in zip(batches.starts, batches.stops, strict=True)]
    return taken, np.flatnonzero(batches.epoch_ends).tolist()


def test_partial_batch_dropped():
    assert cut(schedule(), 7) == ([[0, 1, 2], [3, 4, 5]] * 2, [1, 3])


def test_partial_batch_kept():
    assert cut(schedule(drop_last=False), 7) == ([[0, 1, 2], [3, 4, 5], [6]] * 2, [2, 5])


def test_steps_may_end_within_an_epoch():
    assert cut(schedule(duration=3, unit="steps"), 7) == ([[0, 1, 2], [3, 4, 5], [0, 1, 2]], [1, 2])


def test_an_epoch_of_several_passes():
    taken, ends = cut(schedule(passes_per_epoch=2), 3)
    assert taken == [[0, 1, 2]] * 4
    assert ends == [1, 3]


def test_a_batch_larger_than_the_data():
    with pytest.raises(UsageError, match="batch of 3 is larger than the training set of 2"):
        datasets.passes_needed(schedule(), 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_are_divided_by_255(dtype):
    images = np.arange(256, dtype=np.uint8)[None]
    scaled, multiplied = (datasets.scale(images, dtype, way) for way in ("division", "reciprocal"))
    assert scaled.dtype == multiplied.dtype == dtype
    assert (scaled == (np.arange(256) / np.float64(255)).astype(dtype)).all()
    # As many as the entry pixel_scaling says of float32; in float64 all but 0, by the factor's rounding.
    assert np.count_nonzero(scaled != multiplied) == {"float32": 126, "float64": 255}[dtype]
    np.testing.assert_allclose(multiplied, scaled, rtol=2.0**-23)


def test_raw_pixels_are_for_testing():
    raw, scaled = (datasets.load("digits", None, "float32", test_pixels=way) for way in ("raw", "scaled"))
    np.testing.assert_array_equal(raw.train_inputs, scaled.train_inputs)
    np.testing.assert_array_equal(raw.test_inputs, np.round(255 * scaled.test_inputs))
    with pytest.raises(ValueError, match="raw pixels are for experiments on the digits' pixels"):
        replace(EXPERIMENTS["xor_tanh"].identity, test_pixels="raw")


@pytest.mark.ci
def test_a_run_with_other_pixels(record_pair, tmp_path):
    """Both sides multiply, and test on raw pixels: parity, on other inputs, with another accuracy."""
    plain, other = (shortened("mnist_softmax", 3, test_pixels=way) for way in ("scaled", "raw"))
    pairs = [
        record_pair(experiment, tmp_path / name)
        for name, experiment in (("plain", plain), ("other", both_sides(other, pixel_scaling="reciprocal")))
    ]
    for pair in pairs:
        assert judge(*pair).verdict == "parity"
    for ours, theirs in zip(*pairs, strict=True):
        assert (ours.trace["consumed/inputs"] != theirs.trace["consumed/inputs"]).all()
        assert ours.trace["accuracy"] != theirs.trace["accuracy"]


def test_xor():
    points = datasets.load("xor", None, "float32")
    assert points.train_inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert points.train_labels.tolist() == [0, 1, 1, 0]


def test_checksums_are_numpys(record_pair, tmp_path):
    """What the loops say they used is what the plan told them to use, computed here once more."""
    experiment = shortened("mnist_softmax", 3)
    content = datasets.load("digits", None, "float32")
    batches = datasets.plan(experiment.identity.schedule, batch_order(0, 1, 4000, shuffle=True))
    factors = checksum_weights(100, 784)
    for recording in record_pair(experiment, tmp_path, checkpoints=1, exchange=False):
        for step in range(3):
            used = batches.order[batches.starts[step] : batches.stops[step]]
            bits = content.train_inputs[used].view(np.int32).astype(np.int64)
            assert recording.trace["consumed/inputs"][step] == (bits * factors).sum()
            assert recording.trace["consumed/indices"][step] == (used * factors[:, 0]).sum()
            assert recording.trace["consumed/labels"][step] == (content.train_labels[used] * factors[:, 0]).sum()


@pytest.mark.parametrize("side", FRAMEWORKS)
def test_images_are_held_once(side):
    """What a framework trains on and what replays read is the same memory."""
    code = (
        "import sys, numpy as np; from pathlib import Path; from parity.worker import serving\n"
        "from parity.experiment.experiments import EXPERIMENTS\n"
        "from parity.workers.job import RecordJob\n"
        "from parity.worker.task import Task\n"
        "side, chosen = serving.load_side(sys.argv[1], 1), EXPERIMENTS['mnist_softmax']\n"
        "job = RecordJob('mnist_softmax', chosen.identity, getattr(chosen, sys.argv[1]), 'cpu', Path('unused'))\n"
        "task = Task(side, job, None)\n"
        "tensor = task.on_device.train_inputs\n"
        "view = np.asarray(memoryview(tensor)) if sys.argv[1] == 'tf' else tensor.numpy()\n"
        "print(np.shares_memory(view, task.content.train_inputs), view.shape, view.dtype)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, side], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True (4000, 784) float32\n", done.stderr[-2000:]
