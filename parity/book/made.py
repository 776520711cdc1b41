"""The whole book as files: an index by chapter, symptom and area, and a page for everything."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from parity.book import gradients, noise
from parity.book.entries import leaf
from parity.book.lab import Costs, Lab
from parity.book.language import language, say
from parity.book.port import Check, debugged
from parity.book.symptoms import SYMPTOMS
from parity.differences import AREAS, DIFFERENCES, Difference
from parity.page import render
from parity.page.model import Leaf, Link, Links, Section, Text
from parity.recordings.files import write_whole

INDEX = "index.html"
Measure = Callable[[Difference], Sequence[Costs]]
# Told of each page that is made: how many of how many.
Told = Callable[[int, int], None]


def chapters(lab: Lab, check: Check) -> Iterable[Leaf]:
    """The chapters, each from what is recorded for it."""
    yield noise.part(lab)
    yield noise.tells(lab)
    yield gradients.vanish(lab)
    yield gradients.not_a_number(lab)
    folder = lab.folder / "port"
    folder.mkdir()
    yield debugged(folder, check)


def write(folder: Path, lab: Lab | None, check: Check | None, measure: Measure, told: Told) -> list[Path]:
    """Write all pages into a folder; without a lab there are no chapters. Returns the files, the index first."""
    pages: list[Leaf] = []
    whole = len(DIFFERENCES) + (CHAPTERS if lab is not None else 0)
    if lab is not None and check is not None:
        for page in chapters(lab, check):
            pages.append(page)
            told(len(pages), whole)
    read = list(pages)
    for area, entries in AREAS.items():
        for entry in entries:
            pages.append(leaf(entry, measure(entry) if entry.effect is not None else (), area))
            told(len(pages), whole)
    write_whole(folder / INDEX, render.leaf(index(read), searched=True).encode())
    for page in pages:
        write_whole(folder / page.file, render.leaf(page).encode())
    return [folder / INDEX, *(folder / page.file for page in pages)]


CHAPTERS = 5


def index(read: Sequence[Leaf]) -> Leaf:
    """The first page."""
    said = say("Chapters are made of recordings: python -m parity.explain --html DIR, without --no-run, makes them.")
    lead = say(
        "Two programs, one in Keras and one in PyTorch, that are meant to be the same: this book says what makes them "
        "differ. Each page shows both frameworks side by side, what their scripts print, and how to align either; "
        "every number is printed by a script that stands beside it."
    )
    links = tuple(Link(page.file, f"{page.place}: {page.title}", page.lead[-1]) for page in read)
    first = (Links(say("To be read in this order"), links, searched=True),) if links else (Text([said]),)
    return Leaf(
        INDEX,
        say("How Keras and torch differ"),
        say("{count} known differences", count=len(DIFFERENCES)),
        (lead,),
        (
            Section(say("Chapters"), first),
            Section(say("What do you see?"), tuple(listed(SYMPTOMS))),
            Section(say("By area"), tuple(listed({a: tuple(e.id for e in entries) for a, entries in AREAS.items()}))),
        ),
        language=language(),
    )


def listed(groups: Mapping[str, Sequence[str]]) -> Iterable[Links]:
    """The entries of each group, with all of an entry's text to be searched."""
    for name, ids in groups.items():
        entries = [DIFFERENCES[id] for id in ids]
        yield Links(name, tuple(Link(f"{e.id}.html", e.title, e.id, words(e)) for e in entries), searched=True)


def words(entry: Difference) -> str:
    """What a page says, in words for the search."""
    sides = [part for side in (entry.keras, entry.torch) for part in (side.formula, side.code, side.align)]
    return " ".join([entry.kind, entry.does, *sides])
