"""What the numbers of a stage that failed say: which side is off, what it does as if, and how tensors came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.diagnosis import mistakes, updates
from parity.diagnosis.asked import Tensors
from parity.diagnosis.expected import Given, stage
from parity.diagnosis.relations import BEFORE, UNMOVED, relation
from parity.diagnosis.suppositions import Seen, Supposition, held_true
from parity.diagnosis.transforms import listed
from parity.experiment.optimizers import LBFGS
from parity.experiment.spec import Identity

Array = NDArray[Any]
Arrays = Mapping[str, Array]
# So many elements of a tensor settle a number, which all of them then confirm.
SAMPLE = 2000
# So many sentences say how tensors differ.
SAID = 3
# What rows and columns are of a tensor, by the first part of its name or the last.
AXES = {
    "outputs": ("sample", "unit"), "deltas": ("sample", "unit"), "kernel": ("input", "unit"), "table": ("word", "unit"),
}  # fmt: skip


@dataclass(frozen=True)
class Held:
    """A supposition that holds, with its number, and the weights that it holds for, where these are not all."""

    says: str
    number: float
    neutral: float | None
    weights: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """In words."""
        said = self.says.replace("{}", told(self.number, self.neutral)) if self.neutral is not None else self.says
        return f"{said}, for {listed(self.weights)} alone" if self.weights else said


@dataclass(frozen=True)
class Account:
    """Of one group of stages at one step: the side that is off, if that is known, what holds, how tensors differ."""

    step: int
    group: str
    odd: str | None
    held: tuple[Held, ...]
    relations: tuple[str, ...]
    beside: str | None
    # Whether that leaves nothing.
    whole: bool


def told(number: float, neutral: float | None) -> str:
    """A number with as many digits as tell how far it is from the one that changes nothing."""
    apart = abs(number - (neutral or 0.0))
    if abs(number) <= np.finfo(np.float64).eps * apart:
        return "0"
    for digits in range(3, 17):
        said = f"{number:.{digits}g}"
        if abs(float(said) - number) <= 1e-2 * apart:
            return said
    return repr(number)


def groups(identity: Identity, stages: Sequence[str]) -> dict[str, list[str]]:
    """The stages that are one thing's work, by its name: a layer forward and backward, the loss and its gradient."""
    nodes = {node.name for node in identity.model}
    found: dict[str, list[str]] = {}
    for name in stages:
        last = name.split()[-1]
        training = name.startswith(("forward ", "backward ", "running statistics "))
        key = "loss" if name.startswith("loss") else last if training and last in nodes else name
        found.setdefault(key, []).append(name)
    return found


def of_group(tensors: Tensors, name: str, stages: Sequence[str], failed: Sequence[str]) -> Account:
    """What is to be said of a group's results, of which those called `failed` are apart."""
    results = [r for r in tensors.side.phase.results(tensors.step) if r.stage in stages]
    ours, theirs, allowed = tensors.part("stages"), tensors.recorded, tensors.allowed
    stage_of = {r.name: r.stage for r in results if r.name in ours and r.name in theirs and r.name in allowed}
    given = tensors.given
    formula = {key: np.asarray(z) for part in stages for key, z in stage(given, part).items()}
    labels = (tensors.side.label, tensors.owner.label)
    x: Arrays = ours
    y: Arrays = theirs
    judged = [r for r in failed if r in formula and r in stage_of]
    right = [all(Seen(side, allowed).within(r, formula[r]) for r in judged) for side in (ours, theirs)]
    odd = labels[right.index(False)] if judged and right.count(False) == 1 else None
    if odd == labels[0]:
        x, y, labels = theirs, ours, labels[::-1]
    held: tuple[Held, ...] = ()
    left = [r for r in failed if r in stage_of]
    if odd is not None:
        held, explained = supposed(given, name, stage_of, Seen({r: y[r] for r in stage_of}, allowed), left)
        left = [r for r in left if r not in explained]
    said, whole = related(given, left, x, y, allowed, labels)
    for label, arrays in zip((tensors.side.label, tensors.owner.label), (ours, theirs), strict=True):
        lacking = [r for r in failed if r not in arrays]
        said += [f"{label} gives no {listed(lacking)}"] if lacking else []
    return Account(tensors.step, name, odd, held, tuple(said), passing([r.name for r in results], failed), whole)


def supposed(
    given: Given, name: str, stage_of: Mapping[str, str], seen: Seen, failed: Sequence[str]
) -> tuple[tuple[Held, ...], list[str]]:
    """What the side that is off does as if: the simplest that hold, and the results that they explain.

    Those that hold for all of a group's results, or else for those of the first stage that failed.
    """
    nodes = {node.name: node for node in given.identity.model}
    if name == "optimizer":
        held = of_optimizer(given, seen, list(updates.of_update(given)))
        return held, [*seen.found] if held else []
    found: list[Supposition] = []
    if name in nodes:
        found = list(mistakes.of_node(given, nodes[name]))
    elif name in ("loss", "clipping"):
        found = list((mistakes.of_loss if name == "loss" else mistakes.of_clipping)(given))
    first = [r for r in seen.found if failed and stage_of[r] == stage_of[failed[0]]]
    for part in ([*seen.found], first):
        held = simplest(found, given, seen.of(part))
        if held:
            return held, part
    return (), []


def of_optimizer(given: Given, seen: Seen, suppositions: Sequence[Supposition]) -> tuple[Held, ...]:
    """What holds of an update: sought among some of its elements, and confirmed by all of them."""
    elementwise = not (isinstance(given.identity.optimizer, LBFGS) or given.identity.sparse)
    reduced, few = sampled(given, seen) if elementwise else (given, seen)
    by_name = {s.says: s for s in suppositions}
    formula = stage(reduced, "optimizer")
    weights = given.identity.weights
    off = [w for w in weights if not all(few.within(n, formula[n]) for n in few.found if of_weight(n, w))]
    if not off:
        return ()

    def of_part(part: Sequence[str]) -> list[Held]:
        here, whole = (s.of([n for n in s.found if any(of_weight(n, w) for w in part)]) for s in (few, seen))
        return [
            replace(held, weights=() if len(part) == len(weights) else tuple(part))
            for held in simplest(suppositions, reduced, here)
            if whole.holds(by_name[held.says].gives(given, held.number))
        ]

    for part in [tuple(weights)] + [tuple(off)] * (elementwise and len(off) < len(weights)):
        if found := of_part(part):
            return tuple(found)
    return tuple(of_their_own([held for weight in off for held in of_part([weight])], len(off))) if elementwise else ()


def of_their_own(found: Sequence[Held], count: int) -> list[Held]:
    """What holds of weights one by one, those with the same supposition and number as one; nothing if not of all."""
    if len({weight for held in found for weight in held.weights}) < count:
        return []
    groups: dict[str, list[Held]] = {}
    for held in found:
        groups.setdefault(replace(held, weights=()).sentence, []).append(held)
    # The fewest that account for every weight: those of most weights first.
    chosen: list[Held] = []
    left = {weight for held in found for weight in held.weights}
    for same in sorted(groups.values(), key=len, reverse=True):
        here = tuple(weight for held in same for weight in held.weights)
        if left & {*here}:
            chosen.append(replace(same[0], weights=here))
            left -= {*here}
    return chosen


def simplest(suppositions: Sequence[Supposition], given: Given, seen: Seen) -> tuple[Held, ...]:
    """Those that hold: without a number if there are such, or else with one."""
    plain = [s for s in suppositions if s.neutral is None]
    for some in (plain, [s for s in suppositions if s.neutral is not None]):
        found = [Held(s.says, at, s.neutral) for s, at in held_true(some, given, seen)]
        if found:
            return tuple(found)
    return ()


def of_weight(name: str, weight: str) -> bool:
    """Whether a tensor of an update is that of a weight: its gradient, a slot or itself."""
    return name.endswith(f"/{weight}")


def sampled(given: Given, seen: Seen) -> tuple[Given, Seen]:
    """The same with some elements of each weight alone: those that are furthest off, and some from everywhere."""
    formula = stage(given, "optimizer")
    state, recorded = dict(given.state), dict(given.recorded)
    found, allowed = dict(seen.found), dict(seen.allowed)
    for weight in given.identity.weights:
        names = [name for name in found if of_weight(name, weight)]
        size = given.state[f"weights/{weight}"].size
        if size <= SAMPLE:
            continue
        with np.errstate(all="ignore"):
            off = np.max([np.abs(found[n] - formula[n]) / allowed[n] for n in names], axis=0).reshape(-1)
        far = np.argsort(np.nan_to_num(off))[-SAMPLE // 2 :]
        at = np.unique(np.concatenate([far, np.arange(0, size, max(1, 2 * size // SAMPLE))]))
        for arrays in (state, recorded, found, allowed):
            for name in [n for n in arrays if of_weight(n, weight) and arrays[n].size == size]:
                arrays[name] = arrays[name].reshape(-1)[at]
    return Given(given.identity, given.realisation, state, recorded, given.inputs, given.labels), Seen(found, allowed)


def related(
    given: Given, failed: Sequence[str], x: Arrays, y: Arrays, allowed: Arrays, labels: tuple[str, str]
) -> tuple[list[str], bool]:
    """How y's tensors came of x's, those with the same relation in one sentence; and whether that explains them all."""
    found: dict[str, list[str]] = {}
    full: set[str] = set()
    whole = True
    for name in failed:
        how = relation(x[name], y[name], allowed[name], axes(name), around(given, name) | of_phase(y, name))
        whole = whole and how is not None and how.whole
        if how is not None:
            found.setdefault(how.says, []).append(name)
            full |= {how.says} if how.whole else set()
    # What a part is alone off in says little beside what explains another tensor.
    found = {how: names for how, names in found.items() if how in full} or found
    said = [f"{listed(names)}: {labels[1]}'s is {labels[0]}'s, {says}" for says, names in found.items()]
    return said[:SAID], whole


def axes(name: str) -> tuple[str, ...]:
    """What the rows and columns of a tensor are."""
    first, last = name.split("/")[0], name.split("/")[-1]
    return AXES.get(first) or AXES.get(last) or ("unit",)


def around(given: Given, name: str) -> dict[str, Array]:
    """What a stage's result may have to do with, by what it is called."""
    group, _, rest = name.partition("/")
    state, recorded = given.state, given.recorded
    nodes = [node.name for node in given.identity.model]
    found: dict[str, Array] = {}
    if name in state:
        found[UNMOVED if group == "weights" else BEFORE] = state[name]
    if group == "outputs" and rest in nodes:
        found |= {"its input": given.input_of(rest)}
        if f"weights/{rest}/bias" in state:
            found["its bias"] = state[f"weights/{rest}/bias"]
    elif group == "deltas" and rest in nodes and rest != nodes[-1]:
        behind = nodes[nodes.index(rest) + 1]
        found |= {f"the gradient behind {behind}": recorded[f"deltas/{behind}"], "its output": recorded[name.replace(
            "deltas", "outputs")]}  # fmt: skip
    elif group == "clipped":
        found["the gradient"] = recorded[f"gradients/{rest}"]
    elif group in ("slots", "weights"):
        weight = rest.partition("/")[2] if group == "slots" else rest
        taken = recorded.get(f"clipped/{weight}", recorded.get(f"gradients/{weight}"))
        found |= {"the gradient": taken} if taken is not None else {}
        found |= {"the weight before the step": state[f"weights/{weight}"]} if group == "slots" else {}
    return {key: np.asarray(value, np.float64) for key, value in found.items()}


def of_phase(found: Arrays, name: str) -> dict[str, Array]:
    """Of a phase of contrastive divergence the other results, one of which may have been taken for this one."""
    group = name.partition("/")[0]
    if group not in ("positive", "negative"):
        return {}
    own = {other: x for other, x in found.items() if other.startswith(f"{group}/") and other != name}
    return {other: np.asarray(x, np.float64) for other, x in own.items() if x.shape == found[name].shape}


def passing(results: Sequence[str], failed: Sequence[str]) -> str | None:
    """What is right beside what is not, of the same thing's work."""
    kinds = [kind(name) for name in results]
    off = {kind(name) for name in failed}
    right = list(dict.fromkeys(name for name in kinds if name not in off))
    if not right:
        return None
    ends = " (look at how it is applied)" if off == {"weights"} else ""
    return f"right beside it: {listed(right)}; off: {listed(sorted(off))}{ends}"


def kind(name: str) -> str:
    """What a result is, whatever weight it is of: a slot's name, "weights", or its own name."""
    parts = name.split("/")
    return parts[1] if parts[0] == "slots" else "weights" if parts[0] == "weights" else name
