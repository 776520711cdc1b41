"""Every random number of the project.

A stream is keyed by (seed, purpose, index). The words come from NumPy's Philox bit generator, whose raw output NumPy
keeps stable across versions; what is made of them is written out here, since NumPy's own distributions may change
between releases (NEP 19). The frameworks' generators decide nothing, with one exception that a user asks for: with
--init-from one of them turns the seeds of `framework_seed` into the weights that both sides start from.
"""

from collections.abc import Sequence
from enum import IntEnum
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.experiment.initializers import CUT, distribution
from parity.experiment.nodes import Initializer, Layer
from parity.experiment.spec import Identity


class Purpose(IntEnum):
    """The purpose of a stream of random words; the value is part of its key.

    Any values would do. With these, seeds 0 to 3 start every experiment at a finite cost; some seeds saturate the
    ReLU nets on XOR so far that their unprotected cost is NaN from the first step.
    """

    WEIGHTS = 0
    BATCH_ORDER = 1
    CHECKSUM = 2
    FRAMEWORK_SEED = 3
    PRETRAINING_ORDER = 4
    HIDDEN_SAMPLES = 5
    DROPOUT = 6
    NOISE = 7
    NEIGHBOURS = 8
    COTANGENT = 9
    NUDGE = 10
    GENERIC = 11
    INPUTS = 12
    SKETCH = 13
    GOLDEN = 14


# Philox4x32-10: the factors of its products, what is added to its key in each round, and the low half of a product.
FACTORS, WEYL, LOW, ROUNDS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85), 0xFFFFFFFF, 10

# By how much the impulses of two steps may be shifted against each other.
SPAN = 2**13


def words(seed: int, purpose: Purpose, index: int, count: int) -> NDArray[np.uint64]:
    """`count` random 64-bit words."""
    key = np.array([seed, purpose], dtype=np.uint64)
    counter = np.array([0, 0, 0, index], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter).random_raw(count)


def uniforms(raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Words as multiples of 2**-53 in [0, 1)."""
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """An even number of words as as many standard normals (Box and Muller, 1958)."""
    first, second = np.split(uniforms(raw), 2)
    radius, angle = np.sqrt(-2 * np.log1p(-first)), 2 * np.pi * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])


def truncated_normals(raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Words as as many standard normals between -CUT and CUT, through the inverse of the normal's distribution."""
    standard = NormalDist()
    low, high = standard.cdf(-CUT), standard.cdf(CUT)
    return np.array([standard.inv_cdf(p) for p in (low + (high - low) * uniforms(raw)).tolist()])


def orthonormal(raw: NDArray[np.uint64], rows: int, columns: int) -> NDArray[np.float64]:
    """A [rows, columns] matrix whose columns, or rows if those are fewer, are orthonormal, of no preferred direction.

    Gram-Schmidt on a matrix of normals, which gives the Q of its QR decomposition with a positive diagonal of R, as
    both frameworks do. Written out since a library's QR rounds otherwise on another machine, and the values would, too.
    """
    tall = normals(raw)[: rows * columns].reshape(max(rows, columns), min(rows, columns))
    for i in range(tall.shape[1]):
        column, rest = tall[:, i : i + 1], tall[:, i + 1 :]
        column /= np.sqrt((column**2).sum(axis=0))
        rest -= column * (column * rest).sum(axis=0)
    return tall if rows >= columns else tall.T


def draw(
    initializer: Initializer, raw: NDArray[np.uint64], fan_in: int, fan_out: int, bias: bool
) -> NDArray[np.float64]:
    """One tensor's values, flat, from as many words (rounded up to even); see parity/experiment/initializers.py."""
    family, scale = distribution(initializer, fan_in, fan_out, bias)
    if family == "constant":
        return np.full(len(raw), scale)
    if family == "orthogonal":
        return orthonormal(raw, fan_in, fan_out).ravel()
    if family == "uniform":
        return (2 * uniforms(raw) - 1) * scale
    return (normals(raw) if family == "normal" else truncated_normals(raw)) * scale


def initial_weights(identity: Identity) -> dict[str, NDArray[np.float32]]:
    """The weights both sides start from, by name, float32: drawn for layers, for others what these begin with.

    float32 also for a float64 run, so that the same start can be replayed in either precision.
    """
    weights = {
        f"{node.name}/{kind}": np.full(node.weight_shapes[kind], value, np.float32)
        for node in identity.model
        if not isinstance(node, Layer)
        for kind, value in node.starts.items()
    }
    for position, node in enumerate(identity.layers):
        for offset, (kind, shape) in enumerate(node.weight_shapes.items()):
            count = int(np.prod(shape))
            raw = words(identity.seed, Purpose.WEIGHTS, 2 * position + offset, count + count % 2)
            values = draw(getattr(node, kind), raw, node.inputs, node.units, bias=kind == "bias")[:count]
            weights[f"{node.name}/{kind}"] = values.reshape(shape).astype(np.float32)
    return {name: weights[name] for name in identity.weights}


def normal(array: NDArray[Any]) -> NDArray[Any]:
    """An array of floating point numbers without those below the smallest normal one, which are zero."""
    return np.where(np.abs(array) < np.finfo(array.dtype).tiny, array.dtype.type(0), array)


def framework_seed(seed: int, index: int) -> int:
    """A seed of 31 bits, which every framework takes, for the tensor `index` of a model."""
    return int(words(seed, Purpose.FRAMEWORK_SEED, index, 1)[0] >> np.uint64(33))


def batch_order(
    seed: int, passes: int, samples: int, shuffle: bool, purpose: Purpose = Purpose.BATCH_ORDER
) -> NDArray[np.int64]:
    """[passes, samples]: in which order each pass goes through the training set."""
    if not shuffle:
        return np.tile(np.arange(samples), (passes, 1))
    keys = (words(seed, purpose, row, samples) for row in range(passes))
    return np.stack([np.argsort(key, kind="stable") for key in keys])


def hidden_uniforms(seed: int, step: int, batch: int, units: int) -> NDArray[np.float32]:
    """[batch, units]: what the hidden units of a step of pre-training are sampled with.

    Multiples of 2**-24 in [0, 1), which float32 holds exactly.
    """
    raw = words(seed, Purpose.HIDDEN_SAMPLES, step, batch * units) >> np.uint64(40)
    return (raw.astype(np.float32) * np.float32(2.0**-24)).reshape(batch, units)


def checksum_weights(batch_size: int, features: int) -> NDArray[np.int64]:
    """[batch_size, features] odd factors: a sum of products with them depends on every value and its place."""
    raw = words(0, Purpose.CHECKSUM, 0, batch_size * features) | np.uint64(1)
    return raw.view(np.int64).reshape(batch_size, features)


class Impulses(NamedTuple):
    """The noise of a twin: a step adds values[offset : offset + weights], each times its own size, to the weights."""

    values: NDArray[np.float64]
    offsets: NDArray[np.int64]


def signs(seed: int, index: int, position: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """+1 or -1, for the weight at `position` of the neighbour with that index (parity/worker/neighbours.py)."""
    raw = words(seed, Purpose.NEIGHBOURS, index * 2**16 + position, int(np.prod(shape)))
    return np.where(raw >> np.uint64(63), 1.0, -1.0).reshape(shape)


def impulses(seed: int, number: int, weights: int, steps: int) -> Impulses:
    """The noise of the twin with that `number`, for so many weights and steps: of mean 0 and mean square 1.

    One weight in 256 gets 16 sizes and the others nothing, since most of float32's rounding is smaller than half of
    what the next number is away by, and would be lost if it were added to all.
    """
    raw = words(seed, Purpose.NOISE, 2 * number, weights + SPAN)
    values = np.where(raw >> np.uint64(56) == 0, np.where(raw & np.uint64(1), 16.0, -16.0), 0.0)
    offsets = words(seed, Purpose.NOISE, 2 * number + 1, steps) % np.uint64(SPAN)
    return Impulses(values, offsets.astype(np.int64))


def philox(counter: Sequence[NDArray[np.uint64]], key: tuple[int, int]) -> Sequence[NDArray[np.uint64]]:
    """Four words of 32 bits from four of a counter, elementwise, all held in uint64.

    Philox4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011). Both sides compute it in int64,
    where products wrap: the same bits.
    """
    a, b, c, d = counter
    low, half = np.uint64(LOW), np.uint64(32)
    for left, right in round_keys(key):
        first, second = a * np.uint64(FACTORS[0]), c * np.uint64(FACTORS[1])
        a, b = ((second >> half) ^ b ^ np.uint64(left)) & low, second
        c, d = ((first >> half) ^ d ^ np.uint64(right)) & low, first
    return a, b & low, c, d & low


def round_keys(key: tuple[int, int]) -> list[tuple[int, int]]:
    """The key of each round, two words of 32 bits."""
    return [((key[0] + n * WEYL[0]) & LOW, (key[1] + n * WEYL[1]) & LOW) for n in range(ROUNDS)]


def dropout_key(seed: int) -> tuple[int, int]:
    """The key of the masks' generator: the seed."""
    return seed & LOW, seed >> 32


def dropout_thresholds(identity: Identity) -> NDArray[np.int64]:
    """[units of all dropouts]: what half a word must reach for the unit's value to be kept.

    So the probability of dropping is the multiple of 2**-16 nearest to the rate.
    """
    thresholds = [round(node.rate * 2**16) for node in identity.dropouts]
    return np.repeat(np.array(thresholds, np.int64), np.array(list(identity.mask_widths.values()), np.int64))


def dropout_mask(identity: Identity, step: int, samples: int) -> NDArray[np.bool_]:
    """[samples, units of all dropouts side by side]: which values the step `step` keeps.

    The key is the seed; the counter is (number of the block, step's low word, its high word, purpose). A block's four
    words are eight halves, and a sample has a row of blocks: their first halves, then their second, and so on.
    """
    thresholds = dropout_thresholds(identity).astype(np.uint64)
    columns = -(-len(thresholds) // 8)
    blocks = np.arange(samples * columns, dtype=np.uint64).reshape(samples, columns)
    numbers = (np.array(word, np.uint64) for word in (step & LOW, step >> 32, Purpose.DROPOUT))
    words = philox((blocks, *numbers), dropout_key(identity.seed))
    halves = [half for word in words for half in (word & np.uint64(0xFFFF), word >> np.uint64(16))]
    return np.concatenate(halves, axis=1)[:, : len(thresholds)] >= thresholds


def by_node(identity: Identity, mask: Any) -> dict[str, Any]:
    """The mask [samples, units] of each dropout by its name, from that of all: an array, or a framework's tensor."""
    stops = np.cumsum(list(identity.mask_widths.values())).tolist()
    return {
        name: mask[:, stop - units : stop]
        for (name, units), stop in zip(identity.mask_widths.items(), stops, strict=True)
    }


def of_shape(purpose: Purpose, index: int, shape: Sequence[int]) -> NDArray[np.float64]:
    """Standard normals of a shape, the stream `index` of a purpose."""
    count = int(np.prod(shape))
    return normals(words(0, purpose, index, count + count % 2))[:count].reshape(shape)


def generator(seed: int) -> np.random.Generator:
    """NumPy's own generator, for users' functions that draw a batch."""
    return np.random.default_rng(seed)
