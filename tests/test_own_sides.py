"""What each side shows by itself: said of both, and a fault where one side alone does it."""

from dataclasses import replace

import numpy as np
import pytest
from own_pairs import PAIRS, REALS, TARGET, Pair, data

from parity.ports.check import Request, checked
from parity.ports.findings import Finding
from parity.ports.sides import LEVEL, unloaded

NORM = Pair(
    """
    def build():
        model = keras.Sequential([keras.Input((4,)), layers.BatchNormalization(epsilon=1e-5), layers.Dense(1)])
        model.layers[0].moving_mean.assign(np.linspace(-1, 1, 4))
        return model

    def predict(model, x):
        return model(x, training=False)

    """,
    """
    def build():
        return nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))

    def predict(module, x):
        module.eval()
        return module(x)

    """,
    data(REALS.format(4), TARGET),
    (),
    optimizer=None,
)
EVAL = "    module.eval()\n"
LOSS = "    return F.mse_loss(outputs, targets)\n"
ALL = "    return F.mse_loss(outputs, targets[:, 0])\n"
SUM = "    return F.mse_loss(outputs, targets, reduction='sum')\n"
# An edit of one side, the question, and words of the answer.
FAULTS = {
    "train mode": (
        "torch",
        EVAL,
        "",
        "a sample's result in predict()",
        "torch alone: it hangs on the others of its batch",
    ),
    "Keras's": ("keras", "=False", "=True", "a sample's result in predict()", "Keras alone: it hangs on the others"),
    "random": (
        "torch",
        EVAL,
        f"{EVAL}    x = x * torch.rand(4)\n",
        "a second call in predict()",
        "torch alone: it gives",
    ),
    "sum": ("torch", LOSS, SUM, "the loss of a batch", "Keras's is the mean over the samples, torch's the sum"),
    "all pairs": ("torch", LOSS, ALL, "the loss of a batch", "torch's neither"),
    "time first": ("torch", "first=True", "first=False", "a sample's result in eval mode", "that walks over the batch"),
}


def judged(pair, workers, folder, **edits):
    paths = pair.write(folder / "pair")
    for side, (old, new) in edits.items():
        text = paths[side].read_text()
        assert text.count(old) >= 1
        paths[side].write_text(text.replace(old, new))
    sources = str(paths["keras"]), str(paths["torch"])
    return checked(Request(*sources, data=str(paths["data"])), workers, folder / "out")


@pytest.mark.parametrize("name", FAULTS)
def test_what_one_side_alone_does_is_named(name, own_workers, tmp_path):
    side, old, new, question, said = FAULTS[name]
    pair = replace(PAIRS["lstm"], optimizer=None) if name == "time first" else NORM
    report = judged(pair, own_workers, tmp_path, **{side: (old, new)})
    found = {f.name: f for f in report.findings if f.level == LEVEL}
    assert found[question].result == "failed", str(report)
    assert said in found[question].reason
    assert said in str(report)
    assert report.first_divergence is not None
    # Where a level of both sides parts, it is the first divergence; of what is drawn anew no level can tell.
    assert (report.first_divergence.level == LEVEL) == (name == "random")


def test_numbers_drawn_on_both_sides_prove_nothing(own_workers, tmp_path):
    drawn = {
        "keras": ("model(x, t", "model(x * np.random.rand(4), t"),
        "torch": (EVAL, f"{EVAL}    x = x * torch.rand(4)\n"),
    }
    report = judged(NORM, own_workers, tmp_path, **drawn)
    assert report.verdict == "insufficient", str(report)


def test_what_both_sides_do_is_no_fault(own_workers, tmp_path):
    """Their own statistics of the batch in predict(), and sums of a penalty and all samples, are said and legal."""
    edits = {
        "keras": ("training=False", "training=True"),
        "torch": (EVAL, "    module.train()\n"),
    }
    report = judged(NORM, own_workers, tmp_path / "batch", **edits)
    assert report.verdict == "parity", str(report)
    assert "on both sides it hangs on the others of its batch" in str(report)
    sums = (
        "def loss(targets, outputs):\n    return tf.reduce_sum((targets - outputs) ** 2) + 3.0\n",
        "def loss(outputs, targets):\n    return F.mse_loss(outputs, targets, reduction='sum') + 3\n",
    )
    report = judged(replace(NORM, loss=sums), own_workers, tmp_path / "sums")
    assert report.verdict == "parity", str(report)
    assert any(f.name == "the loss of a batch" and "the sum over" in f.reason for f in report.findings)


PORT = "def port(module, weights):\n    {}\n\n"


def test_a_port_that_leaves_weights_as_they_were_built(own_workers, tmp_path):
    """One of them, or all: it is said of weights that are not the other side's alone."""
    pair = replace(PAIRS["rounding"], optimizer=None)
    weight = "module.weight.data.copy_(torch.from_numpy(weights[0].T))"
    edit = ("def build", PORT.format(weight) + "def build")
    report = judged(pair, own_workers, tmp_path / "one", torch=edit)
    assert "port() leaves bias as it was built" in str(report)
    assert not any("changes no weight" in note for note in report.notes)
    report = judged(
        pair, own_workers, tmp_path / "none", torch=("def build", PORT.format("module = build()") + "def build")
    )
    assert any("port() changes no weight" in note for note in report.notes)


def test_a_weight_that_is_one_number_everywhere():
    finding = Finding("weights", "kernel ~ weight", "failed", "differs", "kernel", "weight")
    start = {"weight": np.zeros((3, 2))}
    assert unloaded(finding, (), start).reason == "differs; weight is 0 everywhere"
    assert unloaded(replace(finding, result="passed"), (), start).reason == "differs"
    assert unloaded(finding, (), {"weight": np.eye(2)}).reason == "differs"
