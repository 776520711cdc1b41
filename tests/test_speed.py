"""benchmarks.speed: ratios of medians, programs by hand that run, and failures that are told."""

import subprocess
import sys

import pytest

from benchmarks import speed
from parity.data.digits import EMBEDDED

TIMES = {
    ("mnist_relu", "both by hand, at once"): [10.0, 9.0, 30.0],
    ("mnist_relu", "parity.run: quick verdict"): [8.0, 7.0, 9.0],
    ("mnist_relu", "parity.run: full verdict"): [21.0, 20.0, 20.0],
    ("mnist_relu", "older: full verdict"): [40.0, 41.0, 39.0],
    ("xor_tanh", "parity.run: quick verdict"): [1.0, 1.0, 9.0],
    ("xor_tanh", "older: quick verdict"): [4.0, 4.0, 4.0],
}
PARTS = {
    label: [{"prepare": 1.0, "train": 4.0, "replay": 3.0, "twins": twins, "memory": 0.5, "steps": 80, "products": x}]
    for label, twins, x in (("Keras", 4.0, 0.04), ("torch", 8.0, 0.02))
}


def test_goals_are_held_against_ratios_of_medians():
    found = {target.name: target for target in speed.targets(TIMES, PARTS, "older")}
    ratios = {name: target.ratio for name, target in found.items()}
    assert ratios["quick verdict, against both programs by hand"] == 0.8
    assert ratios["full verdict, against both by hand"] == 2.0
    assert ratios["mnist_relu, full verdict, against older"] == 0.5
    assert ratios["xor_tanh, quick verdict, against older"] == 0.25
    assert ratios["torch's three twins, against one training"] == 2.0
    # 4 s for eighty steps.
    assert ratios["Keras's training, against its matrix products alone"] == pytest.approx(4 / (80 * 0.04))
    tables = "\n".join(speed.tables(TIMES, PARTS, "older"))
    assert "| full verdict, against both by hand | 2.00 | 1.6 | no |" in tables
    assert "| mnist_relu | both by hand, at once | 10.00 | 9.00 | 30.00 |" in tables


def test_a_program_that_fails_is_told(tmp_path):
    work = speed.Work("broken", "x", [[sys.executable, "-c", "raise SystemExit('no such luck')"]], tmp_path)
    with pytest.raises(RuntimeError, match="broken ended in 1: no such luck"):
        speed.seconds(work)


def test_what_is_asked_for_must_be_there(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--mnist", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "name the folder of MNIST's four files" in done.stderr


@pytest.mark.slow
def test_programs_by_hand_learn(tmp_path):
    """Programs that users write must be what they are said to be: after five epochs most digits are told apart, and
    XOR's cost, from the same weights (they are seeded), falls with the steps."""
    digits = speed.unpacked(EMBEDDED, tmp_path)
    for side in ("keras", "torch"):
        done = subprocess.run(speed.by_hand(f"mnist_{side}", digits, 5), capture_output=True, text=True, check=True)
        accuracy = float(done.stdout.split()[-1].strip("[]"))
        assert 0.7 < accuracy < 1
        costs = []
        for steps in (1, 400):
            done = subprocess.run(speed.by_hand(f"xor_{side}", steps), capture_output=True, text=True, check=True)
            costs.append(float(done.stdout.split()[-1]))
        assert 0 < costs[1] < costs[0] / 2
        assert speed.products(side) > 0
