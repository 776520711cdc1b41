"""The site that `make site` writes: every document, the Python interface from its docstrings, and no broken link."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from test_page import read

import parity
from parity import explain

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.ci


def sphinx(source, out):
    """Make the pages of the documents in `source`, as the Makefile does; what it complains of, and its status."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs", ".", str(out)]
    assert " ".join(command[1:9]) in (ROOT / "Makefile").read_text()
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "site"
    assert sphinx(ROOT, out) == (0, "")
    assert explain.main(["--html", str(out / "book"), "--no-run"]) == 0
    return out


def broken(site):
    """The links of a site's pages that lead to nothing in it: (page, link)."""
    pages = {path: read(path.read_text()) for path in site.rglob("*.html") if "_static" not in path.parts}
    names = {
        path: {value for _, name, value in page.attributes if name in ("id", "name")} for path, page in pages.items()
    }
    found = []
    for path, page in pages.items():
        for _, name, value in page.attributes:
            if name not in ("href", "src") or re.match(r"[a-z]+:", value):
                continue
            file, place = urldefrag(value)
            target = (path.parent / unquote(file.partition("?")[0])).resolve() if file else path
            if not target.is_file() or (place and target in names and unquote(place) not in names[target]):
                found.append((str(path.relative_to(site)), value))
    return found


def test_every_document_is_on_it_and_no_link_is_broken(site):
    documents = {path.relative_to(ROOT).with_suffix(".html") for path in ROOT.glob("docs/*.md")}
    documents |= {Path(name) for name in ("README.html", "README.ko.html", "CONTRIBUTING.html", "docs/tour.html")}
    assert [str(path) for path in documents if not (site / path).is_file()] == []
    first = read((site / "README.html").read_text())
    links = {value for tag, name, value in first.attributes if (tag, name) == ("a", "href")}
    assert {str(path) for path in documents} - {"README.html"} | {"book/index.html"} <= links
    assert broken(site) == []


def test_a_broken_link_is_found(site, tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#here">x</a><a href="b.html#gone">x</a><img src="c.png">')
    (tmp_path / "b.html").write_text('<p id="here"></p>')
    assert broken(tmp_path) == [("a.html", "b.html#gone"), ("a.html", "c.png")]


def test_all_of_the_python_interface_is_on_it(site):
    page = (site / "docs" / "api.html").read_text()
    documented = {name for tag, key, name in read(page).attributes if key == "id" and name.startswith("parity.")}
    assert {f"parity.{name}" for name in parity.__all__} - documented <= {"parity.__version__", "parity.errors"}
    assert {"parity.errors.UsageError", "parity.errors.WorkerError", "parity.Report.verdict"} <= documented


def test_nothing_of_it_is_loaded_from_elsewhere(site):
    for path in site.rglob("*.html"):
        found = read(path.read_text())
        loaded = [v for tag, name, v in found.attributes if name == "src" or (tag, name) == ("link", "href")]
        assert [value for value in loaded if re.match("(https?:)?//", value)] == [], path
