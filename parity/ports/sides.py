"""What is judged of each side by itself: whether results hang on other samples or calls, and how its loss adds up.

None of it is a fault where both sides do the same. It is said, and fails only where one side alone does it.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from parity.ports.findings import Finding, Level
from parity.ports.judge import FINER, LAST, Array, Judge, Side, furthest
from parity.ports.probes import PARTS

LEVEL: Level = "each side alone"
# What makes a result hang on the other samples of its batch, by a word of a layer's kind.
FAMILIES = {
    "BatchNorm": "batch normalisation in train mode (eval() forgotten?)",
    "InstanceNorm": "normalisation in train mode (eval() forgotten?)",
    "LSTM": "a recurrent layer that walks over the batch (batch_first?)",
    "GRU": "a recurrent layer that walks over the batch (batch_first?)",
    "RNN": "a recurrent layer that walks over the batch (batch_first?)",
    "Attention": "attention over the batch (batch_first?)",
    "Transformer": "attention over the batch (batch_first?)",
}
RANDOM = "numbers drawn anew (dropout in force, eval() forgotten?), or a state that is kept"
# A layer that drops numbers, as without_randomness() tells of it, and the share that it or a function would drop.
LAYER = re.compile(r" \(\w*Dropout\w* (?:p|rate) \S+\)$")
SHARE = re.compile(r"(?: (?:p|rate)|^\w*dropout\w*) ([-+.\de]+)(?:\)$| \()")
WAYS = {"eval": "in eval mode", "predict": "in predict()"}
SUMS = {"mean": "the mean over the samples", "sum": "the sum over the samples", "other": "neither sum nor mean"}


def alone(judge: Judge) -> Iterator[Finding]:
    """Every question that both sides could be asked."""
    both = judge.keras, judge.torch
    for way, where in WAYS.items():
        if way == "predict" and not any(side.names("outputs/predict/") for side in both):
            continue
        again = [same(judge, side, "again", way) for side in both]
        # Where both sides draw numbers, all that rounding is said to explain proves nothing.
        yield from agreed(f"a second call {where}", again, [f"gives something else: {RANDOM}"] * 2, needed=True)
        mixed = [same(judge, side, "mixed", way) if once else None for once, side in zip(again, both, strict=True)]
        hangs = [f"hangs on the others of its batch: {families(side)}" for side in both]
        yield from agreed(f"a sample's result {where}", mixed, hangs)
        if way == "predict":
            still = [not dropping(side) for side in both]
            yield from agreed("dropout in predict()", still, ["is in force: is eval() forgotten?"] * 2)
        dropped = [side.recorded.drawn.get("eval", ()) for side in both]
        if way == "eval" and any(dropped):
            said = [f"is in force in eval mode, too: {', '.join(found)}" for found in dropped]
            yield from agreed("dropout by a function", [not found for found in dropped], said)
        if way == "eval" and mixed == [True, True]:
            yield from reductions([reduction(judge, side) for side in both])


def shares(judge: Judge) -> Iterator[Finding]:
    """Whether both sides would drop the same shares in train mode; not asked where other things draw numbers, too."""
    both = [dropped(side) for side in (judge.keras, judge.torch)]
    if both[0] is None or both[1] is None or not (both[0] | both[1]):
        return
    said = [", ".join(f"{share:g}" for share in sorted(found)) or "nothing" for found in both if found is not None]
    reason = f"Keras would drop {said[0]}, torch {said[1]}"
    yield Finding("training forward", "dropout", "passed" if both[0] == both[1] else "failed", reason)


def dropped(side: Side) -> set[float] | None:
    """The shares that a side would drop in its pass in train mode; None where it draws numbers otherwise as well."""
    layers = [LAYER.search(what) for what in side.opened.random]
    found = [SHARE.search(what) for what in side.recorded.drawn.get("train", ())]
    if None in layers or None in found:
        return None
    return {float(match[1]) for match in found if match is not None}


def unloaded(finding: Finding, untouched: Collection[str], start: Mapping[str, Array]) -> Finding:
    """A weight that is not the other side's, with what says that nothing was loaded into torch's.

    `untouched` are the weights that the user's port() leaves as they were built, `start` what torch starts from.
    """
    if finding.level != "weights" or finding.result != "failed" or finding.torch is None:
        return finding
    names = [name for name in finding.torch.split(" + ") if name in start and start[name].size]
    said = [f"port() leaves {name} as it was built" for name in names if name in untouched]
    if names and not said and all(np.ptp(start[name]) == 0 for name in names):
        said = [f"{name} is {start[name].flat[0]:g} everywhere" for name in names]
    return replace(finding, reason="; ".join([finding.reason, *said]))


def agreed(name: str, right: Sequence[bool | None], wrong: list[str], needed: bool = False) -> Iterator[Finding]:
    """A finding, unless a side could not be asked; a failure where one side alone is right."""
    if None in right:
        return
    said = [
        f"{who} alone: it {words}"
        for who, words, fine in zip(("Keras", "torch"), wrong, right, strict=True)
        if not fine
    ]
    if not said:
        yield Finding(LEVEL, name, "passed", "as it should be")
    elif len(said) == 1:
        yield Finding(LEVEL, name, "failed", said[0])
    else:
        yield Finding(LEVEL, name, "not_judged", f"on both sides it {wrong[1]}", needed=needed)


def same(judge: Judge, side: Side, kind: str, way: str) -> bool | None:
    """Whether a side gives the same when called again, or with other samples in the batch; None where it was not asked.

    A side without a predict() of its own is asked in eval mode.
    """
    way = way if side.names(f"outputs/{way}/") else "eval"
    found = side.names(f"alone/{kind}/{way}/")
    if not found or found.keys() != side.names(f"outputs/{way}/").keys():
        return None
    pairs = [
        (f"outputs/{way}/{name}", side.arrays[f"outputs/{way}/{name}"], side.arrays[key]) for name, key in found.items()
    ]
    if kind == "again":
        return all(repeated(*two) for _, *two in pairs)
    return all(any(unmoved(judge, side, key, *every_second(axis, *two)) for axis in axes(two)) for key, *two in pairs)


def dropping(side: Side) -> int:
    """How many layers of a side drop numbers in its predict()."""
    return int(side.arrays.get("alone/dropping", np.zeros(())))


def axes(two: list[Array]) -> list[int]:
    """The axes that may be the batch's: any, since torch's recurrent layers have it second."""
    return list(range(two[0].ndim)) if two[0].shape == two[1].shape else []


def every_second(axis: int, *two: Array) -> list[Array]:
    """The samples that kept their place."""
    return [np.take(array, np.arange(0, array.shape[axis], 2), axis) for array in two]


def repeated(*two: Array) -> bool:
    """Whether two calls agree to float32's digits at least.

    What rounding does cannot be measured where numbers are drawn anew: the runs that are to measure it differ by them.
    """
    if two[0].shape != two[1].shape:
        return False
    away = furthest(*(np.atleast_1d(array) for array in two))
    return away.alone is None and bool(away.apart <= LAST / FINER * away.size)


def unmoved(judge: Judge, side: Side, key: str, *two: Array) -> bool:
    """Whether two arrays of one side, the first recorded under this name, differ by rounding alone."""
    found = replace(judge, keras=side, torch=side).compared(LEVEL, key, (key, key), (two[0], two[1]))
    return found.result != "failed"


def families(side: Side) -> str:
    """What in a model may make its results hang on other samples."""
    kinds = " ".join(layer.kind for layer in side.opened.model.layers)
    return (
        " or ".join(dict.fromkeys(said for word, said in FAMILIES.items() if word in kinds))
        or "of no layer known for it"
    )


def reduction(judge: Judge, side: Side) -> str | None:
    """How a side's loss of a batch is made of its parts': a key of SUMS; None where it was not asked."""
    losses, shares = (
        [side.arrays.get(f"alone/{kind}/{n}", np.array([np.nan])) for n in PARTS] for kind in ("loss", "shares")
    )
    if not np.isfinite(np.concatenate(losses)).all() or np.ptp(np.concatenate(losses)) == 0:
        return None
    # Beside each number what was added up to it: its rounding counts.
    size = float(max(np.abs(value).sum() for value in losses))
    means = [float(np.sum(loss * share)) for loss, share in zip(losses, shares, strict=True)]
    sums = [float(np.sum(loss)) for loss in losses]
    # A penalty is in every part once: as much more from one part to two as from two to three.
    ways = {"mean": [(means[0], means[1]), (means[0], means[2])], "sum": [(sums[0] + 3 * (sums[1] - sums[0]), sums[2])]}
    for name, pairs in ways.items():
        if all(unmoved(judge, side, "loss", np.array([a, size]), np.array([b, size])) for a, b in pairs):
            return name
    return "other"


def reductions(found: list[str | None]) -> Iterator[Finding]:
    """Whether both losses are made of their samples' in the same way."""
    if None in found:
        return
    words = [SUMS[name] for name in found if name is not None]
    said = f"of its samples' losses Keras's is {words[0]}, torch's {words[1]}"
    if words[0] == words[1]:
        yield Finding(LEVEL, "the loss of a batch", "passed", f"of its samples' losses it is {words[0]}")
    else:
        yield Finding(LEVEL, "the loss of a batch", "failed", said)
