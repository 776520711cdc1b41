"""The benchmark of what is found: other tools' rules on numbers made here, what is visible, and the command itself.

And that the verdict has none of the defects that public tools were seen to have.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import run

from benchmarks import campaign, detection, nulls, together, visibility
from benchmarks.campaign import Campaign, Planters, Planting, Row, alternating
from benchmarks.families import FAMILIES, family
from benchmarks.faults import FAULTS, PARTS
from benchmarks.judged import jobs
from benchmarks.kept import Kept
from benchmarks.planted import Planter
from benchmarks.rules import RULES, Run, found_by
from parity.bounds import measure
from parity.errors import WorkerError
from parity.experiment.spec import Realisation
from parity.recordings import recording
from parity.verdict import Verdict, checks

ROOT = Path(__file__).parents[1]
NAN, INF = float("nan"), float("inf")
ELEMENTWISE, HISTORIES, EXACT, MEAN, MEANS, COSINE, ACCURACY = RULES


def made(costs=(1.0, 2.0), history=(1.5,), weight=((1.0, 2.0), (3.0, 4.0)), accuracy=0.9):
    arrays = (np.array(values) for values in (costs, history, weight))
    costs, history, weight = arrays
    return Run(costs, {"epoch_cost": history}, {"weights/dense_1/kernel": weight}, accuracy)


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        ({}, {}, set()),
        ({}, {"costs": (1.0, 2.0 + 1e-12)}, {EXACT}),
        ({}, {"costs": (1.0, 2.0 + 5e-6)}, {EXACT, MEAN, MEANS}),
        ({}, {"costs": (1.0, 2.0 + 1e-4)}, {ELEMENTWISE, EXACT, MEAN, MEANS}),
        # The same mean, and nothing else in common.
        ({}, {"costs": (2.0, 1.0)}, {ELEMENTWISE, EXACT, MEAN}),
        ({}, {"history": (1.5 + 5e-4,)}, set()),
        ({}, {"history": (1.5 + 2e-3,)}, {HISTORIES}),
        ({}, {"weight": ((1.0, 2.0), (3.0, 4.5))}, {ELEMENTWISE, MEAN, MEANS}),
        ({}, {"weight": ((4.0, 3.0), (2.0, 1.0))}, {ELEMENTWISE, MEAN, COSINE}),
        # A cosine does not see a factor.
        ({}, {"weight": ((2.0, 4.0), (6.0, 8.0))}, {ELEMENTWISE, MEAN, MEANS}),
        ({}, {"accuracy": 0.905}, set()),
        ({}, {"accuracy": 0.88}, {ACCURACY}),
        # One sample of a thousand in a history, and ten of them at the end, are not too much.
        ({"history": (0.901,)}, {"history": (0.9,)}, set()),
        ({"accuracy": 0.91}, {"accuracy": 0.9}, set()),
        # No distance is larger than a tolerance where it is NaN.
        ({}, {"costs": (1.0, NAN)}, {ELEMENTWISE, EXACT}),
        ({"costs": (1.0, NAN)}, {"costs": (1.0, NAN)}, {ELEMENTWISE, EXACT}),
        ({}, {"weight": ((NAN, 2.0), (3.0, 4.0))}, {ELEMENTWISE}),
        ({"costs": (1.0, INF)}, {"costs": (1.0, -INF)}, {ELEMENTWISE, EXACT, MEAN, MEANS}),
        ({"costs": (1.0, INF)}, {"costs": (1.0, INF)}, set()),
        ({}, {"history": (NAN,)}, {HISTORIES}),
        ({}, {"accuracy": NAN}, set()),
    ],
)
def test_rules(ours, theirs, found):
    assert found_by(made(**ours), made(**theirs)) == found
    assert found_by(made(**theirs), made(**ours)) == found


def test_a_rule_neither_transposes_nor_broadcasts():
    matrix = np.arange(6.0).reshape(2, 3)
    for other in (matrix.T, matrix[:1], matrix[None]):
        assert {ELEMENTWISE, MEAN, MEANS, COSINE} <= found_by(made(weight=matrix), made(weight=other))


def test_a_weight_without_a_counterpart_is_a_difference():
    run = made()
    more = run._replace(weights={**run.weights, "weights/dense_2/kernel": np.ones(2)})
    assert {ELEMENTWISE, MEAN, MEANS, COSINE} <= found_by(run, more)


def test_the_list_of_faults():
    """At least 60, at least half of which no choice expresses, of every kind, each with a name of its own."""
    assert len(FAULTS) == sum(len(part.FAULTS) for part in PARTS) >= 60
    assert sum(not fault.cause for fault in FAULTS.values()) >= len(FAULTS) / 2
    assert min(Counter(fault.kind for fault in FAULTS.values()).values()) >= 5
    assert len(set(Counter(fault.kind for fault in FAULTS.values()))) == 9
    assert {fault.experiment for fault in FAULTS.values()} <= set(FAMILIES)


def test_a_fault_says_what_is_true_of_it():
    """By the choices that make it, or by a pattern that holds of some sentence and not of any."""
    for name, fault in FAULTS.items():
        assert fault.cause or fault.told, name
        assert not re.search(fault.told or "nothing", "what else there may be shows once this is mended"), name


def row_told(name, causes=(), told=()):
    judged = judgement(
        "mismatch", found=[checks.Check("step 0 float64 x", "lockstep", "failed", None, None, "step 0", "")]
    )
    return Row(Planting(name, "torch"), True, judged, causes=frozenset(causes), told=tuple(told))


def test_what_is_said_of_a_fault_is_true_or_false():
    right = row_told("beta_2 is 0.9991", told=["torch does as if beta_2 were 0.9991 and not 0.999"])
    wrong = row_told("beta_2 is 0.9991", told=["torch does as if beta_1 were 0.8 and not 0.9"])
    silent = row_told("beta_2 is 0.9991", told=["slots/second_moment/dense_1/kernel: torch's is Keras's, times 2"])
    blamed = row_told("beta_2 is 0.9991", causes=["adam_epsilon"])
    named = row_told("epsilon in the wrong place", causes=["adam_epsilon"])
    half = row_told("stock Keras Adam", causes=["adam_epsilon"])
    assert [(row.described, row.misled) for row in (right, wrong, silent, blamed, named, half)] == [
        (True, False), (False, True), (False, False), (False, True), (True, False), (False, False),
    ]  # fmt: skip
    assert not right.in_place


def test_a_cause_is_a_choice_of_the_realisation():
    named = {field for fault in FAULTS.values() for field in fault.cause}
    assert named
    assert named <= set(Realisation.__dataclass_fields__)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_code_that_is_there(name):
    for side, (file, old, new) in FAULTS[name].edits.items():
        text = (ROOT / f"{side}_impl" / file).read_text()
        assert old in text
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(text.replace(old, new, 1)))


def test_faults_take_turns():
    names = list(FAULTS)
    sides = Counter(planting.side for planting in alternating(names, both_sides=False))
    assert abs(sides["tf"] - sides["torch"]) <= 4
    both = alternating(names, both_sides=True)
    assert len(both) == sum(len(fault.edits) for fault in FAULTS.values()) > 1.9 * len(names)


@pytest.fixture
def planters():
    """Processes that plant faults."""
    made = Planters(threads=1)
    yield made
    made.stop()


def test_a_process_serves_again_until_it_dies_or_is_worn_out(planters, monkeypatch):
    monkeypatch.setattr(campaign, "SERVICES", 3)
    with planters.lent("torch") as first, planters.lent("torch") as beside:
        assert beside is not first
    with planters.lent("torch") as again:
        assert again is first
        again.process.kill()
        again.process.wait()
    for _ in range(2):
        with planters.lent("torch") as last:
            assert last is beside
    with planters.lent("torch") as other:
        assert other not in (first, beside)
        assert planters.alive == [other]
    assert first.process.returncode is not None
    assert beside.process.returncode is not None


def test_a_fault_that_cannot_be_recorded_does_not_keep_the_next_from_it(tmp_path, monkeypatch):
    def die(planter, fault, job, moved):
        if fault is not None:
            raise WorkerError(f"died of {fault}\nand more")
        return [CLEAN] * len(moved)

    monkeypatch.setattr(Planter, "traces", die)
    monkeypatch.setattr(Planter, "record", lambda planter, job, progress: None)
    plantings = [Planting("tanh is a billionth too large", "tf"), Planting("one layer has no activation", "tf")]
    rows = Campaign(tmp_path, plantings, True, 1, 2, False, lambda text: None).run()
    assert [(row.judgement, row.visible, row.reason) for row in rows] == [
        (None, None, f"died of {planting.name}") for planting in plantings
    ]
    assert detection.status(rows, None) == 1


CLEAN = {"cost": np.array([2.0, 1.0, 0.5])}
BESIDE = [{"cost": CLEAN["cost"] + np.array([0.0, 1e-15, 1e-12])}]


@pytest.mark.parametrize(
    ("cost", "seen"),
    [
        ([2.0, 1.0, 0.5], False),
        ([2.0 + 1e-13, 1.0, 0.5], False),
        ([2.0 + 1e-12, 1.0, 0.5], True),
        ([2.0, 1.0, 0.5 + 5e-10], False),
        ([2.0, 1.0, 0.5 + 2e-9], True),
        ([2.0, 1.0, NAN], True),
        ([2.0, 1.0], True),
    ],
)
def test_what_is_visible(cost, seen):
    assert visibility.visible({"cost": np.array(cost)}, CLEAN, BESIDE) is seen


def test_what_is_shown():
    """Of a pre-training, that is it; a NaN is the same as a NaN."""

    def side(trace, before=None):
        return SimpleNamespace(trace=trace, pretraining=before)

    ended = {"cost": np.array([2.0, NAN])}
    assert not visibility.changed(side(ended), ended)
    assert visibility.changed(side(CLEAN), {"cost": CLEAN["cost"] * (1 + 1e-15)})
    assert not visibility.changed(side(ended, side(CLEAN)), CLEAN)


def test_a_clean_recording_is_the_plain_run(tmp_path):
    """To the bit, evaluations after either epoch included: what is shown is told by comparing the two."""
    experiment = family("mnist_narrow", 60)
    with Planter("torch") as planter:
        clean = visibility.clean_trace(planter, experiment)
        planter.record(jobs(experiment, "torch", tmp_path / "run", None)[0], lambda done, steps: None)
    assert clean["accuracy"].shape == (2,)
    assert not visibility.changed(recording.read(tmp_path / "run"), clean)


def test_calibration_and_benchmark_have_no_cell_in_common():
    assert not {*nulls.CALIBRATION.cells} & {*nulls.WHOLE.cells}


def test_what_is_no_number_on_both_sides_is_not_visible():
    ended = {"cost": np.array([2.0, NAN])}
    assert not visibility.visible(ended, ended, [ended])


def judgement(verdict, rules=(), found=()):
    return detection.Judgement(Verdict(verdict, tuple(found)), frozenset(rules))


def test_tables_and_exit_status():
    planting = Planting("a bias is added twice", "tf")
    hit = Row(planting, True, judgement("mismatch", {EXACT}))
    missed = Row(planting, True, judgement("parity", {EXACT, MEAN}))
    hidden = Row(planting, False, judgement("parity"))
    lost = Row(planting, True, None, "the tf worker died")
    cell = nulls.WHOLE.cells[0]
    quiet = nulls.NullPair(cell, ("Keras", "torch"), judgement("parity", {EXACT}))
    alarm = nulls.NullPair(cell, ("Keras", "torch"), judgement("mismatch", {EXACT}))
    honest = nulls.Nulls([quiet] * 99 + [alarm], 8, 1, 2)
    stock = Planting("stock Keras Adam", "tf")
    named = Row(stock, False, judgement("mismatch"), causes=stock.fault.cause)
    half = named._replace(causes=frozenset({"adam_epsilon"}))
    unshown = Row(planting, True, judgement("mismatch", {EXACT}), shown=False)
    lines = detection.rules_table([hit, missed, hidden, named, half, unshown], honest).splitlines()
    cells = {row[1].strip(): [text.strip() for text in row[2:-1]] for row in (line.split("|") for line in lines)}
    assert cells["ours"] == ["2 of 3", "1 of 100", "4.7%", "1 of 2"]
    assert cells[EXACT] == ["2 of 2", "100 of 100", "100.0%", "-"]
    assert cells[MEAN] == ["1 of 2", "0 of 100", "3.0%", "-"]
    assert detection.status([hit, hidden], None) == 0
    assert detection.status([hit, missed], None) == detection.status([lost], None) == detection.status([], honest) == 1
    assert "not recorded: the tf worker died" in detection.faults_table([lost])
    summary = "\n".join(detection.faults_summary([hit, unshown, lost]))
    assert "not asked of them: a bias is added twice." in summary
    assert "0 of 2 are found first at the level" in summary
    found = checks.Check("cost", "lockstep", "failed", None, None, None, "")
    levels = detection.levels_table([Row(planting, True, judgement("mismatch", found=[found])), missed, lost])
    assert "| kind of fault | lockstep | not found |" in levels
    assert f"| {planting.fault.kind} | 1 | 1 |" in levels


def test_shares_of_bounds_are_those_of_what_is_judged():
    judged, shown = (
        checks.Check("largest ratio", "trajectory", "passed", 3.0, bound, None, "") for bound in (10.0, None)
    )
    pair = nulls.NullPair(nulls.WHOLE.cells[0], ("Keras", "torch"), judgement("parity", found=[judged, shown]))
    table = detection.calibration_table(nulls.Nulls([pair], 2, 0, 0))
    assert "| trajectory: largest ratio | mnist_relu | 1 | 0.3 | 0.3 | 0.3 | 0.3 |" in table


def within(ours, theirs, bound):
    entry = measure.worst(ours, theirs, measure.Tolerance(np.full(ours.shape, bound)))
    return checks.judge("lockstep", "t", "t", ours.shape, entry, 1.0, "float64", ("a", "b"))


def test_the_verdict_compares_elements_and_not_means():
    assert within(np.array([1.0, 2.0]), np.array([2.0, 1.0]), 1e-9).result == "failed"


def test_the_verdict_does_not_print_equal_numbers_for_different_ones():
    failed = within(np.array([1.0000001]), np.array([1.0000002]), 1e-9)
    assert failed.result == "failed"
    first, second = failed.reason.split(":")[0].split(", ")
    assert float(first.removeprefix("a ")) == 1.0000001
    assert float(second.removeprefix("b ")) == 1.0000002


def read_of_options(*files):
    """What files read of the options that were parsed."""
    trees = [ast.parse((ROOT / file).read_text()) for file in files]
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("options", "asked")
    }


def added_options(file):
    """The names of the options that a file adds to a parser."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            long = next((name for name in names if name.startswith("--")), names[0])
            found.add(long.removeprefix("--").replace("-", "_"))
    return found


@pytest.mark.parametrize(
    "file", ["parity/compare.py", "parity/explain.py", "parity/matrix.py", "parity/published.py",
             "benchmarks/detection.py", "benchmarks/lockstep.py", "benchmarks/coverage.py"],
)  # fmt: skip
def test_no_option_does_nothing(file):
    # Some hand all their options to a function of parity/commands/options.py.
    assert added_options(file) - read_of_options(file, "parity/commands/options.py") == set()


def test_no_option_of_an_experiment_does_nothing():
    files = ("parity/commands/options.py", "parity/run.py", "parity/record.py")
    added = set().union(*map(added_options, files))
    assert len(added) > 20
    # These two are read in a loop over their names.
    assert added - read_of_options(*files) == {"epochs", "steps"}


def test_a_name_that_is_no_fault_is_refused():
    command = [sys.executable, "-m", "benchmarks.detection", "--faults", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "invalid choice: 'nothing'" in done.stderr


@pytest.mark.ci
def test_the_command():
    done = run("benchmarks.detection", "--reduced", folder=ROOT, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    ours = next(line for line in done.stdout.splitlines() if line.startswith("| ours "))
    assert ours.startswith("| ours | 4 of 4 | 0 of ")
    assert ours.endswith(" | 1 of 1 |")
    assert "Not recorded: none." in done.stdout


@pytest.mark.parametrize(
    ("names", "side"),
    [
        # What a side counts of its own predictions tells, whatever else is off.
        pytest.param(
            ("accuracy leaves out ten samples", "an input is rounded through float32"), "tf", marks=pytest.mark.ci
        ),
        # In pre-training: a weight that was zero and stays so, and a loop that does more than its step.
        pytest.param(
            ("the visible bias is not updated", "kernels are shrunk in the loop of pre-training"), "tf",
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_two_faults_at_once_are_both_told(names, side, tmp_path):
    planters = campaign.Planters(1)
    try:
        row = together.planted(planters, names, side, tmp_path)
    finally:
        planters.stop()
    assert row.told == (True, True), row


def test_pairs_of_faults_go_together():
    pairs = together.drawn(30, 0)
    assert len(set(pairs)) == 30
    assert pairs == together.drawn(30, 0) != together.drawn(30, 1)
    for (one, other), side in pairs:
        assert one != other
        assert FAULTS[one].experiment == FAULTS[other].experiment
        assert side in FAULTS[one].edits
        assert side in FAULTS[other].edits


def test_what_was_planted_before_is_kept_with_its_code(tmp_path, monkeypatch):
    row = row_told("beta_2 is 0.9991", told=["torch does as if beta_2 were 0.9991 and not 0.999"])
    Kept(tmp_path / "state", False).keep("torch: beta_2 is 0.9991", campaign.content(row))
    plantings = [Planting("beta_2 is 0.9991", "torch")]

    def known(reduced):
        kept = Kept(tmp_path / "state", reduced)
        return Campaign(tmp_path, plantings, reduced, 1, 1, False, lambda text: None, kept).known(plantings[0])

    assert known(False) == row
    # Of shorter runs, and of other code, it is not the same.
    assert known(True) is None
    monkeypatch.setattr("benchmarks.kept.code", lambda: "another")
    assert known(False) is None
