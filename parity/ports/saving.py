"""Weights that were moved, as the other side's own file: which side it is of, whether it is proven, what it says."""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parity import __version__
from parity.errors import UsageError
from parity.models.described import Side
from parity.pairing.pairs import Pairing
from parity.pairing.proof import Proof, proven
from parity.pairing.transfer import OTHER, carried, moved
from parity.ports.arrays import Arrays, load_arrays, save_arrays
from parity.ports.converted import COUNT, beside
from parity.ports.findings import LEVELS, Finding
from parity.ports.job import KeptJob, PortJob, SaveJob
from parity.ports.levels import SLOTS
from parity.ports.recording import WEIGHTS
from parity.ports.report import Report
from parity.workers.processes import Doer, silent

KINDS: Mapping[Side, Literal["tf", "torch"]] = {"keras": "tf", "torch": "torch"}
CONVERTED, KEPT, SLOTS_FILE = "converted.arrays", "kept.arrays", "slots.arrays"
ENDINGS: Mapping[Side, str] = {"torch": ".safetensors", "keras": ".weights.h5"}
LOADED = {"torch": "module.load_state_dict(safetensors.torch.load_file(FILE))", "keras": "model.load_weights(FILE)"}


def target(file: Path) -> Side:
    """The side whose own format a file is to be, by its ending."""
    for side, ending in ENDINGS.items():
        if file.name.endswith(ending):
            return side
    raise UsageError(f"{file} ends in neither .safetensors, for torch's weights, nor .weights.h5, for Keras's")


def require(file: Path, weights: str | None) -> None:
    """Raise UsageError where what is moved cannot come to be in this file."""
    side = target(file)
    if weights == "as-is":
        raise UsageError("with --weights as-is nothing is moved, and so there is nothing to save")
    if weights is not None and (weights == "torch") != (side == "keras"):
        other = "Keras" if weights == "torch" else "torch"
        raise UsageError(f"--weights {weights} moves them to {other}: let the file end in {ending_of(other)}")
    if not file.parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}")


def ending_of(name: str) -> str:
    """How a file of the weights of Keras, or torch, ends."""
    return ENDINGS["keras" if name == "Keras" else "torch"]


def unproven(findings: Sequence[Finding], before: Sequence[Proof], proofs: Sequence[Proof]) -> str | None:
    """Why weights are not proven equal; None where they are.

    `before` are the proofs of the weights that were judged, `proofs` those of the model's own: the latter may be no
    worse. What a user's port changes on purpose, without changing any result, has passed among the findings.
    """
    for finding in findings:
        if finding.level == "weights" and finding.result != "passed":
            return f"{finding.name}: {finding.reason}"
    good = ("equal", "undecided")
    for judged, proof in zip(before, proofs, strict=True):
        if judged.status in good and proof.status not in good:
            return str(proof)
    return None


@dataclass(frozen=True)
class Saving:
    """A wish to have what was moved in a file; `ported` by the user's own port(). All else is written below `out`."""

    file: Path
    ported: bool
    out: Path
    workers: Mapping[Literal["tf", "torch"], Doer]

    def saved(self, report: Report, proofs: Sequence[Proof]) -> str:
        """Write the weights that were built, if they are proven, and what their optimizer keeps; what came of it."""
        other = target(self.file)
        owner = OTHER[other]
        built = {side: load_arrays(self.out / side / WEIGHTS) for side in OTHER}
        values = self.moved(report.pairing, built, other)
        sides = (built["keras"], values) if other == "torch" else (values, built["torch"])
        reason = unproven(report.findings, proofs, proven(report.pairing, *sides))
        if reason is not None:
            return f"{self.file} not written: {reason}"
        slots, about = self.slots(report, owner)
        text = json.dumps(said(report, owner, built[owner], values, self.ported))
        made = self.out / f"made{ENDINGS[other]}"
        job = SaveJob(self.out / other / CONVERTED, made, text, slots)
        self.workers[KINDS[other]].run(job, silent, "saving weights took")
        put(made, self.file)
        if slots is not None and other == "torch":
            put(beside(made), beside(self.file))
        return f"{self.file} written: {len(proofs)} weights, each proven equal{about}; load it by {LOADED[other]}"

    def moved(self, pairing: Pairing, built: Mapping[Side, Arrays], other: Side) -> Arrays:
        """The weights of the `other` side that were built on this one."""
        goal = self.out / other / CONVERTED
        if self.ported:
            job = PortJob(self.out / OTHER[other] / WEIGHTS, goal, self.out / other / WEIGHTS)
            self.workers["torch"].run(job, silent, "port() took")
            return load_arrays(goal)
        values = {**built[other], **moved(pairing, built[OTHER[other]], OTHER[other]).values}
        save_arrays(goal, values)
        return values

    def slots(self, report: Report, owner: Side) -> tuple[Path | None, str]:
        """The file with what the optimizer keeps, as the other side's, if there is anything; and a word on it."""
        if any("optimizer" not in side.opened.functions for side in (report.keras, report.torch)):
            return None, ""
        found = self.out / owner / KEPT
        if KINDS[owner] not in self.workers:
            return None, " (of a recording, there is no optimizer to save)"
        self.workers[KINDS[owner]].run(KeptJob(found), silent, "reading the optimizer took")
        kept = load_arrays(found)
        if not kept[COUNT]:
            return None, " (the optimizer has taken no step, and keeps nothing)"
        if any(f.level == "optimizer step" and f.result == "failed" for f in report.findings):
            return None, " (nothing of the optimizer, whose steps differ)"
        slots = {name.split("/")[0] for name in kept if "/" in name}
        names = renamed(slots, report, owner)
        lacking = sorted(slots - names.keys())
        if lacking:
            return None, f" (nothing of the optimizer: no counterpart of {', '.join(lacking)} is known)"
        values = {COUNT: kept[COUNT]}
        for slot, name in names.items():
            arrays = {key.partition("/")[2]: value for key, value in kept.items() if key.startswith(f"{slot}/")}
            values |= {f"{name}/{key}": v for key, v in carried(report.pairing, arrays, owner).values.items()}
        save_arrays(self.out / owner / SLOTS_FILE, values)
        # Some optimizers count no steps.
        after = f" after {kept[COUNT]} steps" if kept[COUNT] > 1 else ""
        return self.out / owner / SLOTS_FILE, f", and {', '.join(sorted(names.values()))}{after}"


def renamed(slots: Collection[str], report: Report, owner: Side) -> dict[str, str]:
    """What the other side calls the slots of `owner`, as the steps that were judged have them."""
    ours, theirs = ({n.split("/")[0] for n in side.names("slots/")} for side in (report.keras, report.torch))
    pairs = {slot: next((name for name in SLOTS.get(slot, ()) if name in theirs), None) for slot in ours}
    both = {slot: name for slot, name in pairs.items() if name is not None}
    found = both if owner == "keras" else {name: slot for slot, name in both.items()}
    return {slot: found[slot] for slot in slots if slot in found}


def said(
    report: Report, owner: Side, source: Mapping[str, Any], values: Mapping[str, Any], ported: bool
) -> dict[str, Any]:
    """What was proven, for the file: the verdict, each level's checks, versions, and digests of both sides' weights."""
    levels = {}
    for level in LEVELS:
        results = [finding.result for finding in report.findings if finding.level == level]
        levels[level] = {result: results.count(result) for result in sorted(set(results))}
    return {
        "written_by": f"keras-torch-parity {__version__}",
        "moved_from": owner,
        "moved_by": "the user's port()" if ported else "the tool's transforms",
        "verdict": report.verdict,
        "levels": {level: counts for level, counts in levels.items() if counts},
        "versions": {
            name: side.recorded.environment[name]
            for side in (report.keras, report.torch)
            for name in ("tensorflow", "keras", "torch")
            if name in side.recorded.environment
        },
        "sha256": {"source": digest(source), "weights": digest(values)},
    }


def digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """The SHA-256 of arrays by name, floats as float32, in the order of their names."""
    found = hashlib.sha256()
    for name, value in sorted(arrays.items()):
        narrow = np.asarray(value).astype("<f4" if np.asarray(value).dtype.kind == "f" else "<i8")
        found.update(f"{name} {list(narrow.shape)}\n".encode() + narrow.tobytes())
    return found.hexdigest()


def put(made: Path, file: Path) -> None:
    """Move a file to its place, where it is never seen half written."""
    partial = file.with_name(f"{file.name}.partial")
    try:
        shutil.move(made, partial)
        os.replace(partial, file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written ({error.strerror}); give another place") from error
