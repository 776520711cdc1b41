"""The published figures beside ours: reproduced on all of MNIST, and marked where they lie outside."""

import re

import numpy as np
import pytest
from commands import run

from parity import published
from parity.data import digits
from parity.published import ACCURACY, FIRST_COST, LAST_COST, Found

# What both frameworks must reach from seed 0. The deep nets' accuracy moves from run to run: in docs/published.md the
# median of five seeds of mnist_deep_relu is above 98 % in both, and single runs have 97.7 to 98.3 %.
EXPECTED = {
    "mnist_softmax": {"cost of the last epoch": (0.38, 0.42), "accuracy on the test set": (0.88, 0.91)},
    "mnist_relu": {"accuracy on the test set": (0.94, 0.955)},
    "mnist_deep_relu": {"accuracy on the test set": (0.979, 1)},
    "mnist_deep_sigmoid": {"accuracy on the test set": (0.973, 1)},
}


def printed(name, data, folder):
    """The page of one seed of a system, its rows by their titles."""
    done = run("parity.published", name, "--seeds", 1, "--data", data, "--out", "page.md", folder=folder, timeout=1200)
    assert done.returncode == 0, done.stderr[-2000:]
    *said, ended = done.stdout.splitlines()
    assert ended == f"{name}, seed 0: {{'parity': 1}}"
    assert [line.partition(" (")[0] for line in said] == [
        f"training on {data}, which is not MNIST as published" for _ in range(data == digits.EMBEDDED)
    ]
    page = (folder / "page.md").read_text()
    return page, {cells[1]: cells for line in page.splitlines() if len(cells := line.strip("| ").split(" | ")) == 5}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_the_published_figures_are_reproduced(name, mnist_folder, tmp_path):
    """At the published settings, in both frameworks, which have parity."""
    _, rows = printed(name, mnist_folder, tmp_path)
    for title, (low, high) in EXPECTED[name].items():
        _, _, _, *ours = rows[title]
        assert len(ours) == 2
        assert all(low <= float(value) <= high for value in ours), rows[title]


@pytest.mark.ci
def test_the_page(tmp_path):
    """On the embedded digits, which are a folder like any other."""
    page, rows = printed("mnist_softmax", digits.EMBEDDED, tmp_path)
    assert "of one seed" in page
    assert f"the networks on digits on {digits.EMBEDDED}, which is not MNIST as published (" in page
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert "![Accuracy after each epoch of every run, and as published](page.png)" in page
    assert set(rows) == {"cost of epoch 1", "cost of the last epoch", "accuracy on the test set"}
    assert rows["accuracy on the test set"][2] == "0.8902"


def found(costs, accuracies):
    """Of one system, with a seed for each of these, the same in both frameworks."""
    made = Found()
    for cost, accuracy in zip(costs, accuracies, strict=True):
        for traces in made.traces.values():
            traces.append({"epoch_cost": np.array([5.0, cost]), "accuracy": np.array([0.5, accuracy])})
        made.verdicts["parity"] += 1
    return made


def test_what_lies_outside_is_marked(monkeypatch):
    monkeypatch.setitem(published.PUBLISHED, "system", {LAST_COST: (0.4, 0.45), ACCURACY: (0.9,), FIRST_COST: (5.0,)})
    table = published.table({"system": found([0.41, 0.46], [0.8, 0.95])})
    assert (
        "| `system` | cost of the last epoch | 0.4 (outside), 0.45 | 0.435 (0.41 to 0.46) | 0.435 (0.41 to 0.46) |"
        in table
    )
    assert "| `system` | accuracy on the test set | 0.9 | 0.875 (0.8 to 0.95) | 0.875 (0.8 to 0.95) |" in table
    assert "| `system` | cost of epoch 1 | 5 | 5 | 5 |" in table
    assert table.endswith("\nVerdicts on the pairs of runs: 2 parity.\n")
    # One run has no range that anything could be outside of.
    assert "outside" not in published.table({"system": found([0.41], [0.8])})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mnist_rel"], "unknown published system 'mnist_rel'; did you mean mnist_relu?"),
        (["--data", "embedded"], "the published figures are of all of MNIST: --data mnist, or a folder with its files"),
        (["--seeds", "0"], "argument --seeds: must be at least 1, not 0"),
        (["mnist_relu", "--data-dir", "empty"], "MNIST is not in empty, and "),
    ],
)
def test_bad_requests(arguments, message, tmp_path, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    done = run("parity.published", *arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.match(re.escape(f"error: {message}"), done.stderr), done.stderr
    assert done.stderr.count("\n") == 1
