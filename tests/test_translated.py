"""What is there in Korean says what there is in English: the README's code, figures and links, the book's chapters."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from parity.book.korean import TEXTS
from parity.book.language import CATALOGUES, LANGUAGES, say, told_in

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


def said_by_chapters():
    """Every text that the book's code says, written out where it is said."""
    found = set()
    for file in (ROOT / "parity" / "book").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
                (text,) = node.args
                assert isinstance(text, ast.Constant), f"{file.name}, line {node.lineno}: not written out"
                found.add(text.value)
    return found


def test_every_text_of_a_chapter_is_there_in_korean():
    assert set(LANGUAGES) == set(CATALOGUES)
    assert set(TEXTS) == said_by_chapters()
    for english, korean in TEXTS.items():
        names = [Counter(re.findall(r"\{\w+\}", text)) for text in (english, korean)]
        assert names[0] == names[1], english
        numbers = [Counter(re.findall(r"\d+", re.sub(r"\{\w+\}", "", text))) for text in (english, korean)]
        # A word of one language may be a digit of the other; a number is the same.
        assert all(numbers[1][n] >= count for n, count in numbers[0].items()), english
    # Names alone stand as they are.
    assert {e for e, k in TEXTS.items() if not re.search(r"[가-힣]", k)} == {"Parity"}


def test_a_language_is_that_of_a_block():
    assert say("Chapter {number}", number=3) == "Chapter 3"
    with told_in("ko"):
        assert say("Chapter {number}", number=3) == "3장"
    assert say("Chapter {number}", number=3) == "Chapter 3"
