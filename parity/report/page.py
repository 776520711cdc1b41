"""What is on the page of a report: the first screen of two recordings, or of one with its own replays."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from parity.diagnosis.value import Cause, Diagnosis, Finding
from parity.experiment.spec import LABELS
from parity.page.model import Bar, Fix, Page, Result, Stage, Stages, Table, Way
from parity.recordings.recording import Recording
from parity.report import console
from parity.report.sections import sections
from parity.report.sentence import sentence
from parity.verdict import Check, Verdict
from parity.verdict.judged import remark

SAID = (
    "The check of each stage that uses most of what rounding explains: grey within that bound, which is the line, red "
    "beyond, white not judged. Logarithmic: what ends half-way to the line uses a thousandth of the bound."
)


def page(
    recordings: Sequence[Recording],
    verdict: Verdict,
    diagnosis: Diagnosis | None,
    command: str | None,
    folders: Sequence[Path] = (),
) -> Page:
    """The page; `command` repeats it, and `folders` are where the digits may lie that it was made with."""
    trained, data = (line.text for line in console.header(recordings))
    failed = [line.text for line in console.failures(verdict)]
    names, rows = console.SIDES, [console.ended(side).cells() for side in recordings]
    return Page(
        title=f"{recordings[0].manifest.experiment}, {' and '.join(side.label for side in recordings)}",
        verdict=verdict.verdict,
        remark=remark(recordings, verdict),
        sentence=sentence(recordings, verdict, diagnosis),
        lines=(f"{trained}; {data}", *failed),
        fixes=tuple(fixes(diagnosis)),
        stages=stages(recordings, verdict),
        versions=Table(["", *(row[0] for row in rows)], [list(cells) for cells in zip(names, *rows, strict=True)][1:]),
        command=command,
        sections=tuple(sections(recordings, verdict, diagnosis, folders)),
        sides=tuple(side.label for side in recordings) if len(recordings) == 2 else (),
    )


def fixes(diagnosis: Diagnosis | None) -> list[Fix]:
    """What is to be changed, for each cause; of what no known choice explains, what the numbers say."""
    found = []
    for finding in () if diagnosis is None else diagnosis.findings:
        found += [Fix(said(cause), ways(cause)) for cause in finding.causes]
        if not finding.causes:
            head, *rest = finding.lines()
            found.append(Fix(f"{head}. {' '.join(line.strip() for line in rest)}".strip()))
        if finding.aligning:
            found.append(Fix("With this program, all of it together:", (Way("", options(finding), "shell"),)))
    return found


def options(finding: Finding) -> str:
    """The options of parity.run that align either side, one side a line."""
    chosen = [" ".join(f"--choice {side}:{c.choices[side]}" for c in finding.causes) for side in finding.aligning]
    return "\n".join(
        f"{choice}  # {LABELS[side]} changes" for side, choice in zip(finding.aligning, chosen, strict=True)
    )


def said(cause: Cause) -> str:
    """A cause in words."""
    return cause.says if cause.title is None else f"{cause.title} ({cause.says})"


def ways(cause: Cause) -> tuple[Way, ...]:
    """The lines to write on either side."""
    others = {"tf": "torch", "torch": "Keras"}
    return tuple(
        Way(f"In {LABELS[side]}, to do as {others[side]} does:", script) for side, script in cause.scripts.items()
    )


def stages(recordings: Sequence[Recording], verdict: Verdict) -> Stages | None:
    """Every stage of a step in the order of the computation, with each side's worst check of it."""
    first = recordings[0]
    order = dict.fromkeys(result.stage for result in first.phase.results(0))
    labels = [side.label for side in recordings]
    checks: dict[str, dict[str, list[Check]]] = {stage: {} for stage in order}
    for check in verdict.checks:
        step, _, rest = (check.where or "").partition(", ")
        stage, _, _ = rest.partition(", ")
        if check.level == "lockstep" and step.startswith("step ") and stage:
            checks.setdefault(stage, {}).setdefault(check.side or "", []).append(check)
    rows = [Stage((stage,), tuple(bars(found, labels))) for stage, found in checks.items() if found]
    return Stages(("stage",), tuple(labels), tuple(rows), SAID) if rows else None


def bars(found: Mapping[str, Sequence[Check]], labels: Sequence[str]) -> list[Bar | None]:
    """A bar for each side; what is of both together is in both."""
    return [worst([*found.get(label, ()), *found.get("", ())]) for label in labels]


def worst(checks: Sequence[Check]) -> Bar | None:
    """The check that says most: the first failure in time, or else the largest share of a bound."""
    if not checks:
        return None
    failed = [check for check in checks if check.result == "failed"]
    passed = [check for check in checks if check.result == "passed"]
    result: Result = "failed" if failed else "passed" if passed else "not_judged"
    top = max(failed or passed or checks, key=lambda check: check.share)
    share = None if top.measured is None or (failed and not top.bound) else top.share
    return Bar(result, share, f"{len(failed)} of {len(checks)} failed. {top.place}: {top.reason}")
