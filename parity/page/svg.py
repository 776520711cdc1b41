"""Figures as SVG inside of a page: in the page's own colours, light or dark, and with names that no other one has.

A figure is drawn in the colours below, each of which stands for one of the page's. A curve whose gid is "side-0" or
"side-1" can be hidden by the page. Margins, labels and ticks are placed here once and for all: to have them measured
takes the library several times as long as to draw.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from io import StringIO
from itertools import count
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

INK, GRID, FIRST, SECOND, OTHER, ACCENT = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f", "#101112"
NAMES = {
    INK: "currentColor", GRID: "var(--line)", FIRST: "var(--keras)", SECOND: "var(--torch)", OTHER: "var(--other)",
    ACCENT: "var(--accent)",
}  # fmt: skip
STYLE: Mapping[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "parity", "font.family": "sans-serif", "font.size": 11,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none", "axes.titley": 1.0,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False,
}  # fmt: skip
SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
USED = re.compile(r"url\(#([^)]+)\)")
NUMBERS = count()
# Points of a figure: inches times this.
POINTS = 72
# In inches, around each panel; what is below is between two rows, too.
LEFT, RIGHT, TOP, BOTTOM = 0.95, 0.15, 0.3, 0.6


class Hover(NamedTuple):
    """A text that is shown under the pointer in a rectangle of a panel, in its data's coordinates."""

    axes: Axes
    x: tuple[float, float]
    y: tuple[float, float] | None
    said: str


def panels(
    rows: int, columns: int, width: float, height: float, left: float = LEFT, right: float = RIGHT
) -> tuple[Figure, NDArray[Any]]:
    """A figure of panels [rows, columns], each of so many inches without its margins."""
    across, down = width + left + right, height + TOP + BOTTOM
    figure = Figure(figsize=(columns * across, rows * down))
    made = np.empty((rows, columns), object)
    for row, column in np.ndindex(rows, columns):
        corner = (column * across + left) / (columns * across), 1 - (row * down + TOP + height) / (rows * down)
        axes = figure.add_axes((*corner, width / (columns * across), height / (rows * down)))
        axes.yaxis.set_label_coords(12 / POINTS / width - left / width, 0.5)
        axes.xaxis.set_label_coords(0.5, -24 / POINTS / height)
        made[row, column] = axes
    return figure, made


def ticked(axes: Axes, x: str = "", y: str = "", logarithmic: bool = False, whole: bool = True) -> None:
    """Names of both axes; few ticks, whole numbers on the x axis if `whole`, plain text instead of formulas."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=whole))
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=7))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float, digits: int = 4) -> str:
    """A number in figures, as "1e-5"."""
    return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def legend(axes: Axes, columns: int = 3) -> None:
    """A legend above the data, not over it."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        looks: dict[str, Any] = {"borderpad": 0, "borderaxespad": 0.2, "fontsize": "small", "ncols": columns}
        axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1), **looks)


def drawn(figure: Figure, title: str, hovers: Sequence[Hover] = ()) -> Markup:
    """The figure as an SVG element that says its title; texts under the pointer are escaped."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(text.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    rename(root, f"p{next(NUMBERS)}")
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", title)
    root.extend(rectangle(figure, hover) for hover in hovers)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    return Markup(recoloured(ElementTree.tostring(root, encoding="unicode")))


def rectangle(figure: Figure, hover: Hover) -> ElementTree.Element:
    """An invisible rectangle with its text."""
    low, high = hover.y or hover.axes.get_ylim()
    corners = hover.axes.transData.transform([(hover.x[0], low), (hover.x[1], high)]) * POINTS / figure.dpi
    (left, right), (first, second) = sorted(corners[:, 0]), sorted(corners[:, 1])
    size = {"x": left, "y": figure.get_figheight() * POINTS - second, "width": right - left, "height": second - first}
    made = ElementTree.Element(f"{{{SVG}}}rect", {"class": "hover", **{k: f"{v:.2f}" for k, v in size.items()}})
    ElementTree.SubElement(made, f"{{{SVG}}}title").text = hover.said
    return made


def rename(root: ElementTree.Element, prefix: str) -> None:
    """Keep only the ids that are referred to, with a prefix; make classes of the gids named above."""
    used = set()
    for element in root.iter():
        used |= {name for value in element.attrib.values() for name in USED.findall(value)}
        used.add(element.get(f"{{{LINK}}}href", "").removeprefix("#"))
    for element in root.iter():
        name = element.attrib.pop("id", "")
        if name in used:
            element.set("id", f"{prefix}-{name}")
        if name.startswith("side-"):
            element.set("class", name)
        for key, value in element.attrib.items():
            # A hundredth of a pixel is not seen.
            element.set(key, re.sub(r"(\d+\.\d\d)\d+", r"\1", USED.sub(rf"url(#{prefix}-\1)", value)))
        link = element.get(f"{{{LINK}}}href", "")
        if link.startswith("#"):
            element.set(f"{{{LINK}}}href", f"#{prefix}-{link[1:]}")


def recoloured(text: str) -> str:
    """The page's colours in place of those that stand for them."""
    for colour, name in NAMES.items():
        text = text.replace(colour, name)
    return text


def styled() -> AbstractContextManager[None]:
    """The style of a page's figures, for as long as a `with` lasts."""
    return matplotlib.rc_context(dict(STYLE))
