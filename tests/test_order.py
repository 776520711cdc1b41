"""The first divergence is the first in time, and what follows from it is said to."""

from dataclasses import replace

import numpy as np
import pytest

from parity.report import console
from parity.report.junit import xml
from parity.verdict import Check, judge
from parity.verdict.order import in_time, outputs_of, step_of


def check(level, where, follows=None, result="failed"):
    return Check(f"{where} of {level}", level, result, None, None, where, "reason", follows=follows)


def with_trace(recording, **arrays):
    return replace(recording, trace={**recording.trace, **{k.replace("__", "/"): v for k, v in arrays.items()}})


def changed(array, *steps):
    found = array.copy()
    found[list(steps)] += 1
    return found


def failures(verdict):
    return [check for check in verdict.checks if check.result == "failed"]


@pytest.mark.parametrize(
    ("checks", "first"),
    [
        ([check("lockstep", "step 39, optimizer, x"), check("loop", "step 7, weights/x")], "step 7, weights/x"),
        ([check("loop", "step 7, cost"), check("consumed", "step 7")], "step 7"),
        ([check("loop", "step 10, x", follows="consumed, step 80"), check("consumed", "step 80")], "step 80"),
        ([check("outcome", None), check("loop", "the last epoch, accuracy")], "the last epoch, accuracy"),
        # What pre-training did comes before the training, whatever its step.
        ([check("consumed", "step 0"), check("pretraining", "step 9, cost")], "step 9, cost"),
        # A whole run tells less than the next checkpoint, and comes before a later one.
        ([check("trajectory", "step 30"), check("lockstep", "step 39, optimizer, x")], "step 39, optimizer, x"),
        (
            [check("trajectory", "step 3"), check("lockstep", "step 39, optimizer, x"),
             check("lockstep", "step 20, optimizer, x", result="passed")],
            "step 3",
        ),
    ],
)  # fmt: skip
def test_the_first_divergence_is_the_first_in_time(checks, first):
    for given in (checks, checks[::-1]):
        assert in_time(given)[0].where == first


def test_what_a_side_counts_of_its_own_predictions_follows_from_nothing():
    outputs = check("loop", "step 0, outputs in eval mode")
    outputs = replace(outputs, name="step 0 outputs in eval mode, on Keras's checkpoint")
    own = replace(check("loop", "the last epoch, accuracy"), side="Keras")
    assert outputs_of(own, [outputs, own]) is None
    assert outputs_of(replace(own, side=None), [outputs, own]) is outputs


def test_what_passed_comes_behind_what_failed(clean_pair):
    ours, theirs = clean_pair
    verdict = judge(ours, with_trace(theirs, consumed__labels=changed(theirs.trace["consumed/labels"], 7)))
    results = [check.result == "failed" for check in verdict.checks]
    assert results == sorted(results, reverse=True)
    assert step_of(verdict.checks[0]) == 7


def test_other_samples_have_other_pixels(clean_pair):
    """One fault of the order is one finding: pixels, labels and the steps that used them follow."""
    ours, theirs = clean_pair
    names = ("indices", "inputs", "labels")
    verdict = judge(
        ours, with_trace(theirs, **{f"consumed__{n}": changed(theirs.trace[f"consumed/{n}"], 5) for n in names})
    )
    first, *rest = failures(verdict)
    assert (first.level, first.name, first.follows) == ("consumed", "indices", None)
    assert {(check.name, check.follows) for check in rest} == {
        ("inputs", "consumed, step 5, indices"), ("labels", "consumed, step 5, indices"),
    }  # fmt: skip
    page = [line.text for line in console.page([ours, theirs], verdict, None, None)]
    assert "and 2 more checks failed with it: 2 that follow from others (2 of consumed)" in page
    assert b"follows from consumed, step 5, indices: step 5: differs at 1 of 40" in xml("mnist_relu", verdict)


def test_pixels_at_a_step_of_their_own_do_not_follow(clean_pair):
    ours, theirs = clean_pair
    trace = theirs.trace
    verdict = judge(
        ours,
        with_trace(theirs, consumed__indices=changed(trace["consumed/indices"], 5),
                   consumed__inputs=changed(trace["consumed/inputs"], 5, 9)),
    )  # fmt: skip
    assert [(check.name, check.follows) for check in failures(verdict)] == [("indices", None), ("inputs", None)]


def with_loop(recording, step, names, dtype="float64"):
    """The recording whose loop did something else at a checkpoint, in the tensors of that name."""

    class Changed(type(recording)):
        def loop(self):
            found = super().loop()
            places = [n for n, name in enumerate(self.phase.looped()) if name in names]
            measured = found[f"{step}/{dtype}/measured"].copy()
            measured[places] = 1e6
            return found | {f"{step}/{dtype}/measured": measured}

    return Changed(recording.folder, recording.manifest, recording.trace, recording.label)


def test_a_loop_that_used_other_samples_follows_from_that(clean_pair):
    ours, theirs = clean_pair
    broken = with_loop(theirs, 39, ("cost", "weights/dense_1/kernel"))
    labels = theirs.trace["consumed/labels"]
    root, *followers = failures(judge(ours, with_trace(broken, consumed__labels=changed(labels, 39))))
    assert (root.level, root.where) == ("consumed", "step 39")
    # The side whose loop does something else than its replay is the one that is off.
    assert root.side == "torch's loop"
    assert root.reason.endswith("; torch's loop is off: its replay takes other samples there")
    assert {check.follows for check in followers if check.level == "loop"} == {"consumed, step 39, labels"}
    # What used the same samples stands for itself.
    first, *rest = failures(judge(ours, with_trace(broken, consumed__labels=changed(labels, 38))))
    assert (first.level, first.where, first.side) == ("consumed", "step 38", None)
    loops = [check for check in rest if check.level == "loop"]
    assert [check.follows for check in loops] == [None, "loop, step 39, cost"]


def test_where_only_a_stretch_is_known_it_is_named(clean_pair):
    ours, theirs = clean_pair

    class Changed(type(theirs)):
        def replayed(self, key):
            found = super().replayed(key)
            if found is None or self.manifest.replays[key] != 39:
                return found
            names = [result.name for result in self.phase.results(39)]
            measured = found["float64/measured"].copy()
            measured[names.index("weights/dense_2/kernel")] = 1e6
            return found | {"float64/measured": measured}

    broken = Changed(theirs.folder, theirs.manifest, theirs.trace, theirs.label)
    verdict = judge(ours, broken)
    steps = sorted({step_of(check) for check in verdict.checks if check.level == "lockstep"})
    first = verdict.checks[0]
    assert (first.level, first.since, first.stretch) == ("lockstep", steps[1] + 1, f"steps {steps[1] + 1:.0f} to 39")
    page = [line.text for line in console.page([ours, theirs], verdict, None, None)]
    assert page[0].startswith(f"Keras and torch part first in {first.stretch}, in the optimizer: ")
    assert any(line.endswith(f"it began in {first.stretch}, none of which was looked at before") for line in page)
    # Of later checkpoints nothing more is to be said, and in one that is the next step nothing is open.
    assert np.isfinite(step_of(first))
