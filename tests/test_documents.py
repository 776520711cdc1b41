"""The documents written by hand name what is there: files, folders, commands, and what stands in a file."""

import re
from pathlib import Path

import pytest

from parity.commands.entry import COMMANDS

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "README.ko.md", "CONTRIBUTING.md", "docs/verdict.md")
NAMES = re.compile(r"`([^`\n]+)`")
# Folders and files of the project; what a run writes is named by a placeholder or without a folder.
PATH = re.compile(r"(?:parity|tf_impl|torch_impl|benchmarks|tests|docs|\.ci|\.github)/[\w./-]*")


def text(document):
    return (ROOT / document).read_text()


def table(document, heading):
    """The rows of the first table below a heading, without its head."""
    section = text(document).split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_and_commands_that_are_named_exist(document):
    paths = {path for name in NAMES.findall(text(document)) for path in PATH.findall(name)}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    commands = set(re.findall(r"python -m parity\.(\w+)", text(document)))
    assert commands <= set(COMMANDS)
    benchmarks = set(re.findall(r"python -m\s+benchmarks\.(\w+)", text(document)))
    assert [name for name in benchmarks if not (ROOT / f"benchmarks/{name}.py").exists()] == []


QUESTIONS = {row.split("|")[1].strip(): row for row in table("CONTRIBUTING.md", "Where does … live?")}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_to_be_edited_or_copied_stands_where_it_is_said(question):
    """Each name that is no path is found in a file that the row names, or that lies in a folder it names."""
    row = QUESTIONS[question]
    names = [name for name in NAMES.findall(row) if not name.startswith("python -m")]
    files = [ROOT / name for name in names if PATH.fullmatch(name)]
    files += [file for folder in files if folder.is_dir() for file in folder.glob("*.py")]
    searched = "".join(file.read_text() for file in files if file.is_file())
    of_each_side = ("activations.py", "optimizers.py", "state.py", "checks.py")
    missing = [name for name in names if not PATH.fullmatch(name) and name not in of_each_side and name not in searched]
    assert missing == []
