"""Pairs drawn at random: honest ones are never accused, and faults are found where they are planted."""

import pytest

from benchmarks.own_pairs import honest, planted


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(n, marks=pytest.mark.ci) for n in range(2, 24))])
def test_an_honest_pair_is_parity(seed, own_workers):
    parity, share = honest(seed, own_workers)
    assert parity
    # Of the factor that the bounds have, so much was never needed.
    assert share < 1 / 4


@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(n, marks=pytest.mark.ci) for n in range(2, 24))])
def test_a_fault_is_found_where_it_is(seed, own_workers):
    assert planted(seed, own_workers) in (True, None)
