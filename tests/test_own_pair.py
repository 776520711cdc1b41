"""A user's own pair, from two files to a verdict: right ports are parity, wrong ones part where they should."""

import pytest
from own_pairs import PAIRS

from parity.models.check import Request, checked

FAULTS = [(name, number) for name, pair in PAIRS.items() for number in range(len(pair.faults))]


def request(paths, **settings):
    return Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]), **settings)


@pytest.mark.parametrize("name", PAIRS)
def test_a_right_port_is_parity(name, own_workers, tmp_path):
    report = checked(request(PAIRS[name].write(tmp_path / "pair")), own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    assert report.status == 0
    assert all(f.measured is None or f.bound is None or f.measured < f.bound / 4 for f in report.findings)


@pytest.mark.parametrize(("name", "number"), FAULTS)
def test_a_fault_is_named_where_it_is(name, number, own_workers, tmp_path):
    fault = PAIRS[name].faults[number]
    report = checked(request(PAIRS[name].write(tmp_path / "pair", fault)), own_workers, tmp_path)
    assert report.verdict == "mismatch", str(report)
    assert report.first_divergence is not None
    assert report.first_divergence.level == fault.level, str(report)
    assert fault.stage in report.first_divergence.name, str(report)
    assert len(str(report).splitlines()) < 15
