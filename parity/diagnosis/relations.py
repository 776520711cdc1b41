"""How one tensor comes of another, in a few words that are true: a factor, a term, a sign, of all or of a part of it.

A relation is stated only where it leaves no more than what rounding may do to each element, or next to nothing of the
deviation, which is then said. Of several, the simplest is taken: first those of all elements, then those of some rows,
columns or elements, which are named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Of what a relation leaves, the share of the deviation: within rounding, and where more is left, which is said.
LEFT, NEARLY = 0.1, 1e-3
# What the relation's own product and sum round to, in float64.
OWN = 8 * float(np.finfo(np.float64).eps)
# So many rows, columns or elements are named.
NAMED = 3
# The denominators of the fractions that a factor is told as: that of a mean over so many samples.
LARGEST_DENOMINATOR = 1000
# Two factors that differ by less, of themselves, are one.
SAME = 1e-6
# How a tensor's value in the state before the step is called, and a weight's own.
BEFORE = "what it was before the step"
UNMOVED = "what it was before the step: it did not move"
FORMATS = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


@dataclass(frozen=True)
class Relation:
    """What a tensor is of another, in words, and whether that explains every element."""

    says: str
    whole: bool


@dataclass(frozen=True)
class Two:
    """A tensor as it should be, `x`, as it is, `y`, and by how much each element may be off; `others` beside them."""

    x: Array
    y: Array
    allowed: Array
    others: Mapping[str, Array]

    def part(self, mask: Array) -> "Two":
        """The elements of a mask alone."""
        others = {name: array[mask] for name, array in self.others.items()}
        return Two(self.x[mask], self.y[mask], self.allowed[mask], others)

    @property
    def apart(self) -> Array:
        """By how much they differ."""
        return self.y - self.x

    @property
    def weight(self) -> Array:
        """How much a unit of each element's deviation counts."""
        return 1 / (self.allowed + OWN * (np.abs(self.x) + np.abs(self.y)) + np.finfo(np.float64).tiny)

    def left_by(self, z: Array) -> float | None:
        """The share of the deviation that z leaves in y, 0 where it is within rounding; None if too much."""
        left = np.abs(self.y - z)
        slack = self.allowed + OWN * (np.abs(z) + np.abs(self.x) + np.abs(self.y))
        total = rms(self.apart)
        rest = rms(left) / total if total else np.inf
        if (left <= slack).all() and rest <= LEFT:
            return 0.0
        return rest if rest <= NEARLY else None


def rms(array: Array) -> float:
    """The root of the mean square, 0 of nothing."""
    largest = float(np.abs(array).max(initial=0))
    return largest * float(np.sqrt(np.mean((array / largest) ** 2))) if 0 < largest < np.inf else largest


def middle(values: Array, weights: Array) -> float:
    """The median of values by their weights, of those that are numbers."""
    usable = np.isfinite(values) & np.isfinite(weights) & (weights > 0)
    if not usable.any():
        return float("nan")
    values, weights = values[usable], weights[usable] / weights[usable].max()
    order = np.argsort(values)
    heap = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(heap, heap[-1] / 2)])


def relation(
    x: Array, y: Array, allowed: Array, axes: Sequence[str] = (), others: Mapping[str, Array] | None = None
) -> Relation | None:
    """What y is of x, where it is off by more than is allowed anywhere; None where nothing can be said.

    `axes` are what a row, a column and so on are called, `others` tensors of the same shape that it may have to do
    with, by what they are called.
    """
    if x.shape != y.shape or not x.size:
        return None
    x, y, allowed = (np.asarray(array, np.float64) for array in (x, y, allowed))
    allowed = np.broadcast_to(allowed, x.shape)
    off = np.abs(y - x) > allowed
    beside = {name: np.broadcast_to(z, x.shape) for name, z in (others or {}).items() if fits(z, x)}
    two = Two(x, y, allowed, beside)
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or not off.any():
        return None
    if x.size == 1:
        # Of one number, a factor proves nothing.
        change = float((y / x).item() - 1) if x.all() else 0.0
        return Relation(scaled(change), False) if change else None
    with np.errstate(all="ignore"):
        named = [("", np.ones(off.shape, bool)), *parts(off, axes)]
        for where, mask in named:
            if (said := simplest(two.part(mask))) is not None:
                return Relation(f"but {where}: {said}" if where else said, True)
        condition = only_where(two, off)
        if condition is not None and condition.whole:
            return condition
        if (said := of_their_own(two, axes)) is not None:
            return Relation(said, True)
        if not off.all() and (said := simplest(two.part(off))) is not None:
            return Relation(f"but {counted(off, 'element')}: {said}", True)
    if condition is None and len(named) > 1:
        return Relation(f"but {named[1][0]}", False)
    return condition


def simplest(two: Two) -> str | None:
    """The first of the simple relations that explains y, in words."""
    for said, z in simple(two):
        left = two.left_by(z)
        if left is not None:
            return f"{said}{but_for(left)}"
    return None


def fits(z: Array, x: Array) -> bool:
    """Whether z has x's shape, or that of its last dimensions, and numbers alone."""
    return z.shape == x.shape[x.ndim - z.ndim :] and bool(np.isfinite(z).all())


def but_for(left: float) -> str:
    """What is left, where it is more than rounding."""
    return f", but for {left:.1g} of the deviation" if left else ""


def parts(off: Array, axes: Sequence[str]) -> Iterator[tuple[str, Array]]:
    """The rows, columns and so on that differ, if others do not, and the elements themselves, where they are few."""
    if off.ndim > 1:
        for axis in range(off.ndim):
            here = off.any(axis=tuple(i for i in range(off.ndim) if i != axis))
            if not here.all():
                here = np.asarray(here)
                name = axes[axis] if axis < len(axes) else f"index {axis}"
                shape = [-1 if i == axis else 1 for i in range(off.ndim)]
                yield counted(here, name), np.broadcast_to(here.reshape(shape), off.shape)
    if np.count_nonzero(off) <= NAMED or (off.ndim == 1 and not off.all()):
        yield counted(off, axes[0] if off.ndim == 1 and axes else "element"), off


def counted(here: Array, name: str) -> str:
    """Which of them, or how many: "unit 7", "all samples but 0", "12 of 256 units"."""
    found, others = np.argwhere(here), np.argwhere(~here)
    if len(found) <= NAMED:
        return f"{name}{'s' * (len(found) > 1)} {indices(found)}"
    if len(others) <= NAMED:
        return f"all {name}s but {indices(others)}"
    return f"{len(found)} of {here.size} {name}s"


def indices(places: Array) -> str:
    """Places in words."""
    said = [str(p[0]) if len(p) == 1 else f"[{', '.join(map(str, p))}]" for p in places.tolist()]
    return " and ".join(filter(None, [", ".join(said[:-1]), said[-1]]))


def simple(two: Two) -> Iterator[tuple[str, Array]]:
    """What y may be of x, in words, the simplest first."""
    x, w = two.x, two.weight
    # A weight that nothing was done to is told so, also where it was zero.
    same = [(name, other) for name, other in two.others.items()]
    yield from ((f"the same as {name}", other) for name, other in same if name == UNMOVED)
    yield "zero", np.zeros_like(x)
    yield from ((f"the same as {name}", other) for name, other in same if name != UNMOVED)
    for name, z in rounded(two):
        yield f"rounded through {name}", z
    if x.size > 1 and x.any():
        change = middle(two.apart / x, np.abs(x) * w)
        yield scaled(change), x + change * x
    term = middle(two.apart, w)
    yield plus(term), x + term
    if x.size <= 1:
        return
    for name, other in two.others.items():
        if other.any():
            share = middle(two.apart / other, np.abs(other) * w)
            yield (
                f"{plus(share)} times {name}".replace("plus 1 times", "plus").replace("minus 1 times", "minus"),
                x + share * other,
            )
            factor = middle(two.y / other, np.abs(other) * w)
            yield f"{factor:.6g} times {name}", factor * other
    limit = float(np.abs(two.y).max())
    yield f"kept between -{limit:.6g} and {limit:.6g}", np.clip(x, -limit, limit)
    low, high = int(np.argmin(x)), int(np.argmax(x))
    if x[high] > x[low]:
        slope = float((two.y[high] - two.y[low]) / (x[high] - x[low]))
        term = middle(two.y - slope * x, w)
        yield f"{scaled(slope - 1)} {plus(term)}", slope * x + term


def rounded(two: Two) -> Iterator[tuple[str, Array]]:
    """x as shorter formats hold it, where every y is a number of one; that is y itself, as far as it can be told."""
    for name, unit in FORMATS.items():
        if held(two.y, name) and not held(two.x, name):
            near = np.abs(two.apart) <= 1.01 * unit * np.abs(two.x) + two.allowed + tiny(name)
            if near.all():
                yield name, two.y


def held(values: Array, name: str) -> bool:
    """Whether a format holds all the values as they are."""
    if name == "float16":
        return bool((values.astype(np.float16).astype(np.float64) == values).all())
    narrow = np.ascontiguousarray(values.astype(np.float32))
    if not (narrow.astype(np.float64) == values).all():
        return False
    return name == "float32" or not (narrow.view(np.uint32) & 0xFFFF).any()


def tiny(name: str) -> float:
    """What a format may lose by underflow."""
    return 2.0**-24 if name == "float16" else float(np.finfo(np.float32).tiny)


def of_their_own(two: Two, axes: Sequence[str]) -> str | None:
    """Whether each row, or each column, has a factor or a term of its own; of few different ones, which."""
    if two.x.ndim != 2 or len(axes) < 2:
        return None
    w = two.weight**2
    for axis in (0, 1):
        over, name = 1 - axis, axes[axis]
        if two.x.shape[over] < 2:
            continue
        changes = np.nan_to_num((two.apart * two.x * w).sum(over) / (two.x**2 * w).sum(over))
        left = two.left_by(two.x * (1 + np.expand_dims(changes, over)))
        if left is not None:
            return f"{grouped(changes, name)}{but_for(left)}"
        terms = (two.apart * w).sum(over) / w.sum(over)
        left = two.left_by(two.x + np.expand_dims(terms, over))
        if left is not None:
            return f"each {name} plus a term of its own, from {terms.min():.3g} to {terms.max():.3g}{but_for(left)}"
    return None


def grouped(changes: Array, name: str) -> str:
    """Factors, less 1, in words: which rows have which, where there are few, or their range."""
    groups: list[tuple[float, Array]] = []
    for change in changes:
        if not any(abs(change - of) <= SAME * max(abs(change), abs(of)) for of, _ in groups):
            groups.append((float(change), np.abs(changes - change) <= SAME * np.abs(change)))
        if len(groups) > NAMED:
            return f"each {name} times a factor of its own, from {1 + changes.min():.6g} to {1 + changes.max():.6g}"
    groups.sort(key=lambda group: np.count_nonzero(group[1]))
    said = [f"{counted(mask, name)} {scaled(of) if of else 'equal'}" for of, mask in groups]
    return ", ".join(said)


def only_where(two: Two, off: Array) -> Relation | None:
    """Whether the elements that differ are those where another tensor lies in some interval, and what they are then."""
    found: Relation | None = None
    for name, other in {"it": two.x, **two.others}.items():
        low, high = float(other[off].min()), float(other[off].max())
        inside = (other >= low) & (other <= high)
        strays = np.count_nonzero(inside & ~off & (two.x != two.y))
        same = np.count_nonzero(inside & ~off)
        if strays or same > np.count_nonzero(off) / 100 or np.count_nonzero(inside) > 0.9 * off.size:
            continue
        place = f"where {name} is {interval(other, low, high)}"
        if (said := simplest(two.part(off))) is not None:
            return Relation(f"but {place}: {said}", True)
        found = found or Relation(f"but {place}", False)
    return found


def interval(other: Array, low: float, high: float) -> str:
    """An interval in words, by one end where that is enough."""
    if low <= other.min():
        return f"at most {high:.4g}"
    return f"at least {low:.4g}" if high >= other.max() else f"from {low:.4g} to {high:.4g}"


def scaled(change: float) -> str:
    """A factor 1 + change in words."""
    factor = 1 + change
    if abs(factor) <= OWN:
        return "zero"
    if abs(change + 2) <= SAME:
        return "with the opposite sign"
    if abs(change) < 1e-3:
        return f"times 1 {'-' if change < 0 else '+'} {abs(change):.3g}"
    if 0 < abs(factor) < 1 and abs(1 / factor - round(1 / factor)) <= SAME * abs(1 / factor):
        return f"divided by {round(1 / factor)}"
    near = Fraction(factor).limit_denominator(LARGEST_DENOMINATOR)
    plain = f"times {factor:.6g}"
    fraction = near.denominator > 1 and abs(float(near) - factor) <= 1e-9 * abs(factor)
    # What six digits say is said.
    return f"{plain} ({near})" if fraction and float(f"{factor:.6g}") != float(f"{factor:.9g}") else plain


def plus(term: float) -> str:
    """A term in words."""
    return f"minus {-term:.6g}" if term < 0 else f"plus {term:.6g}"
