"""Weights that were moved, as the other side's own file: which side it is of, whether it is proven, what it says."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity import __version__
from parity.errors import UsageError
from parity.models.described import Side
from parity.pairing.proof import Proof
from parity.ports.findings import LEVELS, Finding
from parity.ports.report import Report

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


def said(
    report: Report, owner: Side, source: Mapping[str, Any], values: Mapping[str, Any], weights: str
) -> dict[str, Any]:
    """What was proven, for the file: the verdict, each level's checks, versions, and digests of both sides' weights."""
    levels = {}
    for level in LEVELS:
        results = [finding.result for finding in report.findings if finding.level == level]
        levels[level] = {result: results.count(result) for result in sorted(set(results))}
    return {
        "written_by": f"keras-torch-parity {__version__}",
        "moved_from": owner,
        "moved_by": "the user's port()" if weights == "port" else "the tool's transforms",
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
