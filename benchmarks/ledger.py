"""Draws that go on where they were stopped: what came of each is a line of a file, and lanes do what is missing."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

Opened = TypeVar("Opened")


class Ledger:
    """The lines that a file has of the draws of a seed."""

    def __init__(self, file: Path, seed: int) -> None:
        self.file, self.seed, self.lock = file, seed, threading.Lock()
        file.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text() if file.exists() else ""
        # What was stopped while it wrote left part of a line.
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            file.write_text(whole)
        for line in map(json.loads, whole.splitlines()):
            number, kind = line.pop("number"), line.pop("kind")
            if line.pop("seed") == seed:
                self.read(number, kind, line)

    def read(self, number: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Hold what a line says of a draw."""
        raise NotImplementedError

    def write(self, number: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Add a line, and hold what it says."""
        line = json.dumps({"number": number, "kind": kind, "seed": self.seed, **fields})
        with self.lock:
            self.read(number, kind, fields)
            with self.file.open("a") as file:
                print(line, file=file)


def each(
    numbers: Iterable[int],
    work: Callable[[Opened, int], None],
    open_lane: Callable[[], AbstractContextManager[Opened]],
    lanes: int,
    deadline: float,
) -> None:
    """Have lanes do the work on all numbers, as far as they come to until the deadline or an interrupt."""
    left, lock, stopped = iter(numbers), threading.Lock(), threading.Event()

    def serve() -> None:
        with open_lane() as lane:
            while not stopped.is_set() and time.monotonic() < deadline:
                with lock:
                    number = next(left, None)
                if number is None:
                    return
                work(lane, number)

    with ThreadPoolExecutor(lanes) as pool:
        serving = [pool.submit(serve) for _ in range(lanes)]
        try:
            for future in serving:
                future.result()
        except BaseException:
            # What is being judged is finished.
            stopped.set()
            raise
