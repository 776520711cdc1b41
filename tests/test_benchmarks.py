"""The commands that make the project's figures run, in a reduced form."""

import subprocess
import sys
from pathlib import Path

from parity.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[1]


def test_start_step():
    """One row of the README's table: every tensor passes, and the largest difference is rounding."""
    command = [sys.executable, "-m", "benchmarks.start_step", "--seeds", "1", "mnist_softmax"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    row = [cell.strip() for cell in done.stdout.splitlines()[2].strip("|").split("|")]
    assert row[0] == "`mnist_softmax`"
    assert 0 < float(row[1]) < 1e-12
    assert all(0 < float(share.removesuffix(" %")) < 100 for share in row[3:5])
    assert row[5:] == ["20", "0", "0"]


def test_the_readme_shows_a_row_for_each_experiment():
    table = [line for line in (ROOT / "README.md").read_text().splitlines() if line.count("|") == 9]
    assert [line.split("`")[1] for line in table if "`" in line] == list(EXPERIMENTS)
