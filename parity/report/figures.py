"""Pictures of two runs: costs and accuracies with their differences, and how gradients flow through the layers.

Figures are made without pyplot, which would take over the windows or the notebook of a program that imports this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parity.experiment.spec import LABELS, Framework
from parity.recordings.files import write_whole
from parity.recordings.recording import Recording
from parity.verdict import noise, trajectory

# Okabe and Ito's palette, told apart by colour-blind readers too.
COLOURS = ("#E69F00", "#0072B2", "#555555")
STYLES = ("-", "--")


def draw(a: Recording, b: Recording, out: Path) -> None:
    """Write costs.png, accuracy.png and flow.png to `out`, and noise.png and pretraining.png where there is any."""
    steps = np.arange(len(a.trace["cost"]))
    costs = pair(a, b, "cost", steps, "step", "cost of the batch", logarithmic=True)
    epochs = np.arange(1, len(a.trace["accuracy"]) + 1)
    accuracies = pair(a, b, "accuracy", epochs, "epoch", "accuracy on the test set", logarithmic=False)
    figures = {"costs.png": costs, "accuracy.png": accuracies, "flow.png": flow(a, b)}
    if noise.missing(a, b) is None and noise.finite_steps(a, b):
        figures["noise.png"] = against_noise(a, b)
    x, y = a.pretraining, b.pretraining
    if x is not None and y is not None and x.lengths == y.lengths:
        x, y = replace(x, label=a.label), replace(y, label=b.label)
        steps, label = np.arange(len(x.trace["cost"])), "reconstruction error of the batch"
        figures["pretraining.png"] = pair(x, y, "cost", steps, "step of pre-training", label, logarithmic=True)
    for name, figure in figures.items():
        save(figure, out / name)


def save(figure: Figure, file: Path, dpi: int = 120) -> None:
    """Write a picture, whole or not at all."""
    picture = BytesIO()
    figure.savefig(picture, dpi=dpi)
    write_whole(file, picture.getvalue())


def pair(
    a: Recording, b: Recording, key: str, x: NDArray[np.int64], x_label: str, y_label: str, logarithmic: bool
) -> Figure:
    """Both sides' curves above, the size of their difference below."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    ours, theirs = (recording.trace[key].astype(np.float64) for recording in (a, b))
    lowest = lowest_shown(np.concatenate([ours, theirs])) if logarithmic else None
    for recording, values, colour, style in zip((a, b), (ours, theirs), COLOURS[:2], STYLES, strict=True):
        above.plot(x, values, style, color=colour, label=recording.label, linewidth=1.2)
        if lowest is not None:
            cut = values < lowest
            label = f"{recording.label}, less: down to {values[cut].min():.1g}" if cut.any() else None
            above.plot(x[cut], np.full(cut.sum(), lowest), "v", color=colour, markersize=6, label=label, clip_on=False)
    if logarithmic:
        above.set_yscale("log")
        above.set_ylim(bottom=lowest)
    above.set_ylabel(y_label)
    above.set_title(f"{a.manifest.experiment}: {a.label} and {b.label}, same weights, same batches")
    above.legend()
    with np.errstate(all="ignore"):
        difference = np.abs(ours - theirs) / (np.maximum(np.abs(ours), np.abs(theirs)) if logarithmic else 1.0)
    # A logarithmic axis has no zero: equal values show as gaps, and the label says so.
    below.plot(x, np.where(difference > 0, difference, np.nan), ".", color=COLOURS[2], markersize=3)
    if (difference > 0).any():
        below.set_yscale("log")
    below.set_ylabel(f"|difference|{' / cost' if logarithmic else ''} (gap: equal)")
    below.set_xlabel(x_label)
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return figure


def lowest_shown(values: NDArray[np.float64]) -> float | None:
    """Where a logarithmic axis begins, so that a few tiny values do not press all others into its top; None if at them.

    A decade below what all but a hundredth of the positive values are above.
    """
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return None
    low = float(np.quantile(positive, 0.01)) / 10
    return low if positive.min() < low else None


def against_noise(a: Recording, b: Recording) -> Figure:
    """How far both sides' costs are apart, against twins: shares of the cost around each step."""
    steps = noise.finite_steps(a, b)
    scale = noise.smoothed(a, b, steps)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for side, colour in zip((a, b), COLOURS[:2], strict=True):
        run, *twins = (noise.costs(run)[:steps] for run in noise.runs(side))
        quiet = len(noise.quiet(side)) - 1
        for number, twin in enumerate(twins):
            name, style = ("twins", "-") if number < quiet else ("loud twin", ":")
            label = f"{side.label} and its {name}" if number in (0, quiet) else None
            visible(axes, np.abs(twin - run), scale, style, color=colour, linewidth=0.8, alpha=0.7, label=label)
    allowed = trajectory.FACTOR * noise.allowed(a, b, steps)
    label = f"allowed: {trajectory.FACTOR:g} times the noise"
    visible(axes, allowed, scale, "--", color=COLOURS[2], linewidth=1, label=label)
    x, y = (noise.costs(side.trace)[:steps] for side in (a, b))
    visible(axes, np.abs(x - y), scale, ".", color="black", markersize=3, label=f"{a.label} and {b.label}")
    horizon = trajectory.horizon(a, b, steps)
    if horizon < steps:
        axes.axvline(horizon, color=COLOURS[2], linestyle=":", label="horizon")
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("|difference| of costs / cost")
    axes.set_title(f"{a.manifest.experiment}: {a.label} against {b.label}, and either against itself")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    return figure


def visible(axes: Axes, values: NDArray[np.float64], scale: NDArray[np.float64], style: str, **looks: Any) -> None:
    """Draw shares of `scale` on a logarithmic axis, which has no zero: equal costs show as gaps."""
    with np.errstate(all="ignore"):
        axes.plot(np.where(values > 0, values / scale, np.nan), style, **looks)


def published(
    reported: Mapping[str, Sequence[float]], curves: Mapping[str, Mapping[Framework, Sequence[Mapping[str, Any]]]]
) -> Figure:
    """Each system's accuracy after every epoch, a line for a seed and a side, and what was reported of its end."""
    columns = min(len(curves), 4)
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.6 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(curves) :]:
        axes.axis("off")
    for axes, (name, sides) in zip(panels.flat, curves.items(), strict=False):
        for (side, traces), colour, style in zip(sides.items(), COLOURS[:2], STYLES, strict=True):
            for number, trace in enumerate(traces):
                epochs = np.arange(1, len(trace["accuracy"]) + 1)
                label = LABELS[side] if not number else None
                axes.plot(epochs, trace["accuracy"], style, color=colour, label=label, linewidth=1)
        for value in reported[name]:
            axes.axhline(value, color=COLOURS[2], linestyle=":", label="published")
        axes.set_title(name, fontsize="medium")
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
    panels[0, 0].set_ylabel("accuracy on the test set")
    panels[0, 0].legend(fontsize="x-small")
    return figure


def flow(a: Recording, b: Recording) -> Figure:
    """Each dense layer's gradient norm and its share of dead units, one colour a checkpoint, one style a side.

    Where no unit is dead on either side, the title says so in place of a second panel.
    """
    found = [recording.flow() for recording in (a, b)]
    alive = not any(each["dead_units"].any() for each in found)
    figure = Figure(figsize=(8, 4 if alive else 6), layout="constrained")
    panels = figure.subplots(1 if alive else 2, 1, sharex=True, squeeze=False)[:, 0]
    layers = np.arange(1, found[0]["gradient_norm"].shape[1] + 1)
    for recording, each, style in zip((a, b), found, STYLES, strict=True):
        colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(each["steps"])))
        rows = each["steps"], each["gradient_norm"], each["dead_units"], colours
        for step, norm, dead, colour in zip(*rows, strict=True):
            label = f"step {step}" if recording is a else None
            # A logarithmic axis has no zero.
            shown = np.where(norm > 0, norm, np.nan)
            panels[0].plot(layers, shown, f"o{style}", color=colour, label=label, markersize=3)
            if not alive:
                panels[1].plot(layers, dead, f"o{style}", color=colour, markersize=3)
    panels[0].set_yscale("log")
    panels[0].set_ylabel("norm of the kernel's gradient")
    title = f"{a.manifest.experiment}: {a.label} solid, {b.label} dashed"
    panels[0].set_title(title + ("; no unit is dead" if alive else ""))
    figure.legend(loc="outside right upper", fontsize="x-small")
    if not alive:
        panels[1].set_ylabel("share of dead units")
        panels[1].set_ylim(-0.05, 1.05)
    panels[-1].set_xlabel("dense layer")
    panels[-1].set_xticks(layers)
    for axes in panels:
        axes.grid(alpha=0.3)
    return figure
