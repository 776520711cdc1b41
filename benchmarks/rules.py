"""Rules by which other tools call two runs the same, re-implemented from their public documentation.

A rule is a function of two runs that is true where it finds them different. Numbers that are not finite are treated as
those tools treat them: NumPy's and torch's functions take NaN for different from NaN; a distance that is NaN is not
larger than any tolerance, so what compares it with `>` lets it pass.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.recordings.recording import Recording

HISTORIES = ("epoch_cost", "accuracy", "test_loss", "train_accuracy", "train_loss")
Arrays = Mapping[str, NDArray[np.floating]]


class Run(NamedTuple):
    """What other tools look at of a run.

    `costs` [steps]; `histories`, [epochs] each, by name; `weights` at the end, by name; `accuracy` on the test set at
    the end.
    """

    costs: NDArray[np.floating]
    histories: Arrays
    weights: Arrays
    accuracy: float


def run_of(recording: Recording) -> Run:
    """What a recording holds of it; of a pre-training, which has no accuracy, what there is."""
    trace = recording.trace
    state = recording.state(trace["cost"].size)
    return Run(
        trace["cost"],
        {name: trace[name] for name in HISTORIES if name in trace},
        {name: value for name, value in state.items() if name.startswith("weights/")},
        float(trace["accuracy"][-1]) if "accuracy" in trace else float("nan"),
    )


def results(run: Run) -> dict[str, NDArray[np.floating]]:
    """The costs and the final weights, by name."""
    return {"costs": run.costs, **run.weights}


def any_pair(x: Arrays, y: Arrays, differ: Callable[[NDArray, NDArray], bool]) -> bool:
    """Whether the two have other names or shapes, or `differ` holds of two arrays of one name."""
    if x.keys() != y.keys():
        return True
    return any(x[name].shape != y[name].shape or differ(x[name], y[name]) for name in x)


def elementwise(a: Run, b: Run) -> bool:
    """Every cost and weight within rtol = atol = 1e-5: numpy.allclose and torch.testing, as converters' tests do."""
    return any_pair(results(a), results(b), lambda x, y: not np.allclose(x, y, rtol=1e-5, atol=1e-5))


def histories(a: Run, b: Run) -> bool:
    """Every epoch's costs, accuracies and losses within atol = 1e-3: numpy.allclose, as tests of ports do.

    Its own rtol of 1e-5 stays, as there.
    """
    return any_pair(a.histories, b.histories, lambda x, y: not np.allclose(x, y, atol=1e-3))


def exact(a: Run, b: Run) -> bool:
    """Every cost the same number: numpy.array_equal, as tests of reproducibility do."""
    return not np.array_equal(a.costs, b.costs)


def mean_difference(a: Run, b: Run) -> bool:
    """The mean of |a - b| of the costs and of each weight at most 1e-6: logs of tensors, as tools for porting do."""
    return any_pair(results(a), results(b), lambda x, y: bool(np.mean(np.abs(x - y)) > 1e-6))


def difference_of_means(a: Run, b: Run) -> bool:
    """The means of the costs and of each weight within 1e-6 of each other: tools that log one number a tensor."""
    return any_pair(results(a), results(b), lambda x, y: bool(abs(np.mean(x) - np.mean(y)) > 1e-6))


def cosine(a: Run, b: Run) -> bool:
    """The cosine of the angle between each weight's values at least 0.99: debuggers of deployed models do so.

    Of a weight that is all zero it is NaN, which is not below.
    """
    return any_pair(
        a.weights,
        b.weights,
        lambda x, y: bool(np.vdot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y)) < 0.99),
    )


def final_accuracy(a: Run, b: Run) -> bool:
    """The accuracies at the end within 1 %: reports of reproduced results, and tests of training scripts."""
    # Ten samples of a thousand are 1 %, whatever float64 makes of the difference.
    return abs(a.accuracy - b.accuracy) > 0.01 + 1e-9


RULES: dict[str, Callable[[Run, Run], bool]] = {
    "elementwise, rtol = atol = 1e-5": elementwise,
    "epoch histories, atol = 1e-3": histories,
    "exact equality of costs": exact,
    "mean difference 1e-6": mean_difference,
    "difference of means 1e-6": difference_of_means,
    "cosine of weights 0.99": cosine,
    "final accuracy within 1 %": final_accuracy,
}


def found_by(a: Run, b: Run) -> frozenset[str]:
    """The names of the rules that find two runs different."""
    with np.errstate(all="ignore"):
        return frozenset(name for name, differ in RULES.items() if differ(a, b))
