"""The parts of an entry in the catalogue of differences."""

from dataclasses import dataclass
from textwrap import dedent
from typing import Literal

Kind = Literal["choice", "over steps", "data and start", "runtime", "kernel", "version", "authoring trap"]
VERSIONS = "Keras 3.15 on TensorFlow 2.21, torch 2.15"


@dataclass(frozen=True)
class Side:
    """How one framework does it.

    `source` is "file: names" inside the installed package. `code` is a script of a few lines, written as a user would
    write it, and `prints` what it prints. `align` is the script that makes this framework do as the other one: it
    prints what the other one's code prints. Scripts find the framework's and NumPy's imports made (IMPORTS).
    """

    formula: str
    source: str
    code: str
    prints: str
    align: str


@dataclass(frozen=True)
class Effect:
    """Where a choice acts: a field of `Realisation`, and what to type after parity.run for a run that reads it.

    `stage` is the stage of a step where the first divergence shows. Where entries share a field, `readers` are the
    activations or optimizers that this one is about; without any it is about all others.
    """

    field: str
    options: str
    stage: str
    readers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """One known difference: what each framework does, what that does to training, and how to align either side.

    `document` is a page that measures more of it; `effect` is there for a choice only.
    """

    id: str
    title: str
    kind: Kind
    does: str
    keras: Side
    torch: Side
    versions: str = VERSIONS
    document: str | None = None
    effect: Effect | None = None


IMPORTS = {
    "keras": "import keras\nimport numpy as np\nimport tensorflow as tf\n",
    "torch": "import numpy as np\nimport torch\n",
}


def side(formula: str, source: str, code: str, prints: str, align: str) -> Side:
    """A side whose scripts are written as indented blocks."""
    return Side(formula, source, dedent(code).strip("\n"), prints, dedent(align).strip("\n"))
