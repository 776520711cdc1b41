"""Why a port's layers go wrong: causes are named, several at once too, and none where no variant makes them agree."""

import forward_faults
import operation_faults
import pytest
from forward_faults import NAMED
from operation_faults import OPERATIONS
from test_own_causes import judged
from training_faults import Port

from parity.causes.functions import ENTRIES
from parity.causes.layers import SWITCHES
from parity.differences import DIFFERENCES

RIGHT = forward_faults.RIGHT | operation_faults.RIGHT
UNKNOWN = forward_faults.UNKNOWN | operation_faults.UNKNOWN
# What runs always; CI runs all.
ALWAYS = {
    "epsilon of layers",
    "padding behind the tokens",
    "flattening",
    "epsilon and a function",
    "a relu left out",
    "dropout that is not told the mode",
    "a mean for the largest",
    "no residual",
    "reshaped, not transposed",
    "other tokens",
    "tokenised",
    "wrapped",
    "norms",
}


def marked(names):
    return [pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.ci]) for name in names]


def test_every_known_difference_that_is_named_is_one():
    entries = {*ENTRIES.values()} | {entry for _, _, entry in SWITCHES.values()}
    assert entries - {None, ""} <= set(DIFFERENCES)


@pytest.mark.parametrize("name", marked(NAMED))
def test_the_causes_are_named(name, own_workers, tmp_path):
    report = judged(NAMED[name], own_workers, tmp_path)
    assert sorted(cause.name for cause in report.causes) == sorted(NAMED[name].causes), str(report)
    assert f"cause: {report.causes[0].says}" in str(report)
    assert {cause.entry for cause in report.causes} - {None} <= set(DIFFERENCES)


@pytest.mark.parametrize("name", marked(OPERATIONS))
def test_another_operation_is_told_with_both(name, own_workers, tmp_path):
    fault = OPERATIONS[name]
    report = judged(fault.port(), own_workers, tmp_path)
    assert tuple(cause.name for cause in report.causes) == fault.causes, str(report)
    assert fault.torch in report.causes[0].says, str(report)
    assert fault.keras in report.causes[0].says, str(report)
    assert {cause.entry for cause in report.causes} - {None} <= set(DIFFERENCES)


@pytest.mark.parametrize("name", marked(UNKNOWN))
def test_nothing_is_claimed_where_no_variant_agrees(name, own_workers, tmp_path):
    report = judged(UNKNOWN[name], own_workers, tmp_path)
    assert report.verdict == "mismatch", str(report)
    assert report.causes == (), str(report)
    assert "no cause found" in str(report)


def test_a_third_says_that_no_kernel_differs(own_workers, tmp_path):
    report = judged(UNKNOWN["other tokens"], own_workers, tmp_path)
    assert "Keras's Embedding gives the same on torch: no kernel differs, the two layers do" in str(report)


@pytest.mark.parametrize("name", marked(RIGHT))
def test_a_right_port_has_no_cause(name, own_workers, tmp_path):
    report = judged(Port(RIGHT[name], ()), own_workers, tmp_path)
    assert report.verdict == "parity", str(report)
    assert report.causes == ()
