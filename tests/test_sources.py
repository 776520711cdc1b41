"""Digits that are not MNIST's are trained on, and named: in the output, the recording and the report."""

import gzip
import json
import shutil
import struct

import numpy as np
import pytest
from commands import run

from parity.data import digits, sources
from parity.errors import IncomparableError
from parity.recordings import recording

ALL = ", ".join(digits.FILES)


def write_digits(folder, samples=200):
    """MNIST's four files, with noise in them."""
    dice = np.random.default_rng(7)
    folder.mkdir()
    for name, count in (("train", samples), ("t10k", 50)):
        images, labels = dice.integers(0, 256, 784 * count, np.uint8), dice.integers(0, 10, count, np.uint8)
        header = struct.pack(">4i", 2051, count, 28, 28)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())
    return folder


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """parity.run on a folder of noise: what it printed, and what it wrote."""
    folder = tmp_path_factory.mktemp("noise")
    write_digits(folder / "fashion")
    options = ["--data", "fashion", "--steps", 2, "--checkpoints", 1, "--no-figures", "--out", "out"]
    done = run("parity.run", "mnist_softmax", *options, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def test_a_run_on_noise_says_so(noise):
    printed, folder = noise
    first, *lines = printed.splitlines()
    assert first == f"training on fashion, which is not MNIST as published ({ALL} differ)"
    named = f"fashion's own files, not MNIST: SHA-256 {digits.digest(digits.load(folder / 'fashion'))}"
    assert f"data: {named}" in lines
    assert printed.count("as published") == printed.count("data: ") == 1
    for side in ("tf", "torch"):
        assert recording.read(folder / "out" / side).manifest.data_source == named
    assert json.loads((folder / "out/verdict.json").read_text())["data"] == {"Keras": named, "torch": named}


def test_quietly_it_says_so_in_what_is_written(noise, tmp_path):
    _, folder = noise
    options = ["--framework", "torch", "--data", folder / "fashion", "--steps", 2, "--checkpoints", 1, "--quiet"]
    done = run("parity.record", "mnist_softmax", *options, "--out", "out", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    source = recording.read(tmp_path / "out").manifest.data_source
    assert source.startswith(f"{folder / 'fashion'}'s own files, not MNIST: SHA-256 ")


def test_other_data_are_named_where_they_differ(noise, clean_pair, tmp_path):
    done = run("parity.compare", noise[1] / "out/tf", clean_pair[1].folder, folder=tmp_path)
    assert done.returncode == 3
    assert "failed: preflight data: the training and test data: Keras fashion's own files, not MNIST: " in done.stdout
    assert ", torch the embedded digits; record both with the same options" in done.stdout


def test_files_of_mnist_are_mnist_however_they_are_packed(mnist_folder, tmp_path):
    for number, name in enumerate(digits.FILES):
        content = gzip.decompress((mnist_folder / f"{name}.gz").read_bytes())
        packed = number % 2 == 0
        (tmp_path / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content, 1) if packed else content)
    assert sources.difference(mnist_folder) is None
    assert sources.difference(tmp_path) is None
    assert sources.named("digits", digits.digest(digits.load(tmp_path)), tmp_path) == "MNIST"


def test_the_file_that_differs_is_named(mnist_folder, tmp_path):
    """Labels of 60,000 noughts."""
    folder = shutil.copytree(mnist_folder, tmp_path / "changed")
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">2i", 2049, 60_000) + bytes(60_000)))
    said = f"{folder}, which is not MNIST as published (train-labels-idx1-ubyte differs)"
    assert sources.difference(folder) == said
    assert sources.named("digits", digits.digest(digits.load(folder)), folder).startswith(f"{folder}'s own files, not")


def test_what_needs_no_folder_has_a_name(clean_pair):
    assert clean_pair[0].manifest.data_source == "the embedded digits"
    assert sources.named("xor", "0" * 64, None) == "the four points of exclusive or"


def test_a_path_that_cannot_be_printed(tmp_path):
    """It ends up in a recording, which no terminal must be moved by."""
    named = sources.named("digits", "0" * 64, tmp_path / "\x1b[2J\n" / ("x" * 600))
    assert named.isprintable()
    assert len(named) < recording.LONGEST_TEXT
    assert not sources.contradicted(named, "digits", "0" * 64)


def changed_source(folder, source):
    """A copy that says something else of its data, or nothing."""
    content = json.loads((folder / recording.MANIFEST).read_text())
    del content["data_source"]
    (folder / recording.MANIFEST).write_text(json.dumps(content | ({} if source is None else {"data_source": source})))
    return folder


def test_a_recording_from_before_the_name_was_kept(clean_pair, noise, tmp_path):
    old = changed_source(shutil.copytree(clean_pair[0].folder, tmp_path / "old"), None)
    assert recording.read(old).data_source == "the embedded digits"
    old = changed_source(shutil.copytree(noise[1] / "out/tf", tmp_path / "noise"), None)
    assert recording.read(old).data_source == "a folder's own files, not MNIST"


@pytest.mark.parametrize("source", ["MNIST", "x's own files, not MNIST: SHA-256 " + "0" * 64])
def test_a_recording_that_calls_its_data_something_else(source, clean_pair, noise, tmp_path):
    for number, folder in enumerate((clean_pair[0].folder, noise[1] / "out/tf")):
        changed = changed_source(shutil.copytree(folder, tmp_path / str(number)), source)
        with pytest.raises(IncomparableError, match=r"contradicts itself: its data are called .*, and their digest is"):
            recording.read(changed)
