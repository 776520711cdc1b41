"""The streams: pinned, distinct, and distributed as their names say."""

import hashlib

import numpy as np
import pytest
from conftest import shortened

from parity.experiment import randomness
from parity.experiment.randomness import Purpose
from parity.experiment.requested import initializer

COUNT = 200_000


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def test_streams_are_pinned():
    """Recordings made with another NumPy must start from the same values: these digests never change."""
    identity = shortened("mnist_relu", 1).identity
    weights = randomness.initial_weights(identity)
    assert {name: sha(value) for name, value in weights.items()} == PINNED
    assert sha(randomness.batch_order(0, 2, 4000, shuffle=True)) == PINNED_ORDER
    assert sha(randomness.checksum_weights(100, 784)) == PINNED_CHECKSUM


PINNED = {
    "dense_1/kernel": "1e998bd19068ef21",
    "dense_1/bias": "939ab79b7eabae36",
    "dense_2/kernel": "e3fe5178c8850a93",
    "dense_2/bias": "eab4f948e48188be",
    "dense_3/kernel": "a67876715cfd2da9",
    "dense_3/bias": "f34f72887a6bbb7f",
}
PINNED_ORDER = "31b69a0c4d34f40a"
PINNED_UNIFORMS = "9544750877c03ae1"
PINNED_CHECKSUM = "02aeee93c6cdf98b"


def test_uniforms_of_hidden_units_are_exact_in_float32():
    uniforms = randomness.hidden_uniforms(0, 3, 100, 256)
    assert (uniforms.shape, uniforms.dtype) == ((100, 256), np.float32)
    steps = uniforms.astype(np.float64) * 2**24
    assert (steps == np.floor(steps)).all()
    assert 0 <= uniforms.min() < 1e-3 < 0.999 < uniforms.max() < 1
    assert abs(uniforms.mean() - 0.5) < 0.01
    assert sha(uniforms) == PINNED_UNIFORMS
    assert sha(randomness.hidden_uniforms(0, 4, 100, 256)) != PINNED_UNIFORMS


def test_streams_differ_by_seed_purpose_and_index():
    keys = [(0, Purpose.WEIGHTS, 0), (1, Purpose.WEIGHTS, 0), (0, Purpose.BATCH_ORDER, 0), (0, Purpose.WEIGHTS, 1)]
    found = [randomness.words(*key, count=1000) for key in keys]
    assert len({word for stream in found for word in stream.tolist()}) == 4000


def test_a_seed_of_64_bits():
    assert len(randomness.words(2**64 - 1, Purpose.WEIGHTS, 0, 4)) == 4


def test_weights_are_float32_of_the_right_shapes():
    identity = shortened("mnist_relu", 1).identity
    weights = randomness.initial_weights(identity)
    assert list(weights) == identity.weights
    assert {name: value.shape for name, value in weights.items()} == {
        "dense_1/kernel": (784, 256), "dense_1/bias": (256,),
        "dense_2/kernel": (256, 256), "dense_2/bias": (256,),
        "dense_3/kernel": (256, 10), "dense_3/bias": (10,),
    }  # fmt: skip
    assert {value.dtype.name for value in weights.values()} == {"float32"}


# initializer: standard deviation, largest magnitude (None: unbounded), for fan_in 300 and fan_out 100
DISTRIBUTIONS = {
    "normal": (1, None),
    "normal:0.05": (0.05, None),
    "uniform:0.05": (0.05 / 3**0.5, 0.05),
    "truncated_normal:0.05": (0.05 * 0.8796256610, 0.1),
    "xavier_uniform": ((2 / 400) ** 0.5, (6 / 400) ** 0.5),
    "xavier_normal": ((2 / 400) ** 0.5, None),
    "he_uniform": ((2 / 300) ** 0.5, (6 / 300) ** 0.5),
    "he_normal": ((2 / 300) ** 0.5, None),
    "he_normal_truncated": ((2 / 300) ** 0.5, (2 / 300) ** 0.5 * 2 / 0.8796256610),
    "lecun_uniform": ((1 / 300) ** 0.5, (3 / 300) ** 0.5),
    "lecun_normal": ((1 / 300) ** 0.5, None),
    "torch_default": ((1 / 900) ** 0.5, 300**-0.5),
    "keras_default": ((2 / 400) ** 0.5, (6 / 400) ** 0.5),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distribution(name):
    values = randomness.draw(initializer(name), randomness.words(0, Purpose.WEIGHTS, 0, COUNT), 300, 100, bias=False)
    deviation, largest = DISTRIBUTIONS[name]
    # Five standard errors of the mean and of the standard deviation.
    assert abs(values.mean()) < 5 * deviation / COUNT**0.5
    assert values.std() == pytest.approx(deviation, rel=5 / (2 * COUNT) ** 0.5)
    if largest is None:
        assert np.abs(values).max() > 4 * deviation
        assert np.mean(np.abs(values) < deviation) == pytest.approx(0.6827, abs=0.005)
    else:
        assert 0.999 * largest < np.abs(values).max() <= largest


def test_keras_default_bias_is_zero_and_torchs_is_not():
    raw = randomness.words(0, Purpose.WEIGHTS, 0, 10)
    assert not randomness.draw(initializer("keras_default"), raw, 300, 100, bias=True).any()
    assert randomness.draw(initializer("torch_default"), raw, 300, 100, bias=True).all()


def test_batch_order_is_a_new_permutation_in_each_pass():
    order = randomness.batch_order(0, 5, 100, shuffle=True)
    assert order.shape == (5, 100)
    assert (np.sort(order, axis=1) == np.arange(100)).all()
    assert len({row.tobytes() for row in order}) == 5
    assert (randomness.batch_order(0, 2, 4, shuffle=False) == np.arange(4)).all()


def test_checksum_weights_are_odd_and_distinct():
    weights = randomness.checksum_weights(100, 784)
    assert (weights % 2 == 1).all()
    assert len(np.unique(weights)) == weights.size
