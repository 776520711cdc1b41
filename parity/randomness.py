"""Every random number of the project.

A stream is keyed by (seed, purpose, index). The words come from NumPy's Philox bit generator, whose raw output NumPy
keeps stable across versions; what is made of them is written out here, since NumPy's own distributions may change
between releases (NEP 19). The frameworks' generators never decide anything.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from parity.spec import Identity, InitializerName, PReLU


class Purpose(IntEnum):
    """What a stream of random words is for; the value is part of its key.

    Any values would do. With these, seeds 0 to 3 start every experiment at a finite cost; some seeds saturate the
    ReLU nets on XOR so far that their unprotected cost is NaN from the first step.
    """

    WEIGHTS = 0
    BATCH_ORDER = 1
    CHECKSUM = 2


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


def draw(
    initializer: InitializerName, raw: NDArray[np.uint64], fan_in: int, fan_out: int, bias: bool
) -> NDArray[np.float64]:
    """One tensor's values, flat, from as many words (rounded up to even).

    Bounds and deviations: Glorot and Bengio 2010 (xavier: var = 2 / (fan_in + fan_out)); He et al. 2015
    (he: var = 2 / fan_in); torch.nn.Linear.reset_parameters (U(-1/sqrt(fan_in), 1/sqrt(fan_in)), kernel and bias);
    keras.layers.Dense (kernel xavier_uniform, bias zero).
    """
    symmetric = 2 * uniforms(raw) - 1
    if initializer == "zeros" or (initializer == "keras_default" and bias):
        return np.zeros(len(raw))
    if initializer == "normal":
        return normals(raw)
    if initializer in ("xavier_uniform", "keras_default"):
        return symmetric * np.sqrt(6 / (fan_in + fan_out))
    if initializer == "xavier_normal":
        return normals(raw) * np.sqrt(2 / (fan_in + fan_out))
    if initializer == "he_uniform":
        return symmetric * np.sqrt(6 / fan_in)
    if initializer == "he_normal":
        return normals(raw) * np.sqrt(2 / fan_in)
    if initializer == "torch_default":
        return symmetric / np.sqrt(fan_in)
    raise ValueError(f"unknown initializer {initializer!r}")


def initial_weights(identity: Identity) -> dict[str, NDArray[np.float32]]:
    """The weights both sides start from, by name, float32: drawn for dense layers, the start of each PReLU's slope.

    float32 also for a float64 run, so that the same start can be replayed in either precision.
    """
    weights = {
        f"{node.name}/slope": np.full(node.weight_shapes["slope"], node.start, np.float32)
        for node in identity.model
        if isinstance(node, PReLU)
    }
    for position, node in enumerate(identity.dense):
        initializers = {"kernel": node.kernel, "bias": node.bias}
        for offset, (kind, shape) in enumerate(node.weight_shapes.items()):
            count = int(np.prod(shape))
            raw = words(identity.seed, Purpose.WEIGHTS, 2 * position + offset, count + count % 2)
            values = draw(initializers[kind], raw, node.inputs, node.units, bias=kind == "bias")[:count]
            weights[f"{node.name}/{kind}"] = values.reshape(shape).astype(np.float32)
    return {name: weights[name] for name in identity.weights}


def batch_order(seed: int, passes: int, samples: int, shuffle: bool) -> NDArray[np.int64]:
    """[passes, samples]: in which order each pass goes through the training set."""
    if not shuffle:
        return np.tile(np.arange(samples), (passes, 1))
    keys = (words(seed, Purpose.BATCH_ORDER, row, samples) for row in range(passes))
    return np.stack([np.argsort(key, kind="stable") for key in keys])


def checksum_weights(batch_size: int, features: int) -> NDArray[np.int64]:
    """[batch_size, features] odd factors: a sum of products with them depends on every value and its place."""
    raw = words(0, Purpose.CHECKSUM, 0, batch_size * features) | np.uint64(1)
    return raw.view(np.int64).reshape(batch_size, features)
