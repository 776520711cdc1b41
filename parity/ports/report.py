"""What is said of a user's pair: at first sight in under fifteen lines, all of it as JSON, and as JUnit XML."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity.causes.cause import Cause
from parity.page import PAGE
from parity.page.cells import SHADES, paragraph, preformatted, table
from parity.pairing.pairs import Pairing
from parity.pairing.settings import compared
from parity.ports.findings import LEVELS, Finding, conclude, first_divergence
from parity.ports.judge import Side
from parity.ports.levels import DOUBT
from parity.recordings.files import write_whole
from parity.verdict.checks import EXIT_STATUS, VerdictName

VERDICT_FORMAT = 1
# Notes and messages that are printed; all of them are in verdict.json.
SHOWN = 3
MOST_LINES = 14
# float32's unit roundoff over float64's.
COARSER = 2.0**29
COLOURS: dict[VerdictName, str] = {"parity": "green", "mismatch": "red", "insufficient": "yellow"}


@dataclass(frozen=True)
class Report:
    """What was found of a pair. It is true where the verdict is parity; printed, it is what the command prints."""

    keras: Side
    torch: Side
    pairing: Pairing
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    folder: Path
    strict: bool = False
    # Each stage of the forward pass by itself, given the other side's tensors; where that pass differs.
    alone: tuple[Finding, ...] = ()
    # What came of the wish to have the weights as the other side's own file.
    saved: str = ""
    # What is said of the request, whatever else there is to say.
    always: tuple[str, ...] = ()
    # Why they part, each confirmed by a replay, and what was tried in vain.
    causes: tuple[Cause, ...] = ()
    excluded: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.verdict == "parity"

    def __repr__(self) -> str:
        return f"<Report: {self.verdict}, {len(self.findings)} checks of a Keras and a torch model>"

    def __str__(self) -> str:
        *lines, report, verdict = self.lines()
        room = max(0, MOST_LINES - len(lines) - 2)
        told = [] if self.first_divergence is None else self.partnerless(self.first_divergence)
        messages = [said for said in self.pairing.messages if said not in told]
        notes = [f"  note: {said}" for said in gathered([*messages, *self.notes])]
        always = [f"  {said}" for said in (*self.always, self.saved) if said]
        return "\n".join([*lines[: MOST_LINES - 2], *notes[: min(room, SHOWN)], *always, report, verdict])

    def _repr_html_(self) -> str:
        first, *lines = str(self).splitlines()
        shade = SHADES[COLOURS[self.verdict]]
        table_of_levels = table(("level", "passed", "failed", "not judged"), self.counted())
        return f"<div>{paragraph(first, shade, bold=True)}{preformatted(lines)}{table_of_levels}</div>"

    def counted(self) -> list[tuple[str, str, str, str]]:
        """How many findings of each level passed, failed, and were not judged."""
        found = Counter((finding.level, finding.result) for finding in self.findings)
        return [
            (level, str(found[level, "passed"]), str(found[level, "failed"]), str(found[level, "not_judged"]))
            for level in dict.fromkeys(finding.level for finding in self.findings)
        ]

    @property
    def verdict(self) -> VerdictName:
        """ "parity", "mismatch" or "insufficient"."""
        found = conclude(self.findings)
        digits = self.constants() or self.keras.recorded.leaks or self.torch.recorded.leaks
        return "mismatch" if found == "parity" and self.strict and digits else found

    @property
    def status(self) -> int:
        """The exit status of a command that ends with this verdict."""
        return EXIT_STATUS[self.verdict]

    @property
    def first_divergence(self) -> Finding | None:
        """The first level's first stage that failed."""
        return first_divergence(self.findings)

    def constants(self) -> list[tuple[Side, str, float]]:
        """Where a framework's constants, rounded through float32 as it ships, move its float64 run beyond rounding."""
        return [
            (side, name, by)
            for side in (self.keras, self.torch)
            for name, by in side.recorded.constants.items()
            if by > 8 * side.rounding(name)
        ]

    def lines(self) -> Iterator[str]:
        """What is printed."""
        first = self.first_divergence
        if first is None:
            yield self.without_divergence()
        else:
            yield f"mismatch: Keras and torch part first at {first.name}, {first.level}, float64"
            yield from self.place(first)
        yield from self.why()
        yield from self.one_sided()
        yield from self.passing()
        yield from self.framework()
        yield from self.rounding()
        page = [self.folder / PAGE] if (self.folder / PAGE).exists() else []
        yield f"  report: {', '.join(str(file) for file in (*page, self.folder / 'verdict.json'))}"
        yield f"verdict: {self.verdict}"

    def without_divergence(self) -> str:
        """The first line where nothing failed."""
        if self.verdict == "insufficient":
            if any(finding.reason == DOUBT for finding in self.findings):
                return "insufficient: results differ, but it is not known which layer is which"
            lacking = [f"{f.name} ({f.reason})" for f in self.findings if f.needed and f.result == "not_judged"]
            return f"insufficient: nothing differs, but not everything could be judged: {'; '.join(lacking[:SHOWN])}"
        counts = sum(finding.result == "passed" for finding in self.findings)
        return f"Keras and torch compute the same: all of {counts} checks pass, in float64"

    def place(self, first: Finding) -> Iterator[str]:
        """Both names, the worst element, the settings that differ there, how far the whole results are apart."""
        if first.keras or first.torch:
            yield f"  keras  {first.keras or '-'}"
            yield f"  torch  {first.torch or '-'}"
        yield from (f"  {said}" for said in self.partnerless(first))
        if first.inside:
            yield f"  the stage has in it, without partners: {'; '.join(first.inside[:SHOWN])}"
        if first.values is not None and first.bound is not None:
            at = f" {first.where}" if first.where and first.where != "[]" else ""
            yield (
                f"  worst element{at}: Keras {first.values[0]:.9g}, torch {first.values[1]:.9g}; "
                f"apart {first.measured:.3g}, allowed {first.bound:.2g} ({first.rule.partition(':')[0]})"
            )
        else:
            yield f"  {first.reason}"
        near = [setting for setting in compared(self.pairing) if setting.keras in self.near(first)]
        said = [setting.says for setting in near if setting.level in (None, first.level)]
        # A cause says which of them it is.
        if said and not self.causes:
            yield f"  settings that differ there: {'; '.join(said[:2])}"
        apart = [f for f in self.findings if f.level == "forward" and f.name.startswith("output") and f.measured]
        if apart:
            size = max(float(np.max(np.abs(v))) for n, v in self.keras.arrays.items() if n.startswith("outputs/eval/"))
            worst = max(f.measured or 0.0 for f in apart)
            yield f"  results of the whole models in eval mode: {worst:.2g} apart, of values up to {size:.2g}"

    def partnerless(self, first: Finding) -> list[str]:
        """What is to be said of layers without a partner in the stage that differs first."""
        stage = [word.split("  ")[0] for word in (first.keras, first.torch, *first.inside) if word]
        return [said for said in self.pairing.messages if any(f'"{name}"' in said for name in stage)]

    def why(self) -> Iterator[str]:
        """The causes: a sentence, the lines, what to write instead."""
        for cause in self.causes[:SHOWN]:
            at = " and ".join(place for place in (cause.keras, cause.torch) if place)
            yield f"  cause: {cause.says}{f' ({at})' if at else ''}"
            more = f" (python -m parity.explain {cause.entry})" if cause.entry else ""
            yield f"    {'write' if cause.whose == 'port' else 'a convention; to align'}: {cause.fix}{more}"
        first = self.first_divergence
        for said in self.excluded:
            # Causes of what comes later explain nothing of what comes first.
            if not self.causes or (first is not None and said.startswith(f"{first.name}: ")):
                yield f"  no cause found: {said}"

    def one_sided(self) -> Iterator[str]:
        """What either side does by itself and should not, or the other does not."""
        said = [
            f
            for f in self.findings
            if f.level == "each side alone" and f.result != "passed" and f is not self.first_divergence
        ]
        for finding in sorted(said, key=lambda finding: finding.result != "failed")[:SHOWN]:
            yield f"  {finding.name}: {finding.reason}"

    def near(self, first: Finding) -> set[str]:
        """The paths of the layers that a finding is of."""
        named = {first.name.split(" ~ ")[0].split("#")[0].split("/")[0], first.name.split(" ~ ")[0].split("#")[0]}
        owners = {layer.path for layer in self.pairing.keras.layers if any(w.name in first.name for w in layer.weights)}
        return named | owners

    def passing(self) -> Iterator[str]:
        """What passes, level by level, and what is not judged."""
        counts = {level: Counter(f.result for f in self.findings if f.level == level) for level in LEVELS}
        passed = [
            f"{level} {found['passed']} of {found['passed'] + found['failed']}"
            for level, found in counts.items()
            if found["passed"] + found["failed"]
        ]
        yield f"  within rounding: {', '.join(passed)}"
        # Where causes explain every stage, they say how many.
        if self.alone and not (self.causes and not self.excluded):
            failing = [finding.name for finding in self.alone if finding.result == "failed"]
            names = ", ".join(failing[:SHOWN]) + (f" and {len(failing) - SHOWN} more" if len(failing) > SHOWN else "")
            right = len(self.alone) - len(failing)
            yield f"  given equal inputs, {right} of {len(self.alone)} stages agree; not: {names or 'none'}"
        unjudged = [level for level, found in counts.items() if found["not_judged"] and not found["passed"]]
        sides = self.keras, self.torch
        random = [what for side in sides
                  for what in dict.fromkeys([*side.opened.random, *side.recorded.drawn.get("train", ())])]  # fmt: skip
        if unjudged:
            yield f"  not judged: {', '.join(unjudged)}"
        if random:
            more = f" and {len(random) - SHOWN} more" if len(random) > SHOWN else ""
            yield f"  taken out, not judged: {', '.join(random[:SHOWN])}{more}"

    def rounding(self) -> Iterator[str]:
        """Where one side's float32 run rounds far more than the other's."""
        for finding in self.findings:
            if finding.level == "float32" and finding.result == "not_judged":
                yield f"  float32: {finding.reason} First in {finding.name}"
                return

    def framework(self) -> Iterator[str]:
        """What has fewer digits than float64, and whose that is."""
        for side, name in ((self.keras, "Keras"), (self.torch, "torch")):
            leaks = [leak for mode in side.recorded.leaks.values() for leak in mode]
            for leak in sorted(leaks, key=lambda leak: not leak.own)[:1]:
                whose = "your own code" if leak.own else f"{name}'s own"
                yield f"  {leak.dtype} in the float64 run of {name}: {leak.place} ({whose}), first in {leak.stage}"
        found = self.constants()
        if found:
            side, name, by = found[0]
            narrow = side.recorded.narrow.get(name, 0.0)
            whose = "Keras" if side is self.keras else "torch"
            yield (
                f"  a framework's: {whose} rounds constants of its own through float32, first in {name}: {by:.1g} in "
                f"float64, where float32 rounds by {narrow:.1g}; confirmed by running it with exact ones"
            )

    def as_json(self) -> dict[str, Any]:
        """All of it, the content of verdict.json: an output, never read back."""
        first = self.first_divergence
        return {
            "format": VERDICT_FORMAT,
            "verdict": self.verdict,
            "first_divergence": None if first is None else asdict(first),
            "findings": [asdict(finding) for finding in self.findings],
            "alone": [asdict(finding) for finding in self.alone],
            "causes": [asdict(cause) for cause in self.causes],
            "excluded": self.excluded,
            "settings": [asdict(setting) for setting in compared(self.pairing)],
            "pairs": [
                {"keras": p.keras, "torch": p.torch, "rule": p.rule, "guess": p.guess} for p in self.pairing.pairs
            ],
            "messages": self.pairing.messages,
            "notes": self.notes,
            "saved_weights": self.saved,
            "about": self.always,
            "framework_constants": {
                "keras": {name: by for side, name, by in self.constants() if side is self.keras},
                "torch": {name: by for side, name, by in self.constants() if side is self.torch},
            },
            "leaks": {"keras": self.leaks(self.keras), "torch": self.leaks(self.torch)},
            "random": {"keras": self.keras.opened.random, "torch": self.torch.opened.random},
            "environment": {"keras": self.keras.recorded.environment, "torch": self.torch.recorded.environment},
            "seconds": {"keras": self.keras.recorded.seconds, "torch": self.torch.recorded.seconds},
            "peak_memory_bytes": {
                "keras": self.keras.recorded.peak_memory_bytes, "torch": self.torch.recorded.peak_memory_bytes,
            },
        }  # fmt: skip

    def leaks(self, side: Side) -> dict[str, list[dict[str, Any]]]:
        """Where one side has fewer digits than float64's, in each mode."""
        return {mode: [asdict(leak) for leak in leaks] for mode, leaks in side.recorded.leaks.items()}

    def html(self, file: Path, command: str) -> None:
        """Write all of it as one page that needs nothing else; `command` is what repeats it."""
        # Imported late: it takes libraries of an extra.
        from parity.page.render import html
        from parity.ports.page import page

        write_whole(file, html(page(self, command)).encode())

    def junit(self, file: Path) -> None:
        """Write the findings as JUnit XML, one test case each."""
        # Imported late: it is of an extra.
        from parity.ports.junit import xml

        write_whole(file, xml(self.verdict, self.findings))

    def write(self) -> None:
        """Write verdict.json into the report's folder."""
        write_whole(self.folder / "verdict.json", (json.dumps(self.as_json(), indent=2) + "\n").encode())


def gathered(notes: Iterable[str]) -> list[str]:
    """Notes, those that say the same of several weights ("NAME: ...") as one."""
    found: dict[str, list[str]] = {}
    for note in notes:
        name, _, said = note.partition(": ")
        found.setdefault(said or note, []).append(name)
    more = {said: f" and {len(names) - 1} more" if names[1:] else "" for said, names in found.items()}
    return [said if names[0] == said else f"{names[0]}{more[said]}: {said}" for said, names in found.items()]
