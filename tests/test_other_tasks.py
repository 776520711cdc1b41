"""Two sides that were not given the same, or are not of the same shape: incomparable, with what either has."""

import gzip
import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import run
from conftest import shortened

from parity.data import digits
from parity.errors import IncomparableError
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.spec import LABELS
from parity.recordings import recording
from parity.verdict import judge
from parity.worker import programs
from parity.workers.job import RecordJob, ReplayJob

ROOT = Path(__file__).parents[1]
SHARED = {"tf": "shared_axes=[1] if node.shared else None", "torch": "num_parameters=1 if node.shared else node.units"}
EACH = {"tf": "shared_axes=None", "torch": "num_parameters=node.units"}
# One step less, whatever the schedule says.
FEWER = """

import dataclasses

import parity.data.datasets

stock = parity.data.datasets.plan


def plan(schedule, order):
    found = stock(schedule, order)
    ends = np.append(found.epoch_ends[:-2], True)
    return dataclasses.replace(found, starts=found.starts[:-1], stops=found.stops[:-1], epoch_ends=ends)


parity.data.datasets.plan = plan
"""


def edited(folder, side, file, change):
    """All packages in `folder`, where a command that begins with nothing imported finds them, one file changed."""
    for package in ("parity", "tf_impl", "torch_impl"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / f"{side}_impl" / file
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))


@pytest.mark.parametrize(
    "side", [pytest.param("tf", marks=pytest.mark.ci), pytest.param("torch", marks=pytest.mark.slow)]
)
def test_a_weight_of_another_shape(side, tmp_path):
    """PReLU with a slope for each unit on one side, and one for all on the other."""
    edited(tmp_path, side, "activations.py", lambda text: text.replace(SHARED[side], EACH[side]))
    done = run("parity.run", "xor_prelu", "--steps", 3, "--no-figures", "--out", "out", folder=tmp_path, code="pass")
    said = "its weights/prelu_1/slope has shape (5,), and the settings, which both sides share, give it (1,)"
    assert (done.returncode, done.stderr) == (3, f"error: {LABELS[side]}'s model is another one: {said}\n")


def test_shapes_are_those_of_the_settings():
    identity = EXPERIMENTS["xor_prelu"].identity
    weights = {name: np.zeros(shape) for name, shape in identity.weight_shapes.items()}
    side = SimpleNamespace(
        name="torch", state=SimpleNamespace(parameters=lambda model: model, to_array=lambda name, weight: weight)
    )
    programs.require_shapes(side, identity, weights)
    # One that is missing, and one too many, are found where all tensors are.
    programs.require_shapes(side, identity, {"dense_1/kernel": weights["dense_1/kernel"], "more": np.zeros(3)})
    with pytest.raises(IncomparableError, match=r"torch's .* weights/dense_2/bias has shape \(4,\), .* give it \(5,\)"):
        programs.require_shapes(side, identity, weights | {"dense_2/bias": np.zeros(4)})


@pytest.mark.ci
def test_one_side_plans_fewer_steps(tmp_path):
    edited(tmp_path, "tf", "data.py", lambda text: text + FEWER)
    options = ["--epochs", 1, "--no-figures", "--out", "out"]
    done = run("parity.run", "mnist_softmax", *options, folder=tmp_path, code="pass")
    assert (done.returncode, done.stderr) == (3, "")
    said = "the batch order: Keras 39 steps, torch 40; record both with the same options"
    first = f"Keras and torch were not given the same task, so nothing else was compared: {said}"
    assert done.stdout.splitlines()[0] == first
    assert f"failed: preflight order: {said}" in done.stdout.splitlines()
    assert json.loads((tmp_path / "out/verdict.json").read_text())["verdict"] == "incomparable"


def fewer_digits(folder, count=3900):
    """The embedded digits, of the training set the first `count` alone."""
    folder.mkdir()
    for file in digits.FILES:
        content = gzip.decompress((digits.EMBEDDED / f"{file}.gz").read_bytes())
        magic, samples = struct.unpack(">2i", content[:8])
        head = 16 if magic == 2051 else 8
        if samples == 4000:
            each = (len(content) - head) // samples
            content = struct.pack(">2i", magic, count) + content[8 : head + count * each]
        (folder / file).write_bytes(content)
    return folder


def test_recordings_of_different_numbers_of_steps(workers, tmp_path):
    """Of the same settings: an epoch of other data has as many steps as those data give."""
    experiment = shortened("mnist_softmax", 1)
    schedule = replace(experiment.identity.schedule, unit="epochs")
    identity = replace(experiment.identity, schedule=schedule)
    jobs = [
        RecordJob("", identity, experiment.torch, "cpu", tmp_path / name, data=data, checkpoints=1)
        for name, data in (("whole", None), ("fewer", fewer_digits(tmp_path / "digits")))
    ]
    for job in jobs:
        workers["torch"].record(job, lambda done, steps: None)
    a, b = recording.told_apart(*(recording.read(job.out) for job in jobs))
    verdict = judge(a, b)
    reasons = {check.name: check.reason for check in verdict.checks if check.result == "failed"}
    assert verdict.verdict == "incomparable"
    assert f"{a.label} 40 steps, {b.label} 39" in reasons["order"]
    message = "fewer was recorded with another data, 39 steps of it and 40 here"
    with pytest.raises(IncomparableError, match=message):
        workers["torch"].replay(ReplayJob(jobs[0], jobs[1].out))
