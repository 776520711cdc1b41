"""Attention whose queries, keys and values torch has in one layer, as timm and nanoGPT do."""

import pytest
from own_pairs import Fault, Pair

from parity.ports.check import Request, checked

HEADS = """
def build():
    x = inputs = keras.Input((5, 8))
    x = x + layers.MultiHeadAttention(2, 4)(x, x)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    x = x + layers.MultiHeadAttention(2, 4)(x, x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(3)(x))

"""
THREE = """
class Attention(layers.Layer):
    def __init__(self):
        super().__init__()
        self.k, self.v, self.q, self.out = (layers.Dense(8) for _ in range(4))

    def call(self, x):
        def split(y):
            return keras.ops.transpose(keras.ops.reshape(y, (-1, 5, 2, 4)), (0, 2, 1, 3))

        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        s = keras.ops.softmax(q @ keras.ops.transpose(k, (0, 1, 3, 2)) / 2.0)
        return self.out(keras.ops.reshape(keras.ops.transpose(s @ v, (0, 2, 1, 3)), (-1, 5, 8)))

def build():
    x = inputs = keras.Input((5, 8))
    x = x + Attention()(x)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    x = x + Attention()(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(3)(x))

"""
STACKED = """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.{name} = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = {parts}
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(n, t, d))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = Attention(), Attention()
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.norm(x + self.one(x))
        x = x + self.two(x)
        return self.head(x.mean(1))

def build():
    return Net()

"""
TORCH = {
    "qkv": "self.qkv(x).reshape(n, t, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)",
    "c_attn": "(a.view(n, t, 2, 4).transpose(1, 2) for a in self.c_attn(x).split(d, dim=2))",
}
DATA = "\ndef data(rng, n):\n    return rng.normal(size=(n, 5, 8)), rng.normal(size=(n, 3))\n"
FAULTS = (
    Fault("q, k, v =", "k, q, v =", "forward", " ~ one.proj"),
    Fault("attention(q, k, v)", "attention(q, k, v * (1 + 1e-9))", "forward", " ~ one.proj"),
    Fault("nn.Linear(8, 24)", "nn.Linear(8, 24, bias=False)", "optimizer step", "bias"),
)


def report_on(pair, fault, own_workers, folder):
    paths = pair.write(folder / "pair", fault)
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]))
    return checked(request, own_workers, folder / "out")


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("keras", [HEADS, pytest.param(THREE, marks=pytest.mark.ci)], ids=["heads", "three"])
def test_thirds_of_one_layer_are_three_layers(keras, name, own_workers, tmp_path):
    pair = Pair(keras, STACKED.format(name=name, parts=TORCH[name]), DATA, FAULTS)
    report = report_on(pair, None, own_workers, tmp_path / "right")
    assert report.verdict == "parity", str(report)
    parts = [p.parts[1] for p in report.pairing.pairs if p.torch == f"one.{name}"]
    assert sorted(parts) == ["key", "query", "value"]
    # The map that is written gives the same pairs again.
    paths = pair.write(tmp_path / "again")
    given = tmp_path / "right" / "out" / "map.toml"
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]), map=given, steps=0)
    again = checked(request, own_workers, tmp_path / "mapped")
    assert again.verdict == "parity", str(again)
    assert {p.rule for p in again.pairing.pairs if p.torch == f"one.{name}"} == {"map"}


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.ci) for n in (1, 2))])
@pytest.mark.parametrize("keras", [HEADS, pytest.param(THREE, marks=pytest.mark.ci)], ids=["heads", "three"])
def test_a_fault_around_the_thirds_is_found(keras, number, own_workers, tmp_path):
    pair = Pair(keras, STACKED.format(name="qkv", parts=TORCH["qkv"]), DATA, FAULTS)
    report = report_on(pair, FAULTS[number], own_workers, tmp_path)
    assert report.first_divergence is not None
    assert report.first_divergence.level == FAULTS[number].level, str(report)
    assert FAULTS[number].stage in report.first_divergence.name, str(report)
    if FAULTS[number].level == "optimizer step":
        (cause,) = report.causes
        assert cause.name == "weight_on_one_side"
        assert "query/bias" in cause.says or "dense_2/bias" in cause.says
    assert len(str(report).splitlines()) < 15
