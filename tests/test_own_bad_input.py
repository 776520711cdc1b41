"""What a user's own code can do wrong is told in one line, with the place in it and the right status."""

import re

import pytest
from own_pairs import KERAS, TORCH

from parity.check import check_models
from parity.check import main as check_command
from parity.errors import IncomparableError, UsageError, WorkerError
from parity.ports.check import Request, checked

DATA = "def data(rng, n):\n    return rng.normal(size=(n, 4)).astype('float32'), rng.normal(size=(n, 1))\n"
DENSE = "def build():\n    return keras.Sequential([keras.Input((4,)), layers.Dense(1)])\n"
LINEAR = "def build():\n    return nn.Linear(4, 1)\n"
LOSSES = (
    "def loss(y, outputs):\n    return keras.losses.MeanSquaredError()(y, outputs)\n",
    "def loss(outputs, y):\n    return F.mse_loss(outputs, y)\n",
)
PORT = "def port(module, weights):\n"
# The text of Keras's side, torch's, the data's, and what the one line says.
CASES = {
    "syntax": (DENSE + "def (\n", LINEAR, DATA, r"my_keras.py: importing it failed at my_keras.py:8: SyntaxError"),
    "import": ("import nothing_like_it\n" + DENSE, LINEAR, DATA, r"failed at my_keras.py:6: ModuleNotFoundError"),
    "no build": ("def make():\n    pass\n", LINEAR, DATA, r"my_keras.py has no function build\(\)"),
    "build raises": (DENSE, "def build():\n    return nn.Linear(4, 1, 2, 3, 4, 5)\n", DATA, r"failed at my_torch"),
    "no model": (DENSE, "def build():\n    return 3\n", DATA, r"build\(\) gave builtins.int, not a torch.nn.Module"),
    "keras 2": (
        "class Old:\n    pass\n\nOld.__module__ = 'tf_keras.src.engine'\n\ndef build():\n    return Old()\n",
        LINEAR, DATA, r"Keras 2's models cannot be captured",
    ),
    "scripted": (DENSE, "def build():\n    return torch.jit.script(nn.Linear(4, 1))\n", DATA, "scripted"),
    "compiled": (DENSE, "def build():\n    return torch.compile(nn.Linear(4, 1))\n", DATA, "a compiled module"),
    "shapes": (DENSE, "def build():\n    return nn.Linear(5, 1)\n", DATA, r"calling the model in eval mode failed"),
    "no scalar": (
        DENSE + "def loss(y, outputs):\n    return (outputs - y) ** 2\n", LINEAR + LOSSES[1], DATA,
        r"my_keras.py: loss\(\) gives a tensor of shape \(16, 1\), not one number",
    ),
    "loss raises": (DENSE + LOSSES[0], LINEAR + "def loss(outputs, y):\n    raise OSError(3)\n", DATA, "OSError: 3"),
    "no data": (DENSE, LINEAR, "x = 3\n", r"has no function data\(rng, n\)"),
    "data raises": (DENSE, LINEAR, "def data(rng, n):\n    return 1 / 0\n", r"failed at data.py:2: ZeroDiv"),
    "port raises": (DENSE, LINEAR + PORT + "    module.bias.data.copy_(weights[7])\n", DATA, r"failed at my_torch"),
    "in colours": (DENSE, "def build():\n    raise ValueError('\\x1b[1mred\\x1b[0m')\n", DATA, "ValueError: red$"),
    "exits": (DENSE, "import sys\nsys.exit(3)\n" + LINEAR, DATA, r"failed at my_torch.py:7: SystemExit: 3"),
}  # fmt: skip


def written(folder, keras, torch, data):
    paths = []
    for name, text in (("my_keras", KERAS + keras), ("my_torch", TORCH + torch), ("data", data)):
        paths.append(str(folder / f"{name}.py"))
        (folder / f"{name}.py").write_text(text)
    return paths


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_line(case, own_workers, tmp_path):
    *texts, said = CASES[case]
    keras, torch, data = written(tmp_path, *texts)
    with pytest.raises(UsageError) as raised:
        checked(Request(keras, torch, data=data), own_workers, tmp_path / "out")
    assert re.search(said, str(raised.value)), str(raised.value)
    assert str(raised.value).isprintable()


def test_a_map_that_names_what_is_not_there(own_workers, tmp_path):
    keras, torch, data = written(tmp_path, DENSE, LINEAR, DATA)
    (tmp_path / "map.toml").write_text('"dens" = ""\n')
    with pytest.raises(UsageError, match=r'the map names "dens", .* closest: "dense"'):
        checked(Request(keras, torch, data=data, map=tmp_path / "map.toml"), own_workers, tmp_path / "out")


def test_models_without_weights(own_workers, tmp_path):
    keras = "def build():\n    return keras.Sequential([keras.Input((4,)), layers.ReLU()])\n"
    paths = written(tmp_path, keras, "def build():\n    return nn.ReLU()\n", DATA)
    assert checked(Request(*paths[:2], data=paths[2]), own_workers, tmp_path / "out").verdict == "parity"
    paths = written(
        tmp_path, keras, "def build():\n    return nn.ReLU6()\n", DATA.replace("rng.normal", "9 * rng.normal")
    )
    assert checked(Request(*paths[:2], data=paths[2]), own_workers, tmp_path / "two").verdict == "mismatch"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "give inputs: one of"),
        ({"data": "data.py", "shapes": {"x": (2, 4)}}, "give inputs: one of"),
        ({"data": "data.py", "samples": 0}, "samples must be at least 1, not 0"),
        ({"data": "data.py", "steps": -1}, "steps must be at least 0, not -1"),
        ({"data": "data.py", "keras": "nowhere.py"}, r"nowhere.py: there is no such file"),
        ({"data": "data.py", "keras": "model.h5"}, r"give a Python file, or module:function"),
        ({"data": "data.py", "keras": lambda: None}, "is no function of a file"),
    ],
)
def test_a_request_that_cannot_be_carried_out(settings, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, DENSE, LINEAR, DATA)
    settings = {"keras": "my_keras.py", "torch": "my_torch.py", **settings}
    with pytest.raises(UsageError, match=said):
        check_models(**settings)
    assert not (tmp_path / "runs").exists()


def test_samples_are_for_data_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="--samples is what data"):
        check_command(["my_keras.py", "my_torch.py", "--shape", "x=2,4", "--samples", "2"])


def test_a_folder_that_is_no_recording(tmp_path):
    keras, _, _ = written(tmp_path, DENSE, LINEAR, DATA)
    (tmp_path / "empty").mkdir()
    with pytest.raises(IncomparableError, match="is no recording of --record-side"):
        check_models(keras, tmp_path / "empty", out=tmp_path / "out")


@pytest.mark.parametrize(
    ("dies", "said"),
    [
        ("import os\n    os.kill(os.getpid(), 11)", "the torch worker was killed by SIGSEGV"),
        ("torch.empty(2**55)", "out of memory; close other programs, or ask for less"),
    ],
)
def test_a_process_that_dies_is_a_worker_that_failed(dies, said, tmp_path):
    keras, torch, data = written(tmp_path, DENSE, f"def build():\n    {dies}\n", DATA)
    with pytest.raises(WorkerError, match=said):
        check_models(keras, torch, data=data, out=tmp_path / "out")
