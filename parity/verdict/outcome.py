"""Do the trained models predict the same?

Shown, not judged, for the same reason as the trajectory: how far two honest runs end apart depends on the run.
"""

import numpy as np

from parity.recording import Recording
from parity.verdict.checks import Check


def checks(a: Recording, b: Recording) -> list[Check]:
    """Predictions that differ, the accuracy gap, and those of the losses after the last epoch."""
    for key in ("predictions", "accuracy", "epoch_cost", "test_loss"):
        x, y = a.trace[key], b.trace[key]
        if x.shape != y.shape or x.size == 0:
            return [Check(key, "outcome", "failed", None, None, None, f"{a.label} has {len(x)}, {b.label} {len(y)}")]
    differing = int(np.count_nonzero(a.trace["predictions"] != b.trace["predictions"]))
    accuracies = a.trace["accuracy"][-1], b.trace["accuracy"][-1]
    losses = a.trace["test_loss"][-1], b.trace["test_loss"][-1]
    costs = a.trace["epoch_cost"][-1], b.trace["epoch_cost"][-1]
    return [
        shown("predictions", differing, f"{differing} of {a.trace['predictions'].size} test samples differ"),
        shown("accuracy", abs(accuracies[0] - accuracies[1]), f"{accuracies[0]:.4f} and {accuracies[1]:.4f}"),
        shown("test loss", abs(losses[0] - losses[1]), f"{losses[0]:.9g} and {losses[1]:.9g} in eval mode"),
        shown("epoch cost", abs(costs[0] - costs[1]), f"{costs[0]:.9g} and {costs[1]:.9g} in the last epoch"),
    ]


def shown(name: str, measured: float, reason: str) -> Check:
    """A figure without a bound."""
    value = float(measured) if np.isfinite(measured) else None
    return Check(name, "outcome", "not_judged", value, None, None, reason)
