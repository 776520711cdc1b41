"""Pieces of HTML for the cells of a notebook. Every value is escaped, for it is untrusted."""

from collections.abc import Iterable, Sequence
from html import escape

# Of what passed, failed, and was not judged, dark enough to be read on white and light enough on black.
SHADES = {"green": "#2e8b57", "red": "#d03030", "yellow": "#b8860b"}


def paragraph(text: str, colour: str | None = None, bold: bool = False) -> str:
    """A line of text."""
    style = f"color: {colour};" if colour else ""
    style += "font-weight: bold;" if bold else ""
    return f'<p style="margin: 0.3em 0; {style}">{escape(text)}</p>'


def table(head: Sequence[str], body: Sequence[Sequence[str]], colours: Sequence[str] | None = None) -> str:
    """A table; `colours` are those of its rows' second cells."""
    lines = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>"]
    for number, row in enumerate(body):
        cells = []
        for place, cell in enumerate(row):
            colour = f"; color: {colours[number]}" if colours is not None and place == 1 else ""
            cells.append(f'<td style="text-align: left{colour}">{escape(cell)}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def folded(title: str, lines: Iterable[str]) -> str:
    """Lines that are seen when their title is clicked; nothing where there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<details><summary>{escape(title)}</summary><ul>{items}</ul></details>" if items else ""


def preformatted(lines: Iterable[str]) -> str:
    """Lines that keep their indentation."""
    return f"<pre>{escape(chr(10).join(lines))}</pre>"
