"""Honest pairs with layers that are made of others, or that a framework lacks in float64: each is one computation."""

import pytest
from own_pairs import REALS, TARGET, Pair, data

from parity.ports.check import Request, checked

STEPS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.lstm, self.fc = nn.Conv2d(1, 3, 3), nn.LSTM(48, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        n, t = x.shape[:2]
        x = F.relu(self.conv(x.flatten(0, 1).permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        return self.fc(self.lstm(x.reshape(n, t, -1))[0])


def build():
    return Net()

"""
SERIES = data("rng.normal(size=(n, 5, 6, 6, 1))", "rng.normal(size=(n, 5, 1))")
GATED = (
    """
def build():
    x = inputs = keras.Input((9, 3))
    x = layers.Conv1D(4, 1)(x)
    for d in (1, 2):
        h = layers.Conv1D(4, 2, dilation_rate=d, padding="causal", activation="tanh")(x)
        g = layers.Conv1D(4, 2, dilation_rate=d, padding="causal", activation="sigmoid")(x)
        x = layers.Add()([x, layers.Conv1D(4, 1)(layers.Multiply()([h, g]))])
    return keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))

""",
    """
class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.d, self.out = d, nn.Conv1d(4, 4, 1)
        self.gate, self.filter = nn.Conv1d(4, 4, 2, dilation=d), nn.Conv1d(4, 4, 2, dilation=d)

    def forward(self, x):
        p = F.pad(x, (self.d, 0))
        return x + self.out(torch.sigmoid(self.gate(p)) * torch.tanh(self.filter(p)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Conv1d(3, 4, 1), nn.Linear(4, 1)
        self.blocks = nn.Sequential(Block(1), Block(2))

    def forward(self, x):
        return self.head(self.blocks(self.first(x)).mean(2))


def build():
    return Net()


def inputs(x):
    return torch.as_tensor(x).permute(0, 2, 1)

""",
)
PAIRS = {
    "gates beside filters": Pair(
        *GATED,
        data(REALS.format("9, 3"), TARGET),
        (),
    ),
    "each layer at each step": Pair(
        """
def build():
    return keras.Sequential([
        keras.Input((5, 6, 6, 1)), layers.TimeDistributed(layers.Conv2D(3, 3, activation="relu")),
        layers.TimeDistributed(layers.Flatten()), layers.LSTM(4, return_sequences=True),
        layers.TimeDistributed(layers.Dense(1)),
    ])

""",
        STEPS,
        SERIES,
        (),
    ),
    "a model at each step": Pair(
        """
def build():
    each = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(3, 3, activation="relu"), layers.Flatten()])
    return keras.Sequential([
        keras.Input((5, 6, 6, 1)), layers.TimeDistributed(each), layers.LSTM(4, return_sequences=True), layers.Dense(1),
    ])

""",
        STEPS,
        SERIES,
        (),
    ),
    "pooling over three axes": Pair(
        """
def build():
    return keras.Sequential([
        keras.Input((6, 8, 8, 2)), layers.Conv3D(3, (2, 3, 3), strides=(1, 2, 2)), layers.MaxPooling3D((2, 1, 1), 1),
        layers.AveragePooling3D(2, (1, 1, 1), padding="same"), layers.GlobalAveragePooling3D(), layers.Dense(1),
    ])

""",
        """
def build():
    return nn.Sequential(
        nn.Conv3d(2, 3, (2, 3, 3), (1, 2, 2)), nn.MaxPool3d((2, 1, 1), 1), nn.ReplicationPad3d((0, 1, 0, 1, 0, 1)),
        nn.AvgPool3d(2, 1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(3, 1),
    )


def inputs(x):
    return torch.from_numpy(x).permute(0, 4, 1, 2, 3)

""",
        data("rng.normal(size=(n, 6, 8, 8, 2))", TARGET),
        (),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_an_honest_pair_is_parity(name, own_workers, tmp_path):
    paths = PAIRS[name].write(tmp_path / "pair")
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]))
    report = checked(request, own_workers, tmp_path / "out")
    assert report.verdict == "parity", str(report)
    assert any(finding.level == "weights" and "conv" in finding.name for finding in report.findings)
