"""What a person reads: one sentence first, a table that fits a terminal, whole lines where nobody reads a terminal."""

import json
from dataclasses import replace

import numpy as np
import pytest

from parity.diagnosis import diagnose
from parity.diagnosis.value import CLASSES, Cause, Diagnosis, Finding, chosen
from parity.differences import DIFFERENCES
from parity.errors import plain
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.requested import with_activation
from parity.experiment.settings import differences
from parity.report import console
from parity.report.levels import details, rows
from parity.report.sentence import sentence
from parity.report.wrapped import Line, wrapped
from parity.verdict import Check, Verdict, judge, judge_alone, outcome
from parity.verdict.checks import beyond, often, result_of
from parity.workers.processes import telling


def printed(sides, verdict, diagnosis=None, width=None):
    page = console.page(sides, verdict, diagnosis, width)
    return [piece for line in page for piece in wrapped(line, width)]


def with_failure(verdict, count=1):
    """The verdict with the first stages of lockstep failed."""
    places = [n for n, c in enumerate(verdict.checks) if c.level == "lockstep" and ", optimizer, " in c.where][:count]
    checks = list(verdict.checks)
    for place in places:
        reason = "Keras 0.1, torch 0.2: 2.5e+05 times what rounding explains"
        checks[place] = replace(checks[place], result="failed", reason=reason)
    return Verdict.of(checks)


@pytest.fixture(scope="module")
def judged(clean_pair):
    return list(clean_pair), judge(*clean_pair)


def test_the_first_line_is_a_sentence(judged):
    sides, verdict = judged
    said = "Keras and torch trained the same: every stage of 3 checkpoints within rounding; costs "
    assert printed(sides, verdict)[0].startswith(said)
    first, second, *_ = printed(sides, with_failure(verdict))
    assert first.startswith("Keras and torch part first at step 0, in the optimizer: ")
    assert first.endswith("]: 2.5e+05 times what rounding explains")
    assert second == ""


def test_the_first_line_names_the_cause(judged):
    """By the title of the known difference where each framework does as it says."""
    sides, verdict = judged
    entry = DIFFERENCES["adam_epsilon_position"]
    before, after = "before_correction", "after_correction"
    own = chosen("adam_epsilon", entry, (sides[0], before), (sides[1], after))
    swapped = chosen("adam_epsilon", entry, (sides[0], after), (sides[1], before))
    for causes, said in (
        ((own,), "Adam adds epsilon before the bias correction in Keras, after it in torch"),
        ((swapped,), swapped.says),
        ((own, Cause("constants: another", "constants")), "2 reasons, named below: adam_epsilon and constants"),
    ):
        line = sentence(sides, with_failure(verdict), Diagnosis((Finding("step 0, optimizer", causes, True),), True))
        assert line == f"Keras and torch part first at step 0, in the optimizer: {said}"
    assert "in Keras, after it in torch" not in swapped.says


def test_of_what_is_consumed_the_first_line_says_what(judged):
    sides = judged[0]
    trace = sides[1].trace
    changed = trace["consumed/inputs"].copy()
    changed[7] += 1
    other = replace(sides[1], trace=trace | {"consumed/inputs": changed})
    lines = printed([sides[0], other], judge(sides[0], other))
    assert lines[0].startswith("Keras and torch part first at step 7, in what the training loop uses: inputs: ")
    assert any(line.startswith("first divergence: consumed, step 7, inputs: differs at 1 of 40") for line in lines)


def failed_first(verdict, found):
    """The verdict, the first check for which `found` is true the only one that failed."""
    place = next(n for n, check in enumerate(verdict.checks) if found(check))
    reason = "0.1 and 0.2: 12 times what rounding explains"
    checks = [*verdict.checks[:place], replace(verdict.checks[place], result="failed", reason=reason)]
    return Verdict.of([*checks, *verdict.checks[place + 1 :]])


def test_the_first_line_says_who_parts(judged):
    """One side's float32 from its float64, a loop from its replay, one side's figures from each other."""
    sides, verdict = judged
    for found, said in (
        (
            lambda check: " float32 " in check.name,
            "Keras in float32 and in float64 part first at step 0, in the forward ",
        ),
        (lambda check: check.side == "torch's loop", "torch's loop and its own replay part first at step 0, in the "),
        (lambda check: check.name.startswith("accuracy of the"), "Keras contradicts itself in the training loop: "),
    ):
        line = sentence(sides, failed_first(verdict, found), None)
        assert line.startswith(said)
        assert line.endswith(": 12 times what rounding explains")


def test_one_fault_is_one_line(judged):
    sides, verdict = judged
    lines = printed(sides, with_failure(verdict, 9))
    assert [line for line in lines if line.startswith(("failed: ", "first divergence: "))] == [
        next(line for line in lines if line.startswith("first divergence: lockstep, step 0, optimizer, "))
    ]
    assert "and 8 more checks failed with it: 8 of lockstep" in lines


def test_a_recording_alone_agrees_with_its_own_replays(judged):
    side = judged[0][1]
    lines = printed([side], judge_alone(side))
    assert lines[0].startswith("torch's recording agrees with its own replays: every stage of 3 checkpoints")
    assert lines[-1] == "verdict: parity (of one recording with its own replays: lockstep and loop judged)"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_breaks_lines_between_words(width, judged):
    sides, verdict = judged
    failed = with_failure(verdict, 3)
    whole = printed(sides, failed)
    broken = printed(sides, failed, width=width)
    assert all(len(line) <= width for line in broken)
    # Every word and every tensor with its index stands whole on a line.
    names = {c.where.split(", ", 2)[2] for c in failed.checks if c.level == "lockstep" and c.where.count(", ") > 2}
    told = [name for name in names if any(name in line for line in whole)]
    assert told
    assert all(any(name in line for line in broken) for name in told)


def test_a_file_gets_whole_lines(judged, capsys):
    sides, verdict = judged
    console.show(sides, verdict, None, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines == printed(sides, verdict)
    assert all(line == line.rstrip() for line in lines)
    assert max(map(len, lines)) > 120


def test_the_table_fits_80_columns(judged):
    sides, verdict = judged
    for found in (verdict, with_failure(verdict)):
        lines = printed(sides, found)
        start = lines.index(next(line for line in lines if line.lstrip().startswith("versions ")))
        table = lines[start : start + 3 + len(rows(found))]
        assert [line.split()[0] for line in table[3:]] == [level for level, _, _ in rows(found)]
        assert all(len(line) <= 80 for line in table)


def test_nothing_is_cut_off_that_is_wider_than_the_terminal():
    line = Line("a_name_without_any_space_in_it/that_is_long[12, 345] and more", 4)
    assert wrapped(line, 20) == ["a_name_without_any_space_in_it/that_is_long[12, 345]", "    and more"]


def test_the_trajectory_passed_where_its_check_did():
    digits = Check("cost to 6 digits", "trajectory", "not_judged", 3, None, None, "the costs agree", supplement=True)
    noise = Check("cost against noise", "trajectory", "passed", 0.1, 10, None, "up to step 3")
    assert result_of([digits, noise]) == "passed"
    assert result_of([digits, replace(noise, result="not_judged")]) == "not_judged"
    ended = Check("cost is finite", "trajectory", "not_judged", None, None, None, "they end", decisive=True)
    assert result_of([digits, noise, ended]) == "not_judged"


def test_what_was_never_judged_has_its_reason(judged):
    sides, verdict = judged
    place = next(n for n, check in enumerate(verdict.checks) if check.level == "loop")
    reason = "the cost is not a finite number from the first step on"
    checks = list(verdict.checks)
    checks[place] = replace(checks[place], result="not_judged", reason=reason)
    found = Verdict.of(checks)
    assert found.verdict == "insufficient"
    lines = printed(sides, found)
    assert lines[-2] == "verdict: insufficient (quick: trajectory and outcome not judged)"
    assert lines[-1] == f"not judged: loop, {checks[place].place}: {reason}"
    assert lines[0].startswith("Nothing failed, and too little could be judged to call it parity: loop, ")
    assert f"loop, not judged: {checks[place].place}: {reason}" in list(details(found))
    assert "1 not judged" in next(said for level, _, said in rows(found) if level == "loop")


@pytest.mark.parametrize("times", [1, 1.0000001, 1.04, 1.05, 2, 1e9, 1e10, 5e32, np.inf, np.nan])
def test_a_number_of_times_says_something(times):
    for said in (beyond(float(times), 1.0), f"{often(float(times))} the noise"):
        assert "inf " not in said
        assert "nan " not in said
        assert "e+3" not in said
    assert not beyond(float(times), 1.0).startswith("1 times")
    assert "times" not in beyond(1.0, 0.0)


def test_costs_that_stop_being_finite_on_one_side(judged):
    ours, theirs = judged[0]
    cost = ours.trace["cost"].copy()
    cost[5:] = np.nan
    broken = replace(ours, trace=ours.trace | {"cost": cost})
    (reason,) = [check.reason for check in judge(broken, theirs).checks if check.name == "cost is finite"]
    assert "different steps: Keras's at step 5, torch's never" in reason


def test_settings_are_compared_by_what_they_are():
    relu, softmax, adam = EXPERIMENTS["mnist_relu"].identity, EXPERIMENTS["mnist_softmax"].identity, OPTIMIZERS["adam"]
    said = "model [784-256, relu, 256-256, relu, 256-10] and [784-10]"
    assert differences(relu, softmax)[0] == said
    leaky = replace(relu, model=with_activation(relu.model, "leaky_relu"))
    assert differences(relu, leaky) == [
        "model [784-256, relu, 256-256, relu, 256-10] and [784-256, leaky_relu, 256-256, leaky_relu, 256-10]"
    ]
    model = tuple(
        replace(node, slope=0.3) if getattr(node, "function", "") == "leaky_relu" else node for node in leaky.model
    )
    assert differences(leaky, replace(leaky, model=model))[0].startswith("model.leaky_relu_1.slope ")
    sgd = replace(relu, optimizer=OPTIMIZERS["sgd"])
    assert differences(relu, sgd) == ["optimizer adam and sgd"]
    faster = replace(relu, optimizer=replace(relu.optimizer, learning_rate=0.5))
    assert differences(relu, faster) == [f"optimizer.learning_rate {adam.learning_rate} and 0.5"]
    for other in (softmax, leaky, EXPERIMENTS["xor_prelu"].identity):
        assert not any("None" in line for line in differences(relu, other))


def test_a_cause_that_was_not_sought_is_not_called_not_found(judged):
    """parity.compare has no framework to ask."""
    sides, verdict = judged
    found = diagnose(sides, with_failure(verdict))
    assert found.lines()[0] == "diagnosis: step 0, optimizer: no cause was sought"
    assert "python -m parity.run with the same options seeks it" in found.first.note
    assert "--reference" not in found.first.note


def test_a_cause_in_recordings_made_apart(pair_apart):
    verdict = judge(*pair_apart)
    checks = [replace(c, result="failed") if c.name == "float64 cost" else c for c in verdict.checks]
    found = diagnose(pair_apart, Verdict.of(checks))
    assert "parity.record with --reference" in found.first.note


@pytest.mark.parametrize("kind", CLASSES)
def test_the_lines_that_align_epsilon_are_of_the_optimizer(kind, judged):
    ours, theirs = (
        replace(
            side, manifest=replace(side.manifest, identity=replace(side.manifest.identity, optimizer=OPTIMIZERS[kind]))
        )
        for side in judged[0]
    )
    cause = chosen("epsilon_value", DIFFERENCES["epsilon_default"], (ours, "keras_default"), (theirs, "given"))
    optimizer = OPTIMIZERS[kind]
    assert cause.scripts["tf"].endswith(
        f"{CLASSES[kind][0]}({optimizer.learning_rate:g}, epsilon={optimizer.epsilon:g})"
    )
    assert cause.scripts["torch"].endswith(
        f".{CLASSES[kind][1]}(model.parameters(), {optimizer.learning_rate:g}, eps=1e-07)"
    )
    assert kind == "adadelta" or "Adadelta" not in json.dumps(cause.scripts)


LOG = [
    "2026-01-01 12:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.\n",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.\n",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    "I0000 00:00:1767268800.123456    1234 cpu_feature_guard.cc:227] optimized to use CPU instructions\n",
    "E0000 00:00:1767268800.123456    1234 cuda_dnn.cc:8310] Unable to register cuDNN factory: Attempting to\n",
    "W0000 00:00:1767268800.123456    1234 gpu_device.cc:2341] Cannot dlopen some GPU libraries.\n",
    "\n",
    "\x1b[1;31mValueError\x1b[0m: in user code:\x1b]8;;file:///x\x07here\x1b]8;;\x07\n",
    "F0000 00:00:1767268800.123456    1234 tensor.cc:5] Check failed: dtype() == expected\n",
]


def test_of_a_log_only_what_tells_something():
    assert telling(LOG) == [
        "ValueError: in user code:here",
        "F0000 00:00:1767268800.123456    1234 tensor.cc:5] Check failed: dtype() == expected",
    ]
    assert plain("\x1b[1mMatrix size-incompatible\x1b[0m\r\x07 [Op:MatMul]") == "Matrix size-incompatible [Op:MatMul]"


def test_the_outcome_of_four_points(judged):
    """Where nothing could be too much, why is said in numbers."""
    side = judged[0][0]
    figure = outcome.Figure(lambda x, y: 0.0, lambda a, b: 1.0, lambda a, b: "0 of 4 differ", 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcome.noise, "missing", lambda a, b: None)
        patch.setattr(outcome.noise, "pairs", lambda a, b: [(None, None)])
        check = outcome.judged(side, side, "predictions", figure)
    assert check.result == "not_judged"
    assert check.reason == "0 of 4 differ; twins are equal; 10 would be allowed, and it cannot be more than 4"


def test_the_verdict_stays_a_line_of_its_own(judged, capsys):
    sides, verdict = judged
    console.show(sides, verdict, None, quiet=True)
    assert capsys.readouterr().out == f"{printed(sides, verdict)[-1]}\n"
