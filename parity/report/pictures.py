"""Pictures of two runs for a page: costs against noise, accuracies, gradients and dead units, values by layer."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parity.page.model import Picture, View
from parity.page.svg import ACCENT, FIRST, INK, OTHER, SECOND, Hover, drawn, legend, panels, short, styled, ticked
from parity.recordings.recording import Recording
from parity.report.figures import lowest_shown
from parity.verdict import noise, trajectory

COLOURS, DASHES, MARKERS = (FIRST, SECOND), ("-", (0, (4, 2))), ("o", "^")
# A curve has no more points than a page has columns for, and a pointer no more places.
MOST_POINTS, PLACES = 1000, 100
WIDTH = 8.6
Values = NDArray[np.float64]
Drawing = Callable[[], tuple[Figure, Sequence[Hover]]]
Pair = tuple[Recording, Recording]


def picture(title: str, said: str, views: Sequence[tuple[str, Drawing]]) -> Picture:
    """A picture in one or several views, each made by a function."""
    made = []
    with styled():
        for name, draw in views:
            figure, hovers = draw()
            made.append(View(name, drawn(figure, f"{title} {said}", hovers)))
    return Picture(title, said, tuple(made))


def thinned(values: Values, points: int = MOST_POINTS) -> tuple[Values, Values]:
    """Steps and values of a curve; of a long one the smallest and the largest of each stretch, so that none is lost."""
    steps = np.arange(len(values))
    if len(values) <= points:
        return steps.astype(np.float64), values
    kept = set()
    for stretch in np.array_split(steps, points // 2):
        part = values[stretch]
        if np.isfinite(part).any():
            kept |= {int(stretch[np.nanargmin(part)]), int(stretch[np.nanargmax(part)])}
    chosen = np.array(sorted(kept), np.int64)
    return chosen.astype(np.float64), values[chosen]


def positive(values: Values) -> Values:
    """The values, and where they are not above zero, which no logarithmic axis has, a gap."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def costs(a: Recording, b: Recording, name: str = "cost") -> Picture:
    """Both costs above; below, on the same axis of steps, their difference, twins' noise and the horizon."""
    x, y = (noise.costs(side.trace) for side in (a, b))
    known = noise.missing(a, b) is None and noise.finite_steps(a, b) > 0
    end = trajectory.horizon(a, b, noise.finite_steps(a, b)) if known else len(x)
    compared = apart(a, b, known)

    def view(logarithmic: bool, until: int) -> Drawing:
        def draw() -> tuple[Figure, Sequence[Hover]]:
            figure, made = panels(2, 1, WIDTH, 2.1)
            above, below = made[:, 0]
            for number, (side, values) in enumerate(((a, x), (b, y))):
                shown = (
                    positive(values[:until]) if logarithmic else np.where(np.isfinite(values), values, np.nan)[:until]
                )
                looks = {"color": COLOURS[number], "linestyle": DASHES[number], "linewidth": 1.4}
                above.plot(*thinned(shown), label=side.label, gid=f"side-{number}", **looks)
            ticked(above, "", f"{name} of the batch", logarithmic)
            lowest = lowest_shown(np.concatenate([x[:until], y[:until]])) if logarithmic else None
            if lowest is not None:
                above.set_ylim(bottom=lowest)
                for number, values in enumerate((x, y)):
                    cut = np.flatnonzero(values[:until] < lowest)
                    marks = {"color": COLOURS[number], "marker": "v", "linestyle": "", "clip_on": False}
                    above.plot(cut, np.full(cut.size, lowest), gid=f"side-{number}", markersize=5, **marks)
            for values, style in compared:
                below.plot(*thinned(values[:until]), **style)
            if known and end < until:
                below.axvline(end, color=ACCENT, linestyle=":", label="horizon")
            shares = any(np.isfinite(values[:until]).any() for values, _ in compared)
            ticked(below, "step", f"|difference| / {name.split()[-1]}", shares)
            for axes in (above, below):
                axes.set_xlim(-0.01 * until, 1.01 * until)
                legend(axes, 5)
            return figure, told(above, (a, b), (x[:until], y[:until]))

        return draw

    logarithmic = bool((positive(x) > 0).any() or (positive(y) > 0).any())
    views = [("logarithmic", view(logarithmic, len(x))), ("linear", view(False, len(x)))]
    if 10 < end < len(x) - 10:
        views.append(("until the horizon", view(logarithmic, end)))
    said = f"Below, their difference in parts of the {name}, so that 1e-6 is six digits; a gap where both are equal"
    said += "; the lines are how far one framework's own reruns drift apart." if known else "."
    return picture(f"The {name} of both, and how far they are apart.", said, views)


def apart(a: Recording, b: Recording, known: bool) -> list[tuple[Values, Mapping[str, Any]]]:
    """The costs' difference in parts of the cost and, where there are twins, theirs, each with its looks."""
    x, y = (noise.costs(side.trace) for side in (a, b))
    found: list[tuple[Values, Mapping[str, Any]]] = []
    with np.errstate(all="ignore"):
        steps = noise.finite_steps(a, b) if known else len(x)
        scale = noise.smoothed(a, b, steps) if known else np.maximum(np.abs(x), np.abs(y))
        for number, side in enumerate((a, b) if known else ()):
            run, *twins = noise.runs(side)
            quiet = twins[: len(noise.quiet(side)) - 1] or twins
            each = [np.abs(noise.costs(twin)[:steps] - noise.costs(run)[:steps]) for twin in quiet]
            looks = {"color": COLOURS[number], "linewidth": 0.9, "gid": f"side-{number}"}
            found += (
                [(positive(np.max(each, axis=0) / scale), {**looks, "label": f"{side.label} rerun"})] if each else []
            )
        if known:
            allowed = trajectory.FACTOR * noise.allowed(a, b, steps) / scale
            label = f"allowed: {trajectory.FACTOR:g} times noise"
            found.append((positive(allowed), {"color": OTHER, "linestyle": "--", "linewidth": 1, "label": label}))
        shares = positive(np.abs(x - y)[:steps] / scale)
    looks = {"color": INK, "linestyle": "", "marker": ".", "markersize": 3, "label": f"{a.label} and {b.label}"}
    return [*found, (shares, looks)]


def told(axes: Axes, sides: Pair, costs: tuple[Values, Values]) -> list[Hover]:
    """The costs at some steps, each told under the pointer."""
    x, y = costs
    edges = np.unique(np.linspace(0, len(x), min(PLACES, len(x)) + 1).astype(int)).tolist()
    said = []
    for step, after in pairwise(edges):
        values = ", ".join(f"{s.label} {v[step]:.9g}" for s, v in zip(sides, (x, y), strict=True))
        text = f"step {step}: {values}, {abs(x[step] - y[step]):.2g} apart"
        said.append(Hover(axes, (step - 0.5, after - 0.5), None, text))
    return said


def outcomes(a: Recording, b: Recording) -> Picture | None:
    """Accuracy and losses after each epoch, of either side."""
    names = [
        ("accuracy", "accuracy on the test set"), ("test_loss", "loss on the test set"),
        ("epoch_cost", "mean cost of the epoch"), ("train_accuracy", "accuracy on the training set"),
        ("train_loss", "loss on the training set"),
    ]  # fmt: skip
    shown = [(key, label) for key, label in names if all(len(side.trace[key]) for side in (a, b))]
    if not shown:
        return None

    def draw() -> tuple[Figure, Sequence[Hover]]:
        columns = min(3, len(shown))
        figure, made = panels(-(-len(shown) // columns), columns, WIDTH / columns - 0.5, 1.8)
        hovers: list[Hover] = []
        for axes in made.flat[len(shown) :]:
            axes.axis("off")
        for axes, (key, label) in zip(made.flat, shown, strict=False):
            both = [side.trace[key].astype(np.float64) for side in (a, b)]
            for number, values in enumerate(both):
                epochs, looks = np.arange(1, len(values) + 1), {"color": COLOURS[number], "gid": f"side-{number}"}
                marker = MARKERS[number] if len(values) <= 60 else ""
                style = {"linestyle": DASHES[number], "marker": marker, "markersize": 4, "label": (a, b)[number].label}
                axes.plot(epochs, values, **style, **looks)
            ticked(axes, "epoch", label)
            axes.set_xlim(0.5, max(map(len, both)) + 0.5)
            legend(axes)
            for epoch, (ours, theirs) in list(enumerate(zip(*both, strict=False), start=1))[:PLACES]:
                said = f"epoch {epoch}: {a.label} {ours:.7g}, {b.label} {theirs:.7g}"
                hovers.append(Hover(axes, (epoch - 0.5, epoch + 0.5), None, said))
        return figure, hovers

    return picture("Accuracy and losses,", "after each epoch.", [("", draw)])


def flow(a: Recording, b: Recording) -> list[Picture]:
    """Gradient norms and dead units by layer and checkpoint, both sides on one scale of colours."""
    found = [side.flow() for side in (a, b)]
    steps = [[int(step) for step in f["steps"]] for f in found]
    made = []
    norms = [positive(f["gradient_norm"]) for f in found]
    if any(np.isfinite(v).any() for v in norms):
        said = "by dense layer and step; a gap where it is zero. Gradients vanish where a row darkens to the left."
        labels = a.label, b.label
        made.append(maps("Norm of the kernel's gradient,", said, labels, steps, [np.log10(v) for v in norms], None))
    said = "the share of each layer's units whose derivative is zero for every sample of the batch."
    dead = [f["dead_units"] for f in found]
    made.append(maps("Dead units:", said, (a.label, b.label), steps, dead, (0.0, 1.0)))
    return made


def maps(
    title: str,
    said: str,
    labels: Sequence[str],
    steps: Sequence[Sequence[int]],
    values: Sequence[Values],
    limits: tuple[float, float] | None,
    columns: int = 2,
) -> Picture:
    """Maps of values [checkpoints, layers] on one scale of colours: shares within limits, or else powers of ten."""
    every = np.concatenate([v[np.isfinite(v)] for v in values])
    low, high = limits or (float(every.min()), float(every.max()))
    high = high if high > low else low + 1

    def draw() -> tuple[Figure, Sequence[Hover]]:
        figure, made = panels(-(-len(labels) // columns), columns, WIDTH / columns - 1.4, 2.4, right=1.05)
        hovers = []
        for axes in made.flat[len(labels) :]:
            axes.axis("off")
        for axes, label, rows, shown in zip(made.flat, labels, steps, values, strict=False):
            count, layers = shown.shape
            mesh = axes.pcolormesh(
                np.arange(layers + 1) + 0.5, np.arange(count + 1), shown, vmin=low, vmax=high, cmap="viridis"
            )
            for (row, layer), value in np.ndenumerate(shown):
                number = "zero" if not np.isfinite(value) else f"{10**value:.3g}" if limits is None else f"{value:.1%}"
                text = f"{label}, layer {layer + 1}, step {rows[row]}: {number}"
                hovers.append(Hover(axes, (layer + 0.5, layer + 1.5), (row, row + 1), text))
            ticked(axes, "dense layer", "step")
            axes.set_title(label, fontsize="medium")
            axes.set_xticks(np.arange(1, layers + 1))
            shown_rows = range(0, count, max(1, count // 7))
            axes.set_yticks([row + 0.5 for row in shown_rows], [str(rows[row]) for row in shown_rows])
            axes.invert_yaxis()
            axes.grid(False)
            scale = axes.inset_axes((1.03, 0, 0.04, 1))
            bar = figure.colorbar(mesh, cax=scale)
            ticks = np.unique(np.linspace(low, high, 5).round(0 if limits is None and high - low > 4 else 2))
            bar.set_ticks(ticks.tolist(), labels=[short(10**t, 1) if limits is None else f"{t:.0%}" for t in ticks])
        return figure, hovers

    return picture(title, said, [("", draw)])


def histograms(labels: Sequence[str], values: Mapping[str, Sequence[Values]], title: str, said: str) -> Picture:
    """A row for each name: how the first side's values are distributed above its line, the second's below it."""

    def draw() -> tuple[Figure, Sequence[Hover]]:
        figure, made = panels(1, 1, WIDTH - 1.6, 0.5 * len(values) + 0.3, left=2.6)
        axes, hovers = made[0, 0], []
        names = []
        for row, (name, arrays) in enumerate(values.items()):
            finite = [array[np.isfinite(array)].ravel() for array in arrays]
            largest = max((float(np.abs(array).max()) for array in finite if array.size), default=0.0) or 1.0
            edges = np.linspace(-1, 1, 82)
            counts = [np.histogram(array / largest, edges)[0] for array in finite]
            most = np.log1p(max(1, *(int(c.max()) for c in counts)))
            for number, found in enumerate(counts):
                heights = row + (-1, 1)[number] * 0.45 * np.log1p(found) / most
                looks = {"color": COLOURS[number], "linewidth": 0, "alpha": 0.85, "gid": f"side-{number}"}
                axes.fill_between(edges[:-1], row, heights, step="post", **looks)
            if row == 0:
                for number, label in enumerate(labels):
                    axes.fill_between([], [], color=COLOURS[number], label=f"{label} {('above', 'below')[number]}")
            names.append(f"{name}  ±{largest:.3g}")
            spread = [
                f"{label} mean {v.mean():.4g}, deviation {v.std():.4g}"
                for label, v in zip(labels, finite, strict=True)
                if v.size
            ]
            hovers.append(Hover(axes, (-1.0, 1.0), (row - 0.5, row + 0.5), f"{name}: {'; '.join(spread)}"))
        ticked(axes, "value, in parts of the row's largest", "", whole=False)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(-1.02, 1.02)
        axes.set_xticks([-1, -0.5, 0, 0.5, 1])
        legend(axes)
        return figure, hovers

    return picture(title, said, [("", draw)])
