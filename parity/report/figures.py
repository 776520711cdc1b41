"""Pictures of two runs: costs and accuracies, each with the difference on a logarithmic axis."""

from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parity.files import write_whole
from parity.recording import Recording

# Okabe and Ito's palette, told apart by colour-blind readers too.
COLOURS = ("#E69F00", "#0072B2", "#555555")
STYLES = ("-", "--")


def draw(a: Recording, b: Recording, out: Path) -> None:
    """Write costs.png and accuracy.png to `out`."""
    steps = np.arange(len(a.trace["cost"]))
    costs = pair(a, b, "cost", steps, "step", "cost of the batch", logarithmic=True)
    epochs = np.arange(1, len(a.trace["accuracy"]) + 1)
    accuracies = pair(a, b, "accuracy", epochs, "epoch", "accuracy on the test set", logarithmic=False)
    for figure, name in ((costs, "costs.png"), (accuracies, "accuracy.png")):
        picture = BytesIO()
        figure.savefig(picture, dpi=120)
        plt.close(figure)
        write_whole(out / name, picture.getvalue())


def pair(
    a: Recording, b: Recording, key: str, x: NDArray[np.int64], x_label: str, y_label: str, logarithmic: bool
) -> Figure:
    """Both sides' curves above, the size of their difference below."""
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(8, 6), layout="constrained")
    ours, theirs = (recording.trace[key].astype(np.float64) for recording in (a, b))
    for recording, values, colour, style in zip((a, b), (ours, theirs), COLOURS[:2], STYLES, strict=True):
        above.plot(x, values, style, color=colour, label=recording.label, linewidth=1.2)
    if logarithmic:
        above.set_yscale("log")
    above.set_ylabel(y_label)
    above.set_title(f"{a.manifest.experiment}: {a.label} and {b.label}, same weights, same batches")
    above.legend()
    with np.errstate(invalid="ignore"):
        difference = np.abs(ours - theirs)
    # A logarithmic axis has no zero: equal values show as gaps, and the label says so.
    below.plot(x, np.where(difference > 0, difference, np.nan), ".", color=COLOURS[2], markersize=3)
    if (difference > 0).any():
        below.set_yscale("log")
    below.set_ylabel("|difference| (gap: equal)")
    below.set_xlabel(x_label)
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return figure
