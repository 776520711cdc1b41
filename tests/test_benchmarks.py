"""The commands that make the project's figures run, in a reduced form."""

import subprocess
import sys
from pathlib import Path

import pytest

from parity.bounds.rows import ALLOWED

ROOT = Path(__file__).parents[1]


@pytest.mark.ci
def test_lockstep():
    """The rows that softmax regression reaches, each within its bound and not far below it."""
    command = [sys.executable, "-m", "benchmarks.lockstep", "--seeds", "1", "--steps", "20", "mnist_softmax"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "%" in line]
    shares = {row[0]: int(row[-1].removesuffix("%")) for row in rows if len(row) == 6}
    assert set(shares) == {
        "product", "sum", "softmax_cross_entropy", "softmax_cross_entropy gradient", "adam slots", "adam weights",
    }  # fmt: skip
    assert all(1 <= share <= 100 for share in shares.values())


@pytest.mark.ci
def test_coverage():
    """One run of each table, all in parity."""
    command = [sys.executable, "-m", "benchmarks.coverage", "--reduced"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "| zeros, Keras's way |" in done.stdout
    assert "0 runs without parity" in done.stdout


def test_the_table_of_the_documentation_has_every_row():
    """Each row of parity/bounds/stages.py that allows anything, with what is allowed now."""
    lines = (ROOT / "docs" / "lockstep.md").read_text().splitlines()
    shown = {cells[1].strip(): cells[2].strip() for cells in (line.split("|") for line in lines) if len(cells) == 8}
    for kind, allowed in ALLOWED.items():
        if any(allowed.values()):
            assert shown[kind] == f"{allowed['tf']:g} and {allowed['torch']:g}"


@pytest.mark.ci
def test_a_step_is_timed_on_every_device():
    command = [sys.executable, "-m", "benchmarks.gpu", "mnist_softmax"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]
    assert rows[0][:2] == ["mnist_softmax", "cpu"]
    assert all(float(time) > 0 for row in rows for time in row[2:4])
    # Only a GPU has launches.
    assert all((row[4] == "-") == (row[1] == "cpu") for row in rows)
