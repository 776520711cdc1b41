"""The page of a known difference: what both do, side by side, what comes of it, and how to align either."""

import re
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parity.book.lab import Costs, relative
from parity.differences import IMPORTS, Difference, Side
from parity.differences.text import command
from parity.page.model import Beside, Column, Leaf, Part, Picture, Section, Table, Text, Way
from parity.page.svg import INK, OTHER, Hover, legend, panels, short, ticked
from parity.report.pictures import COLOURS, MARKERS, WIDTH, picture, positive, thinned

SIDES = ("Keras", "torch")
# So few numbers are bars.
FEW = 8
FLOAT32 = "float32 rounds a number by up to 6e-08 of it, float64 by 1e-16"
Values = NDArray[np.float64]


def leaf(entry: Difference, effect: Sequence[Costs], place: str) -> Leaf:
    """The page of one difference; `effect` are the costs of both sides, each in its own way, and in torch's both."""
    sides = (entry.keras, entry.torch)
    sections = [
        Section("What each of them does", (Beside(tuple(map(shown, SIDES, sides))), *outcome(entry))),
        *([Section("What it does to training", acting(entry, effect))] if entry.effect is not None else []),
        Section("How to align them", (Beside(tuple(map(aligned, SIDES, sides, SIDES[::-1]))),)),
        Section("Where it was seen", (Text([f"{entry.versions}; {entry.kind}.", *seen(entry)]),)),
    ]
    return Leaf(f"{entry.id}.html", entry.title, f"{place}: {entry.id}", (entry.does,), tuple(sections), SIDES)


def shown(label: str, side: Side) -> Column:
    """The formula, the script, and what it prints."""
    return Column(label, (Text([side.formula]), Way("", side.code), Way("It prints", side.prints, "text")))


def aligned(label: str, side: Side, other: str) -> Column:
    """The script that does as the other side does."""
    return Column(f"{label}, to do as {other} does", (Way("", side.align),))


def seen(entry: Difference) -> list[str]:
    """The places in the frameworks' code, and where more is measured."""
    found = [f"{label}: {side.source}" for label, side in zip(SIDES, (entry.keras, entry.torch), strict=True)]
    imports = [" and ".join(line for line in text.splitlines()) for text in (IMPORTS["keras"], IMPORTS["torch"])]
    found.append(f"Scripts for Keras begin with {imports[0]}, those for torch with {imports[1]}.")
    return [*found, *([f"More of it is measured in {entry.document}."] if entry.document else [])]


def numbers(text: str) -> Values | None:
    """What a script prints, if it is numbers alone."""
    words = re.sub(r"[\[\],]", " ", text).split()
    try:
        return np.array([float(word) for word in words])
    except ValueError:
        return None


def outcome(entry: Difference) -> list[Part]:
    """Both scripts' numbers as a picture with their difference; words say that there is none."""
    ours, theirs = numbers(entry.keras.prints), numbers(entry.torch.prints)
    if ours is None or theirs is None:
        return [Text(["What they print is no number, so that there is no picture of it."])]
    return [drawn(ours, theirs)]


def drawn(ours: Values, theirs: Values) -> Picture:
    """Two rows of numbers, and how far they are apart where there are as many of them."""
    both, known, most = (ours, theirs), len(ours) == len(theirs), max(len(ours), len(theirs))
    apart: Values = np.zeros(0)
    if known:
        with np.errstate(invalid="ignore"):
            apart = np.abs(ours - theirs)
    found = apart[np.isfinite(apart)]
    largest = float(found.max()) if found.size else None

    def draw() -> tuple[Figure, Sequence[Hover]]:
        figure, made = panels(1, 2, WIDTH / 2 - 1.2, 1.5, left=1.25)
        made[0, 1].set_axis_off()
        axes = made[0, 0]
        hovers = []
        for number, (label, values) in enumerate(zip(SIDES, both, strict=True)):
            at = (np.flatnonzero(np.isfinite(values)) + 1).astype(np.float64)
            shown, looks = values[np.isfinite(values)], {"color": COLOURS[number], "gid": f"side-{number}"}
            if most <= FEW:
                axes.bar(at + (-0.2, 0.2)[number], shown, 0.38, label=label, **looks)
            else:
                axes.plot(at, shown, marker=MARKERS[number], linestyle="", label=label, **looks)
        ticked(axes, "number that is printed", "value")
        axes.set_xlim(0.4, most + 0.6)
        axes.set_xticks(range(1, most + 1, -(-most // FEW)))
        legend(axes)
        if known and most > 1:
            beside = made[0, 1]
            beside.set_axis_on()
            beside.plot(np.arange(1, len(apart) + 1), positive(apart), color=INK, marker="x", linestyle="")
            ticked(beside, "number that is printed", "|difference|", len(np.unique(found[found > 0])) > 1)
            beside.set_xlim(*axes.get_xlim())
            beside.set_xticks(axes.get_xticks())
        for place, (our, their) in enumerate(zip(ours, theirs, strict=False), start=1):
            said = f"number {place}: Keras {our:g}, torch {their:g}"
            hovers.append(Hover(axes, (place - 0.5, place + 0.5), None, said))
        return figure, hovers

    said = "One prints more numbers than the other." if not known else "Where one is a number, the other is none."
    if largest is not None:
        said = f"At most {largest:.2g} apart; {FLOAT32}."
    return picture("What both scripts print.", said, [("", draw)])


def acting(entry: Difference, effect: Sequence[Costs]) -> tuple[Part, ...]:
    """A training with each side in its own way, beside one where both do the same: the difference, and the noise."""
    assert entry.effect is not None
    ask = Way("Both sides in their own way:", command(entry.effect), "shell")
    if not effect:
        return Text(["It was not measured for this page."]), ask
    own, alike = (relative(costs) for costs in effect)
    apart, noise = float(np.nanmax(own, initial=0.0)), float(np.nanmax(alike, initial=0.0))
    larger = apart > 2 * noise
    said = (
        f"The costs part by up to {apart:.1e} of the cost, by {noise:.1e} where both do as torch does: rounding alone."
        if larger
        else f"In this training it does not show: {apart:.1e} of the cost, and rounding alone makes {noise:.1e}. "
        "One step from equal weights shows it, which is what lockstep compares."
    )

    def draw() -> tuple[Figure, Sequence[Hover]]:
        figure, made = panels(1, 1, WIDTH, 2.0)
        axes = made[0, 0]
        axes.plot(*thinned(positive(alike)), color=OTHER, linestyle="--", linewidth=1.1, label="both as torch does")
        axes.plot(*thinned(positive(own)), color=INK, linewidth=1.4, label="each in its own way")
        ticked(axes, "step", "|difference| / cost", True)
        legend(axes)
        return figure, ()

    rows = []
    for step in (1, len(own) - 1):
        found = [short(float(costs[side][step]), 9) for costs in effect for side in ("tf", "torch")]
        rows.append([f"after {step} step{'s' * (step > 1)}", *found])
    columns = ["cost", "Keras, own way", "torch, own way", "Keras, as torch", "torch"]
    return picture("How far the costs of Keras and torch part.", said, [("", draw)]), Table(columns, rows), ask
