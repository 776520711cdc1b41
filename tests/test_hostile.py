"""Recordings changed at random end in a verdict or in one line; NumPy's warnings count as failures.

Hypothesis throws the dice of tests/hostile.py, and shrinks what it finds; the script runs any number of rounds.
"""

from collections import Counter
from dataclasses import replace

import hostile
import pytest
from conftest import shortened
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.optimizers import OPTIMIZERS

ENDS: Counter[str] = Counter()


@pytest.fixture(scope="module")
def small_pair(record_pair, tmp_path_factory):
    """The smallest recordings with slots: two stages, two checkpoints, a twin."""
    model = EXPERIMENTS["xor_leaky_relu"].identity.model
    last = replace(model[-2], inputs=2)
    experiment = shortened("xor_leaky_relu", 2, optimizer=OPTIMIZERS["adam"], model=(last, model[-1]))
    return record_pair(experiment, tmp_path_factory.mktemp("small"), twins=1)


@pytest.mark.parametrize("changed", [0, pytest.param(1, marks=pytest.mark.ci)])
@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(dice=st.randoms(use_true_random=True))
def test_changed_recordings_end_in_a_verdict_or_a_line(changed, small_pair, dice):
    ENDS[hostile.judge_changed(small_pair[changed].folder, small_pair[1 - changed].folder, dice)] += 1


def test_the_changes_reach_the_reader_and_the_judge():
    """Runs after the rounds above: some changes are refused, others judged."""
    assert ENDS["IncomparableError"] > 100
    assert ENDS["status 1"] > 0
