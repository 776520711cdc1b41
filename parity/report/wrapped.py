"""Lines of text, broken between words where a terminal is too narrow for them, and never inside a name."""

import re
import textwrap
from typing import NamedTuple

# An index stays with its tensor.
INDEX = re.compile(r"\[[^\[\]]*\]")
GLUED = "\u00a0"


class Line(NamedTuple):
    """A line, the columns by which what follows it is indented, and its style, of all or of a range of characters."""

    text: str
    indent: int = 0
    style: str | None = None
    part: tuple[int, int] | None = None


def wrapped(line: Line, width: int | None) -> list[str]:
    """The line in pieces of at most `width` columns, but for words that are longer; whole where there is no width."""
    if width is None or len(line.text) <= width:
        return [line.text.rstrip()]
    # Where little would be left beside the indentation, it is left out.
    indent = line.indent if line.indent <= width // 2 else 2
    start = len(line.text) - len(line.text.lstrip())
    glued = INDEX.sub(lambda found: found.group().replace(" ", GLUED), line.text.lstrip())
    pieces = textwrap.wrap(
        glued,
        width,
        initial_indent=" " * start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return [piece.replace(GLUED, " ") for piece in pieces]
