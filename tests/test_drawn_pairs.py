"""Pairs drawn at random: honest ones are never accused, and faults are found where they are planted."""

import pytest

from benchmarks.own_pairs import honest, planted

# Honest pairs that were accused, since two functions of one kind stand one after the other.
ONCE_ACCUSED = [70141, 70297]


@pytest.mark.parametrize(
    "seed",
    [
        *range(2),
        *ONCE_ACCUSED,
        *(pytest.param(n, marks=pytest.mark.ci if n < 12 else pytest.mark.slow) for n in range(2, 24)),
    ],
)
def test_an_honest_pair_is_parity(seed, own_workers):
    parity, share = honest(seed, own_workers)
    assert parity
    # Of the factor that the measured bounds have, half is never needed: most where n equal terms, the pixels behind an
    # average over all of them, round alike in a bias's gradient, which two nudged reruns show little of.
    assert share < 1 / 2


@pytest.mark.parametrize(
    "seed", [*range(2), *(pytest.param(n, marks=pytest.mark.ci if n < 12 else pytest.mark.slow) for n in range(2, 24))]
)
def test_a_fault_is_found_where_it_is(seed, own_workers):
    assert planted(seed, own_workers) in (True, None)
