"""What came of faults that were planted before, by the same code: a line of a file for each."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.ledger import Ledger

ROOT = Path(__file__).parents[1]
CODE = ("parity", "tf_impl", "torch_impl", "benchmarks")


@cache
def code() -> str:
    """What tells the code of now from that of another time."""
    sha = hashlib.sha256()
    for path in sorted(path for package in CODE for path in (ROOT / package).rglob("*.py")):
        sha.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return sha.hexdigest()[:16]


class Kept(Ledger):
    """Lines by their kind, such as a fault and its side, but of other code and of runs of other lengths."""

    def __init__(self, file: Path, reduced: bool) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.reduced = reduced
        super().__init__(file, 0)

    def read(self, number: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Hold a line, if the code that made it is this one."""
        if fields["code"] == code() and fields["reduced"] == self.reduced:
            self.found[kind] = dict(fields["content"])

    def keep(self, kind: str, content: Mapping[str, Any]) -> None:
        """Add a line."""
        self.write(len(self.found), kind, {"code": code(), "reduced": self.reduced, "content": content})


def as_content(value: Any) -> Any:
    """A check as JSON takes it."""
    return None if value is None else asdict(value)
