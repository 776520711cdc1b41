"""What is on the page of a user's pair."""

from collections.abc import Iterator, Sequence

from parity.page.model import Bar, Fix, Page, Section, Stage, Stages, Table, Text, Way
from parity.pairing.settings import compared
from parity.ports.findings import LEVELS, Finding
from parity.ports.report import Report

SAID = (
    "Each stage's deviation, in parts of what rounding explains: grey within that bound, which is the line, red "
    "beyond, white not judged. Logarithmic: what ends half-way to the line uses a thousandth of the bound."
)
ALONE = "given equal inputs"


def page(report: Report, command: str) -> Page:
    """The page; `command` repeats it."""
    first, *lines = report.lines()
    divergence = report.first_divergence
    found = [] if divergence is None else [line.strip() for line in report.place(divergence)]
    return Page(
        title="a pair of models",
        verdict=report.verdict,
        remark="",
        sentence=first.partition(": ")[2] if first.startswith(f"{report.verdict}: ") else first,
        lines=tuple(found),
        fixes=tuple(fixes(report)),
        stages=stages(report),
        versions=versions(report),
        command=command,
        sections=tuple(sections(report, [first, *lines])),
    )


def fixes(report: Report) -> Iterator[Fix]:
    """The causes, with what to write; where none is known, the settings that differ at the first divergence."""
    for cause in report.causes:
        places = [place for place in (cause.keras, cause.torch) if place]
        lines = [Way("Where:", "\n".join(places), "text")] if places else []
        title = "Write:" if cause.whose == "port" else f"A {cause.whose}'s own way; to align:"
        lines.append(Way(title, cause.fix, "text"))
        if cause.entry is not None:
            lines.append(Way("Explained by:", f"python -m parity.explain {cause.entry}", "shell"))
        yield Fix(f"{cause.says}. Confirmed: {cause.confirmed}.", tuple(lines))
    first = report.first_divergence
    if first is None or report.causes:
        return
    near = report.near(first)
    said = [s.says for s in compared(report.pairing) if s.keras in near and s.level in (None, first.level)]
    tried = [f"Excluded: {said}." for said in report.excluded]
    yield Fix(" ".join(["; ".join(said) if said else f"{first.name}, {first.level}: {first.reason}", *tried]))


def stages(report: Report) -> Stages | None:
    """The pairs of stages in the order of the computation: forward, given equal inputs, and backward."""
    levels: dict[str, dict[str, Finding]] = {"forward": {}, ALONE: {}, "backward": {}}
    for finding in report.findings:
        if finding.level in levels:
            levels[finding.level].setdefault(finding.name, finding)
    levels[ALONE] = {finding.name: finding for finding in report.alone}
    used = [name for name, found in levels.items() if found]
    rows = []
    for name, finding in levels["forward"].items():
        bars = tuple(bar(levels[level].get(name)) for level in used)
        rows.append(Stage((short(finding.keras, name), short(finding.torch, name)), bars))
    return Stages(("Keras", "torch"), tuple(used), tuple(rows), SAID) if rows else None


def short(place: str | None, name: str) -> str:
    """A stage's name on one side, and the line of code that makes it."""
    words = (place or name).split()
    return words[0] if len(words) < 3 else f"{words[0]} {words[-1]}"


def bar(finding: Finding | None) -> Bar | None:
    """How much of its bound a finding uses."""
    if finding is None:
        return None
    share = finding.measured / finding.bound if finding.measured is not None and finding.bound else None
    values = "" if finding.values is None else f" Keras {finding.values[0]:.9g}, torch {finding.values[1]:.9g}."
    return Bar(finding.result, share, f"{finding.name} {finding.where or ''}: {finding.reason}.{values}")


def versions(report: Report) -> Table:
    """Both sides' versions and times."""
    both = report.keras.recorded, report.torch.recorded
    names = [name for name in ("tensorflow", "keras", "torch") if any(name in side.environment for side in both)]
    rows = [[name, *(str(side.environment.get(name, "")) for side in both)] for name in names]
    rows.append(["seconds", *(f"{sum(side.seconds.values()):.1f}" for side in both)])
    return Table(["", "Keras", "torch"], rows)


def sections(report: Report, lines: Sequence[str]) -> Iterator[Section]:
    """All that was found, and how the two models were paired."""
    yield Section("What the command prints", (Text(lines, fixed=True),))
    tables = []
    for level in LEVELS:
        found = [finding for finding in report.findings if finding.level == level]
        if found:
            tables.append(checks(f"{level}: {passed(found)} of {len(found)} passed", found))
    if report.alone:
        found = list(report.alone)
        tables.append(checks(f"forward, {ALONE}: {passed(found)} of {len(found)} passed", found))
    yield Section(f"Every check ({len(report.findings) + len(report.alone)})", tuple(tables))
    settings = compared(report.pairing)
    if settings:
        rows = [[s.keras, s.torch, s.says, "" if s.certain else "to be seen"] for s in settings]
        certain = frozenset(i for i, s in enumerate(settings) if s.certain)
        yield Section("Settings that differ", (Table(["Keras", "torch", "what differs", ""], rows, certain),))
    rows = [[pair.keras, pair.torch, pair.rule + (" (a guess)" if pair.guess else "")] for pair in report.pairing.pairs]
    yield Section("How the layers are paired", (Table(["Keras", "torch", "by"], rows),))
    notes = [*report.pairing.messages, *report.notes]
    if notes:
        yield Section("Notes", (Text(notes),))


def passed(found: Sequence[Finding]) -> int:
    """How many passed."""
    return sum(finding.result == "passed" for finding in found)


def checks(caption: str, found: Sequence[Finding]) -> Table:
    """A row for each finding."""
    rows = []
    for finding in found:
        values = ["", ""] if finding.values is None else [f"{value:.9g}" for value in finding.values]
        numbers = ["" if number is None else f"{number:.3g}" for number in (finding.measured, finding.bound)]
        rows.append(
            [finding.name, finding.result.replace("_", " "), *values, *numbers, finding.where or "", finding.reason]
        )
    marked = frozenset(i for i, finding in enumerate(found) if finding.result == "failed")
    return Table(["what", "result", "Keras", "torch", "apart", "allowed", "where", "why"], rows, marked, caption)
