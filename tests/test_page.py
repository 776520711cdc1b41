"""The page of a report: what it says is what verdict.json says, nothing is loaded, and no value is markup."""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import takewhile
from pathlib import Path

import pytest
from conftest import shortened
from own_pairs import PAIRS

from parity import compare
from parity.commands.repeated import repeated
from parity.page import PAGE
from parity.page.model import Bar, Fix, Page, Section, Stage, Stages, Table, Text, Way
from parity.page.render import html, share
from parity.ports.check import Request, checked

VOID = {"meta", "input", "img", "br", "link"}
# As of a reader who clicks nothing and follows nothing.
LARGEST = 2_000_000


@dataclass
class Read(HTMLParser):
    """What a browser makes of a page."""

    tags: Counter = field(default_factory=Counter)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip()

    def of(self, tag):
        return ["".join(text.split()) if tag == "style" else text for name, text in self.texts if name == tag]


def read(text):
    found = Read()
    found.feed(text)
    found.close()
    assert not found.open
    return found


def stages(found):
    """The names and the figures of the rows of stages."""
    first = next(number for number, row in enumerate(found.rows) if row[0] == "stage") + 1
    return {row[0]: row[1:] for row in takewhile(lambda row: len(row) == 3 and row[0], found.rows[first:])}


@pytest.fixture(scope="module")
def page_of_parity(clean_pair, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    sides = [str(side.folder) for side in clean_pair]
    assert compare.main([*sides, "--out", str(folder / "out"), "--html", str(folder / "a.html"), "--quiet"]) == 0
    assert (folder / "a.html").read_text().count("<details>") == (folder / "out" / PAGE).read_text().count("<details>")
    return (folder / "a.html").read_text(), json.loads((folder / "out" / "verdict.json").read_text())


def test_a_page_loads_nothing_and_is_legible_without_scripts(page_of_parity):
    text, _ = page_of_parity
    found = read(text)
    assert len(text) < LARGEST
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(found.tags)
    for tag, name, value in found.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "xlink:href", "data", "action", "poster"):
            assert value.startswith(("#", "data:image/")), (tag, name, value)
        assert not re.search(r"url\((?!#|'?data:)", value), (tag, name, value)
    (style,) = found.of("style")
    assert "@import" not in style
    assert "url(" not in style
    policy = next(value for tag, name, value in found.attributes if tag == "meta" and "default-src" in value)
    assert "default-src 'none'" in policy


def test_its_numbers_are_those_of_the_verdict(page_of_parity):
    text, verdict = page_of_parity
    found = read(text)
    assert found.of("h1")[0].startswith(
        "Keras and torch trained the same: every stage of 3 checkpoints within rounding"
    )
    assert f"Every check ({len(verdict['checks'])})" in found.of("h2")
    most = {}
    for check in verdict["checks"]:
        step, _, rest = (check["where"] or "").partition(", ")
        if check["level"] == "lockstep" and step.startswith("step ") and check["bound"]:
            most.setdefault(rest.partition(", ")[0], {}).setdefault(check["side"], []).append(
                check["measured"] / check["bound"]
            )
    shown = stages(found)
    compared = 0
    for stage, sides in most.items():
        for figure, label in zip(shown[stage], ("Keras", "torch"), strict=True):
            assert figure == share(Bar("passed", max(sides[label]), "")), stage
            compared += 1
    assert compared >= 10
    # In the order of the computation.
    names = list(shown)
    assert names.index("forward dense_1") < names.index("forward dense_3") < names.index("loss")
    assert names.index("backward dense_3") < names.index("backward dense_1") < names.index("optimizer")


def test_a_small_number_keeps_its_digits(page_of_parity):
    text, _ = page_of_parity
    ticks = {text for _, text in read(text).texts}
    assert "0.00" not in ticks
    assert {"0.01", "0.001", "1e-5", "1e-6", "1e-7"} & ticks


def test_a_mismatch_says_what_to_write(record_pair, tmp_path):
    apart = shortened("mnist_softmax", 6)
    pair = record_pair(replace(apart, torch=replace(apart.torch, adam_epsilon="before_correction")), tmp_path)
    sides = [str(side.folder) for side in pair]
    assert compare.main([*sides, "--html", str(tmp_path / "a.html"), "--quiet"]) == 1
    text = (tmp_path / "a.html").read_text()
    found = read(text)
    assert found.of("h2").count("What to change") == 1
    assert "Keras and torch part first at" in " ".join(found.of("h1"))
    assert 'class="bar failed"' in text
    assert "the settings differ in adam_epsilon (Keras after_correction, torch before_correction)" in text


HOSTILE = "<img src=x onerror=alert(1)>&\"'"


def test_no_name_is_markup():
    """Every field of a page, with a value that would be markup."""
    bar = Bar("failed", 2.0, HOSTILE)
    table = Table([HOSTILE] * 2, [[HOSTILE] * 2], frozenset({0}), HOSTILE)
    rows = Stages((HOSTILE,), (HOSTILE,), (Stage((HOSTILE,), (bar,)),), HOSTILE)
    sections = (Section(HOSTILE, (table, Text([HOSTILE]), Text([HOSTILE], fixed=True))),)
    ways = tuple(Way(HOSTILE, HOSTILE, language) for language in ("python", "shell", "text"))
    made = Page(
        HOSTILE,
        "mismatch",
        HOSTILE,
        HOSTILE,
        (HOSTILE,),
        (Fix(HOSTILE, ways),),
        rows,
        table,
        HOSTILE,
        sections,
        (HOSTILE,) * 2,
    )
    found = read(html(made))
    assert "img" not in found.tags
    assert not any(name.startswith("on") for _, name, _ in found.attributes)
    assert sum(HOSTILE in text for _, text in found.texts) >= 12
    assert (("td", "title", HOSTILE)) in found.attributes


def test_the_page_of_a_users_pair(own_workers, tmp_path):
    """A stage in each row, in the order of the computation, with its share; and names that are markup elsewhere."""
    pair = PAIRS["conv_batchnorm"]
    folder = tmp_path / "a <b>&"
    paths = pair.write(folder, pair.faults[0])
    text = paths["torch"].read_text()
    paths["torch"].write_text(text.replace("nn.Linear(4, 1)", "nn.Linear(4, 1)  # <script>"))
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]))
    report = checked(request, own_workers, tmp_path / "out")
    page = (tmp_path / "out" / PAGE).read_text()
    assert f"report: {tmp_path / 'out' / PAGE}, " in str(report)
    found = read(page)
    assert not {"script", "b"} & set(found.tags)
    assert "epsilon" in next(text for tag, text in found.texts if tag == "p" and "Confirmed: " in text)
    verdict = json.loads((tmp_path / "out" / "verdict.json").read_text())
    shares = {
        f["name"]: f["measured"] / f["bound"] for f in verdict["findings"] if f["level"] == "forward" and f["bound"]
    }
    rows = {row[0].split()[0]: row[2] for row in found.rows if len(row) == 5 and row[2]}
    compared = [name for name in shares if name.partition(" ~ ")[0] in rows]
    assert len(compared) >= 4
    for name in compared:
        assert rows[name.partition(" ~ ")[0]] == share(Bar("passed", shares[name], "")), name
    assert request.command() in found.of("pre")


def test_without_its_libraries_a_check_goes_on(own_workers, tmp_path, monkeypatch):
    monkeypatch.setattr("parity.ports.check.missing_of_page", lambda: ["jinja2"])
    paths = PAIRS["own_step"].write(tmp_path)
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]))
    report = checked(request, own_workers, tmp_path / "out")
    assert report.verdict == "parity"
    assert not (tmp_path / "out" / PAGE).exists()
    assert f"no {PAGE} is written: pip install jinja2" in report.notes


def test_no_library_of_it_is_loaded_without_it():
    code = (
        "import sys, parity.check, parity.compare; assert not {'jinja2', 'pygments', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_command_that_repeats_has_what_the_environment_sets(monkeypatch):
    monkeypatch.delenv("PARITY_DATA", raising=False)
    arguments = ["mnist_relu", "--out", "a b", "--lr=0.1", "--quiet"]
    assert repeated("parity.run", arguments) == "python -m parity.run mnist_relu --lr=0.1"
    monkeypatch.setenv("PARITY_DATA", "my digits")
    assert repeated("parity.run", arguments) == "PARITY_DATA='my digits' python -m parity.run mnist_relu --lr=0.1"
    assert repeated("parity.run", [*arguments, "--data", "x"]) == "python -m parity.run mnist_relu --lr=0.1 --data x"
    assert repeated("parity.compare", ["a", "--html", "x"]) == "python -m parity.compare a"
