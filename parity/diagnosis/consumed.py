"""What training loops used in place of what they were given: by their checksums, and by what lies on the device."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from parity.diagnosis.asked import Sides, Tensors
from parity.diagnosis.given import of_inputs, scaling_of
from parity.diagnosis.loop import taken_at
from parity.diagnosis.transforms import listed, of_labels
from parity.diagnosis.value import Cause, chosen
from parity.differences import DIFFERENCES
from parity.experiment.randomness import checksum_weights
from parity.recordings.recording import Recording

Checksums = NDArray[np.int64]


def sentences(a: Recording, b: Recording, ask: Sides | None) -> tuple[list[str], list[Cause]]:
    """What is to be said of what both loops used, from their checksums, and with `ask` from their samples.

    And the causes, where a known choice makes what a side holds of what was prepared.
    """
    off = {what: steps for what in a.phase.consumed if (steps := differing(a, b, what)).size}
    if not off:
        return [], []
    names = list(off)
    equal = [what for what in a.phase.consumed if what not in off]
    beside = f"; {listed(equal)} are equal" if equal else ""
    found = [f"{listed(names)} differ {when(off[names[0]], a.trace['cost'].size)}{beside}"]
    for what in names:
        found += [*repeated(a, b, what, off[what]), *repeated(b, a, what, off[what])]
    if "labels" in off and "indices" not in off:
        found += one_label(a, b, int(off["labels"][0]))
    causes: list[Cause] = []
    if ask is not None:
        for side, other in ((a, b), (b, a)):
            tensors = taken_at(side, int(off[names[0]][0]), ask)
            cause = of_scaling(side, other, tensors)
            causes += [cause] if cause is not None else []
            found += on_device(side, tensors)
    return list(dict.fromkeys(found)), causes


def of_scaling(side: Recording, other: Recording, tensors: Tensors) -> Cause | None:
    """The choice by which a side made the pixels on its device otherwise than they were prepared."""
    used, prepared = tensors.part("used").get("inputs"), tensors.given.inputs
    if used is None or used.shape != prepared.shape or np.array_equal(used, prepared):
        return None
    ways = scaling_of(side, used), scaling_of(side, prepared)
    if None in ways or ways[0] == ways[1]:
        return None
    return chosen("pixel_scaling", DIFFERENCES["pixel_scaling"], (side, str(ways[0])), (other, str(ways[1])))


def differing(a: Recording, b: Recording, what: str) -> Checksums:
    """The steps at which both sides used something else."""
    x, y = (side.trace[f"consumed/{what}"] for side in (a, b))
    return np.flatnonzero(x != y) if x.shape == y.shape else np.zeros(0, np.int64)


def when(steps: Checksums, count: int) -> str:
    """At which steps, in words."""
    first, last = int(steps[0]), int(steps[-1])
    if len(steps) == 1:
        return f"at step {first} alone"
    if len(steps) == count:
        return "at every step"
    gaps = np.unique(np.diff(steps))
    if len(gaps) == 1:
        each = "" if gaps[0] == 1 else f", every {gaps[0]} steps"
        return f"from step {first} on{each}" if last + gaps[0] >= count else f"from step {first} to {last}{each}"
    return f"at {len(steps)} of {count} steps, first at step {first}"


def repeated(side: Recording, other: Recording, what: str, steps: Checksums) -> Iterator[str]:
    """Whether a side used at these steps what the other one used so many steps before or after."""
    x, y = side.trace[f"consumed/{what}"], other.trace[f"consumed/{what}"]
    places = {int(value): int(step) for step, value in reversed(list(enumerate(y.tolist())))}
    moved = {int(step) - places[int(x[step])] for step in steps if int(x[step]) in places}
    if not all(int(x[step]) in places for step in steps):
        return
    if len(moved) == 1:
        by = moved.pop()
        ago = f"{abs(by)} step{'s' * (abs(by) > 1)} {'before' if by > 0 else 'after'}"
        yield f"{side.label}'s {what} there are those of {ago}"
    elif moved:
        yield f"{side.label}'s {what} there are those of other steps"


def one_label(a: Recording, b: Recording, step: int) -> Iterator[str]:
    """Whether one label that is another would make the checksums of a step differ as they do."""
    x, y = (int(side.trace["consumed/labels"][step]) for side in (a, b))
    weights = checksum_weights(*a.phase.shapes(0)["inputs"])[:, 0].tolist()
    classes = max(2, a.phase.identity.layers[-1].units)
    for sample, weight in enumerate(weights):
        for change in (*range(1, classes), *range(1 - classes, 0)):
            if (x + change * weight - y) % 2**64 == 0:
                apart = f"plus {change}" if change > 0 else f"minus {-change}"
                yield f"at step {step}, {b.label}'s label of sample {sample} is {a.label}'s, {apart}; no other differs"
                return


def on_device(side: Recording, tensors: Tensors) -> Iterator[str]:
    """How what lies on a side's device for a step came of what was prepared for it."""
    used, said = tensors.part("used"), changes(tensors)
    if said:
        yield from (f"{side.label}'s {sentence}" for sentence in said)
    elif used:
        yield f"what {side.label} holds on its device for step {tensors.step} is what was prepared"


def changes(tensors: Tensors) -> list[str]:
    """How the samples on the device differ from those that were prepared, in words."""
    used, given = tensors.part("used"), tensors.given
    said = []
    ours, prepared = used.get("indices"), tensors.arrays.get("indices")
    if ours is not None and prepared is not None and not np.array_equal(ours, prepared):
        moved = next((way for way, x, y in (("later", ours[1:], prepared[:-1]), ("earlier", ours[:-1], prepared[1:]))
                      if np.array_equal(x, y)), None)  # fmt: skip
        place = "those prepared, each one place " + moved if moved else "others than those prepared"
        return [f"indices on its device are {place}"]
    for name, x, compare in (("inputs", given.inputs, of_inputs), ("labels", given.labels, of_labels)):
        y = used.get(name)
        if y is None or np.array_equal(np.asarray(x, np.float64), np.asarray(y, np.float64)):
            continue
        change = compare(np.asarray(x), np.asarray(y)) if x.shape == y.shape else "of another shape"
        said.append(f"{name} on its device are those prepared, {change or 'changed otherwise'}")
    return said
