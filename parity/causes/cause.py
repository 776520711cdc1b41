"""A cause: why two sides part, confirmed by a replay."""

from dataclasses import dataclass
from typing import Literal

from parity.experiment.validation import STRICT

Whose = Literal["port", "framework", "kernel"]


@dataclass(frozen=True)
class Cause:
    """What makes the sides part: its name, the level where it acts, a sentence, both lines of the user's code.

    `fix` is what to write instead, `whose` it is a mistake of, `entry` the known difference (python -m parity.explain),
    `confirmed` what agrees once it is undone.
    """

    name: str
    level: str
    says: str
    fix: str
    whose: Whose
    confirmed: str
    keras: str | None = None
    torch: str | None = None
    entry: str | None = None
    __pydantic_config__ = STRICT
