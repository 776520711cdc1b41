"""What a weight looks like that is not what the transform of its kind makes of the other side's."""

from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np

from parity.pairing.links import Link
from parity.pairing.pairs import Pairing
from parity.pairing.views import Array, axes_of, total, turned

# Beyond this size only a constant is looked for where a weight is equal: every transform is a copy of it.
MOST = 2**22


def exact(one: Array, other: Array) -> bool:
    """Equal to the bit but for the sign of zero; not a number is equal to itself, at the same places."""
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))


def expected(link: Link, keras: Mapping[str, Array]) -> Array:
    """What torch's tensor has to be."""
    return turned(total(link.keras, keras), link.keras[0], link.torch[0])


def rearranged(link: Link, keras: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
    """What somebody may have taken for torch's tensor: the same numbers in other orders."""
    own, right = link.keras[0], expected(link, keras)
    array, whole = own.read(keras), keras[own.name]
    yield from with_other_gates(link, right)
    if whole.size == right.size:
        yield "reshaped and not transposed", whole.reshape(right.shape)
        groups = axes_of(own.text)
        names = ["".join(group) or "1" for group in groups] if len(groups) == whole.ndim else None
        for order in list(permutations(range(whole.ndim)))[1:]:
            said = ", ".join(names[n] if names else f"axis {n}" for n in order)
            yield f"with Keras's axes taken as ({said})", whole.transpose(order).reshape(right.shape)
    for order in permutations(range(array.ndim)):
        said = " ".join(list(own.shape)[n] for n in order)
        yield f'with "{" ".join(own.shape)}" taken as "{said}"', array.transpose(order).reshape(right.shape)
    yield from rotated(link, right)
    yield from flattened(link, right)


def rotated(link: Link, right: Array) -> Iterator[tuple[str, Array]]:
    """A kernel turned round, as the gradient of a convolution has it."""
    names = list(link.torch[0].shape)
    space = tuple(names.index(name) for name in ("d", "h", "w") if name in names)
    if space:
        yield "with the kernel rotated by 180 degrees in space", np.flip(right, space)


def with_other_gates(link: Link, right: Array) -> Iterator[tuple[str, Array]]:
    """A recurrent layer's tensor with its gates in another order."""
    names = list(link.torch[0].shape)
    if "g" not in names:
        return
    axis, at = names.index("g"), link.keras[0].at.get("g")
    # Where `right` has Keras's gates in torch's order, this order puts them back.
    back = tuple(np.argsort(at)) if isinstance(at, tuple) else None
    for order in permutations(range(right.shape[axis])):
        how = "with Keras's order of gates" if order == back else f"with its gates in the order {order}"
        yield how, right.take(order, axis)


def flattened(link: Link, right: Array) -> Iterator[tuple[str, Array]]:
    """A dense kernel behind a feature map that was flattened in the other order."""
    if list(link.torch[0].shape) != ["o", "i"]:
        return
    width = right.shape[1]
    for channels in (n for n in range(2, width // 2 + 1) if width % n == 0):
        split = right.reshape(-1, width // channels, channels).swapaxes(1, 2).reshape(right.shape)
        yield f"with its inputs, {width // channels} places of {channels} channels, taken channel by channel", split


def undecided(link: Link, keras: Mapping[str, Array]) -> str | None:
    """How else the values would be equal, by a transform that is another one; None if in no way."""
    right = expected(link, keras)
    if right.size < 2:
        return None
    if bool(np.all(right == right.flat[0])):
        return f"all its {right.size} numbers are {right.flat[0]:.4g}"
    if right.size > MOST or len(link.keras) > 1:
        return None
    name = link.keras[0].name
    places = {name: np.arange(keras[name].size).reshape(keras[name].shape)}
    own_places = expected(link, places)
    for (how, values), (_, there) in zip(rearranged(link, keras), rearranged(link, places), strict=True):
        if exact(values, right) and not np.array_equal(there, own_places):
            return f"the same {how}"
    return None


def looks_like(link: Link, theirs: Array, keras: Mapping[str, Array], pairing: Pairing) -> str:
    """A sentence on torch's tensor, which is not what it has to be."""
    right = expected(link, keras)
    for side, one, other in (("Keras", right, theirs), ("torch", theirs, right)):
        lost = int(np.sum(np.isnan(one) & ~np.isnan(other)))
        if lost:
            return f"{lost} of {right.size} numbers are no number in {side} alone"
    if exact(np.sort(right, axis=None), np.sort(theirs, axis=None)):
        for how, values in rearranged(link, keras):
            if exact(values, theirs):
                return f"torch has the right numbers {how}; it should have {link}"
        return f"torch has the right numbers, in an order that no known transform gives; it should have {link}"
    for another in (another for pair in pairing.pairs for another in pair.links if another != link):
        if another.torch[0].shape == link.torch[0].shape and exact(expected(another, keras), theirs):
            return f"torch has those of {another.keras[0].name} there"
    return scaled(right, theirs, len(link.torch)) or rounded(right, theirs) or worst(right, theirs)


def scaled(right: Array, theirs: Array, summands: int) -> str | None:
    """Whether one is a constant times the other, or a constant more, within the rounding of one operation."""
    error = 2 * np.finfo(right.dtype).eps
    with np.errstate(all="ignore"):
        ratio = (theirs.flat[k] / right.flat[k]) if right.flat[k := int(np.argmax(np.abs(right)))] else np.nan
        if np.isfinite(ratio) and ratio and np.all(np.abs(theirs - ratio * right) <= error * np.abs(theirs)):
            if ratio == summands == 2:
                return "torch's two biases each hold all of Keras's one, so that their sum is twice it"
            return "torch has it negated" if ratio == -1 else f"torch has it times {ratio:.6g}"
        more = theirs.flat[0] - right.flat[0]
        if np.all(np.abs(theirs - right - more) <= error * np.maximum(np.abs(theirs), np.abs(right))):
            return f"torch has it plus {more:.6g}"
    return None


def rounded(right: Array, theirs: Array) -> str | None:
    """Whether one has gone through a shorter format."""
    for side, one, other in (("torch", right, theirs), ("Keras", theirs, right)):
        for name in ("float32", "float16"):
            with np.errstate(over="ignore"):
                if one.dtype != name and exact(one.astype(name).astype(one.dtype), other):
                    return f"{side} has it rounded to {name}"
        if exact(to_bfloat16(one), other):
            return f"{side} has it rounded to bfloat16"
    return None


def to_bfloat16(array: Array) -> Array:
    """Rounded to eight significant bits, ties to even."""
    bits = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    kept = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) & np.uint64(0xFFFF0000)
    return kept.astype(np.uint32).view(np.float32).astype(array.dtype)


def worst(right: Array, theirs: Array) -> str:
    """How many numbers differ, and the one that does most."""
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(np.abs(right - theirs), nan=0.0)
    differ = int(np.sum((right != theirs) & ~(np.isnan(right) & np.isnan(theirs))))
    at = tuple(int(n) for n in np.unravel_index(int(np.argmax(gap)), gap.shape))
    return (
        f"no known transform makes them equal: {differ} of {right.size} numbers differ, "
        f"the most at {list(at)}: Keras {right[at]:.6g}, torch {theirs[at]:.6g}"
    )
