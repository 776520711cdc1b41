"""The distributions that the initializers draw from, as formulas.

It is what both frameworks' initializers are held against (tests/test_initializers.py), and what
parity/experiment/randomness.py draws. Where one name has two meanings, the plain name is the paper's formula, which
torch has, and `..._truncated` is Keras's: he_normal, xavier_normal and lecun_normal there are cut at two deviations and
widened to the same variance.
"""

import math
from statistics import NormalDist
from typing import Literal, NamedTuple

from parity.experiment.nodes import Initializer

Family = Literal["constant", "normal", "uniform", "truncated_normal", "orthogonal"]
# Where a truncated normal is cut, in deviations of the normal: Keras's limit, and torch's default for deviation 1.
CUT = 2.0
# The deviation of a standard normal cut at +-CUT.
CUT_DEVIATION = math.sqrt(1 - 2 * CUT * NormalDist().pdf(CUT) / (2 * NormalDist().cdf(CUT) - 1))


class Distribution(NamedTuple):
    """A family around zero and its scale: a constant's value, a normal's deviation before any cut, a uniform's bound.

    `orthogonal` stands for one entry of a matrix whose shorter side is orthonormal; its scale is the longer side.
    """

    family: Family
    scale: float

    @property
    def mean(self) -> float:
        """The mean of its values."""
        return self.scale if self.family == "constant" else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of its values."""
        factors = {"constant": 0.0, "normal": 1.0, "uniform": 3**-0.5, "truncated_normal": CUT_DEVIATION}
        return self.scale**-0.5 if self.family == "orthogonal" else factors[self.family] * self.scale

    @property
    def largest(self) -> float:
        """The largest magnitude a value can have."""
        bounds = {
            "constant": abs(self.scale),
            "normal": math.inf,
            "orthogonal": 1.0,
            "truncated_normal": CUT * self.scale,
        }
        return bounds.get(self.family, self.scale)


def distribution(initializer: Initializer, fan_in: int, fan_out: int, bias: bool) -> Distribution:
    """The distribution of the values of a dense layer's kernel or bias.

    Variances: LeCun et al. 1998 (lecun: 1 / fan_in); Glorot and Bengio 2010 (xavier: 2 / (fan_in + fan_out)); He et al.
    2015 (he: 2 / fan_in); torch.nn.Linear.reset_parameters (U(-1/sqrt(fan_in), 1/sqrt(fan_in)), kernel and bias);
    keras.layers.Dense (kernel xavier_uniform, bias zero). Orthogonal: Saxe et al., arXiv 1312.6120.
    """
    name, number = initializer.name, initializer.number
    if name in ("zeros", "ones") or (name == "keras_default" and bias):
        return Distribution("constant", float(name == "ones"))
    if number is not None:
        assert name in ("constant", "normal", "uniform", "truncated_normal")
        return Distribution(name, number)
    if name == "orthogonal":
        return Distribution(name, max(fan_in, fan_out))
    if name == "torch_default":
        return Distribution("uniform", 1 / math.sqrt(fan_in))
    author, _, shape = ("xavier_uniform" if name == "keras_default" else name).partition("_")
    deviation = math.sqrt({"lecun": 1 / fan_in, "xavier": 2 / (fan_in + fan_out), "he": 2 / fan_in}[author])
    if shape == "uniform":
        return Distribution("uniform", math.sqrt(3) * deviation)
    if shape == "normal":
        return Distribution("normal", deviation)
    return Distribution("truncated_normal", deviation / CUT_DEVIATION)
