"""What makes the data or the start state of two recordings equal: from the recordings alone, no framework is asked."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.data.datasets import scale
from parity.diagnosis.transforms import TRIED, between, listed, of_labels, same_rows
from parity.diagnosis.value import Cause, Finding, chosen
from parity.differences import DIFFERENCES
from parity.errors import IncomparableError
from parity.experiment.spec import PixelScaling
from parity.recordings.recording import Recording, start_file
from parity.verdict import Check

Array = NDArray[Any]
# What a check of preflight or of what is consumed says of the first step's samples.
OF_SAMPLES = {"data", "order", "inputs", "labels", "indices"}
LATER = "what the first step was given is equal on both sides; what differs comes later"
UNUSED = "the samples prepared for step 0 are equal on both sides; the training loop of one used others"
SCALINGS: tuple[PixelScaling, ...] = ("division", "reciprocal")


class Found(NamedTuple):
    """The causes, the names of what none was found for, and the checks that these causes explain."""

    causes: list[Cause]
    lost: list[str]
    explained: set[str]


def diagnose(a: Recording, b: Recording, failed: str, checks: Sequence[Check]) -> Finding | None:
    """Which transformations make what differs equal; `checks` are those that failed. None if none is of use here.

    Weights are those of the start state; pixels and labels those of the first step, as they were prepared for it.
    """
    names = [check.name for check in checks]
    if "identity" in names:
        # Other settings are told by the check itself, and explain all the rest.
        return None
    parts: list[Found] = []
    note = None
    if "start" in names:
        parts.append(of_states(a, b))
    if OF_SAMPLES & {*names}:
        try:
            ours, theirs = (side.load(start_file("float64")) for side in (a, b))
            parts.append(of_samples(a, b, ours, theirs))
        except IncomparableError:
            note = "the first step's samples are not kept here: parity.record keeps them"
    if not parts and note is None:
        return None
    causes = tuple(chain.from_iterable(part.causes for part in parts))
    lost = [name for part in parts for name in part.lost]
    left = [name for name in names if not any(name in part.explained for part in parts)]
    if lost:
        note = f"nothing that was tried makes {listed(lost)} equal: {', '.join(TRIED)}"
    elif causes and left and note is None:
        note = f"that does not explain why {listed(left)} differ{'s' * (len(left) == 1)}"
    elif not causes and note is None:
        note = UNUSED if any(check.where == "step 0" for check in checks) else LATER
    return Finding(failed, causes, bool(causes) and note is None, excluded=TRIED if lost else (), note=note)


def of_states(a: Recording, b: Recording) -> Found:
    """The tensors of the start states, those with the same change in one cause."""
    ours, theirs = a.state(0), b.state(0)
    changes: dict[str, list[str]] = {}
    lost = []
    # Only names that the identity has: a recording is untrusted, and these are printed.
    for name in [name for name in a.phase.shapes(0) if name in ours and name in theirs]:
        if np.array_equal(ours[name], theirs[name]):
            continue
        change = between(ours[name], theirs[name])
        if change is None:
            lost.append(name)
        else:
            changes.setdefault(change, []).append(name)
    said = [f"{listed(names)}: {b.label}'s is {a.label}'s, {change}" for change, names in changes.items()]
    return Found([Cause(sentence) for sentence in said], lost, {"start"})


def of_samples(a: Recording, b: Recording, ours: dict[str, Array], theirs: dict[str, Array]) -> Found:
    """The first step's inputs [batch, features] and labels [batch]."""
    shape = a.phase.shapes(0)["inputs"]
    if not all(is_whole(arrays, shape) for arrays in (ours, theirs)):
        return Found([], ["inputs", "labels"], set())
    (x, k), (y, m) = ((arrays["inputs"], arrays["labels"]) for arrays in (ours, theirs))
    if not np.array_equal(x, y):
        if same_rows(np.column_stack([x, k]), np.column_stack([y, m])):
            return Found([Cause("inputs and labels: the same samples in another order")], [], OF_SAMPLES)
        if (scaled := of_scaling(a, b, x, y)) is not None and np.array_equal(k, m):
            return Found([scaled], [], {"data", "inputs"})
    found = Found([], [], set())
    for name, p, q, compare in (("inputs", x, y, of_inputs), ("labels", k, m, of_labels)):
        if np.array_equal(p, q):
            continue
        change = compare(p, q)
        if change is None:
            found.lost.append(name)
        else:
            found.causes.append(Cause(f"{name}: {b.label}'s are {a.label}'s, {change}"))
            found.explained.update({"data", name})
    return found


def is_whole(arrays: dict[str, Array], shape: tuple[int, ...]) -> bool:
    """Whether there are inputs of that shape, and a label, of any value, for each of them."""
    expected = {"inputs": (shape, "fi"), "labels": (shape[:1], "i")}
    return all(n in arrays and arrays[n].shape == s and arrays[n].dtype.kind in k for n, (s, k) in expected.items())


def of_inputs(x: Array, y: Array) -> str | None:
    """What makes rows of pixels equal, which may be square images."""
    side = round(x.shape[1] ** 0.5)
    return between(x, y, side if side > 1 and side * side == x.shape[1] else None)


def of_scaling(a: Recording, b: Recording, x: Array, y: Array) -> Cause | None:
    """The choice by which pixels from 0 to 1 were made of the same bytes, where both sides' can be told to the bit."""
    acts = [scaling_of(side, pixels) for side, pixels in ((a, x), (b, y))]
    if acts[0] is None or acts[1] is None or acts[0] == acts[1] or not np.array_equal(pixels_of(x), pixels_of(y)):
        return None
    return chosen("pixel_scaling", DIFFERENCES["pixel_scaling"], (a, acts[0]), (b, acts[1]))


def scaling_of(side: Recording, pixels: Array) -> PixelScaling | None:
    """The choice that gives these pixels, bit by bit, if one does."""
    manifest = side.manifest
    if manifest.identity.data != "digits" or not ((pixels >= 0) & (pixels <= 1)).all():
        return None
    given = pixels_of(pixels)
    ways = (way for way in SCALINGS if np.array_equal(scale(given, manifest.identity.dtype, way), pixels))
    return next(ways, None)


def pixels_of(pixels: Array) -> NDArray[np.uint8]:
    """The bytes that pixels from 0 to 1 were."""
    return np.round(pixels * 255).astype(np.uint8)
