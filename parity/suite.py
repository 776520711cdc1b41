"""A test suite's checks: what the pytest plugin does, by processes that live as long as the session."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from parity.check import MODULE, SIDES, Source, named, requested
from parity.errors import ParityError, UsageError, WorkerError
from parity.experiment.spec import Framework
from parity.ports import check, golden, goldens
from parity.ports.report import Report
from parity.workers.installed import require_frameworks
from parity.workers.processes import Worker, available_cpus, started

Side = Literal["keras", "torch"]
# Of what a pair is asked for, what a golden of one side is made of, too.
OWN = ("data", "inputs", "shapes", "samples", "steps")


class Suite:
    """The frameworks' processes, each started when it is first needed. Use it as a context manager."""

    def __init__(self) -> None:
        self.workers: dict[Framework, Worker] = {}
        self.stack = ExitStack()

    def __enter__(self) -> "Suite":
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def worker(self, framework: Framework) -> Worker:
        """The process of a framework; raises UsageError where it is not installed."""
        if framework not in self.workers:
            require_frameworks([framework])
            threads = max(1, available_cpus() // len(SIDES))
            self.workers |= self.stack.enter_context(started("cpu", threads, None, [framework], MODULE))
        return self.workers[framework]

    def checked(self, folder: Path, **settings: Any) -> Report:
        """What `parity.check_models` gives for these settings; the report's folder is `folder`."""
        request = requested(**settings)
        if request.notes:
            raise UsageError("a live model lies in pytest's process: give its file, or call parity.check_models")
        live = [SIDES[side] for side in check.KINDS if side not in request.recorded()]
        try:
            return check.checked(request, {side: self.worker(side) for side in live}, folder)
        except WorkerError:
            self.forget()
            raise

    def forget(self) -> None:
        """End all processes: one of them died, and the next check is to have new ones."""
        self.workers.clear()
        self.stack.close()

    def golden_recorded(
        self,
        file: Path,
        folder: Path,
        checks: Side | None,
        keras: Source | None = None,
        torch: Source | None = None,
        **settings: Any,
    ) -> str:
        """Record a golden, of a pair only where it is parity; returns what moved. Raises ParityError where it is not.

        With one side, that is what the golden is of; with both, the side that `checks`.
        """
        side = which(checks, keras, torch)
        report = None
        if keras is not None and torch is not None:
            report = self.checked(folder / "pair", keras=keras, torch=torch, **settings)
            if not report:
                raise ParityError(f"{file} is not recorded, since the pair is not one computation\n{report}")
        made = asked(side, keras if side == "keras" else torch, settings)
        try:
            new = goldens.record(made, self.worker(SIDES[side]), folder / "golden", report)
        except WorkerError:
            self.forget()
            raise
        old = golden.load(file) if file.is_file() else None
        size = golden.save(file, new)
        return f"{file}: {goldens.moved(old, new)} ({size} bytes)"

    def golden_checked(
        self,
        file: Path,
        folder: Path,
        checks: Side | None,
        keras: Source | None = None,
        torch: Source | None = None,
        **settings: Any,
    ) -> tuple[str, str]:
        """What a side no longer does as its golden has it, and what could not be judged; both are empty if nothing."""
        side = which(checks, keras, torch)
        kept = golden.load(file)
        made = asked(side, keras if side == "keras" else torch, settings)
        try:
            now = goldens.repeat(kept, made, self.worker(SIDES[side]), folder)
        except WorkerError:
            self.forget()
            raise
        found = golden.drifts(kept.sketches, now)
        lacking = golden.unjudged(kept.sketches, now)
        warning = f"{file}: not judged, since only one of the two has it: {', '.join(lacking)}" if lacking else ""
        return goldens.says(file, kept, now, found) if found else "", warning


def asked(side: Side, source: Source | None, settings: Mapping[str, Any]) -> goldens.Asked:
    """What a golden of one side is made of: what the pair is asked for, with few samples."""
    assert source is not None
    own = {name: value for name, value in settings.items() if name in OWN and value is not None}
    request = requested(source, source, **own)
    samples = own.get("samples", goldens.SAMPLES)
    return goldens.Asked(
        named(source), side, request.data, request.inputs, request.shapes, samples, request.steps
    )  # fmt: skip


def which(checks: Side | None, keras: Source | None, torch: Source | None) -> Side:
    """The side that a golden is of."""
    sources: dict[Side, Source | None] = {"keras": keras, "torch": torch}
    given = [side for side, source in sources.items() if source is not None]
    if checks is None and len(given) == 1:
        return given[0]
    if checks is None or checks not in given:
        raise UsageError("give keras= or torch=, or both and which one the golden checks: checks='torch'")
    return checks
