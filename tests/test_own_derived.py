"""Stages whose formula is known have a bound for each element: it holds, and finds what the largest value hides."""

import numpy as np
import pytest
from own_pairs import IMAGES, Fault, Pair

from parity.models.described import Layer
from parity.ports.check import Request, checked
from parity.ports.derived import U, products
from parity.ports.findings import MEASURED

KERAS = """
def build():
    x = inputs = keras.Input((7, 6, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Add()([x, y])
    x = layers.ReLU()(layers.Conv2D(3, 2, dilation_rate=2)(x))
    return keras.Model(inputs, layers.Dense(2)(x))

"""
TORCH = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2)
        self.deep = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm = nn.BatchNorm2d(4, eps=1e-3)
        self.second = nn.Conv2d(4, 3, 2, dilation=2)
        self.dense = nn.Linear(3, 2)

    def forward(self, x):
        x = F.relu(self.first(F.pad(x, (0, 1, 1, 1))))
        y = self.deep(x)
        x = self.norm(x)
        x = x + y
        x = F.relu(self.second(x))
        return self.dense(x.movedim(1, -1)).movedim(-1, 1)

def build():
    return Net()

"""
DATA = "\ndef data(rng, n):\n    return rng.normal(size=(n, 7, 6, 3)).astype('float32')\n"
PAIR = Pair(KERAS, TORCH + IMAGES, DATA, (), loss=("", ""), optimizer=None)


def judged(pair, fault, own_workers, folder):
    paths = pair.write(folder / "pair", fault)
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]))
    return checked(request, own_workers, folder / "out")


def test_known_kinds_have_bounds_of_their_own(own_workers, tmp_path):
    report = judged(PAIR, None, own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    rules = {f.name: f.rule.partition(":")[0] for f in report.findings if f.level == "forward"}
    derived = {name.split(" ~ ")[0] for name, rule in rules.items() if rule == "derived"}
    assert derived == {"conv2d", "conv2d/relu", "batch_normalization", "add", "conv2d_1", "re_lu", "dense"}, rules


SMALL = (
    "def build():\n    return keras.Sequential([keras.Input((3,)), layers.Dense(3), layers.BatchNormalization()])\n",
    "SCALE = [1.0, 1.0, 1.0]\n\n\nclass Dense(nn.Linear):\n    def forward(self, x):\n"
    "        return super().forward(x) * torch.tensor(SCALE)\n\n\n"
    "def build():\n    return nn.Sequential(Dense(3, 3), nn.BatchNorm1d(3, eps=1e-3))\n\n\n"
    "def port(module, weights):\n    kernel, bias, gamma, beta, mean, variance = map(torch.from_numpy, weights)\n"
    "    module[0].weight.data.copy_(kernel.T)\n    module[0].bias.data.copy_(bias)\n"
    "    for name, value in (('weight', gamma), ('bias', beta), ('running_mean', mean), ('running_var', variance)):\n"
    "        getattr(module[1], name).data.copy_(value)\n\n",
    "\ndef data(rng, n):\n    return rng.normal(size=(n, 3))\n",
)


@pytest.mark.parametrize("scale", ["1.0 + 1e-9", "1.0 - 1e-13"])
def test_a_fault_in_a_small_channel_is_found(scale, own_workers, tmp_path):
    """Its values are 1e-9 of the others', so that what the whole tensor's bound allows hides it."""
    keras = SMALL[0].replace("layers.Dense(3)", "layers.Dense(3, kernel_initializer=small, use_bias=False)")
    keras = "def small(shape, dtype=None):\n    return np.ones(shape) * np.array([1.0, 2.0, 1e-9])\n\n\n" + keras
    torch = SMALL[1].replace("Dense(3, 3)", "Dense(3, 3, bias=False)").replace("kernel, bias, gamma", "kernel, gamma")
    torch = torch.replace("    module[0].bias.data.copy_(bias)\n", "")
    pair = Pair(keras, torch, SMALL[2], (), loss=("", ""), optimizer=None)
    fault = Fault("SCALE = [1.0, 1.0, 1.0]", f"SCALE = [1.0, 1.0, {scale}]", "forward", "dense")
    assert judged(pair, None, own_workers, tmp_path / "right").verdict == "parity"
    report = judged(pair, fault, own_workers, tmp_path / "wrong")
    assert report.first_divergence is not None, str(report)
    assert report.first_divergence.name.startswith("dense"), str(report)
    assert report.first_divergence.rule != MEASURED
    assert report.first_divergence.where is not None
    assert report.first_divergence.where.endswith("2]")
    # Less than the last place of the largest value.
    assert report.first_divergence.measured is not None
    assert report.first_divergence.measured < np.finfo(float).eps


@pytest.mark.parametrize(("padding", "strides", "dilation"), [("same", 2, 1), ("valid", 1, 2), ("same", 1, 2)])
def test_products_are_those_of_the_convolution(padding, strides, dilation):
    """Against each element's sum written out."""
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 7, 3)), rng.normal(size=(3, 3, 4))
    settings = {"strides": [strides], "dilation_rate": [dilation], "padding": padding}
    found = products(x, kernel, Layer("conv", "Conv1D", settings, ()))
    assert found is not None
    reach = dilation * 2 + 1
    count = -(-7 // strides) if padding == "same" else (7 - reach) // strides + 1
    before = max((count - 1) * strides + reach - 7, 0) // 2 if padding == "same" else 0
    assert found.shape == (2, count, 4)
    for place in range(count):
        ends = [place * strides + k * dilation - before for k in range(3)]
        terms = [x[:, end] @ kernel[k] for k, end in enumerate(ends) if 0 <= end < 7]
        np.testing.assert_allclose(found[:, place], sum(terms), rtol=0, atol=50 * U * 10)
