"""torch's own initializers, by neutral name.

What they are to be is in parity/experiment/initializers.py. They decide the start of training only where a user asks
for it with --init-from; here torch's generator is seeded, and only here.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.nn import init

from parity.experiment.nodes import Initializer
from parity.experiment.spec import Calling


def draw(initializer: Initializer, inputs: int, units: int, bias: bool, seed: int, calling: Calling) -> np.ndarray:
    """torch's own draw for a dense layer, float32: its kernel [inputs, units] or its bias [units]."""
    # A plain call takes a kernel as it comes. torch expects (units, inputs) and has its fans from there.
    transposed = not bias and calling != "plain"
    shape = (units,) if bias else (units, inputs) if transposed else (inputs, units)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        filled = called(initializer, inputs, units, bias, seed, calling)(torch.empty(shape, dtype=torch.float32))
    return np.ascontiguousarray(filled.detach().numpy().T if transposed else filled.detach().numpy())


def called(
    initializer: Initializer, inputs: int, units: int, bias: bool, seed: int, calling: Calling
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The stock initializer, called by its name alone ("plain"), with what it cannot know, which is its number ("own"),
    or with all that makes it the neutral formula ("formula").
    """
    name, number = initializer.name, initializer.number
    if name == "torch_default":
        # Linear fills its tensors itself.
        layer = torch.nn.Linear(inputs, units, device="cpu", dtype=torch.float32)
        return lambda tensor: layer.bias if bias else layer.weight
    if name == "keras_default":
        return init.zeros_ if bias else init.xavier_uniform_
    if name in VARIANCES:
        deviation = math.sqrt(VARIANCES[name](inputs, units)) / KERAS_CUT
        return partial(init.trunc_normal_, std=deviation, a=-2 * deviation, b=2 * deviation)
    if name == "constant":
        return partial(init.constant_, val=number)
    if calling == "plain" or number is None:
        return STOCK[name]
    if name == "uniform":
        return partial(init.uniform_, a=-number, b=number)
    # torch's limits are values, not deviations: a small deviation alone is not cut at all.
    limits = {"a": -2 * number, "b": 2 * number} if name == "truncated_normal" and calling == "formula" else {}
    return partial(STOCK[name], std=number, **limits)


STOCK = {
    "zeros": init.zeros_,
    "ones": init.ones_,
    "normal": init.normal_,
    "uniform": init.uniform_,
    "truncated_normal": init.trunc_normal_,
    "xavier_uniform": init.xavier_uniform_,
    "xavier_normal": init.xavier_normal_,
    "he_uniform": init.kaiming_uniform_,
    "he_normal": init.kaiming_normal_,
    "lecun_uniform": partial(init.kaiming_uniform_, nonlinearity="linear"),
    "lecun_normal": partial(init.kaiming_normal_, nonlinearity="linear"),
    "orthogonal": init.orthogonal_,
}
# Keras's truncated normals, which torch has no functions for, by inputs and units.
VARIANCES = {
    "xavier_normal_truncated": lambda inputs, units: 2 / (inputs + units),
    "he_normal_truncated": lambda inputs, units: 2 / inputs,
    "lecun_normal_truncated": lambda inputs, units: 1 / inputs,
}
# The deviation of a standard normal cut at two deviations, as keras.initializers.VarianceScaling has it.
KERAS_CUT = 0.87962566103423978
