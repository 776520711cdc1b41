"""A report as HTML, for a notebook: what the console prints, as tables. Every value is escaped, for it is untrusted."""

from collections.abc import Iterable, Sequence
from html import escape

from parity.diagnosis.value import Diagnosis
from parity.recordings.recording import Recording
from parity.report.console import COLOURS, SIDES, ended, ending, failures, header
from parity.report.levels import details, rows
from parity.report.sentence import sentence
from parity.verdict import Verdict
from parity.verdict.judged import lacking

# As the console's colours, dark enough to be read on white and light enough on black.
SHADES = {"green": "#2e8b57", "red": "#d03030", "yellow": "#b8860b"}


def page(recordings: Sequence[Recording], verdict: Verdict, diagnosis: Diagnosis | None) -> str:
    """All of it: a sentence, a table of the sides, one of the levels, what failed first, and why."""
    parts = [paragraph(sentence(recordings, verdict, diagnosis), bold=True)]
    parts += [paragraph(line.text) for line in header(recordings)]
    parts.append(table(SIDES, [ended(recording).cells() for recording in recordings]))
    levels = [(level, result.replace("_", " "), said) for level, result, said in rows(verdict)]
    parts.append(table(("level", "result", "summary"), levels, [shade(result) for _, result, _ in rows(verdict)]))
    parts.append(folded("details", details(verdict)))
    parts += [paragraph(line.text, shade("failed")) for line in failures(verdict)]
    parts.append(paragraph(ending(recordings, verdict).text, shade(verdict.verdict), bold=True))
    if verdict.verdict == "insufficient":
        parts.append(paragraph(f"not judged: {lacking(verdict.checks)}"))
    if diagnosis is not None:
        parts.append(preformatted(diagnosis.lines()))
    return f"<div>{''.join(parts)}</div>"


def shade(result: str) -> str:
    """The colour of a result or a verdict."""
    return SHADES[COLOURS[result].removeprefix("bold ")]


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
