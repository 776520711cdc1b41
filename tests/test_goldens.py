"""Goldens: what drifts is found and named, rounding is none, and they are small."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from own_pairs import PAIRS

from parity.errors import IncomparableError
from parity.experiment.randomness import Purpose, of_shape
from parity.ports import golden, goldens, sketch
from parity.ports.template import write

# A small CNN that trains, as torch's users write it; what stands between the marks is edited.
NET = """
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.head = nn.Linear(32, 10)
        self.register_buffer("scale", torch.arange(32) / 32)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.norm(self.a(x))), 2)
        x = torch.relu(self.b(x)).mean((2, 3)) * self.scale
        return self.head(x)

def build():
    return Net()

def inputs(x):
    return torch.from_numpy(x).permute(0, 3, 1, 2)

def loss(outputs, targets):
    return F.cross_entropy(outputs, targets)

def optimizer(parameters):
    return torch.optim.Adam(parameters, 0.01)
"""
DATA = """
STEPS = 2

def data(rng, n):
    return rng.normal(size=(n, 32, 32, 3)).astype("float32"), rng.integers(0, 10, n)
"""


@pytest.fixture(scope="module")
def kept(own_workers, tmp_path_factory):
    """The network's golden, read from its file, and the file."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "net.py").write_text(NET)
    (folder / "data.py").write_text(DATA)
    asked = goldens.Asked(str(folder / "net.py"), "torch", str(folder / "data.py"))
    file = folder / "net.golden"
    golden.save(file, goldens.record(asked, own_workers["torch"], folder / "run", None))
    return golden.load(file), file


def drifts(kept, text, worker, folder):
    """What of a network of this text is not as in the golden."""
    (folder / "net.py").write_text(text)
    asked = goldens.Asked(str(folder / "net.py"), "torch")
    now = goldens.repeat(kept[0], asked, worker, folder / "now")
    found = golden.drifts(kept[0].sketches, now)
    return found, goldens.says(kept[1], kept[0], now, found) if found else ""


def test_a_small_network_takes_little(kept):
    """Most of it are the inputs."""
    inputs = sum(array.nbytes for array in kept[0].inputs.values())
    assert kept[1].stat().st_size < inputs + 30_000 < 200_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Another order of a sum; the same function, written otherwise; another name of what has no weights.
        ("self.head(x)", "F.linear(x.flip(1), self.head.weight.flip(1), self.head.bias)"),
        ("torch.relu(self.b(x))", "self.b(x).clamp(min=0)"),
        ("loss(outputs, targets):",
         "loss(outputs, targets):\n    return -outputs.log_softmax(1)[range(4), targets].mean()"),
    ],
)  # fmt: skip
def test_rounding_is_no_drift(old, new, kept, own_workers, tmp_path):
    assert NET.count(old) == 1
    found, said = drifts(kept, NET.replace(old, new), own_workers["torch"], tmp_path)
    assert not found, said


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ("self.norm(self.a(x))", "self.norm(self.a(x) * (1 + 1e-9))", "eval/norm"),
        ("self.head(x)", "self.head(x) + 1e-9", "outputs/eval/"),
        ("Conv2d(16, 32, 3, padding=1)", "Conv2d(16, 32, 3, padding=1, padding_mode='replicate')", "eval/b"),
        ("nn.BatchNorm2d(16)", "nn.BatchNorm2d(16, momentum=0.1 + 1e-9)", "buffers/norm.running_mean"),
        ("cross_entropy(outputs, targets)", "cross_entropy(outputs, targets) * (1 + 1e-9)", "loss"),
        ("Adam(parameters, 0.01)", "Adam(parameters, 0.01 * (1 + 1e-9))", "step/a.weight"),
        ("torch.arange(32) / 32", "torch.arange(32) / 32 * (1 + 1e-6)", "start/scale"),
        ("self.head(x)", "self.head(x.float().to(x.dtype))", "eval/head"),
        ("self.head(x)", "self.head(x) / 0", "outputs/eval/"),
        ("self.head(x)", "self.head(x).flip(1)", "outputs/eval/"),
        ("self.head(x)", "self.head(x)[:, :9]", "outputs/eval/"),
    ],
)
def test_drift_is_found_and_named(old, new, first, kept, own_workers, tmp_path):
    assert NET.count(old) == 1
    text = NET.replace(old, new)
    if "[:, :9]" in new:
        text = text.replace("targets)\n", "targets % 9)\n")
    found, said = drifts(kept, text, own_workers["torch"], tmp_path)
    assert found, "nothing drifts"
    assert found[0].name == first, said
    assert len(said.splitlines()) < 10


def test_other_weights_are_told(kept, own_workers, tmp_path):
    with pytest.raises(IncomparableError, match=r"no longer has the weight b.weight \[32, 16, 3, 3\], b.bias"):
        drifts(kept, NET.replace("self.b", "self.c").replace("self.a, self.b", "self.a, self.c"),
               own_workers["torch"], tmp_path)  # fmt: skip


def test_keras_has_goldens_too(own_workers, tmp_path):
    paths = PAIRS["flatten"].write(tmp_path)
    asked = goldens.Asked(str(paths["keras"]), "keras", str(paths["data"]))
    made = goldens.record(asked, own_workers["tf"], tmp_path / "golden", None)
    golden.save(tmp_path / "keras.golden", made)
    kept = golden.load(tmp_path / "keras.golden")
    now = goldens.repeat(kept, asked, own_workers["tf"], tmp_path / "now")
    assert golden.drifts(kept.sketches, now) == []
    paths["keras"].write_text(paths["keras"].read_text().replace("SGD(0.1)", "SGD(0.1 + 1e-9)"))
    now = goldens.repeat(kept, asked, own_workers["tf"], tmp_path / "other")
    assert golden.drifts(kept.sketches, now)[0].name.startswith("step/")
    wrong = goldens.Asked(str(paths["torch"]), "torch")
    with pytest.raises(IncomparableError, match="is of the keras side"):
        goldens.repeat(kept, wrong, own_workers["torch"], tmp_path / "wrong")


def test_large_inputs_are_drawn_again(own_workers, tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "data.py").write_text(DATA)
    asked = goldens.Asked(str(tmp_path / "net.py"), "torch", str(tmp_path / "data.py"), samples=12, steps=0)
    made = goldens.record(asked, own_workers["torch"], tmp_path / "golden", None)
    assert golden.save(tmp_path / "net.golden", made) < 30_000
    kept = golden.load(tmp_path / "net.golden")
    few = replace(asked, samples=4)
    assert golden.drifts(kept.sketches, goldens.repeat(kept, few, own_workers["torch"], tmp_path / "now")) == []
    (tmp_path / "data.py").write_text(DATA.replace("normal", "uniform"))
    with pytest.raises(IncomparableError, match="the inputs are drawn otherwise"):
        goldens.repeat(kept, few, own_workers["torch"], tmp_path / "other")


def test_a_sketch_sees_each_element_and_its_place():
    numbers = of_shape(Purpose.GOLDEN, 0, (3 * sketch.BLOCK + 5,))
    own = sketch.sketch(numbers)
    for at in (0, sketch.BLOCK - 1, len(numbers) - 1):
        changed = numbers.copy()
        changed[at] += 1e-9
        assert np.min(np.abs(sketch.sketch(changed) - own)) > 0.9e-9
    for one, other in ((0, 1), (7, 7 + sketch.BLOCK), (0, len(numbers) - 1)):
        changed = numbers.copy()
        changed[[one, other]] = numbers[[other, one]]
        assert np.max(np.abs(sketch.sketch(changed) - own)) > 1e-3
    assert sketch.sketch(numbers[:3]).tolist() == [*numbers[:3].tolist(), 0, 0, 0, 0, 0]


def test_what_is_no_golden_is_refused(kept, tmp_path):
    (tmp_path / "a.golden").write_bytes(b"nothing")
    with pytest.raises(IncomparableError, match="is no golden"):
        golden.load(tmp_path / "a.golden")
    other = replace(kept[0], header=replace(kept[0].header, format=99))
    golden.save(tmp_path / "b.golden", other)
    with pytest.raises(IncomparableError, match="has the format 99"):
        golden.load(tmp_path / "b.golden")


def test_weights_are_drawn_alike_on_every_machine(kept):
    """A cosine that is a bit away changes none of them."""
    drawn = kept[0].header.drawn
    built = {entry.name: np.zeros(entry.shape) for entry in drawn}
    start = golden.started(drawn, built)
    assert {name for name, value in start.items() if value.min() < value.max()} == set(built)
    entry = next(entry for entry in drawn if entry.name == "norm.running_var")
    assert start["norm.running_var"].min() >= entry.low > 0
    normal = of_shape(Purpose.GOLDEN, 0, drawn[0].shape).clip(-2, 2) / golden.GRAIN
    # By how much a library's cosine and logarithm may be off, a thousand times over.
    assert np.min(np.abs(normal - np.floor(normal) - 0.5)) > 1e-10


OTHERS = ("2.13.0+cpu", "2.15.0", "2.13.0")


@pytest.mark.slow
def test_another_version_of_torch(tmp_path):
    """A golden of the torch here, held against another one in an environment of its own."""
    write(tmp_path)
    text = (tmp_path / "my_torch.py").read_text()
    (tmp_path / "my_torch.py").write_text(
        text + "\n\ndef optimizer(parameters):\n    return torch.optim.Adam(parameters)\n"
    )
    test = 'def test_mine(parity_golden):\n    parity_golden(torch="my_torch.py", data="data.py", steps=3)\n'
    (tmp_path / "test_net.py").write_text(test)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "other"], check=True)
    other = tmp_path / "other" / "bin" / "python"
    for version in OTHERS:
        packages = [f"torch=={version}", "numpy", "pydantic", "safetensors", "platformdirs", "rich", "pytest"]
        if subprocess.run([other, "-m", "pip", "install", "--quiet", *packages]).returncode == 0:
            break
    else:
        pytest.skip("no other version of torch can be installed")

    def run(python, *arguments):
        called = [python, "-m", "pytest", "-q", "-p", "parity.plugin", "-p", "no:cacheprovider", *arguments]
        environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        return subprocess.run([*called, "test_net.py"], cwd=tmp_path, capture_output=True, text=True, env=environment)

    assert run(sys.executable, "--parity-update").returncode == 0
    done = run(other)
    assert done.returncode == 0, done.stdout
    (tmp_path / "my_torch.py").write_text(
        (tmp_path / "my_torch.py").read_text().replace("self.conv(x)", "self.conv(x) * (1 + 1e-9)")
    )
    done = run(other)
    assert done.returncode == 1
    assert "first in eval/norm" in done.stdout
    assert f"now: torch {version}" in done.stdout
