"""Weights that are moved become the other side's own files: what stock loaders make of them, and when none is there."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from own_pairs import PAIRS

from benchmarks.user_pairs import KERAS, TORCH
from parity.check import requested
from parity.errors import UsageError
from parity.ports import saving
from parity.ports.check import Request, checked

# Convolution, batch norm, embedding, attention and LSTM; the weights are drawn, so that a build() in any process and
# precision has the same.
KERAS_NET = """
def build():
    image, tokens = keras.Input((6, 5, 3), name="image"), keras.Input((4,), dtype="int32", name="tokens")
    a = layers.BatchNormalization(epsilon=1e-5)(layers.Conv2D(4, 3)(image))
    a = layers.GlobalAveragePooling2D()(a)
    b = layers.Embedding(7, 6)(tokens)
    b = layers.MultiHeadAttention(2, 3)(b, b)
    b = layers.LSTM(5)(b)
    model = keras.Model({"image": image, "tokens": tokens}, layers.Dense(2)(layers.Concatenate()([a, b])))
    rng = np.random.default_rng(3)
    model.set_weights([np.abs(rng.normal(0, 0.4, w.shape)) + 0.01 for w in model.get_weights()])
    return model
"""
TORCH_NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.embed = nn.Embedding(7, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.lstm = nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(9, 2)

    def forward(self, image, tokens):
        a = self.norm(self.conv(image)).mean((2, 3))
        b = self.embed(tokens)
        b, _ = self.attention(b, b, b, need_weights=False)
        return self.head(torch.cat([a, self.lstm(b)[0][:, -1]], 1))

def build():
    return Net()

def inputs(x):
    return {"image": torch.from_numpy(x["image"]).permute(0, 3, 1, 2), "tokens": torch.from_numpy(x["tokens"]).long()}
"""
DATA = """
STEPS = 0

def data(rng, n):
    return {"image": rng.normal(size=(n, 6, 5, 3)).astype("f4"), "tokens": rng.integers(0, 7, (n, 4)).astype("i4")}
"""
# What a user writes who has the files.
IN_KERAS = """
import sys, numpy as np
sys.path.insert(0, ".")
import my_keras
x = dict(np.load("x.npz"))
model = my_keras.build()
if len(sys.argv) > 1:
    model.set_weights([0 * w for w in model.get_weights()])
    model.load_weights(sys.argv[1])
np.savez("keras.npz", y=model(x, training=False), **{str(i): w for i, w in enumerate(model.get_weights())})
"""
IN_TORCH = """
import sys, numpy as np, torch
sys.path.insert(0, ".")
import my_torch
from safetensors.torch import load_file
model = my_torch.build()
model.load_state_dict(load_file(sys.argv[1]), strict=True)
model.eval()
with torch.no_grad():
    np.savez("torch.npz", y=model(**my_torch.inputs(dict(np.load("x.npz")))))
"""


@pytest.fixture
def pair(tmp_path):
    """A folder with both sides and inputs for them."""
    for name, text in (("keras", KERAS + KERAS_NET), ("torch", TORCH + TORCH_NET)):
        (tmp_path / f"my_{name}.py").write_text(text)
    (tmp_path / "data.py").write_text(DATA)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", image=rng.normal(size=(3, 6, 5, 3)).astype("f4"), tokens=rng.integers(0, 7, (3, 4)))
    return tmp_path


def plain(folder, code, *arguments):
    """Run it in a process that has nothing of this project, and load what it saved."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / ("torch.npz" if "import my_torch" in code else "keras.npz")))


def request(folder, **settings):
    sides = str(folder / "my_keras.py"), str(folder / "my_torch.py")
    return Request(*sides, data=str(folder / "data.py"), **settings)


@pytest.mark.slow
def test_both_directions_through_stock_loaders(pair, own_workers):
    file = pair / "port.safetensors"
    report = checked(request(pair, save_weights=file), own_workers, pair / "out")
    assert report.verdict == "parity", str(report)
    assert f"{file} written" in str(report)
    ours = plain(pair, IN_KERAS)
    np.testing.assert_allclose(plain(pair, IN_TORCH, "port.safetensors")["y"], ours["y"], rtol=1e-5, atol=1e-6)
    with safetensors.safe_open(file, "np") as written:
        said = json.loads(written.metadata()["parity"])
    assert (said["verdict"], said["moved_from"]) == ("parity", "keras")
    assert said["levels"]["weights"] == {"passed": sum(f.level == "weights" for f in report.findings)}
    assert said["sha256"]["weights"] == saving.digest(safetensors.numpy.load_file(file))
    # And back: torch's module is now what that file says.
    text = (pair / "my_torch.py").read_text()
    loading = "def build():\n    from safetensors.torch import load_file\n    net = Net()\n"
    loading += f"    net.load_state_dict(load_file({str(file)!r}))\n    return net\n"
    (pair / "my_torch.py").write_text(text.replace("def build():\n    return Net()\n", loading))
    back = pair / "back.weights.h5"
    report = checked(request(pair, save_weights=back), own_workers, pair / "again")
    assert report.verdict == "parity", str(report)
    theirs = plain(pair, IN_KERAS, "back.weights.h5")
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    # Of the very checkpoints, which now somebody else has converted.
    assert checked(request(pair, weights="as-is"), own_workers, pair / "as-is").verdict == "parity"


PORT = """
def port(module, weights):
    kernel, bias = map(torch.from_numpy, weights)
    module.weight.data.copy_(kernel.T)
    module.bias.data.copy_(bias)
"""


@pytest.mark.parametrize(("old", "new", "written"), [("", "", True), ("copy_(bias)", "copy_(2 * bias)", False)])
def test_only_what_is_proven_is_written(old, new, written, own_workers, tmp_path):
    """By the user's own port, which is right or forgets a factor."""
    paths = PAIRS["rounding"].write(tmp_path / "pair")
    paths["torch"].write_text(paths["torch"].read_text() + PORT.replace(old, new))
    paths["keras"].write_text(paths["keras"].read_text().replace("Dense(1)", "Dense(1, bias_initializer='ones')"))
    file = tmp_path / "port.safetensors"
    sides = str(paths["keras"]), str(paths["torch"])
    report = checked(Request(*sides, data=str(paths["data"]), save_weights=file), own_workers, tmp_path / "out")
    assert file.exists() == written, str(report)
    if written:
        assert safetensors.numpy.load_file(file)["bias"].tolist() == [1]
    else:
        assert f"{file} not written: sequential/dense/bias ~ bias: " in str(report)


def test_a_recording_saves_nothing(tmp_path):
    (tmp_path / "my_torch.py").touch()
    (tmp_path / "recorded").mkdir()
    with pytest.raises(UsageError, match="that side is a recording"):
        requested(tmp_path / "recorded", tmp_path / "my_torch.py", save_weights=tmp_path / "a.weights.h5")


@pytest.mark.parametrize(
    ("name", "weights", "said"),
    [
        ("weights.pt", None, "ends in neither"),
        ("a.safetensors", "as-is", "nothing is moved"),
        ("a.safetensors", "torch", "let the file end in .weights.h5"),
        ("a.weights.h5", "port", "let the file end in .safetensors"),
        ("no/a.safetensors", None, "there is no folder"),
    ],
)
def test_what_cannot_be_written(name, weights, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        saving.require(tmp_path / name, weights)


# What has trained: Keras's model has its optimizer of compile(), torch's module keeps its own beside itself.
TRAINED = (
    """
def build():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(1)])
    if {keras}:
        rng = np.random.default_rng(7)
        model.set_weights([rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
        model.compile(optimizer=optimizer(), loss="mse")
        for number in range(3):
            x = np.random.default_rng(number).normal(size=(8, 4))
            model.train_on_batch(x, x[:, :1])
    return model

def optimizer():
    return keras.optimizers.{0}

""",
    """
def build():
    module = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
    if not {keras}:
        rng = np.random.default_rng(7)
        for weight in module.parameters():
            weight.data.copy_(torch.from_numpy(rng.normal(0, 0.5, tuple(weight.shape))))
        module.optimizer = optimizer(module.parameters())
        for number in range(3):
            x = torch.from_numpy(np.random.default_rng(number).normal(size=(8, 4))).to(module[0].weight.dtype)
            train(module, module.optimizer, x)
    return module

def train(module, updater, x):
    updater.zero_grad()
    F.mse_loss(module(x), x[:, :1]).backward()
    updater.step()

def optimizer(p):
    return torch.optim.{1}

""",
)
# One more step on either side, from what its own loaders read.
STEP_KERAS = """
import sys, numpy as np
sys.path.insert(0, ".")
import my_keras
model = my_keras.build()
if len(sys.argv) > 1:
    model.compile(optimizer=my_keras.optimizer(), loss="mse")
    model.optimizer.build(model.trainable_variables)
    model.load_weights(sys.argv[1])
    assert int(model.optimizer.iterations) == 1  # SGD in torch keeps no count
x = np.random.default_rng(9).normal(size=(8, 4)).astype("f4")
model.train_on_batch(x, x[:, :1])
np.savez("keras.npz", *[w.T for w in model.get_weights()])
"""
STEP_TORCH = """
import sys, numpy as np, torch
sys.path.insert(0, ".")
import my_torch
from safetensors.torch import load_file
module = my_torch.build()
updater = getattr(module, "optimizer", None)
if updater is None:
    module.load_state_dict(load_file(sys.argv[1]), strict=True)
    updater = my_torch.optimizer(module.parameters())
    updater.load_state_dict(torch.load(sys.argv[2], weights_only=True))
my_torch.train(module, updater, torch.from_numpy(np.random.default_rng(9).normal(size=(8, 4)).astype("f4")))
np.savez("torch.npz", *[w.detach().numpy() for w in module.parameters()])
"""


@pytest.mark.ci
@pytest.mark.parametrize(
    ("source", "optimizers"),
    [
        ("keras", ("Adam(0.01, epsilon=0)", "Adam(p, 0.01, eps=0)")),
        ("torch", ("SGD(0.1, momentum=0.9)", "SGD(p, 0.1, momentum=0.9)")),
    ],
)
def test_training_goes_on_in_the_other_framework(source, optimizers, own_workers, tmp_path):
    """With what the optimizer keeps, to the weights after the next step."""
    texts = [text.replace("{keras}", str(source == "keras")) for text in TRAINED]
    texts = [text.replace(f"{{{i}}}", optimizers[i]) for i, text in enumerate(texts)]
    paths = replace(PAIRS["rounding"], keras=texts[0], torch=texts[1], optimizer=None).write(tmp_path)
    paths["data"].write_text(paths["data"].read_text().replace("STEPS = 0", "STEPS = 2"))
    file = tmp_path / ("port.safetensors" if source == "keras" else "port.weights.h5")
    report = checked(request(tmp_path, save_weights=file), own_workers, tmp_path / "out")
    assert report.verdict == "parity", str(report)
    assert ("momentum; load" if source == "torch" else "exp_avg, exp_avg_sq after 3 steps; load") in str(report)
    arguments = [file.name, "port.optimizer.pt"] if source == "keras" else [file.name]
    steps = [(STEP_KERAS, arguments if source == "torch" else []), (STEP_TORCH, arguments if source == "keras" else [])]
    ours, theirs = (plain(tmp_path, code, *given) for code, given in steps)
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol=2e-5, atol=2e-7)
