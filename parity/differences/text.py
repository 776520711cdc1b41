"""The known differences as text: a list, one of them for a terminal, all of them as Markdown."""

from collections.abc import Iterable
from textwrap import indent
from typing import get_args

from parity.differences import DIFFERENCES, IMPORTS, Difference, Effect
from parity.differences.entry import Kind
from parity.experiment.spec import own_choices

# What heads docs/differences.md.
OPENING = """\
# The known differences

`python -m parity.explain --markdown` makes this page; `python -m parity.explain ID` shows one entry, and for a choice
measures what it does to training. Each script prints what stands below it, and each alignment prints what the other
framework's script prints: the tests run them all. Scripts begin with the imports

```python
{keras}```

or

```python
{torch}```

| kind | what it is |
|---|---|
| choice | a field of `Realisation` (`parity/experiment/spec.py`): either framework can do it the other's way |
| over steps | seen only over several steps |
| data and start | in the samples or in the initial weights |
| runtime | a setting of the process or of the machine |
| kernel | how an operation is computed |
| version | changed between two versions of one framework |
| authoring trap | the same words in a program that mean something else |
"""


def listing(differences: Iterable[Difference]) -> list[str]:
    """A line for each difference, by kind: its id, its kind and its title."""
    kinds = get_args(Kind)
    entries = sorted(differences, key=lambda entry: kinds.index(entry.kind))
    width = max(len(entry.id) for entry in entries)
    return [f"{entry.id:{width}}  {entry.kind:{max(map(len, kinds))}}  {entry.title}" for entry in entries]


def command(effect: Effect) -> str:
    """The command that shows a choice act: each side in its own way."""
    choices = " ".join(f"--choice {side}:{effect.field}={own_choices(side)[effect.field]}" for side in ("tf", "torch"))
    return f"python -m parity.run {effect.options} {choices}"


def plain(entry: Difference) -> str:
    """All of one difference but its measured effect, for a terminal."""
    lines = [f"{entry.id}: {entry.title}", f"{entry.kind}; {entry.versions}", "", entry.does]
    for label, side, other in (("Keras", entry.keras, "torch"), ("torch", entry.torch, "Keras")):
        lines += ["", f"{label}:  {side.formula}", f"  source: {side.source}", indent(side.code, "    ")]
        lines += [f"  prints: {side.prints}", f"  as {other} does it:", indent(side.align, "    ")]
    if entry.effect is not None:
        lines += ["", f"try: {command(entry.effect)}"]
    if entry.document is not None:
        lines += ["", f"see {entry.document}"]
    return "\n".join(lines)


def markdown() -> str:
    """The whole catalogue, docs/differences.md."""
    blocks = [OPENING.format(**IMPORTS)]
    blocks += ["| difference | kind | what differs |\n|---|---|---|\n" + "".join(map(row, DIFFERENCES.values()))]
    return "\n".join(blocks + [section(entry) for entry in DIFFERENCES.values()])


def row(entry: Difference) -> str:
    """An entry in the table of all."""
    return f"| [{entry.id}](#{entry.id}) | {entry.kind} | {entry.title} |\n"


def section(entry: Difference) -> str:
    """One entry in Markdown."""
    lines = [f"## {entry.id}", "", f"{entry.title} ({entry.kind}; {entry.versions}).", "", entry.does]
    for label, side, other in (("Keras", entry.keras, "torch"), ("torch", entry.torch, "Keras")):
        lines += ["", f"**{label}**: `{side.formula}` ({side.source})", "", "```python", side.code, "```", ""]
        lines += [f"prints `{side.prints}`. As {other} does it:", "", "```python", side.align, "```"]
    if entry.effect is not None:
        lines += ["", f"To see it act: `{command(entry.effect)}`"]
    if entry.document is not None:
        lines += ["", f"[{entry.document}]({entry.document.removeprefix('docs/')}) measures more of it."]
    return "\n".join(lines) + "\n"
