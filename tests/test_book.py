"""The book: a page for every known difference, an index that leads to all of them, and chapters from recordings."""

import re
from html import unescape

import pytest
from commands import run
from test_page import read

from parity import explain
from parity.book import gradients, made, noise
from parity.book.lab import Lab
from parity.book.language import told_in
from parity.book.port import EDITS, TORCH, debugged
from parity.book.symptoms import SYMPTOMS
from parity.differences import AREAS, DIFFERENCES
from parity.page.model import Text, Way
from parity.page.render import leaf
from parity.ports.check import Request, checked

LOADED = re.compile(r'(?:src|href)="([^"#]*)"')


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The pages that take no run, as text, by file."""
    folder = tmp_path_factory.mktemp("made") / "new" / "book"
    done = run("parity.explain", "--html", folder, "--no-run", folder=folder.parents[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(DIFFERENCES) + 1} pages are written; begin with {folder / 'index.html'}\n"
    return {path.name: path.read_text() for path in folder.iterdir()}


def words(page):
    return " ".join(" ".join(text for _, text in read(page).texts).split())


def test_every_difference_has_a_symptom():
    assert {name for names in SYMPTOMS.values() for name in names} == set(DIFFERENCES)
    assert [entry.id for entries in AREAS.values() for entry in entries] == list(DIFFERENCES)


def test_every_difference_has_a_page_with_both_sides(book):
    assert set(book) == {"index.html", *(f"{name}.html" for name in DIFFERENCES)}
    for name, entry in DIFFERENCES.items():
        page = "".join(text for _, text in read(book[f"{name}.html"]).texts)
        for side in (entry.keras, entry.torch):
            assert all(part in page for part in (side.formula, side.code, side.prints, side.align)), name
        assert entry.title in page


def test_pages_load_nothing_and_lead_to_one_another(book):
    for name, page in book.items():
        targets = {unescape(target) for target in LOADED.findall(page)}
        assert targets <= set(book), name
        assert "https:" not in page, name
        # The index alone has a script, and no other could run.
        assert page.count("<script>") == page.count("script-src") == (name == "index.html")
    assert set(LOADED.findall(book["index.html"])) == set(book) - {"index.html"}


def test_the_index_names_each_where_it_is_looked_for(book):
    found = read(book["index.html"])
    for title in (*SYMPTOMS, *AREAS):
        assert title in found.of("h3")
    links = [text for name, text in found.texts if name == "a"]
    assert {entry.title for entry in DIFFERENCES.values()} <= set(links)
    # A word of a script, which no title has, is found by the search.
    assert "pack_padded_sequence" in book["index.html"]


def test_a_picture_says_how_far_they_are_apart(book):
    assert "At most 14 apart" in words(book["flatten_order.html"])
    assert "no picture of it" in words(book["tf32.html"])
    assert "Where one is a number, the other is none." not in words(book["gelu.html"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gelu", "--html", "new"], "error: --html writes all differences; give no ID with it\n"),
        (
            ["--lang", "ko"],
            "error: --lang is the language of the chapters that --html writes; give --html DIR with it\n",
        ),
        (
            ["--html", "taken", "--no-run"],
            "error: --html taken is not empty; give a new folder, nothing recorded is ever",
        ),
        (
            ["--html", "file", "--no-run"],
            "error: --html file cannot be written (Not a directory); give another folder\n",
        ),
    ],
)
def test_bad_input(arguments, said, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("")
    (tmp_path / "file").write_text("")
    done = run("parity.explain", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.ci
def test_a_port_is_mended_by_what_its_reports_say(own_workers, tmp_path):
    """Each report's first cause is mended, until the last one is parity, and every mistake was one of its own."""

    def check(keras, torch, data, out):
        return checked(Request(str(keras), str(torch), data=str(data)), own_workers, out)

    page = debugged(tmp_path, check)
    *turns, _ = page.sections[1:]
    assert [section.title for section in turns][-1] == "Parity"
    assert len(turns) == len(EDITS) + 1
    for section in turns[:-1]:
        text, change = section.parts
        assert isinstance(text, Text)
        assert any(line.startswith("  cause: ") for line in text.lines)
        assert isinstance(change, Way)
        assert re.match("[-+] ", change.code)
    assert (tmp_path / "my_torch.py").read_text() != TORCH
    assert "Parity" in words(leaf(page))


@pytest.mark.slow
def test_chapters_say_what_was_measured(workers, tmp_path, monkeypatch):
    """Over few steps: honest pairs pass every bar, and a known difference fails in the stage where it acts."""
    monkeypatch.setattr(gradients, "STEPS", 60)
    monkeypatch.setattr(noise, "HONEST", "mnist_relu --steps 40")
    monkeypatch.setattr(noise, "STOCK", "mnist_relu --steps 40 --choice tf:adam_epsilon=before_correction")
    lab = Lab(workers, tmp_path, explain.typed)
    pages = {page.file: page for page in (noise.part(lab), noise.tells(lab), gradients.vanish(lab))}
    text = {name: words(leaf(page)) for name, page in pages.items()}
    assert "doubled every" in text["why-honest-runs-part.html"]
    honest, stock = pages["why-one-step-tells.html"].sections[1].parts[1].columns
    assert honest.parts[1].first is None
    assert stock.parts[1].first.names == ("optimizer",)
    assert "vanishing" in text["vanishing-gradients.html"].lower()
    assert all(page.title in words(leaf(made.index(list(pages.values())), searched=True)) for page in pages.values())
    with told_in("ko"):
        korean = noise.part(lab)
    assert '<html lang="ko">' in leaf(korean)
    assert "정직한 두 실행은 왜 갈라지는가" in words(leaf(korean))
    assert korean.sections[1].parts[1].rows == pages["why-honest-runs-part.html"].sections[1].parts[1].rows


@pytest.mark.slow
def test_the_naive_cost_is_lost_and_the_one_of_logits_is_not(workers, tmp_path):
    rows = gradients.not_a_number(Lab(workers, tmp_path, explain.typed)).sections[0].parts[1].rows
    lost = {row[0]: row[2:4] for row in rows}
    assert lost["naive"][0].startswith("step ")
    assert lost["logits"] == ["never", "never"]
