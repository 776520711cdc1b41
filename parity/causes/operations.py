"""What a tensor is of others, in torch's words: found among what people write between layers, from the values alone.

An expression is taken only if it gives every number of the tensor but for rounding, and of several the simplest ones:
first a tensor itself or a function of it, then sums, products, functions of these, tensors one behind the other, what
runs over an axis, what pads, and what only moves numbers.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations, product
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.causes.functions import KNOWN
from parity.causes.rules import close

Array = NDArray[Any]
Arrays = Sequence[Array]
Function = Callable[[Array], Array]
# Elements of a large tensor that are looked at first: of single ones, evenly spread, and of whole samples.
SAMPLE, LARGE = 4096, 2**18
# So many tensors are put together in every order.
MOST = 4
# Coefficients of sums have at most so many digits, as people write them, and smaller shares of a sum are none.
DIGITS, NOTHING = 6, 1e-9
# What is no activation, and is written between layers.
PLAIN: Mapping[str, Function] = {
    "x.abs()": np.abs, "x.square()": np.square, "x.sqrt()": np.sqrt, "x.exp()": np.exp, "x.log()": np.log,
    "F.logsigmoid(x)": lambda x: -np.logaddexp(0, -x),
}  # fmt: skip
OVER: Mapping[str, Callable[..., Array]] = {"mean": np.mean, "sum": np.sum, "amax": np.max, "amin": np.min}
# How many channels an image has.
CHANNELS = (3, 4)
# The largest window that is tried.
WIDEST = 5
# torch's modes of padding by NumPy's.
MODES = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}


@dataclass(frozen=True)
class Expression:
    """torch's code, in which {0}, {1} stand for the tensors that it is made of, and what it gives of their arrays."""

    code: str
    value: Callable[[Arrays], Array]

    def of(self, names: Sequence[str]) -> str:
        """The code with the tensors' names."""
        return self.code.format(*names)

    def then(self, code: str, function: Function) -> "Expression":
        """A function of it; x stands for it in the function's code."""
        called = re.search(r"\(x[,)]", code) is not None
        own = self.code if called or not compound(self.code) else f"({self.code})"
        return Expression(re.sub(r"\bx\b", lambda _: own, code), lambda given: function(self.value(given)))

    def with_another(self, code: str, other: "Expression", operation: Callable[[Array, Array], Array]) -> "Expression":
        """What two make; a and b stand for them in the code."""
        said = re.sub(r"\b[ab]\b", lambda found: self.code if found[0] == "a" else other.code, code)
        return Expression(said, lambda given: operation(self.value(given), other.value(given)))

    def filled_in(self, parts: Sequence["Expression"], count: int) -> "Expression":
        """The same of the first `count` tensors alone, the others being what `parts` make of them, in their order."""

        def fill(found: re.Match[str]) -> str:
            n = int(found["n"])
            part = f"{{{n}}}" if n < count else parts[n - count].code
            return f"({part})" if found["open"] or compound(part) else part

        code = re.sub(r"(?P<open>\()?\{(?P<n>\d+)\}(?(open)\))", fill, self.code)
        before = tuple(parts)
        return Expression(code, lambda given: self.value([*given, *(part.value(given) for part in before)]))


Candidates = Iterator[Expression]
# (arrays, result, rounding) -> what may give the result
Level = Callable[[Arrays, Array, float], Candidates]


def compound(code: str) -> bool:
    """Whether code is an operation between two things, which takes parentheses within others."""
    while "(" in code and (inner := re.sub(r"\([^()]*\)", "", code)) != code:
        code = inner
    return re.search(r" [-+*/] ", code) is not None


def tensor(number: int) -> Expression:
    """One of the tensors as it is."""
    return Expression(f"{{{number}}}", lambda given: given[number])


def expressions(given: Arrays, result: Array, rounding: float) -> list[Expression]:
    """The simplest expressions of the arrays `given` that give `result`, of any shape; none if none does.

    All are float64, and the first axis is the batch. `rounding` is by how much rounding moves the result.
    """
    if not result.size or not all(np.isfinite(array).all() for array in (*given, result)):
        return []
    # One number everywhere is what an axis of one element gives, and else may be of anything that is dead.
    levels = LEVELS if np.ptp(result) else (along_an_axis,)
    few = first_samples(given, result)
    with np.errstate(all="ignore"):
        for level in levels:
            found: dict[str, Expression] = {}
            for expression in level(*few, rounding):
                if all(gives(expression, *arrays, rounding) for arrays in (few, (given, result))):
                    found.setdefault(expression.code, expression)
            if found:
                return list(found.values())
    return []


def first_samples(given: Arrays, result: Array) -> tuple[Arrays, Array]:
    """The same of so many samples that every expression can be tried; at least of two."""
    largest, batch = max([result.size, *(array.size for array in given)]), len(result) if result.ndim else 1
    rows = max(2, batch * LARGE // largest)
    if largest <= LARGE or rows >= batch or any(array.shape[:1] != (batch,) for array in given):
        return given, result
    return [array[:rows] for array in given], result[:rows]


def gives(expression: Expression, given: Arrays, result: Array, rounding: float) -> bool:
    """Whether an expression gives every number of a result, but for rounding."""
    made = expression.value(given)
    return goes_into(made, result) and close(np.broadcast_to(made, result.shape), result, rounding)


def in_parts(given: Arrays, inner: Arrays, result: Array, rounding: float) -> list[Expression]:
    """The same; where none gives the result, by way of what a side makes before it, the `inner` tensors, in order."""
    found = expressions(given, result, rounding)
    arrays, parts = list(given), list[Expression]()
    for part in () if found else inner:
        ways = expressions(arrays, part, rounding)
        if ways:
            parts.append(ways[0].filled_in(parts, len(given)))
            arrays.append(part)
    return found or [e.filled_in(parts, len(given)) for e in expressions(arrays, result, rounding) if parts]


def goes_into(x: Array, result: Array) -> bool:
    """Whether an array, broadcast, has the result's shape."""
    sizes = zip(x.shape[::-1], result.shape[::-1], strict=False)
    return x.ndim <= result.ndim and all(size in (1, whole) for size, whole in sizes)


def sampled(given: Arrays, result: Array) -> tuple[list[int], list[Array], Array]:
    """The numbers of the arrays that go into the result, and some elements of each, and of the result [elements]."""
    at = np.linspace(0, result.size - 1, min(result.size, SAMPLE)).astype(np.int64)
    numbers = [n for n, x in enumerate(given) if goes_into(x, result)]
    arrays = [np.broadcast_to(x, result.shape).reshape(-1)[at] if n in numbers else x for n, x in enumerate(given)]
    return numbers, arrays, result.reshape(-1)[at]


def elementwise(level: Callable[[list[int], Arrays, Array], Candidates]) -> Level:
    """Of the candidates for single elements, those that give some of them."""

    def candidates(given: Arrays, result: Array, rounding: float) -> Candidates:
        numbers, arrays, some = sampled(given, result)
        for expression in level(numbers, arrays, some) if numbers else ():
            if close(np.broadcast_to(expression.value(arrays), some.shape), some, rounding):
                yield expression

    return candidates


def functions(inner: Expression, x: Array, y: Array | None = None) -> Candidates:
    """Every known function of an expression, whose value is x; of y, where given, those with a number that it has."""
    yield from (inner.then(code, f) for code, f in (*KNOWN.values(), *PLAIN.items()) if code != "x")
    if y is None or x.shape != y.shape:
        return
    below = x < 0
    if below.any():
        lowest = int(np.argmin(x))
        slope, alpha = y.flat[lowest] / x.flat[lowest], y.flat[lowest] / np.expm1(x.flat[lowest])
        if 0 < slope != 1:
            yield inner.then(f"F.leaky_relu(x, {told(slope)})", lambda v: np.where(v > 0, v, float(told(slope)) * v))
        if 0 < alpha != 1:
            by = float(told(alpha))
            yield inner.then(f"F.elu(x, {told(alpha)})", lambda v: np.where(v > 0, v, by * np.expm1(v)))
    if not np.ptp(y):
        yield inner.then(f"torch.full_like(x, {told(y.flat[0])})", partial(np.full_like, fill_value=y.flat[0]))
        return
    ends = {name: float(end) for name, end in (("min", y.min()), ("max", y.max())) if np.count_nonzero(y == end) > 1}
    for names in (names for size in (1, 2) for names in combinations(ends, size)):
        # What it is cut to is there more than once.
        said = ", ".join(f"{name}={told(ends[name])}" for name in names)
        yield inner.then(f"x.clamp({said})", partial(np.clip, **{f"a_{name}": ends[name] for name in names}, **{
            f"a_{name}": None for name in ("min", "max") if name not in names}))  # fmt: skip


def told(number: float) -> str:
    """A number with no more digits than it takes to have it but for the rounding of some operations."""
    shorter = (f"{number:.{digits}g}" for digits in range(1, 17))
    return next((said for said in shorter if abs(float(said) - number) <= 1e-13 * abs(number)), repr(float(number)))


def of_one(numbers: list[int], given: Arrays, result: Array) -> Candidates:
    """One of the tensors as it is, or a function of it."""
    for n in numbers:
        yield tensor(n)
    for n in numbers:
        yield from functions(tensor(n), given[n], result)


def of_sum(numbers: list[int], given: Arrays, result: Array) -> Candidates:
    """A weighted sum of tensors, and a constant; the fewest first, since one may be made of another."""
    for size in range(1, min(len(numbers), MOST) + 1):
        for chosen in combinations(numbers, size):
            yield from weighted([tensor(n) for n in chosen], given, result)


def of_products(numbers: list[int], given: Arrays, result: Array) -> Candidates:
    """A product, a quotient, the larger of two; a weighted sum of tensors and their products."""
    terms = [tensor(n) for n in numbers]
    products = [a.with_another("a * b", b, np.multiply) for a, b in combinations(terms, 2)]
    yield from products
    for a, b in permutations(terms, 2):
        yield a.with_another("a / b", b, np.divide)
    for a, b in combinations(terms, 2):
        yield a.with_another("torch.maximum(a, b)", b, np.maximum)
    yield from weighted([*terms, *products], given, result)


def of_combined(numbers: list[int], given: Arrays, result: Array) -> Candidates:
    """A function of a sum, a mean, a product or a difference."""
    for inner in combined([tensor(n) for n in numbers]):
        yield from functions(inner, inner.value(given), result)


def combined(terms: Sequence[Expression]) -> Candidates:
    """What is made of two tensors or more, to be given to a function."""
    for chosen in (chosen for size in range(2, len(terms) + 1) for chosen in combinations(terms, size)):
        first, *others = chosen
        added, multiplied = first, first
        for other in others:
            added, multiplied = (
                added.with_another("a + b", other, np.add),
                multiplied.with_another("a * b", other, np.multiply),
            )
        yield added
        yield multiplied
        yield added.then(f"x / {len(chosen)}", partial(np.multiply, 1 / len(chosen)))
    for a, b in permutations(terms, 2):
        yield a.with_another("a - b", b, np.subtract)


def of_sum_with_a_function(numbers: list[int], given: Arrays, result: Array) -> Candidates:
    """A weighted sum, or a product, of tensors, of one of which a function is taken."""
    for n in numbers if len(numbers) > 1 else ():
        others = [tensor(m) for m in numbers if m != n]
        for made in functions(tensor(n), given[n]):
            yield from weighted([made, *others], given, result)
            yield from (made.with_another("a * b", other, np.multiply) for other in others)


def weighted(terms: Sequence[Expression], given: Arrays, result: Array) -> Candidates:
    """The sum of terms and a constant that is nearest to the result, if one is, with coefficients of few digits."""
    columns = np.stack([*(term.value(given) for term in terms), np.ones(result.shape)], axis=-1)
    if not np.isfinite(columns).all() or len(result) <= 2 * columns.shape[1]:
        return
    found, _, rank, _ = np.linalg.lstsq(columns, result, rcond=1e-10)
    if rank < columns.shape[1]:
        return
    sizes = np.abs(columns).max(0) * np.abs(found)
    there = np.where(sizes > NOTHING * sizes.max(), found, 0.0)
    # As somebody may have written them, or as a formula gives them.
    for kept in ([float(f"{c:.{DIGITS}g}") for c in there], there.tolist()):
        used = [(c, term) for c, term in zip(kept, terms, strict=False) if c]
        said = [*((c, term.code) for c, term in used), *([(kept[-1], "")] if kept[-1] else [])]
        if used:
            yield Expression(summed(said), partial(total, used, kept[-1]))


def total(terms: Sequence[tuple[float, Expression]], constant: float, given: Arrays) -> Array:
    """The value of a weighted sum and a constant."""
    return np.asarray(sum(c * term.value(given) for c, term in terms) + constant)


def summed(terms: Sequence[tuple[float, str]]) -> str:
    """The code of a weighted sum, in which a constant has none of its own."""
    said = ""
    for c, code in terms:
        size = told(abs(c))
        one = size if not code else code if size == "1" else f"{size} * {code}"
        said += (" - " if c < 0 else " + ") + one if said else ("-" if c < 0 else "") + one
    return said


def one_behind_the_other(given: Arrays, result: Array, rounding: float) -> Candidates:
    """Tensors, or functions of them, joined along an axis, in any order."""
    fitting = [n for n, x in enumerate(given) if x.ndim == result.ndim]
    orders = (order for size in range(2, min(len(fitting), MOST) + 1) for order in permutations(fitting, size))
    for order, axis in product(orders, range(1, result.ndim)):
        parts = [given[n] for n in order]
        rest = {part.shape[:axis] + part.shape[axis + 1 :] for part in (*parts, result)}
        ends = np.cumsum([part.shape[axis] for part in parts])
        if len(rest) > 1 or ends[-1] != result.shape[axis]:
            continue
        pieces = [
            next((e for e in whole_or_function(n, given[n], piece) if close(e.value(given), piece, rounding)), None)
            for n, piece in zip(order, np.split(result, ends[:-1], axis), strict=True)
        ]
        known = [piece for piece in pieces if piece is not None]
        if len(known) == len(pieces):
            where = axis if axis < result.ndim - 1 else -1
            said = f"torch.cat([{', '.join(piece.code for piece in known)}], {where})"
            yield Expression(said, partial(behind, known, axis))


def behind(parts: Sequence[Expression], axis: int, given: Arrays) -> Array:
    """The values of expressions one behind the other."""
    return np.concatenate([part.value(given) for part in parts], axis)


def whole_or_function(number: int, x: Array, y: Array) -> Candidates:
    """A tensor as it is, or functions of it."""
    yield tensor(number)
    yield from functions(tensor(number), x, y)


def along_an_axis(given: Arrays, result: Array, rounding: float) -> Candidates:
    """What keeps the shape and runs over one axis, which may be another one than was meant."""
    same = [(n, x) for n, x in enumerate(given) if x.shape == result.shape]
    for (n, x), axis in product(same, range(result.ndim)):
        where = axis if axis < x.ndim - 1 else -1
        for code, function in (
            (f"torch.softmax(x, {where})", partial(softmax, axis=axis)),
            (f"torch.log_softmax(x, {where})", partial(log_softmax, axis=axis)),
            (f"F.normalize(x, dim={where})", partial(normalised, axis=axis, power=2)),
            (f"F.normalize(x, p=1, dim={where})", partial(normalised, axis=axis, power=1)),
            (f"x.cumsum({where})", partial(np.cumsum, axis=axis)),
            (f"x.flip({where})", partial(np.flip, axis=axis)),
            (f"x.roll(1, {where})", partial(np.roll, shift=1, axis=axis)),
            (f"x.roll(-1, {where})", partial(np.roll, shift=-1, axis=axis)),
            (f"x - x.mean({where}, keepdim=True)", partial(centred, axis=axis)),
        ):
            yield tensor(n).then(code, function)


def softmax(x: Array, axis: int) -> Array:
    """exp(x) over its sum along an axis."""
    made = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(made / made.sum(axis, keepdims=True))


def log_softmax(x: Array, axis: int) -> Array:
    """The logarithm of a softmax."""
    shifted = x - x.max(axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)))


def normalised(x: Array, axis: int, power: int) -> Array:
    """x over its norm along an axis."""
    return np.asarray(x / np.linalg.norm(x, power, axis, keepdims=True))


def centred(x: Array, axis: int) -> Array:
    """x less its mean along an axis."""
    return np.asarray(x - x.mean(axis, keepdims=True))


def over_axes(given: Arrays, result: Array, rounding: float) -> Candidates:
    """One number of all along some axes: of a tensor or a function of it, or a function of that number."""
    for n, x in enumerate(given):
        for axes in (axes for size in range(1, x.ndim) for axes in combinations(range(1, x.ndim), size)):
            left = tuple(size for axis, size in enumerate(x.shape) if axis not in axes)
            if left != result.shape and [s for s in left if s > 1] != [s for s in result.shape if s > 1]:
                continue
            where = str(axes[0] if len(axes) == 1 else axes)
            for name, over in OVER.items():
                code, function = f"x.{name}({where})", partial(reduced, over=over, axes=axes, shape=result.shape)
                number = tensor(n).then(code, function)
                yield number
                yield from (of_all.then(code, function) for of_all in functions(tensor(n), x))
                yield from functions(number, x)
            for place in (0, -1) if len(axes) == 1 else ():
                at = ", ".join([":"] * axes[0] + [str(place)])
                yield tensor(n).then(f"x[{at}]", partial(taken, place=place, axis=axes[0], shape=result.shape))


def reduced(x: Array, over: Callable[..., Array], axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """One number of all along some axes, in the result's shape."""
    return np.asarray(over(x, axis=axes)).reshape(shape)


def taken(x: Array, place: int, axis: int, shape: tuple[int, ...]) -> Array:
    """What stands at a place of an axis."""
    return np.take(x, place, axis).reshape(shape)


def within(small: Array, large: Array) -> Iterator[tuple[list[tuple[int, int]], tuple[slice, ...]]]:
    """Every place of a smaller array in a larger one: how much is before and after it on each axis, and its slices."""
    if small.ndim != large.ndim or small.shape == large.shape:
        return
    more = [whole - own for own, whole in zip(small.shape, large.shape, strict=True)]
    if min(more) < 0 or np.prod([m + 1 for m in more]) > SAMPLE:
        return
    for before in product(*(range(m + 1) for m in more)):
        inside = tuple(slice(start, start + size) for start, size in zip(before, small.shape, strict=True))
        yield [(start, m - start) for start, m in zip(before, more, strict=True)], inside


def padded(given: Arrays, result: Array, rounding: float) -> Candidates:
    """A tensor with something around it."""
    for n, x in enumerate(given):
        for widths, inside in within(x, result):
            if not close(x, result[inside], rounding):
                continue
            # torch names the last axis first, and leaves out those in front that are as they were.
            last = next(axis for axis, both in enumerate(widths) if any(both))
            code = f"F.pad(x, {tuple(int(n) for pair in reversed(widths[last:]) for n in pair)}"
            around = np.ones(result.shape, bool)
            around[inside] = False
            fill = float(result[around][0])
            filled = partial(np.pad, pad_width=widths, constant_values=fill)
            yield tensor(n).then(f"{code}, value={told(fill)})" if fill else f"{code})", filled)
            for mode, name in MODES.items():
                yield tensor(n).then(f"{code}, mode={name!r})", partial(around_by, widths=widths, mode=mode))


def cut(given: Arrays, result: Array, rounding: float) -> Candidates:
    """A part of a tensor: something is cut off before or after, along any axis."""
    for n, x in enumerate(given):
        for widths, inside in within(result, x):
            ends = [f"{before or ''}:{-after or ''}" for before, after in widths]
            yield tensor(n).then(f"x[{', '.join(ends)}]", itemgetter(inside))


def around_by(x: Array, widths: Sequence[tuple[int, int]], mode: str) -> Array:
    """An array padded by a mode of NumPy's; as it is where that needs more numbers than it has."""
    try:
        return np.asarray(np.pad(x, widths, mode=mode))  # type: ignore[call-overload]
    except ValueError:
        return x


def moved(given: Arrays, result: Array, rounding: float) -> Candidates:
    """The same numbers in another order: axes permuted, and all of it cut into another shape."""
    for n, x in enumerate(given):
        for order in permutations(range(1, x.ndim)) if x.size == result.size and x.ndim <= MOST + 1 else ():
            axes = (0, *order)
            turned = tuple(x.shape[axis] for axis in axes)
            code = "x" if axes == tuple(range(x.ndim)) else f"x.permute({', '.join(map(str, axes))})"
            if turned != result.shape:
                code += f".reshape(-1, {', '.join(map(str, result.shape[1:]))})"
            yield tensor(n).then(code, partial(laid_out, axes=axes, shape=result.shape))


def laid_out(x: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """An array with its axes permuted, cut into another shape."""
    return x.transpose(axes).reshape(shape)


def shifted(given: Arrays, result: Array, rounding: float) -> Candidates:
    """A tensor and what is the same for every sample, as an encoding of places; told by its largest element."""
    for n, x in enumerate(given):
        if x.shape == result.shape and len(x) > 1:
            more = (result - x)[:1]
            at = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.abs(more))), more.shape))
            yield tensor(n).then(f"x + c, c{list(at[1:])} being {told(float(more[at]))}", partial(np.add, more))


def by_channel(given: Arrays, result: Array, rounding: float) -> Candidates:
    """An image of which each channel has a factor and a term of its own, as a preprocessing has them; axis 1."""
    for n, x in enumerate(given):
        if x.shape != result.shape or x.ndim != 4 or x.shape[1] not in CHANNELS:
            continue
        lines = [np.polyfit(x[:, c].reshape(-1), result[:, c].reshape(-1), 1) for c in range(x.shape[1])]
        least = NOTHING * np.abs(result).max()
        lines = [np.where(np.abs(line * [np.abs(x).max(), 1]) > least, line, 0.0) for line in lines]
        for digits in (DIGITS, 15):
            factors, terms = (np.array([float(f"{line[k]:.{digits}g}") for line in lines]) for k in (0, 1))
            said = [f"[{', '.join(map(told, numbers))}]" for numbers in (factors, terms)]
            yield tensor(n).then(
                f"x * {said[0]} + {said[1]} by channels", partial(scaled, factors=factors, terms=terms)
            )


def scaled(x: Array, factors: Array, terms: Array) -> Array:
    """Each channel times its factor, and its term."""
    return np.asarray(x * factors[:, None, None] + terms[:, None, None])


def windows(given: Arrays, result: Array, rounding: float) -> Candidates:
    """The largest or the mean of windows alike along all axes after (batch, channels), and what lies around them."""
    for n, x in enumerate(given):
        if x.ndim != result.ndim or x.ndim < 3 or x.shape[:2] != result.shape[:2]:
            continue
        sides = list(zip(x.shape[2:], result.shape[2:], strict=True))
        for size, stride in ((k, s) for k in range(2, WIDEST + 1) for s in range(1, k + 1)):
            for before, after in product(range(size), repeat=2):
                if all((whole + before + after - size) // stride + 1 == made for whole, made in sides):
                    for expression in pooled(tensor(n), len(sides), size, stride, (before, after)):
                        # Of one channel of one sample first, since each number is one of many windows.
                        if gives(expression, [x[:1, :1]] * len(given), result[:1, :1], rounding):
                            yield expression


def pooled(x: Expression, axes: int, size: int, stride: int, around: tuple[int, int]) -> Candidates:
    """The largest and the mean of each window, with something or nothing around all."""
    widths = [(0, 0), (0, 0), *[around] * axes]
    for name, over, fill in (("max", np.max, -np.inf), ("max", np.max, 0.0), ("avg", np.mean, 0.0)):
        value = f", value={fill}" if fill else ""
        code = f"F.{name}_pool{axes}d(x, {size}, {stride})"
        slide = partial(slid, over=over, size=size, stride=stride)
        if not any(around):
            # What would be around them does not matter.
            yield from [x.then(code, slide)] if fill or name == "avg" else []
        else:
            pad = partial(np.pad, pad_width=widths, constant_values=fill)
            yield x.then(f"F.pad(x, {around * axes}{value})", pad).then(code, slide)


def slid(x: Array, over: Callable[..., Array], size: int, stride: int) -> Array:
    """One number of each window over the axes after the first two."""
    axes = tuple(range(2, x.ndim))
    every = np.lib.stride_tricks.sliding_window_view(x, (size,) * len(axes), axes)
    for axis in axes:
        every = every.take(range(0, every.shape[axis], stride), axis)
    return np.asarray(over(every, axis=tuple(range(x.ndim, every.ndim))))


def pieces(given: Arrays, result: Array, rounding: float) -> Candidates:
    """The first or last part along an axis, as a recurrent layer's last state, or half of it; or two such, joined."""
    parts = []
    for n, x in enumerate(given):
        for axis, place in product(range(x.ndim - 1) if x.ndim == 3 else (), (0, -1)):
            at = ", ".join([":"] * axis + [str(place)])
            whole = tensor(n).then(f"x[{at}]", partial(np.take, indices=place, axis=axis))
            half = x.shape[-1] // 2
            starts = f"x[{at}, :{half}]", f"x[{at}, {half}:]"
            ends = slice(None, half), slice(half, None)
            parts += [whole, *(joint(whole, tensor(n), code, cut) for code, cut in zip(starts, ends, strict=True))]
    made = [(part, part.value(given)) for part in parts]
    made = [(part, value) for part, value in made if value.shape[:-1] == result.shape[:-1]]
    yield from (part for part, value in made if value.shape == result.shape)
    for one, value in made:
        width = value.shape[-1]
        if width < result.shape[-1] and close(value, result[..., :width], rounding):
            for other, rest in made:
                if close(rest, result[..., width:], rounding):
                    yield one.with_another("torch.cat([a, b], -1)", other, beside)


def joint(whole: Expression, own: Expression, code: str, cut: slice) -> Expression:
    """Half of a part of a tensor."""
    return Expression(own.then(code, np.asarray).code, lambda given: whole.value(given)[..., cut])


def beside(a: Array, b: Array) -> Array:
    """Two arrays joined along the last axis."""
    return np.concatenate([a, b], -1)


LEVELS: tuple[Level, ...] = (
    *(elementwise(level) for level in (of_one, of_sum, of_products, of_combined, of_sum_with_a_function)),
    one_behind_the_other, along_an_axis, padded, cut, over_axes, windows, moved, pieces, by_channel, shifted,
)  # fmt: skip
