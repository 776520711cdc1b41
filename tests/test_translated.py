"""The Korean README says what the English one says: the same code, figures, links and sections, in the same order."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGLISH, KOREAN = (ROOT / name for name in ("README.md", "README.ko.md"))
CODE = re.compile(r"```.*?```", re.S)
# Either refers to the other.
OTHER = {"README.md", "README.ko.md"}


def prose(text):
    """What is to be translated: without blocks of code, code in lines, links and comments."""
    return re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->", " ", CODE.sub(" ", text), flags=re.S)


def links(text):
    return Counter(re.findall(r"\]\(([^)]*)\)", text)) - Counter(OTHER)


def spans(text):
    """Code in lines, however it is wrapped."""
    return Counter(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", CODE.sub(" ", text)))


def numbers(text):
    return Counter(re.findall(r"\d[\d,.]*\d|\d", prose(text)))


def headings(text):
    return [line.split(" ")[0] for line in CODE.sub("", text).splitlines() if line.startswith("#")]


def rows(text):
    """How many cells each row of each table has."""
    return [line.count("|") for line in CODE.sub("", text).splitlines() if line.startswith("|")]


WHAT = {"code": CODE.findall, "links": links, "spans": spans, "numbers": numbers, "headings": headings, "rows": rows}


@pytest.mark.parametrize("what", WHAT)
def test_both_have_the_same(what):
    ours, theirs = (WHAT[what](file.read_text()) for file in (ENGLISH, KOREAN))
    if isinstance(ours, Counter):
        assert (ours - theirs, theirs - ours) == (Counter(), Counter())
    assert ours == theirs


def test_nothing_is_left_in_english():
    """No line of prose without a Korean word; tables have rows of names, and a quotation is of what is printed."""
    lines = [line for line in prose(KOREAN.read_text()).splitlines() if not line.startswith("|")]
    left = [line for line in lines if len(re.findall(r"[a-z]{3,}", line)) > 7 and not re.search(r"[가-힣]", line)]
    assert left == []
