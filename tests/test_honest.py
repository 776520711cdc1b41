"""Honest pairs at random: what is drawn, that it goes on where it was stopped, how alarms are shrunk, a few pairs."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, get_args

import numpy as np
import pytest

from benchmarks import drawers, draws, honest, lanes
from benchmarks.drawers import DEGENERATE, NOT_DRAWN
from benchmarks.draws import actions, draw, made_of, threads
from benchmarks.honest import State
from benchmarks.honest_page import page
from benchmarks.lanes import Lane, Outcome
from benchmarks.shrink import Command, shrunk
from parity.commands import options
from parity.data import datasets
from parity.errors import UsageError, WorkerError
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.nodes import ActivationName, InitializerName
from parity.experiment.optimizers import OPTIMIZERS, SGD, ClipBy
from parity.experiment.requested import COSTS
from parity.experiment.spec import DTYPES, Realisation

ROOT = Path(__file__).parents[1]
MANY = 1500
CI_SEED, CI_PAIRS = 202, 3


@pytest.fixture(scope="module")
def drawn():
    """Many draws, taken apart."""
    return [Command.of(draw(0, number)) for number in range(MANY)]


def values(commands, option):
    """Every value that an option has in the commands, up to a colon."""
    return {given[1].partition(":")[0] for command in commands for given in command.given if given[0] == option}


def test_draws_are_those_of_their_seed_and_number():
    some = [draw(3, number) for number in range(20)]
    assert some == [draw(3, number) for number in range(20)]
    assert len({*map(tuple, some)}) == 20
    assert some != [draw(4, number) for number in range(20)]
    assert {threads(3, number) for number in range(400)} == {1, 2}
    assert len({threads(3, number) for number in range(draws.BLOCK)}) == 1


def test_every_option_of_the_command_line_is_drawn_or_has_a_reason_not_to_be(drawn):
    assert {*draws.drawers()} | {*NOT_DRAWN} == {*actions()}
    assert not {*draws.drawers()} & {*NOT_DRAWN}
    assert {given[0] for command in drawn for given in command.given} == {*draws.drawers()}


def test_every_value_of_the_tables_is_drawn(drawn):
    assert {command.experiment for command in drawn} == {*EXPERIMENTS}
    assert values(drawn, "--activation") == {*get_args(ActivationName)}
    assert values(drawn, "--init") == {*get_args(InitializerName)}
    assert values(drawn, "--optimizer") == {*OPTIMIZERS}
    assert values(drawn, "--clip") == {*get_args(ClipBy)}
    assert values(drawn, "--cost") == {*COSTS}
    assert values(drawn, "--dtype") == {*DTYPES}
    choices = {f"{f.name}={value}" for f in fields(Realisation) for value in get_args(f.type)}
    assert values(drawn, "--choice") == choices


def test_every_field_of_the_optimizers_is_drawn():
    rng = np.random.default_rng(0)
    some = [Command("mnist_relu", (("--optimizer", *drawers.optimizer(rng, None)),)) for _ in range(2000)]
    own = {(n, f.name) for n, o in OPTIMIZERS.items() for f in fields(o) if f.name not in ("kind", "learning_rate")}
    assert {setting for command in some for setting in settings(command)} == own


def settings(command):
    """The fields of the optimizer that a command sets, with the optimizer's name."""
    name, _, rest = (command.value("--optimizer") or "").partition(":")
    return [(name, setting.partition("=")[0]) for setting in rest.split(",") if setting]


def test_both_sides_are_asked_for_the_same(drawn):
    for command in drawn[:500]:
        try:
            made = made_of(command.arguments)
        except UsageError:
            continue
        assert replace(made.tf, model="") == replace(made.torch, model="")


def test_few_are_refused_and_a_third_is_degenerate(drawn):
    refused = sum(not accepted(command.arguments) for command in drawn)
    assert 0 < refused < 0.1 * MANY
    alternatives = [
        [(option, value) for value in values] for kind in DEGENERATE.values() for option, values in kind.items()
    ]
    extreme = {given for alternative in alternatives for given in alternative} - {("--activation", "relu")}
    assert 0.25 * MANY < sum(any(given in extreme for given in command.given) for command in drawn) < 0.6 * MANY


def accepted(arguments):
    try:
        return made_of(arguments)
    except UsageError:
        return None


@pytest.mark.parametrize("kind", DEGENERATE)
def test_degenerate_values_are_taken(kind):
    """In one precision at least: there are rates that float32 does not hold."""
    for option, alternatives in DEGENERATE[kind].items():
        for value in alternatives:
            assert any(accepted(["mnist_relu", "--dtype", dtype, option, value]) for dtype in DTYPES)


@pytest.mark.parametrize("name", ["mnist_relu", "mnist_tokens", "xor_relu"])
def test_the_sizes_of_the_training_sets(name):
    identity = EXPERIMENTS[name].identity
    assert drawers.set_size(identity) == len(datasets.load(identity.data, None, identity.dtype).train_labels)


@dataclass(frozen=True)
class Heavy(SGD):
    """An optimizer as someone may add it, with a field of its own."""

    weight: float = 0.5


def test_what_joins_a_table_is_drawn(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "heavy", Heavy(0.1, 0.9, False, 0.0))
    monkeypatch.setitem(COSTS, "squares", "mean_squared_error")
    monkeypatch.setitem(EXPERIMENTS, "mnist_small", replace(EXPERIMENTS["mnist_relu"], name="mnist_small"))
    for module in (drawers, options):
        monkeypatch.setattr(module, "ActivationName", Literal[ActivationName, "cosine"])
    found = [Command.of(draw(1, number)) for number in range(600)]
    assert "squares" in values(found, "--cost")
    assert "cosine" in values(found, "--activation")
    assert "mnist_small" in {command.experiment for command in found}
    assert ("heavy", "weight") in {setting for command in found for setting in settings(command)}


def test_an_option_joins_if_it_says_what_it_takes_and_is_missed_otherwise(monkeypatch):
    own = options.add_experiment_options

    def more(parser):
        own(parser)
        parser.add_argument("--quieter", action="store_true")
        parser.add_argument("--order", choices=["first", "last"])
        parser.add_argument("--number", type=float)

    monkeypatch.setattr(options, "add_experiment_options", more)
    draws.parser.cache_clear()
    try:
        found = [Command.of(draw(1, number)) for number in range(200)]
        assert any(("--quieter",) in command.given for command in found)
        assert values(found, "--order") == {"first", "last"}
        assert {*actions()} - {*draws.drawers()} - {*NOT_DRAWN} == {"--number"}
    finally:
        draws.parser.cache_clear()


def outcome(arguments, result="parity", count=1, **changes):
    return Outcome(arguments, count, result, **changes)


def test_it_goes_on_where_it_was_stopped(tmp_path):
    file = tmp_path / "runs" / "state.jsonl"
    before = State(file, 1)
    for number in range(3):
        before.add(number, "drawn", outcome(draw(1, number), "mismatch" if number else "parity", threads(1, number)))
    before.add(1, "shrunk", outcome(["xor_relu"], "mismatch"))
    State(file, 2).add(0, "drawn", outcome(draw(2, 0), count=threads(2, 0)))
    # A draw that is another one now, as when an option has joined.
    before.add(3, "drawn", outcome(["xor_relu"]))
    with file.open("a") as opened:
        opened.write('{"number": 4, "kind"')
    after = State(file, 1)
    assert after.drawn == before.drawn
    assert [*after.drawn] == [0, 1, 2]
    assert after.alarms(10) == [2]
    assert after.alarms(2) == []
    after.add(4, "drawn", outcome(draw(1, 4), count=threads(1, 4)))
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()] == [0, 1, 2, 1, 0, 3, 4]


def lent(workers):
    """A lane that has the tests' workers, and leaves them running."""

    class Lent(Lane):
        def ready(self, threads):
            return workers

        def close(self):
            pass

    return Lent


def test_a_few_pairs(drawn, workers, tmp_path, monkeypatch):
    """Of those that take seconds; what was judged is not judged again, and nothing begins when the time is over."""
    small = [c for c in drawn if c.experiment in ("mnist_softmax", "xor_tanh") and c.value("--verdict") == "quick"]
    monkeypatch.setattr(honest, "Lane", lent(workers))
    monkeypatch.setattr(honest, "drawn", lambda seed, number: (small[number].arguments, 1))
    state, said = State(tmp_path / "state.jsonl", 0), []
    for count in (1, 2, 2):
        honest.campaign(state, count, 1, float("inf"), 5, said.append)
    honest.campaign(state, 3, 1, 0, 5, said.append)
    assert [*state.drawn] == [0, 1]
    assert len(said) == 2
    assert not any(found.alarm for found in state.drawn.values())
    judged = [found for found in state.drawn.values() if found.outcome == "parity"]
    assert judged
    assert all(0 < found.levels["lockstep"] <= 1 and 0 < found.rows["product"] <= 1 for found in judged)
    assert f"| parity | {len(judged)} |" in state.page(2)


def test_a_given_command(workers, capsys):
    lane = lent(workers)()
    assert honest.given(lane, ["mnist_softmax", "--activation", "relu"], 1) == 0
    assert "refused" in capsys.readouterr().out
    assert honest.given(lane, ["mnist_softmax", "--steps", "5", "--batch-size", "5000"], 1) == 0
    assert "larger than the training set" in capsys.readouterr().out


def test_processes_serve_until_they_fail_are_worn_out_or_have_other_threads(monkeypatch):
    made, stopped = [], []

    def start(side, device, threads, limit):
        made.append(SimpleNamespace(side=side, threads=threads))
        return made[-1]

    monkeypatch.setattr(lanes, "Worker", start)
    monkeypatch.setattr(lanes, "stop", stopped.extend)
    monkeypatch.setattr(lanes, "SERVICES", 3)
    with Lane() as lane:
        first = dict(lane.ready(1))
        assert lane.ready(1) == lane.ready(1) == first
        assert len(made) == 2
        worn = lane.ready(1)
        assert (len(made), len(stopped)) == (4, 2)
        assert lane.ready(2) is worn
        assert [worker.threads for worker in made] == [1, 1, 1, 1, 2, 2]
        monkeypatch.setattr(lanes, "record", fails(WorkerError("died\nof this")))
        found, verdict = lane.judged(["xor_relu"], 1)
        assert (found.outcome, found.alarm, verdict) == ("failed", True, None)
        assert found.reason == "WorkerError: died\nof this"
        assert len(stopped) == 6
        monkeypatch.setattr(lanes, "record", fails(UsageError("no")))
        found, _ = lane.judged(["xor_relu"], 1)
        assert (found.outcome, found.alarm, found.reason) == ("refused", False, "no")


def fails(error):
    def record(*_):
        raise error

    return record


LONG = [
    *("mnist_deep_relu", "--activation", "gelu", "--init", "normal:1.23456"),
    *("--optimizer", "rprop:eta_minus=0.3,eta_plus=1.31", "--lr", "0.0123", "--dtype", "float64", "--batch-size", "33"),
    *("--steps", "40", "--seed", "12", "--checkpoints", "9", "--verdict", "full"),
    *("--choice", "pixel_scaling=reciprocal", "--choice", "constants=exact", "--keep-last-batch"),
]
SHORT = "mnist_no_batchnorm --optimizer rprop:eta_plus=1.31 --dtype float64 --steps 7 --verdict quick"


@pytest.mark.parametrize("level", ["lockstep", "loop"])
def test_an_alarm_is_shrunk_to_what_it_needs(level):
    judged = []

    def judge(arguments):
        judged.append(arguments)
        command = Command.of(arguments)
        if command.experiment == "mnist_softmax":
            return outcome(arguments, "refused")
        if "eta_plus=1.31" not in (command.value("--optimizer") or "") or int(command.value("--steps")) < 7:
            return outcome(arguments)
        # Another level is another alarm.
        found = level if command.value("--dtype") else "preflight"
        return outcome(arguments, "mismatch", level=found, name="step 6 x")

    assert " ".join(shrunk(judge(LONG), judge).arguments) == SHORT
    # And what was refused, and the first.
    assert len(judged) <= 25 + 2
    assert len(judged) == len({*map(tuple, judged)})


def test_a_checkpoint_that_is_needed_is_the_only_one():
    def judge(arguments):
        command = Command.of(arguments)
        if int(command.value("--steps")) < 13:
            return outcome(arguments, "refused")
        needed = "12" in (command.value("--checkpoints") or "").split(",")
        return outcome(arguments, "mismatch" if needed else "parity", level="loop", name="step 12 costs")

    drawn = ["xor_linear", "--steps", "20", "--seed", "9", "--checkpoints", "3,12,19,", "--verdict", "quick"]
    found = shrunk(judge(drawn), judge).arguments
    assert " ".join(found) == "xor_linear --steps 13 --checkpoints 12, --verdict quick"


def test_no_more_is_tried_than_was_allowed():
    alarm = outcome(LONG, "mismatch", level="loop")
    judged = []

    def judge(arguments):
        judged.append(arguments)
        return outcome(arguments)

    assert shrunk(alarm, judge, tries=4) == alarm
    assert len(judged) == 4


def test_a_command_taken_apart_is_the_same_command(drawn):
    for command in drawn[:100]:
        assert Command.of(command.arguments) == command


def test_the_tables():
    softmax, tokens = ["mnist_softmax", "--steps", "5"], ["mnist_tokens", "--dtype", "float64", "--verdict", "full"]
    check = {"level": "lockstep", "name": "step 3 float32 cost", "reason": "a | b, 3 times"}
    pairs = [
        *[outcome(softmax, levels={"lockstep": share}, rows={"product": share}) for share in (0.2, 0.5)],
        outcome(softmax, "insufficient", level="loop", reason="4 of 7 are NaN", levels={"lockstep": 0.1}),
        outcome(softmax, "insufficient", level="loop", reason="5 of 9 are NaN"),
        *[outcome([*tokens, "--seed", str(n)], "mismatch", count=2, levels={"lockstep": 1.5}, **check) for n in (1, 2)],
        outcome(["xor_relu"], "failed", reason="WorkerError: died"),
        outcome(["xor_relu", "--dropout", "7"], "refused", reason="share must be below 1, not 7"),
    ]
    shorter = {tuple(pair.arguments): outcome(tokens, "mismatch", count=2, **check) for pair in pairs[4:6]}
    text = page(11, pairs, shorter)
    for row in (
        "| draws of seed 11 | 8 |",
        "| pairs judged | 6 |",
        "| parity | 2 |",
        "| false alarms: mismatch | 2 |",
        "| false alarms: a process failed | 1 |",
        "| 95% upper bound on false alarms | 92.4% of 5 |",
        "| refused | 1 |",
        f"| `{' '.join(tokens)}` | 2 | 2 | lockstep: step 3 float32 cost | a \\| b, 3 times |",
        "| `xor_relu` | 1 | 1 | failed | WorkerError: died |",
        "| mnist_softmax | 4 | 0 | 2 |",
        "| sparse_adam | 2 | 2 | 0 |",
        "| float64 | 2 | 2 | 0 |",
        "| 2 | 2 | 2 | 0 |",
        "| lockstep | 5 | 2 | 0 | 49.4% | 50.0% |",
        "| loop | 0 | 0 | 2 | - | - |",
        "| product | 2 | 49.7% | 50.0% |",
        "| loop: N of N are NaN | 2 |",
        "| share must be below N, not N | 1 |",
    ):
        assert row in text.splitlines()


def test_tables_of_nothing():
    assert "None." in page(0, [], {})


@pytest.mark.ci
def test_the_command(tmp_path):
    """No false alarm in some pairs; other seeds are for whoever has the time."""
    command = [sys.executable, "-m", "benchmarks.honest", "--seed", str(CI_SEED), "--count", str(CI_PAIRS)]
    command += ["--tries", "0", "--state", str(tmp_path / "state.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    counts = Counter(json.loads(line)["outcome"] for line in (tmp_path / "state.jsonl").read_text().splitlines())
    assert counts.total() == CI_PAIRS
    assert counts["refused"] <= 1
