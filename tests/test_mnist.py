"""All of MNIST through both frameworks' real loaders, from the real files, with no network; and where it fails."""

import argparse
import gzip
import os
import shutil
import signal
import struct
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from commands import run, wait_for

from parity.commands import options as opts
from parity.data import digits
from parity.data.digits import Digits
from parity.data.mnist import DIGEST, FILES, LOADERS
from parity.errors import UsageError
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.spec import FRAMEWORKS
from parity.recordings import recording

IMAGES = "train-images-idx3-ubyte.gz"
# Of all connections, so that no test depends on a network.
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
FEWER = gzip.compress(struct.pack(">4i", 2051, 59_999, 28, 28) + bytes(59_999 * 784), 1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)


def put(mnist_folder, folder, **changed):
    """A folder with the four files, or what is given for one of them (its name without endings)."""
    folder.mkdir(parents=True)
    for name in FILES:
        content = changed.get(name.partition("-ubyte")[0].replace("-", "_"), (mnist_folder / name).read_bytes())
        (folder / name).write_bytes(content)
    return folder


def loading(side, out, *folders):
    """The script tests/loaded.py, begun."""
    out.mkdir(exist_ok=True)
    command = [sys.executable, str(Path(__file__).parent / "loaded.py"), side, str(out), *map(str, folders)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def loaded(process, out, number=0):
    """What came of one of its folders: digits, or what was said."""
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    said = out / f"{number}.txt"
    return said.read_text() if said.exists() else Digits(**np.load(out / f"{number}.npz"))


@pytest.mark.parametrize(
    "side", [pytest.param("torch", marks=pytest.mark.ci), pytest.param("tf", marks=pytest.mark.slow)]
)
def test_the_loader_gives_the_original_digits(side, mnist_folder, tmp_path):
    """Of three processes that prepare one folder, the first is killed at it and the others are at it at once."""
    folder, loader = put(mnist_folder, tmp_path / "cache"), LOADERS[side]
    killed = loading(side, tmp_path / "killed", folder)
    wait_for(lambda: any(path.is_file() for path in folder.glob(f".{loader}-*/**/*")))
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (folder / loader).exists()
    outs = [tmp_path / "one", tmp_path / "other"]
    processes = [loading(side, out, folder) for out in outs]
    original = digits.load(mnist_folder)
    for process, out in zip(processes, outs, strict=True):
        found = loaded(process, out)
        assert isinstance(found, Digits), found
        for field in fields(Digits):
            ours, theirs = getattr(found, field.name), getattr(original, field.name)
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            # Every pixel of all 70,000 images, and every label.
            assert (ours == theirs).all()
    left = {path.name for path in folder.iterdir()} - set(FILES)
    assert left == {loader, f"{loader}.lock"}
    # What was made serves without the files, and is not trusted: cut short, or with a pixel changed.
    for name in FILES:
        (folder / name).unlink()
    short, changed = (shutil.copytree(folder, tmp_path / name) for name in ("short", "changed"))
    for copy in (short, changed):
        largest = max((copy / loader).rglob("*train*"), key=lambda path: path.stat().st_size * path.is_file())
        content = bytearray(largest.read_bytes())
        content[len(content) // 2] ^= 1
        largest.write_bytes(content if copy == changed else content[: len(content) // 2])
    out = tmp_path / "again"
    process = loading(side, out, folder, short, changed)
    assert isinstance(loaded(process, out), Digits)
    for number, copy in ((1, short), (2, changed)):
        said = (out / f"{number}.txt").read_text()
        assert str(copy / loader) in said
        assert said.endswith("; move that folder away, to have it made again")
        assert (copy / loader).is_dir()


@pytest.mark.slow
def test_training_on_all_of_it(mnist_folder, tmp_path):
    """As a user does it: each framework by its own loader, and the same digits to the hash."""
    folder = put(mnist_folder, tmp_path / "cache")
    options = [
        "--data",
        "mnist",
        "--data-dir",
        folder,
        "--steps",
        20,
        "--checkpoints",
        2,
        "--no-figures",
        "--verdict",
        "quick",
    ]
    done = run("parity.run", "mnist_softmax", *options, "--out", "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "verdict: parity" in done.stdout
    for side in FRAMEWORKS:
        manifest = recording.read(tmp_path / "out" / side).manifest
        assert manifest.digests["data"] == DIGEST
        assert len(recording.read(tmp_path / "out" / side).trace["predictions"]) == 10_000
        assert manifest.peak_memory_bytes < 1.5 * 2**30


@pytest.mark.parametrize("content", [b"", b"not gzip", FEWER], ids=["empty", "damaged", "59,999 images"])
def test_a_file_that_is_not_the_published_one_is_named(content, mnist_folder, tmp_path):
    """And stays where it is."""
    folder = put(mnist_folder, tmp_path / "cache", train_images_idx3=content)
    done = run("parity.run", "mnist_softmax", "--data", "auto", "--data-dir", folder, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    said = f"error: {folder / IMAGES} is not the file of MNIST that was published (by its SHA-256); fetch it again\n"
    assert done.stderr == said
    assert (folder / IMAGES).read_bytes() == content
    assert {path.name for path in folder.iterdir()} == set(FILES)


def asked(name, data, folder):
    options = argparse.Namespace(data=data, data_dir=folder, quiet=False)
    opts.choose_data(options, EXPERIMENTS[name], FRAMEWORKS)
    return options.data


def test_without_files_and_network(tmp_path, capsys):
    """The embedded digits, and why; or, where MNIST was asked for, how to get it."""
    assert asked("mnist_softmax", "auto", tmp_path / "cache") == "embedded"
    printed = capsys.readouterr().out
    assert printed.startswith(f"training on the 5,000 embedded digits: MNIST is not in {tmp_path / 'cache'}, and ")
    assert "storage.googleapis.com cannot be reached" in printed
    assert "ossci-datasets.s3.amazonaws.com cannot be reached" in printed
    assert printed.count("\n") == 1
    with pytest.raises(UsageError, match=r"cannot be reached .*; put train-images-idx3-ubyte.gz, .* embedded$"):
        asked("mnist_softmax", "mnist", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_files_put_there_by_hand_are_enough(mnist_folder, tmp_path, capsys):
    folder = put(mnist_folder, tmp_path / "cache")
    assert asked("mnist_softmax", "auto", folder) == asked("mnist_softmax", "mnist", folder) == "mnist"
    assert capsys.readouterr().out == ""
    (folder / IMAGES).unlink()
    assert asked("mnist_softmax", "auto", folder) == "embedded"


def test_a_default_of_ones_own(tmp_path, monkeypatch):
    """PARITY_DATA stands in for --data, which is asked first; XOR has nothing to ask."""
    monkeypatch.setenv(opts.DEFAULT_DATA, "embedded")
    assert asked("mnist_softmax", None, tmp_path) == "embedded"
    assert asked("mnist_softmax", "somewhere", tmp_path) == "somewhere"
    assert asked("xor_tanh", None, tmp_path) == "embedded"
    with pytest.raises(UsageError, match="--data is for experiments on digits, and xor_tanh has none"):
        asked("xor_tanh", "auto", tmp_path)


def test_a_loader_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("parity.data.mnist.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"torchvision is not installed \(pip install 'keras-torch-parity\[mnist\]'\)"):
        asked("mnist_softmax", "mnist", tmp_path)
