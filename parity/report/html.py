"""A report as HTML, for a notebook: what the console prints, as tables. Every value is escaped, for it is untrusted."""

from collections.abc import Sequence

from parity.diagnosis.value import Diagnosis
from parity.page.cells import SHADES, folded, paragraph, preformatted, table
from parity.recordings.recording import Recording
from parity.report.console import COLOURS, SIDES, ended, ending, failures, header
from parity.report.levels import details, rows
from parity.report.sentence import sentence
from parity.verdict import Verdict
from parity.verdict.judged import lacking


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
