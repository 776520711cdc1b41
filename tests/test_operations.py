"""What a tensor is of others: found whatever the numbers, and nothing where it is nothing that is known."""

import numpy as np
import pytest

from parity.causes.operations import expressions, first_samples, in_parts


def relu(x):
    return np.maximum(x, 0)


def softmax(x, axis):
    made = np.exp(x)
    return made / made.sum(axis, keepdims=True)


# What is made of a and b [8, 5] and c [8, 3, 4, 5], and how it is told.
KNOWN = {
    "{1}": lambda a, b, c: b,
    "F.relu({0})": lambda a, b, c: relu(a),
    "F.leaky_relu({1}, 0.07)": lambda a, b, c: np.where(b > 0, b, 0.07 * b),
    "F.elu({0}, 0.3)": lambda a, b, c: np.where(a > 0, a, 0.3 * np.expm1(a)),
    "{0}.clamp(min=-0.5, max=0.25)": lambda a, b, c: a.clip(-0.5, 0.25),
    "{0} + {1}": lambda a, b, c: a + b,
    "-{0} + 0.5 * {1} - 2": lambda a, b, c: 0.5 * b - a - 2,
    "0.4082482904639 * {0}": lambda a, b, c: a / np.sqrt(6),
    "{0} * {1}": lambda a, b, c: a * b,
    "{0} / {1}": lambda a, b, c: a / b,
    "{0}.square()": lambda a, b, c: a**2,
    "torch.maximum({0}, {1})": lambda a, b, c: np.maximum(a, b),
    "F.tanh({0} + {1})": lambda a, b, c: np.tanh(a + b),
    "F.relu(({0} + {1}) / 2)": lambda a, b, c: relu((a + b) / 2),
    "F.sigmoid({1} - {0})": lambda a, b, c: 1 / (1 + np.exp(a - b)),
    "F.relu({0}) + {1}": lambda a, b, c: relu(a) + b,
    "F.tanh({1}) * {0}": lambda a, b, c: np.tanh(b) * a,
    "torch.cat([{1}, {0}], -1)": lambda a, b, c: np.concatenate([b, a], 1),
    "torch.cat([F.relu({0}), {1}], -1)": lambda a, b, c: np.concatenate([relu(a), b], 1),
    "torch.softmax({2}, 1)": lambda a, b, c: softmax(c, 1),
    "torch.log_softmax({0}, -1)": lambda a, b, c: np.log(softmax(a, 1)),
    "F.normalize({2}, dim=2)": lambda a, b, c: c / np.sqrt((c**2).sum(2, keepdims=True)),
    "{2}.cumsum(1)": lambda a, b, c: c.cumsum(1),
    "{0}.roll(1, 0)": lambda a, b, c: np.roll(a, 1, 0),
    "{2}.mean((2, 3))": lambda a, b, c: c.mean((2, 3)),
    "F.relu({2}).sum((1, 2))": lambda a, b, c: relu(c).sum((1, 2)),
    "F.relu({2}.mean((1, 2)))": lambda a, b, c: relu(c.mean((1, 2))),
    "F.pad({2}, (0, 2, 1, 0))": lambda a, b, c: np.pad(c, [(0, 0), (0, 0), (1, 0), (0, 2)]),
    "F.pad({2}, (1, 1), value=-3)": lambda a, b, c: np.pad(c, [(0, 0)] * 3 + [(1, 1)], constant_values=-3),
    "F.pad({2}, (2, 2), mode='reflect')": lambda a, b, c: np.pad(c, [(0, 0)] * 3 + [(2, 2)], mode="reflect"),
    "{2} * [2, 0.5, -1] + [0.25, 0, 3] by channels": lambda a, b, c: (
        c * np.array([2, 0.5, -1])[:, None, None] + np.array([0.25, 0, 3])[:, None, None]
    ),
    "{2}[:, :, 1:, :-2]": lambda a, b, c: c[:, :, 1:, :-2],
    "{2}.permute(0, 2, 3, 1)": lambda a, b, c: c.transpose(0, 2, 3, 1),
    "{2}.reshape(-1, 5, 4, 3)": lambda a, b, c: c.reshape(8, 5, 4, 3),
    "{2}.permute(0, 3, 1, 2).reshape(-1, 60)": lambda a, b, c: c.transpose(0, 3, 1, 2).reshape(8, 60),
    "F.max_pool2d(F.pad({2}, (0, 1, 0, 1), value=-inf), 2, 2)": lambda a, b, c: np.stack(
        [c[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max((2, 3)) for i in range(2) for j in range(3)], -1
    ).reshape(8, 3, 2, 3),
    "F.avg_pool2d({2}, 2, 1)": lambda a, b, c: (
        (c[:, :, 1:] + c[:, :, :-1])[..., 1:] / 4 + (c[:, :, 1:] + c[:, :, :-1])[..., :-1] / 4
    ),
}


def drawn(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in ((8, 5), (8, 5), (8, 3, 4, 5))]


@pytest.mark.parametrize("code", KNOWN)
def test_it_is_told_as_it_was_made(code):
    for seed in range(3):
        given = drawn(seed)
        found = expressions(given, KNOWN[code](*given), 0.0)
        # Others may give the same of these numbers, as a relu6 of small ones.
        assert found[0].code == code


@pytest.mark.parametrize("code", KNOWN)
def test_nothing_is_told_of_what_is_a_little_off(code):
    for seed in range(3):
        given = drawn(seed)
        result = np.array(KNOWN[code](*given))
        result.flat[seed] += 1e-6
        assert expressions(given, result, 0.0) == []


def test_nothing_is_told_of_unrelated_numbers():
    for seed in range(20):
        given = drawn(seed)
        for result in drawn(seed + 100):
            assert expressions(given, result, 0.0) == []


def test_a_constant_says_nothing():
    given = drawn(0)
    assert expressions(given, np.zeros((8, 5)), 0.0) == []
    assert expressions(given, np.full((8, 5), np.nan), 0.0) == []
    column = given[0][:, :1]
    assert expressions([column], np.ones((8, 1)), 0.0)[0].code == "torch.softmax({0}, -1)"


def test_by_way_of_what_is_made_before():
    given = drawn(1)
    inner = [given[0] - 3 * given[1], np.tanh(given[0] - 3 * given[1])]
    found = in_parts(given, inner, inner[1] * given[1], 0.0)
    assert [expression.code for expression in found] == ["{1} * F.tanh({0} - 3 * {1})"]
    reduced = in_parts(given, [given[2][:, 1:]], given[2][:, 1:].mean((2, 3)), 0.0)
    assert reduced[0].code == "{2}[:, 1:, :, :].mean((2, 3))"
    np.testing.assert_allclose(found[0].value(given), inner[1] * given[1])


def test_a_large_tensor_takes_no_longer_than_a_smaller_one():
    """Every expression is tried of a few samples, and the one that fits of all; counted, since a clock says little."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8, 40, 40))
    assert expressions([x], softmax(x, 2), 0.0)[0].code == "torch.softmax({0}, 2)"
    few, result = first_samples([x], x)
    assert few[0].shape == result.shape == (20, 8, 40, 40)
    # One of another length is no sample of the batch.
    assert first_samples([x, x[0]], x)[1] is x
