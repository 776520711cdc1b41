"""The judge on recordings whose deviations are known, since they are made here."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from benchmarks import nulls
from parity import compare
from parity.bounds import measure
from parity.recordings.recording import Recording
from parity.verdict import Verdict, checks, evaluation, judge, segments
from parity.verdict.checks import Check, conclude
from parity.verdict.trajectory import first_disagreement


@dataclass(frozen=True)
class Edited(Recording):
    """A recording whose first steps are changed as they are read."""

    change: Callable[[dict[str, np.ndarray], str], object]

    def start(self, dtype):
        arrays = super().start(dtype)
        self.change(arrays, dtype)
        return arrays


@pytest.fixture
def edited(pair_apart):
    """A function that returns torch's recording, made apart, with an edit applied to its first steps."""

    def edit(change, original=pair_apart[1]):
        return Edited(original.folder, original.manifest, original.trace, original.label, change)

    return edit


def failures(verdict):
    return [(check.level, check.name) for check in verdict.checks if check.result == "failed"]


def with_trace(recording, **arrays):
    return replace(recording, trace={**recording.trace, **{k.replace("__", "/"): v for k, v in arrays.items()}})


def test_a_recording_agrees_with_itself(clean_pair):
    verdict = judge(clean_pair[0], clean_pair[0])
    assert verdict.verdict == "parity"
    own = [check for check in verdict.checks if re.match(r"step \d+ float64 .*, Keras on Keras's", check.name)]
    assert own
    assert all(check.measured == 0 for check in own)


def test_the_verdict_does_not_depend_on_the_order(clean_pair):
    assert judge(*clean_pair).verdict == judge(*reversed(clean_pair)).verdict == "parity"


@pytest.mark.parametrize("name", ["identity", "data", "start", "order"])
def test_preflight_finds_another_task(name, clean_pair):
    ours, theirs = clean_pair
    digests = {**theirs.manifest.digests, name: "f" * 64}
    verdict = judge(ours, replace(theirs, manifest=replace(theirs.manifest, digests=digests)))
    assert verdict.verdict == "incomparable"
    assert failures(verdict) == [("preflight", name)]
    assert {check.level for check in verdict.checks} == {"preflight"}


def test_preflight_finds_another_precision_and_a_missing_digest(clean_pair):
    ours, theirs = clean_pair
    precision = {**theirs.manifest.precision, "matmul": "tf32"}
    digests = {name: value for name, value in theirs.manifest.digests.items() if name != "order"}
    verdict = judge(ours, replace(theirs, manifest=replace(theirs.manifest, precision=precision, digests=digests)))
    assert failures(verdict) == [("preflight", "order"), ("preflight", "precision matmul")]


def test_consumed_names_the_first_step(clean_pair):
    ours, theirs = clean_pair
    changed = theirs.trace["consumed/inputs"].copy()
    changed[[7, 30]] += 1
    verdict = judge(ours, with_trace(theirs, consumed__inputs=changed))
    failed = next(check for check in verdict.checks if check.result == "failed")
    assert (failed.name, failed.where, failed.measured) == ("inputs", "step 7", 2)
    assert verdict.verdict == "mismatch"


@pytest.mark.parametrize("length", [0, 39])
def test_missing_steps_fail(length, clean_pair):
    ours, theirs = clean_pair
    verdict = judge(ours, with_trace(theirs, consumed__labels=theirs.trace["consumed/labels"][:length]))
    assert ("consumed", "labels") in failures(verdict)


def test_nothing_to_compare_is_a_failure(clean_pair):
    empty = [with_trace(r, consumed__labels=r.trace["consumed/labels"][:0]) for r in clean_pair]
    assert ("consumed", "labels") in failures(judge(*empty))


@pytest.mark.parametrize(
    ("key", "length"), [("cost", 39), ("accuracy", 0), ("predictions", 999), ("epoch_cost", 0), ("test_loss", 0)]
)
def test_traces_of_different_lengths_fail(key, length, clean_pair):
    ours, theirs = clean_pair
    assert judge(ours, with_trace(theirs, **{key: theirs.trace[key][:length]})).verdict == "mismatch"


# What is done to torch's float64 replay, and the first tensor that must be named.
CHANGES = {
    "outputs/dense_1": lambda a: a["outputs/dense_1"].__setitem__((3, 5), a["outputs/dense_1"][3, 5] * (1 + 1e-9)),
    "cost": lambda a: a.update(cost=a["cost"] * 1.01),
    "gradients/dense_2/kernel": lambda a: a["gradients/dense_2/kernel"].__imul__(1.001),
    "slots/second_moment/dense_3/bias": lambda a: a["slots/second_moment/dense_3/bias"].__imul__(1.0001),
    "weights/dense_1/bias": lambda a: a["weights/dense_1/bias"].__iadd__(1e-9),
    "weights/dense_2/kernel": lambda a: a.update({"weights/dense_2/kernel": a["weights/dense_2/kernel"].T.copy()}),
}


@pytest.mark.parametrize("tensor", CHANGES)
def test_lockstep_names_the_changed_tensor(tensor, edited, pair_apart):
    theirs = edited(lambda arrays, dtype: CHANGES[tensor](arrays) if dtype == "float64" else None)
    verdict = judge(pair_apart[0], theirs)
    assert [name for level, name in failures(verdict) if level == "lockstep"] == [f"float64 {tensor}"]
    assert verdict.verdict == "mismatch"


def test_lockstep_names_the_changed_element(edited, pair_apart):
    theirs = edited(lambda arrays, dtype: CHANGES["outputs/dense_1"](arrays) if dtype == "float64" else None)
    failed = next(check for check in judge(pair_apart[0], theirs).checks if check.result == "failed")
    assert failed.where == "step 0, outputs/dense_1[3, 5]"
    assert failed.measured > failed.bound
    assert "Keras" in failed.reason


@pytest.mark.parametrize("name", ["gradients/dense_3/bias", "inputs", "labels", "step"])
def test_a_missing_tensor_fails(name, edited, pair_apart):
    theirs = edited(lambda arrays, dtype: arrays.pop(name))
    assert ("lockstep", f"float64 {name}") in failures(judge(pair_apart[0], theirs))
    assert ("lockstep", f"float64 {name}") in failures(judge(theirs, pair_apart[0]))


def test_a_tensor_too_many_fails(edited, pair_apart):
    verdict = judge(pair_apart[0], edited(lambda arrays, dtype: arrays.update(extra=np.zeros(3))))
    assert ("lockstep", "float64 extra") in failures(verdict)


def test_replays_of_other_inputs_fail(edited, pair_apart):
    verdict = judge(pair_apart[0], edited(lambda arrays, dtype: arrays["inputs"].__iadd__(1e-3)))
    assert ("lockstep", "float64 inputs") in failures(verdict)


def within(ours, theirs, bound):
    entry = measure.worst(ours, theirs, measure.Tolerance(bound))
    return checks.judge("lockstep", "t", "t", bound.shape, entry, 1.0, "float64", ("a", "b"))


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("x", "y", "bound", "result"),
    [
        ([1.0, 2.0], [1.0, 2.0 + 1e-10], 1e-9, "passed"),
        ([1.0, 2.0], [1.0, 2.0 + 1e-8], 1e-9, "failed"),
        ([1.0, NAN], [1.0, 2.0], 1e-9, "failed"),
        ([1.0, NAN], [1.0, NAN], 1e-9, "not_judged"),
        ([1.5, NAN], [1.0, NAN], 1e-9, "failed"),
        # The same infinity proves nothing; another one is a difference.
        ([1.0, INF], [1.0, INF], 1e-9, "not_judged"),
        ([1.0, INF], [1.0, -INF], 1e-9, "failed"),
        ([1.0, INF], [1.0, 2.0], 1e-9, "failed"),
        # A bound that is no number: anything may come of rounding there.
        ([1.0, 2.0], [1.0, 2.1], NAN, "not_judged"),
        ([1.0, 2.0], [1.0, 2.1], INF, "not_judged"),
        ([1.0, 2.0], [1.0, 2.0], 0.0, "passed"),
        ([1.0, 2.0], [1.0, 2.0 + 4e-16], 0.0, "failed"),
        ([], [], 1e-9, "failed"),
    ],
)
def test_within(x, y, bound, result):
    assert within(np.array(x), np.array(y), np.full(len(x), bound)).result == result


def test_within_refuses_to_transpose():
    matrix = np.arange(6.0).reshape(2, 3)
    assert within(matrix, matrix.T, np.ones((2, 3))).result == "failed"


def test_nan_on_both_sides_is_not_parity(edited, pair_apart):
    """Both costs NaN: nothing differs, and nothing is proven."""
    verdict = judge(*(edited(lambda arrays, dtype: arrays.update(cost=np.array(NAN)), side) for side in pair_apart))
    assert ("lockstep", "not_judged") in {(check.level, check.result) for check in verdict.checks}
    assert any("proves nothing" in check.reason for check in verdict.checks)
    assert verdict.verdict != "parity"


def test_agreement_in_digits():
    x = np.array([1.0, 1.0, 1.0, 1.0])
    y = np.array([1.0, 1.0 + 1e-7, 1.0 + 1e-5, 1.0])
    assert [first_disagreement(x, y, digits) for digits in (6, 4, 2)] == [2, 4, 4]
    assert first_disagreement(np.array([NAN]), np.array([1.0]), 2) == 0
    assert first_disagreement(np.array([INF]), np.array([-INF]), 2) == 0


def test_costs_that_stop_being_finite_are_named(clean_pair):
    broken = []
    for recording, step in zip(clean_pair, (5, 9), strict=True):
        cost = recording.trace["cost"].copy()
        cost[step:] = NAN
        broken.append(with_trace(recording, cost=cost))
    same = [replace(broken[0], manifest=recording.manifest, folder=recording.folder) for recording in clean_pair]
    reasons = [check.reason for check in judge(*same).checks if check.name == "cost is finite"]
    assert "both sides' costs stop being finite at step 5" in reasons[0]
    reasons = [check.reason for check in judge(*broken).checks if check.name == "cost is finite"]
    assert "at different steps: Keras's at step 5, torch's at step 9" in reasons[0]
    one_sided = [check for check in judge(broken[0], clean_pair[1]).checks if check.name == "cost is finite"]
    # Whether rounding does that, twins alone could say.
    assert [check.result for check in one_sided] == ["not_judged"]
    assert "no twins to say whether rounding does that" in one_sided[0].reason


PASSED = dict.fromkeys(("preflight", "consumed", "lockstep", "loop"), "passed")


def check(level, result):
    return Check("x", level, result, None, None, None, "")


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (PASSED, "parity"),
        (PASSED | {"outcome": "not_judged"}, "parity"),
        (PASSED | {"lockstep": "not_judged"}, "insufficient"),
        (PASSED | {"loop": "not_judged"}, "insufficient"),
        ({"preflight": "passed", "consumed": "passed"}, "insufficient"),
        ({}, "insufficient"),
        (PASSED | {"outcome": "failed"}, "mismatch"),
        (PASSED | {"loop": "failed"}, "mismatch"),
        ({"preflight": "failed", "consumed": "failed"}, "incomparable"),
    ],
)
def test_conclusion(results, verdict):
    assert Verdict.of([check(level, result) for level, result in results.items()]).verdict == verdict
    assert checks.EXIT_STATUS[verdict] == {"parity": 0, "mismatch": 1, "incomparable": 3, "insufficient": 3}[verdict]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_check_has_no_number_that_json_lacks(number):
    found = checks.Check("cost", "loop", "failed", number, number, None, "")
    assert (found.measured, found.bound) == (None, None)


def with_segment(recording, **arrays):
    """The recording with other values in the segment that begins at step 1."""

    @dataclass(frozen=True)
    class Changed(Recording):
        def segment(self, key):
            found = super().segment(key)
            return found | arrays if key == recording.checkpoints[1] else found

    return Changed(recording.folder, recording.manifest, recording.trace, recording.label)


def segment_from_step_1(a, b):
    found = segments.checks(a, b)
    return next(check for check in found if check.name.startswith("step 1 ") and "Keras's" in check.name)


@pytest.mark.parametrize(
    ("change", "result", "where"),
    [
        (lambda costs, noise: {}, "passed", None),
        (lambda costs, noise: {"costs": costs * (1 + 1e-9)}, "failed", "step 1, cost"),
        (lambda costs, noise: {"costs": np.where(np.arange(len(costs)) < 4, costs, np.nan)}, "failed", "step 5, cost"),
        (lambda costs, noise: {"costs": costs[1:]}, "failed", "step 1"),
        (lambda costs, noise: {"costs": costs[:0], "noise": noise[:0]}, "failed", "step 1"),
    ],
)
def test_segments_are_judged_by_measured_noise(change, result, where, clean_pair):
    ours, theirs = clean_pair
    segment = ours.segment(ours.checkpoints[1])
    check = segment_from_step_1(with_segment(ours, **change(segment["costs"], segment["noise"])), theirs)
    assert check.result == result
    assert where is None or check.where == where


@pytest.mark.parametrize(("share", "result", "supplement"), [(1e-9, "passed", False), (1e-5, "not_judged", True)])
def test_a_segment_whose_noise_is_not_small_tells_nothing_and_lacks_nothing(share, result, supplement, clean_pair):
    ours, theirs = clean_pair
    segment = ours.segment(ours.checkpoints[1])
    noisy = segment | {"noise": share * segment["costs"]}
    check = segments.judged(ours, theirs, 1, "Keras", noisy, noisy)
    assert (check.result, check.supplement) == (result, supplement)
    assert conclude([*(Check("x", level, "passed", None, None, None, "") for level in PASSED), check]) == "parity"


@pytest.mark.parametrize(("finite", "result"), [(0, "not_judged"), (5, "passed")])
def test_a_segment_ends_where_nothing_is_a_number(finite, result, clean_pair):
    ours, theirs = clean_pair
    first = np.arange(len(ours.segment(ours.checkpoints[1])["costs"])) < finite
    segment = ours.segment(ours.checkpoints[1])
    ended = segment | {name: np.where(first, segment[name], np.nan) for name in ("costs", "noise")}
    check = segments.judged(ours, theirs, 1, "Keras", ended, ended)
    assert check.result == result


def without_a_number(outputs):
    changed = outputs.copy()
    changed[7, 3] = np.nan
    return changed


@pytest.mark.parametrize(
    ("ours", "theirs", "bound", "result", "where"),
    [
        (lambda x: x, lambda x: x, None, "passed", None),
        (lambda x: x * (1 + 1e-15), lambda x: x, None, "passed", None),
        (lambda x: x * (1 + 1e-9), lambda x: x, None, "failed", None),
        (lambda x: x * (1 + 1e-9), lambda x: x, 1.0, "passed", None),
        (without_a_number, lambda x: x, None, "failed", "step 1, outputs in eval mode[7, 3]"),
        (without_a_number, without_a_number, None, "not_judged", None),
        (lambda x: x, lambda x: x, np.nan, "not_judged", None),
    ],
)
def test_outputs_in_eval_mode(ours, theirs, bound, result, where, clean_pair):
    segment = clean_pair[0].segment(clean_pair[0].checkpoints[1])
    outputs = segment["outputs"]
    assert outputs.shape == (100, 10)
    bounds = segment["outputs_bound"] if bound is None else np.full(outputs.shape, bound)
    given = ({"outputs": change(outputs), "outputs_bound": bounds} for change in (ours, theirs))
    check = evaluation.judged(*clean_pair, 1, "Keras", *given)
    assert (check.level, check.result) == ("loop", result)
    assert where is None or check.where == where


def test_both_sides_evaluate_every_checkpoint(clean_pair):
    found = evaluation.checks(*clean_pair)
    assert len({check.name for check in found}) == len(found) == 15
    assert {check.result for check in found} == {"passed"}


@pytest.mark.parametrize("verdict", checks.EXIT_STATUS)
def test_the_verdict_reaches_the_exit_status(verdict, monkeypatch, clean_pair, capsys):
    monkeypatch.setattr(compare, "judge", lambda a, b: Verdict(verdict, ()))
    status = compare.main([str(recording.folder) for recording in clean_pair] + ["--no-figures"])
    assert status == checks.EXIT_STATUS[verdict] == {"parity": 0, "mismatch": 1}.get(verdict, 3)
    assert verdict in capsys.readouterr().out


def test_honest_recordings_that_repeat_others_are_left_out(clean_pair):
    found = {"Keras": clean_pair[0], "torch": clean_pair[1], "Keras, XLA": clean_pair[0]}
    assert list(nulls.distinct(found)) == ["Keras", "torch"]
