"""How one tensor comes of another: a relation is found where there is one, and none is said where there is not."""

import numpy as np
import pytest

from parity.diagnosis.account import told
from parity.diagnosis.relations import BEFORE, UNMOVED, relation

NUMBERS = np.random.default_rng(0)
X = NUMBERS.normal(size=(100, 32))
UNITS = NUMBERS.normal(size=32)
NOISE = NUMBERS.normal(size=X.shape)
ALLOWED = 1e-15


def with_part(part, values):
    changed = X.copy()
    changed[part] = values
    return changed


# What a tensor has become, and what is said of it.
CASES = [
    (X * 1.01, "times 1.01"),
    (X * (1 + 1e-7), "times 1 + 1e-07"),
    (X * 100 / 99, "times 1.0101 (100/99)"),
    (X / 7, "divided by 7"),
    (-X, "with the opposite sign"),
    (X + 1, "plus 1"),
    (X - 1e-6, "minus 1e-06"),
    (0 * X, "zero"),
    (2 * X - 1, "times 2 minus 1"),
    (X + UNITS, "plus its bias"),
    (X + 1e-9 * NOISE, "plus 1e-09 times its input"),
    (NOISE, "the same as its input"),
    (with_part((slice(None), 7), 0), "but unit 7: zero"),
    (with_part((slice(3, 5), slice(None)), 1.5 * X[3:5]), "but samples 3 and 4: times 1.5"),
    (with_part((3, 4), X[3, 4] + 1e-6), "but element [3, 4]: plus 1e-06"),
    (np.vstack([0 * X[:1], X[1:] * 100 / 99]), "sample 0 zero, all samples but 0 times 1.0101 (100/99)"),
    (X * (1 + 0.1 * np.abs(UNITS)), "each unit times a factor of its own, from 1.00183 to 1.23"),
    (X.astype(np.float32).astype(float), "rounded through float32"),
    (X.astype(np.float16).astype(float), "rounded through float16"),
    (np.clip(X, -0.5, 0.5), "kept between -0.5 and 0.5"),
    (np.where(X > 0.1, X, 0), f"but where it is at most {X[X <= 0.1].max():.4g}: zero"),
    (np.where(NOISE > 0.1, X, 0), f"but where its input is at most {NOISE[NOISE <= 0.1].max():.4g}: zero"),
    # Next to nothing is left, which is said.
    (X + 1e-6 * UNITS + 1e-12 * NOISE**3, "plus 1e-06 times its bias, but for"),
]


@pytest.mark.parametrize(("y", "said"), CASES)
def test_a_relation(y, said):
    found = relation(X, y, np.full(X.shape, ALLOWED), ("sample", "unit"), {"its input": NOISE, "its bias": UNITS})
    assert found is not None
    assert found.whole
    if "of its own" in said:
        said = said.partition(", from")[0]
    assert found.says.startswith(said)
    if "rounded" in said:
        # What a format holds is told to the bit.
        return
    # With rounding in it, too, of which nothing is said.
    again = relation(X, y + ALLOWED / 4 * NOISE / np.abs(NOISE).max(), np.full(X.shape, ALLOWED), ("sample", "unit"),
                     {"its input": NOISE, "its bias": UNITS})  # fmt: skip
    assert again is not None
    assert again.says.startswith(said)


@pytest.mark.parametrize(
    "y",
    [
        X,
        X + ALLOWED / 2,
        X * (1 + 1e-5 * NOISE),
        X + NOISE**3,
        np.sin(X),
        X[:, :31],
        np.where(X > 1, np.nan, X),
    ],
)
def test_nothing_is_said_without_a_relation(y):
    found = relation(X, y, np.full(X.shape, ALLOWED), ("sample", "unit"), {"its bias": UNITS})
    assert found is None or not found.whole


def test_a_part_without_a_relation_is_named():
    y = with_part((slice(None), 7), NOISE[:, 7] ** 3)
    found = relation(X, y, np.full(X.shape, ALLOWED), ("sample", "unit"))
    assert (found.says, found.whole) == ("but unit 7", False)


def test_what_nothing_was_done_to_is_told_so_also_where_it_was_zero():
    for name, said in ((UNMOVED, f"the same as {UNMOVED}"), (BEFORE, "zero")):
        kept = relation(X, 0 * X, np.full(X.shape, ALLOWED), ("sample", "unit"), {name: 0 * X})
        assert kept is not None
        assert kept.says == said


def test_one_number_proves_nothing():
    found = relation(np.array(99.0), np.array(100.0), np.array(ALLOWED))
    assert (found.says, found.whole) == ("times 1.0101 (100/99)", False)


@pytest.mark.parametrize(
    ("number", "neutral", "said"),
    [
        (0.9991, 0.999, "0.9991"),
        (0.001000001, 0.001, "0.001000001"),
        (1e-6, 0.0, "1e-06"),
        (100.0, 1.0, "100"),
        (-6.2e-248, 1.0, "0"),
    ],
)
def test_a_number_has_the_digits_that_tell_it_apart(number, neutral, said):
    assert told(number * (1 + 1e-14), neutral) == said
