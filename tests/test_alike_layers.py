"""Layers of one shape that little tells apart accuse nobody: they are told apart, or every way is tried."""

import pytest
from alike_layers import RIGHT
from test_own_causes import judged
from training_faults import Port

from parity.models.described import Layer, Model, Weight
from parity.pairing.pairs import Pairing
from parity.ports.assignments import MOST, assignments, can_be_tried

ALWAYS = {"stacked", "attention", "queries"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in ALWAYS else pytest.mark.ci) for n in RIGHT])
def test_a_right_port_is_parity(name, own_workers, tmp_path):
    report = judged(Port(RIGHT[name], ()), own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    tried = [note for note in report.notes if "was found by trying" in note]
    assert bool(tried) == (name in ("queries", "towers")), str(report)


@pytest.mark.ci
def test_a_fault_is_not_tried_away(own_workers, tmp_path):
    """Where every way was tried in vain the guess was none, and the fault is where it is."""
    fault = ("(torch.softmax(b, 1) * x).sum(1))", "(torch.softmax(b, 1) * x).mean(1))")
    report = judged(Port(RIGHT["towers"], (), torch=(fault,)), own_workers, tmp_path)
    assert report.verdict == "mismatch", str(report)
    assert "no way to pair layers that nothing tells apart makes both models agree" in report.notes


def pairing(*sizes):
    """A pairing of so many groups of layers that nothing tells apart."""
    groups = [tuple(f"{n}.{m}" for m in range(size)) for n, size in enumerate(sizes)]
    weights = (Weight("kernel", "kernel", (2, 2), "float32", True),)
    keras = Model("keras", tuple(Layer(path, "Dense", {}, weights, None) for group in groups for path in group))
    undecided = tuple((group, tuple(f"t{path}" for path in group)) for group in groups)
    return Pairing(keras, Model("torch", ()), (), undecided=undecided)


def test_every_way_is_tried_once():
    ways = list(assignments(pairing(3, 2)))
    assert len(ways) == len(set(ways)) == 12
    assert ways[0].splitlines()[:2] == ['"0.0" = "t0.0"', '"0.1" = "t0.1"']


@pytest.mark.parametrize(("sizes", "tried"), [((), False), ((4,), MOST == 24), ((5,), False), ((3, 2, 2), True)])
def test_few_enough_are_tried(sizes, tried):
    assert can_be_tried(pairing(*sizes)) == tried
