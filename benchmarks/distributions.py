"""Whether values that were drawn come from a distribution of parity/experiment/initializers.py."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, kolmogorov, ndtr

from parity.experiment.initializers import CUT, Distribution

# How far from the formula a mean or a deviation may be, in standard errors; and a probability too small for chance.
STANDARD_ERRORS, LEAST_P = 5, 1e-4


class Sample:
    """Values that were drawn, and what tells whether they came from a distribution."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values
        self.sorted = np.sort(values.ravel()).astype(np.float64)
        self.mean, self.deviation = float(self.sorted.mean()), float(self.sorted.std())
        self.largest = float(np.abs(self.sorted[[0, -1]]).max())

    def p(self, wanted: Distribution) -> float:
        """How likely values from `wanted` lie as far from it as these: the Kolmogorov-Smirnov test."""
        count = len(self.sorted)
        below = cumulative(wanted, self.sorted)
        ranks = np.arange(count + 1) / count
        return float(kolmogorov(np.sqrt(count) * max((ranks[1:] - below).max(), (below - ranks[:-1]).max())))

    def problem(self, wanted: Distribution) -> str | None:
        """What shows that these values are not drawn from `wanted`; None if nothing does."""
        if wanted.family == "constant":
            return None if (self.values == np.float32(wanted.scale)).all() else "value"
        count = len(self.sorted)
        if not abs(self.mean) <= STANDARD_ERRORS * wanted.deviation / np.sqrt(count):
            return "mean"
        # The standard error of a normal's deviation; of the other families here it is smaller.
        if not abs(self.deviation / wanted.deviation - 1) <= STANDARD_ERRORS / np.sqrt(2 * count):
            return "deviation"
        # Rounded to float32.
        if not self.largest <= wanted.largest * (1 + 2.0**-23):
            return "largest"
        return None if self.p(wanted) >= LEAST_P else "distribution"


def cumulative(wanted: Distribution, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that a value is below x."""
    scaled = x / wanted.scale
    if wanted.family == "normal":
        return ndtr(scaled)
    if wanted.family == "uniform":
        return np.clip((scaled + 1) / 2, 0, 1)
    if wanted.family == "truncated_normal":
        return (ndtr(np.clip(scaled, -CUT, CUT)) - ndtr(-CUT)) / (ndtr(CUT) - ndtr(-CUT))
    # A coordinate of a point on a sphere: (x + 1) / 2 has a beta distribution.
    half = (wanted.scale - 1) / 2
    return betainc(half, half, (x + 1) / 2)
