"""The sections below the first screen of a report: all that was asked, pictures, and both sides' settings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.data.shown import test_images
from parity.diagnosis.value import Diagnosis
from parity.page.images import digit
from parity.page.model import Gallery, Image, Part, Section, Table, Text
from parity.recordings.recording import Recording
from parity.report import console, pictures
from parity.report.levels import by_level
from parity.report.levels import share as per_cent
from parity.verdict import Check, Verdict
from parity.verdict.checks import result_of

# What is listed one by one; verdict.json holds all.
MOST_FAILURES, MOST_DIGITS, MOST_PANELS = 100, 60, 16
# These differ wherever there are two frameworks.
UNLIKE = "versions, machine and time"
WORDS = {"passed": "passed", "failed": "failed", "not_judged": "not judged"}


def sections(
    recordings: Sequence[Recording], verdict: Verdict, diagnosis: Diagnosis | None, folders: Sequence[Path]
) -> Iterator[Section]:
    """All sections that these recordings have something for."""
    yield Section("What the command prints", (Text(printed(recordings, verdict, diagnosis), fixed=True),))
    yield Section(f"Every check ({len(verdict.checks)})", tuple(questions(verdict)))
    if len(recordings) == 2:
        a, b = recordings
        if a.lengths == b.lengths:
            yield Section("Costs", (pictures.costs(a, b),))
            x, y = a.pretraining, b.pretraining
            if x is not None and y is not None and x.lengths == y.lengths:
                both = replace(x, label=a.label), replace(y, label=b.label)
                yield Section("Pre-training", (pictures.costs(*both, "reconstruction error"),))
            ends = pictures.outcomes(a, b)
            if ends is not None:
                yield Section("Accuracy and losses", (ends,))
            if a.flow()["gradient_norm"].shape == b.flow()["gradient_norm"].shape:
                yield Section("Gradients and dead units", tuple(pictures.flow(a, b)))
            yield Section("Values by layer", tuple(values(a, b)))
            digits = tuple(predictions(a, b, folders))
            if digits:
                yield Section("Predictions that differ", digits)
    yield Section("Settings", tuple(settings(recordings)))


def printed(recordings: Sequence[Recording], verdict: Verdict, diagnosis: Diagnosis | None) -> list[str]:
    """The console's page."""
    return [line.text.rstrip() for line in console.page(recordings, verdict, diagnosis, None)]


def questions(verdict: Verdict) -> Iterator[Part]:
    """What failed, one by one; and every question of each level, its checkpoints together."""
    failed = [check for check in verdict.checks if check.result == "failed"]
    if failed:
        shown = failed[:MOST_FAILURES]
        rows = [
            [check.place, check.level, number(check.measured), number(check.bound), check.reason] for check in shown
        ]
        left = f"; the first {len(shown)} of {len(failed)}" if len(failed) > len(shown) else ""
        caption = f"What failed, in the order of time{left}"
        yield Table(["where", "level", "measured", "allowed", "what was found"], rows, caption=caption)
    for level, checks in by_level(verdict):
        groups: dict[str, list[Check]] = {}
        for check in checks:
            groups.setdefault(re.sub(r"^step \d+( to \d+)? ", "", check.name), []).append(check)
        rows = [question(name, found) for name, found in groups.items()]
        marked = frozenset(i for i, found in enumerate(groups.values()) if result_of(found) == "failed")
        columns = ["question", "passed", "failed", "not judged", "most of a bound", "where", "what was found there"]
        passed = sum(check.result == "passed" for check in checks)
        yield Table(columns, rows, marked, f"{level}: {passed} of {len(checks)} passed")


def question(name: str, checks: Sequence[Check]) -> list[str]:
    """One question at all its checkpoints: how often it passed, and the check that says most."""
    counts = [str(sum(check.result == result for check in checks)) for result in WORDS]
    failed = [check for check in checks if check.result == "failed"]
    top = failed[0] if failed else max(checks, key=lambda check: check.share)
    share = per_cent(top.share) if top.share < 10 else f"{top.share:.1e} times"
    share = "" if top.measured is None or not top.bound else share
    return [name, *counts, share, top.where or "", top.reason]


def number(value: float | None) -> str:
    """A number with the digits that matter."""
    return "" if value is None else f"{value:.4g}"


def values(a: Recording, b: Recording) -> Iterator[Part]:
    """Histograms of weights at the start and at the end, and of activations where they are at hand."""
    steps = {0: "at the start", len(a.trace["cost"]): "at the end"}
    for step, when in steps.items():
        states = [side.state(step) for side in (a, b)]
        names = [f"weights/{name}" for name in a.manifest.identity.weight_shapes]
        yield by_name(
            (a, b), states, names, f"Weights {when},", "by layer: how many are how large, on a logarithmic scale."
        )
    for step in list(dict.fromkeys([*list(a.checkpoints)[:1], *list(a.checkpoints)[-1:]])):
        if all(side.has_evidence(step) for side in (a, b)):
            evidence = [side.checkpoint(step)[1] for side in (a, b)]
            said = "by layer: how many values of the batch are how large, on a logarithmic scale."
            names = [f"outputs/{name}" for name in a.manifest.identity.widths]
            yield by_name((a, b), evidence, names, f"Activations at step {step},", said)


def by_name(
    sides: Sequence[Recording],
    arrays: Sequence[Mapping[str, NDArray[Any]]],
    names: Sequence[str],
    title: str,
    said: str,
) -> Part:
    """Histograms of the arrays with these names, of the largest where there are many."""
    both = [name for name in names if all(name in found for found in arrays)]
    large = sorted(both, key=lambda name: -arrays[0][name].size)[:MOST_PANELS]
    found = {n.partition("/")[2]: [a[n].astype(np.float64) for a in arrays] for n in both if n in large}
    return pictures.histograms([side.label for side in sides], found, title, said)


def predictions(a: Recording, b: Recording, folders: Sequence[Path]) -> Iterator[Part]:
    """The test samples that are predicted differently, as digits where those are at hand."""
    ours, theirs, labels = a.trace["predictions"], b.trace["predictions"], a.trace["test_labels"]
    differ = np.flatnonzero(ours != theirs)
    if not differ.size:
        return
    yield Text([f"{len(differ)} of {len(labels)} test samples are predicted differently."])
    images = test_images(a.manifest.digests.get("data", ""), folders)
    shown = differ[:MOST_DIGITS]
    told = [f"sample {i}: is {labels[i]}; {a.label} {ours[i]}, {b.label} {theirs[i]}" for i in shown]
    if images is not None and len(images) == len(labels):
        yield Gallery(tuple(Image(digit(images[i]), said) for i, said in zip(shown, told, strict=True)))
    else:
        rows = [[str(i), *(str(v[i]) for v in (labels, ours, theirs))] for i in shown]
        yield Table(["sample", "is", a.label, b.label], rows, caption="The digits themselves are not at hand here")
    if len(differ) > len(shown):
        yield Text([f"and {len(differ) - len(shown)} more"])


def settings(recordings: Sequence[Recording]) -> Iterator[Part]:
    """Both sides' settings beside each other, what differs first and marked."""
    groups: dict[str, Callable[[Recording], Mapping[str, Any]]] = {
        "what each side chooses": lambda side: {k: v for k, v in chosen(side).items() if k != "model"},
        "how numbers are computed": lambda side: side.manifest.precision,
        "what both were given, by hash": lambda side: side.manifest.digests,
        "the task": lambda side: asdict(side.manifest.identity),
        UNLIKE: lambda side: {
            "model": side.manifest.realisation.model, **side.manifest.environment, "seconds": side.manifest.seconds
        },
    }  # fmt: skip
    for caption, read in groups.items():
        found = [dict(flattened("", read(side))) for side in recordings]
        names = list(dict.fromkeys(name for one in found for name in one))
        differ = {name for name in names if caption != UNLIKE and len({one.get(name) for one in found}) > 1}
        names.sort(key=lambda name: name not in differ)
        rows = [[name, *(one.get(name, "not there") for one in found)] for name in names]
        marked = frozenset(i for i, name in enumerate(names) if name in differ)
        yield Table(["", *(side.label for side in recordings)], rows, marked, caption)


def chosen(side: Recording) -> dict[str, Any]:
    """What a side chooses."""
    return asdict(side.manifest.realisation)


def flattened(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A setting, or the settings inside it, as names with text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flattened(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from flattened(f"{name}.{number}", item)
    else:
        yield name, f"{value}"
