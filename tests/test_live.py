"""Live models, as in a notebook: held against each other in this process, and left as they were."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from own_pairs import PAIRS

from parity.errors import UsageError
from parity.ports import live

# A notebook's cells. What is global is looked at before and after, and so are the models.
CELLS = """
import random, sys
import triton
import numpy as np, keras, tensorflow as tf, torch
from torch import nn
import parity

SEED
torch.manual_seed(5)
model = keras.Sequential([
    keras.Input((6, 5, 3)), keras.layers.Conv2D(4, 3, padding="same"), keras.layers.BatchNormalization(),
    keras.layers.ReLU(), keras.layers.Dropout(0.5), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2),
])

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, eps=EPS)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))

module = Net()

def state():
    found = [w.tobytes() for w in model.get_weights()] + [w.numpy().tobytes() for w in module.state_dict().values()]
    found += [keras.config.floatx(), keras.config.dtype_policy().name, torch.get_default_dtype(), model.layers[3].rate]
    found += [tf.config.functions_run_eagerly(), torch.are_deterministic_algorithms_enabled(), module.training]
    return [*found, random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()]

before = state()
report = parity.check_models(
    keras={"build": model, "loss": lambda y, out: keras.losses.MeanSquaredError()(y, out)},
    torch={
        "build": module, "inputs": lambda x: torch.from_numpy(x).permute(0, 3, 1, 2),
        "loss": lambda out, y: nn.functional.mse_loss(out, y),
    },
    data=lambda rng, n: (rng.normal(size=(n, 6, 5, 3)), rng.normal(size=(n, 2))),
    out="report",
)
assert state() == before
name = keras.layers.Dense(1).name
print(report)
print(name)
"""


@pytest.mark.parametrize(
    ("eps", "verdict"),
    [pytest.param("1e-3", "parity", marks=pytest.mark.slow), pytest.param("1e-5", "mismatch", marks=pytest.mark.ci)],
)
def test_live_models_are_held_against_each_other_and_left_alone(eps, verdict, tmp_path):
    # Once in a process where nobody has set TensorFlow's seed.
    code = CELLS.replace("EPS", eps).replace("SEED", "keras.utils.set_random_seed(5)" if verdict == "parity" else "")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"verdict: {verdict}\n" in done.stdout
    assert "  weaker than files: live models run in this process" in done.stdout
    # The first two are the model's; a session that was cleared would begin with dense again.
    assert done.stdout.splitlines()[-1] == "dense_1"
    found = json.loads((tmp_path / "report" / "verdict.json").read_text())
    levels = {f["level"] for f in found["findings"] if f["result"] == "passed"}
    assert levels >= {"inputs", "weights"}
    if verdict == "parity":
        assert levels >= {"forward", "loss", "backward"}
    else:
        assert "batch_normalization ~ norm" in found["first_divergence"]["name"]


def test_what_would_crash_this_process_is_refused(monkeypatch):
    """TensorFlow before triton, of the versions that do not go together."""
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    monkeypatch.setattr(live, "find_spec", lambda name: name)
    versions = {"tensorflow": "2.21.0", "triton": "3.8.0"}
    monkeypatch.setattr(live, "version", versions.__getitem__)
    with pytest.raises(UsageError, match=r"tensorflow#124205\). Import triton before TensorFlow"):
        live.require_one_process()
    versions["triton"] = "3.6.1"
    live.require_one_process()
    versions.update(triton="3.8.0", tensorflow="2.22.0")
    live.require_one_process()
    monkeypatch.setitem(sys.modules, "triton", object())
    versions["tensorflow"] = "2.21.0"
    live.require_one_process()


def test_what_is_live():
    assert not any(map(live.is_live, ("a.py", PAIRS["rounding"].write, replace)))
    assert all(map(live.is_live, (object(), {"build": replace})))
    with pytest.raises(UsageError, match=r"or a dict with build and any of .*; not \['optimiser'\]"):
        live.InProcess("torch", {"build": object(), "optimiser": replace}, None)
