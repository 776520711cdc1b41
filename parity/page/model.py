"""A page as data: what a report shows, whichever command made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

Result = Literal["passed", "failed", "not_judged"]


@dataclass(frozen=True)
class Bar:
    """How much of its bound a stage uses on one side; `share` is None where that is no number."""

    result: Result
    share: float | None
    said: str


@dataclass(frozen=True)
class Stage:
    """A stage of the computation: its name, or its name on either side, and a bar for each column."""

    names: tuple[str, ...]
    bars: tuple[Bar | None, ...]


@dataclass(frozen=True)
class Stages:
    """The stages in the order of the computation, what heads their names and their bars, and what the bars mean."""

    names: tuple[str, ...]
    bars: tuple[str, ...]
    rows: tuple[Stage, ...]
    said: str

    @property
    def first(self) -> Stage | None:
        """The first stage that failed, by the first of the bars in which one did."""
        for column in range(len(self.bars)):
            for stage in self.rows:
                bar = stage.bars[column]
                if bar is not None and bar.result == "failed":
                    return stage
        return None


@dataclass(frozen=True)
class Way:
    """One way to align the two: whose code changes, and the lines to write; or a command, or a sentence."""

    title: str
    code: str
    language: Literal["python", "shell", "text"] = "python"


@dataclass(frozen=True)
class Fix:
    """A cause in words, and the ways to be rid of it."""

    says: str
    ways: tuple[Way, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table, whose first column heads its rows; `marked` are those that differ or failed."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: frozenset[int] = frozenset()
    caption: str = ""


@dataclass(frozen=True)
class View:
    """One way to look at a picture, as "logarithmic": SVG, which was made here and holds no markup of others."""

    name: str
    svg: Markup


@dataclass(frozen=True)
class Picture:
    """A picture in one view or in several; `said` tells what is seen, also to whoever sees none."""

    title: str
    said: str
    views: tuple[View, ...]


@dataclass(frozen=True)
class Image:
    """A small picture, PNG as a data URI, with what is said of it."""

    source: str
    said: str


@dataclass(frozen=True)
class Gallery:
    """Small pictures."""

    images: tuple[Image, ...]


@dataclass(frozen=True)
class Text:
    """Paragraphs; where `fixed`, lines that keep their indentation."""

    lines: Sequence[str]
    fixed: bool = False


@dataclass(frozen=True)
class Link:
    """Another page of a book: its file, what it is called, and a line on it; `words` are what a search finds it by."""

    file: str
    title: str
    said: str = ""
    words: str = ""


@dataclass(frozen=True)
class Links:
    """Other pages, under a name; `searched` if the page's search looks among them."""

    name: str
    links: tuple[Link, ...]
    searched: bool = False


@dataclass(frozen=True)
class Column:
    """One of two sides: what heads it, and what stands there."""

    title: str
    parts: "tuple[Part, ...]"


@dataclass(frozen=True)
class Beside:
    """Both sides next to each other, on a narrow screen one below the other."""

    columns: tuple[Column, ...]


Part = Table | Picture | Gallery | Text | Way | Links | Beside | Stages


@dataclass(frozen=True)
class Section:
    """What a click on its title opens."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Leaf:
    """A page of a book: its file, what heads it, and its sections, all of them open.

    `place` says where it stands in the book. `sides` are the two that pictures show, as on a report, and `language` is
    that of its text, as HTML names it.
    """

    file: str
    title: str
    place: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    sides: tuple[str, ...] = ()
    language: str = "en"


@dataclass(frozen=True)
class Page:
    """A whole report: what is seen at first, and the sections below it.

    `verdict` is one word, `remark` what qualifies it, and `sentence` is the first line of what the command prints.
    `command` is what repeats it, and `sides` are the two that pictures show, "side-0" and "side-1" there.
    """

    title: str
    verdict: str
    remark: str
    sentence: str
    lines: tuple[str, ...]
    fixes: tuple[Fix, ...]
    stages: Stages | None
    versions: Table
    command: str | None
    sections: tuple[Section, ...]
    sides: tuple[str, ...] = ()
