"""Both frameworks' float64 step against NumPy's."""

import numpy as np
import numpy_step
import pytest
from conftest import both_sides, shortened

from parity.bounds.whole_step import step_bounds
from parity.verdict.composed import as_float64

HIDDEN = {
    "xor_sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "xor_relu": (lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "xor_leaky_relu": (lambda z: np.where(z > 0, z, 0.2 * z), lambda z: np.where(z > 0, 1.0, 0.2)),
    "xor_tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
}
HIDDEN["mnist_relu"] = HIDDEN["mnist_softmax"] = HIDDEN["xor_relu"]


# By default the largest network and the deepest; Keras's place of epsilon where there is one.
STEPS = [
    *(
        pytest.param(n, "after_correction", marks=[] if n in ("mnist_relu", "xor_tanh") else pytest.mark.ci)
        for n in HIDDEN
    ),
    *(pytest.param(n, "before_correction", marks=pytest.mark.slow) for n in HIDDEN if n.startswith("mnist")),
]


@pytest.mark.parametrize(("name", "epsilon"), STEPS)
def test_step_is_numpys(name, epsilon, record_pair, tmp_path):
    experiment = both_sides(shortened(name, 1), adam_epsilon=epsilon, constants="exact")
    for recording in record_pair(experiment, tmp_path, checkpoints=1, exchange=False):
        check_step(recording, *HIDDEN[name], after=epsilon == "after_correction")


def check_step(recording, hidden, slope, after):
    """Every tensor of the recorded replay is NumPy's, as far as rounding allows."""
    identity = recording.manifest.identity
    replay = recording.start("float64")
    state = as_float64(recording.state(0))
    bounds = step_bounds(identity, recording.manifest.realisation, state, replay, "float64")
    kernels = [state[f"weights/{node.name}/kernel"] for node in identity.dense]
    biases = [state[f"weights/{node.name}/bias"] for node in identity.dense]

    def check(tensor, value):
        assert replay[tensor].dtype == np.float64
        assert np.all(np.abs(replay[tensor] - value) <= 2 * bounds[tensor].scale), tensor

    pre, post = numpy_step.forward(replay["inputs"], kernels, biases, hidden)
    loss = {"digits": numpy_step.softmax_cross_entropy, "xor": numpy_step.naive_cross_entropy}[identity.data]
    cost, delta = loss(pre[-1], replay["labels"])
    check("cost", cost)
    kernel_gradients, bias_gradients = numpy_step.backward(delta, pre, post, kernels, slope)
    for i, node in enumerate(identity.dense):
        check(f"outputs/{node.name}", pre[i])
        for kind, weights, gradients in (("kernel", kernels, kernel_gradients), ("bias", biases, bias_gradients)):
            check(f"gradients/{node.name}/{kind}", gradients[i])
            if identity.data == "xor":
                moved = weights[i] - 0.01 * gradients[i]
            else:
                moved = numpy_step.first_adam_step(weights[i], gradients[i], 0.001, 0.9, 0.999, 1e-8, after)
            check(f"weights/{node.name}/{kind}", moved)
