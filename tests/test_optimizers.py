"""Every optimizer, in both frameworks and in both frameworks' ways, on the same recorded gradients."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import open_loop
import pytest
import safetensors.numpy
from conftest import selected

from parity.bounds.running_error import UNIT_ROUNDOFF
from parity.bounds.stages import gradients, updated
from parity.experiment.spec import FRAMEWORKS
from parity.recordings import start

# In units of u and of the largest value: the rounding of one step, times the steps.
GROWTH = 50 * open_loop.STEPS


@pytest.fixture(scope="module")
def ends(tmp_path_factory, request):
    """What each side's optimizers end with."""
    folder, script = tmp_path_factory.mktemp("open_loop"), Path(__file__).parent / "open_loop.py"

    def run(side):
        command = [sys.executable, str(script), side, str(folder / side), *selected(request, "case")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return safetensors.numpy.load_file(folder / side)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(FRAMEWORKS, pool.map(run, FRAMEWORKS), strict=True))


def by_formula(case, way, moved=0.0):
    """What the optimizer's formula ends with, each gradient moved by so many units in the last place, to and fro."""
    experiment = open_loop.experiment(case, way)
    identity = experiment.identity
    state = start.state(identity, None, None)
    state |= {f"weights/{name}": state[f"weights/{name}"].astype(np.float64) for name in identity.weights}
    for t, recorded in enumerate(open_loop.gradients(identity)):
        state["step"] = np.array(t)
        recorded = {name: g * (1 + moved * (-1) ** t * 2**-52) for name, g in recorded.items()}
        state |= updated(identity, experiment.tf, state, open_loop.tokens(t), gradients(identity, recorded), None)
    return {name: value for name, value in state.items() if name != "step"}


@pytest.mark.parametrize(
    ("case", "way"),
    [
        pytest.param(case, way, marks=pytest.mark.ci if case in open_loop.ALWAYS else pytest.mark.slow)
        for case in open_loop.CASES
        for way in open_loop.WAYS[: 1 if case in open_loop.ONE_WAY else None]
    ],
)
def test_200_recorded_gradients(case, way, ends):
    """Both frameworks end with the same, and with what the formula says where no constant of Keras's is rounded."""
    expected, prefix = by_formula(case, way), f"{case}|{way}|"
    # L-BFGS's steps follow from its earlier ones, so what these round to grows, as much as that of a twin.
    twin = by_formula(case, way, moved=1.0) if case.startswith("lbfgs") else expected
    found = {side: {key: value for key, value in ends[side].items() if key.startswith(prefix)} for side in FRAMEWORKS}
    assert set(found["tf"]) == set(found["torch"]) == {prefix + name for name in (*expected, "step")}
    exact = way == "torch" or case in ("sgd", "adagrad", "adadelta", "rmsprop", "rprop", "asgd", "lbfgs", "sparse_adam")
    for name, formula in expected.items():
        ours, theirs = found["tf"][prefix + name], found["torch"][prefix + name]
        allowed = GROWTH * UNIT_ROUNDOFF["float64"] * np.abs(formula).max() + 100 * np.abs(twin[name] - formula).max()
        assert np.abs(ours - theirs).max() <= allowed
        if exact:
            assert np.abs(ours - formula).max() <= allowed
