"""Weights that two layers share, as an embedding and the layer of the results do: on both sides, or on one alone."""

import pytest
from own_pairs import Fault, Pair

from parity.ports.check import Request, checked

CALLED = """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(11, 5)
        self.hidden = layers.Dense(5, activation="tanh")

    def call(self, x):
        return keras.ops.matmul(self.hidden(self.embed(x)), keras.ops.transpose(self.embed.embeddings))

def build():
    return Net()

"""
REVERSIBLE = """
def build():
    x = inputs = keras.Input((6,), dtype="int32")
    table = layers.ReversibleEmbedding(11, 5)
    x = layers.Dense(5, activation="tanh")(table(x))
    return keras.Model(inputs, table(x, reverse=True))

"""
SEPARATE = """
def build():
    x = inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(11, 5)(x)
    x = layers.Dense(5, activation="tanh")(x)
    return keras.Model(inputs, layers.Dense(11, use_bias=False, name="head")(x))

"""
TIED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.hidden = nn.Linear(5, 5)
        self.head = nn.Linear(5, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(torch.tanh(self.hidden(self.embed(x))))

def build():
    return Net()

"""
UNTIED = TIED.replace("        self.head.weight = self.embed.weight\n", "")
DATA = "\ndef data(rng, n):\n    return rng.integers(0, 11, size=(n, 6)), rng.integers(0, 11, size=(n, 6))\n"
LOSS = (
    "def loss(targets, outputs):\n"
    "    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(targets, outputs)\n",
    "def loss(outputs, targets):\n    return F.cross_entropy(outputs.movedim(-1, 1), targets)\n",
)


def report_on(keras, torch, own_workers, folder, fault=None):
    paths = Pair(keras, torch, DATA, (), LOSS).write(folder / "pair", fault)
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]))
    return checked(request, own_workers, folder / "out")


@pytest.mark.parametrize(("keras", "where"), [(CALLED, "output"), (REVERSIBLE, " ~ head")], ids=["call", "layer"])
def test_weights_shared_on_both_sides(keras, where, own_workers, tmp_path):
    """Trained, too: the gradient is the sum of both uses."""
    report = report_on(keras, TIED, own_workers, tmp_path / "right")
    assert report.verdict == "parity", str(report)
    assert any("embeddings" in f.name and f.level == "backward" for f in report.findings)
    fault = Fault("self.head(torch", "self.head((1 + 1e-9) * torch", "forward", where)
    report = report_on(keras, TIED, own_workers, tmp_path / "wrong", fault)
    assert report.first_divergence is not None
    assert (report.first_divergence.level, where in report.first_divergence.name) == ("forward", True), str(report)


@pytest.mark.parametrize(("keras", "torch"), [(REVERSIBLE, UNTIED), (SEPARATE, TIED)], ids=["keras", "torch"])
def test_weights_shared_on_one_side_alone(keras, torch, own_workers, tmp_path):
    """The layer that has weights of its own is named, in one line, and is where the two part."""
    report = report_on(keras, torch, own_workers, tmp_path)
    assert report.first_divergence is not None
    assert report.first_divergence.name.endswith(" ~ head"), str(report)
    said = [message for message in report.pairing.messages if '"head"' in message]
    assert len(said) == 1
    assert "\n" not in said[0]
    assert "has no partner" in said[0]
