"""Why two models are given other numbers, or give other numbers in inference: what makes one of the other's."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from parity.causes.cause import Cause
from parity.causes.rules import Array

# Units in the last place of the largest value that a conversion of inputs may round.
ROUNDED = 16 * np.finfo(np.float64).eps
# What channels are scaled by, with names.
KNOWN = {1 / 255: "1/255", 255.0: "255", 2 / 255: "2/255", 1 / 127.5: "1/127.5", 0.5: "1/2", 2.0: "2"}
CHANNELS = (3, 4)
CONFIRMED = "Keras's inputs, so changed, are torch's, every number"


def agree(ours: Array, theirs: Array) -> bool:
    """Whether two inputs are the same but for a conversion's rounding."""
    if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return False
    return bool(np.max(np.abs(ours - theirs), initial=0) <= ROUNDED * np.max(np.abs(ours), initial=0))


def of_inputs(ours: Array, theirs: Array) -> Cause | None:
    """Why torch's inputs are not Keras's, both in one layout."""
    if ours.shape != theirs.shape or not ours.size:
        return None
    for name, says, fix, entry, changed in changes(ours, theirs):
        if agree(changed, theirs):
            return Cause(name, "inputs", says, fix, "port", CONFIRMED, None, "inputs()", entry)
    return None


def changes(ours: Array, theirs: Array) -> Iterator[tuple[str, str, str, str | None, Array]]:
    """What may have been done to an input: name, sentence, what to write, the known difference, and the result."""
    for kind in ("float32", "float16", "int64"):
        says = f"torch's inputs are rounded to {kind}"
        yield (
            "input_dtype",
            says,
            f"inputs(x): no cast to {kind}",
            "dtype_defaults",
            ours.astype(kind).astype(np.float64),
        )
    order = rows(ours, theirs)
    if order is not None:
        yield "shuffled_rows", "torch's samples are in another order", "give both the same order", None, ours[order]
    for axis in range(1, ours.ndim):
        flipped, channels = np.flip(ours, axis), axis in (1, ours.ndim - 1) and ours.shape[axis] in CHANNELS
        what = "the channels reversed (BGR against RGB)" if channels else f"axis {axis} reversed"
        entry = "channel_order" if channels else None
        yield (
            "channel_order" if channels else "flipped",
            f"torch's inputs have {what}",
            f"x.flip({axis})",
            entry,
            flipped,
        )
    for a, b in combinations(range(1, ours.ndim), 2):
        says, fix = f"axes {a} and {b} of torch's inputs are swapped", f"x.transpose({a}, {b})"
        yield "swapped_axes", says, fix, "image_axes", np.swapaxes(ours, a, b)
    yield from scaled(ours, theirs)
    yield "clipped_inputs", "torch's inputs are clipped", "no clip", None, np.clip(ours, theirs.min(), theirs.max())


def rows(ours: Array, theirs: Array) -> Array | None:
    """The order in which Keras's samples are torch's; None if they are not the same ones."""
    flat = [np.ascontiguousarray(x.reshape(len(x), -1)) for x in (ours, theirs)]
    known = {row.tobytes(): i for i, row in enumerate(flat[0])}
    found = [known.get(row.tobytes()) for row in flat[1]]
    if None in found or len({*found}) != len(found):
        return None
    return np.array(found)


def scaled(ours: Array, theirs: Array) -> Iterator[tuple[str, str, str, str | None, Array]]:
    """A factor and a shift, of all or of each channel, whose order may be reversed, too."""
    a, b = fitted(ours, theirs)
    factor = KNOWN.get(next((k for k in KNOWN if abs(a / k - 1) < 1e-9), 0.0), f"{a:.6g}")
    shift = "" if abs(b) < ROUNDED * (1 + abs(a)) else f" {'+' if b > 0 else '-'} {abs(b):.6g}"
    says, fix = f"torch's inputs are {factor} times Keras's{shift}", "one scaling for both"
    yield "input_scaling", says, fix, "image_scaling", a * ours + b
    for axis in {1, ours.ndim - 1} - {0}:
        if ours.shape[axis] not in CHANNELS or ours.ndim < 3:
            continue
        for reverse in (False, True):
            x = np.flip(ours, axis) if reverse else ours
            pairs = [fitted(np.take(x, i, axis), np.take(theirs, i, axis)) for i in range(x.shape[axis])]
            if not all(factor for factor, _ in pairs):
                continue
            shape = [-1 if i == axis else 1 for i in range(ours.ndim)]
            factors, shifts = (np.array(values).reshape(shape) for values in zip(*pairs, strict=True))
            means = ", ".join(f"{-s / f + 0.0:.5g}" for f, s in pairs)
            sizes = ", ".join(f"{1 / f:.5g}" for f, _ in pairs)
            says = f"torch's channels are each shifted by {means} and divided by {sizes}"
            says += ", and reversed (BGR against RGB)" if reverse else ""
            yield "channel_scaling", says, "one preprocessing for both", "image_scaling", factors * x + shifts


def fitted(ours: Array, theirs: Array) -> tuple[float, float]:
    """The factor and shift that make one array most like another."""
    x, y = ours.reshape(-1).astype(np.float64), theirs.reshape(-1).astype(np.float64)
    spread = float(np.sum(np.square(x - x.mean())))
    if not spread:
        return 1.0, float(y.mean() - x.mean())
    a = float(np.sum((x - x.mean()) * (y - y.mean()))) / spread
    return a, float(y.mean() - a * x.mean())


def of_mode(who: str, layers: str = "") -> Cause:
    """Train mode in inference, where eval mode gives what the other side gives, or where it is seen in force."""
    says = (
        f"{who}'s predict() runs the model in train mode{f', where dropout is in force: in {layers}' if layers else ''}"
    )
    fix = "module.eval() in predict(), before the model is called" if who == "torch" else "model(x, training=False)"
    confirmed = "called in eval mode, it gives what the other side gives"
    if layers:
        confirmed = "while predict() ran, these layers were in train mode, and none of the other side's"
    places = ("predict()", None) if who == "Keras" else (None, "predict()")
    return Cause(
        "train_or_eval_mode", "predict", says, fix, "port", confirmed, places[0], places[1], "train_or_eval_mode"
    )


def of_function_in_eval(who: str, functions: Sequence[str]) -> Cause:
    """A function that drops numbers, and is not told that the model is in eval mode; with the place of each."""
    says = f"{who} drops numbers in eval mode, too: {', '.join(functions)} is not told the mode"
    fix = "F.dropout(x, p, self.training)" if who == "torch" else "keras.random.dropout(...) if training else x"
    confirmed = "it was called with a share to drop while the model was in eval mode"
    return Cause("train_or_eval_mode", "each side alone", says, fix, "port", confirmed, entry="train_or_eval_mode")


def of_shares(says: str) -> Cause:
    """Shares that are dropped in train mode, and differ."""
    fix, confirmed = (
        "the same share on both sides, of what trains",
        "every layer and function that would drop was asked",
    )
    return Cause("dropout_share", "training forward", says, fix, "port", confirmed)
