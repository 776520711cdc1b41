"""Faults in experiments drawn at random: which are drawn, what is said of them, and that it goes on."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import hosts, power
from benchmarks.campaign import Planting
from benchmarks.families import family
from benchmarks.faults import FAULTS
from benchmarks.power import FAILED, FOUND, MISSED, NOWHERE, OPEN, Plant, State
from parity.errors import UsageError, WorkerError
from parity.experiment.nodes import BatchNorm, Dense
from parity.verdict import Check, Verdict

ROOT = Path(__file__).parents[1]
TANH = Planting("one layer has no activation", "tf")
LATE = Planting("one unit's gradient is zero from step 300 on", "torch")


def test_the_list_goes_round_and_each_fault_is_on_the_other_side_next():
    first, second = ([power.drawn(5, number) for number in range(n, n + len(FAULTS))] for n in (0, len(FAULTS)))
    for turn in (first, second):
        assert sorted(planting.name for planting in turn) == sorted(FAULTS)
        assert all(planting.side in planting.fault.edits for planting in turn)
    for before, after in zip(first, second, strict=True):
        assert before.name == after.name
        assert (before.side != after.side) == (len(before.fault.edits) == 2)
    assert [planting.name for planting in first] not in (
        [*FAULTS],
        [power.drawn(6, n).name for n in range(len(FAULTS))],
    )


@pytest.fixture(scope="module")
def drawn():
    """Each fault with what is drawn for it at each try."""
    plantings = [power.drawn(1, number) for number in range(len(FAULTS))]
    return [
        (planting, attempt, hosts.draw(planting, 1, number, attempt))
        for number, planting in enumerate(plantings)
        for attempt in range(hosts.TRIES)
    ]


def test_hosts_are_honest_short_and_in_the_end_of_the_faults_own_kind(drawn):
    assert hosts.draw(TANH, 1, 2, 3) == hosts.draw(TANH, 1, 2, 3) != hosts.draw(TANH, 1, 2, 4)
    others = 0
    for planting, attempt, arguments in drawn:
        made, own = hosts.made_of(arguments), family(planting.fault.experiment, 20)
        assert made.identity.data == own.identity.data
        choices = [{n: v for n, v in vars(side).items() if n != "model"} for side in (made.tf, made.torch)]
        assert choices[0] == choices[1]
        duration = made.identity.schedule.duration - planting.fault.since
        assert 20 <= duration <= (200 if made.identity.data == "xor" else 80)
        if attempt >= hosts.BOLD:
            assert arguments[0] == planting.fault.experiment
            assert made.identity.optimizer.kind == own.identity.optimizer.kind
            assert [type(node) for node in made.identity.model] == [type(node) for node in own.identity.model]
            assert (made.identity.loss, made.identity.clipping) == (own.identity.loss, own.identity.clipping)
        others += arguments[0] != planting.fault.experiment
    assert 0.05 * len(drawn) < others < 0.3 * len(drawn)
    options = {part for _, _, arguments in drawn for part in arguments if part.startswith("--")}
    assert {"--widths", "--init", "--dtype", "--optimizer", "--activation", "--cost", "--clip", "--choice"} < options
    assert not options & {"--verdict", "--init-from", "--epochs"}


def test_layers_of_other_widths():
    model = hosts.made_of(["mnist_batchnorm", "--widths", "7,3"]).identity.model
    shapes = [(node.inputs, node.units) for node in model if isinstance(node, Dense)]
    assert shapes == [(784, 7), (7, 3), (3, 10)]
    assert [node.units for node in model if isinstance(node, BatchNorm)] == [7, 3]
    assert (
        len(hosts.made_of(["xor_tanh", "--widths", "4,4,4,4,4,4,4,4,9", "--activation", "prelu"]).identity.dense) == 10
    )
    for refused in (["mnist_narrow", "--widths", "7"], ["mnist_tokens", "--widths", "7"], ["mnist_relu"]):
        with pytest.raises(UsageError):
            hosts.made_of(refused)


def test_a_late_fault_has_time_to_act():
    steps = [hosts.made_of(hosts.draw(LATE, 2, number, 0)).identity.schedule.duration for number in range(20)]
    assert 320 <= min(steps) <= max(steps) <= 380


class Clean(list):
    """Planters that lend themselves."""

    def lent(self, side):
        self.append(side)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


COST = np.array([2.0, 1.0, 0.5])
TRACES = {"clean": [{"cost": COST}, {"cost": COST + 1e-15}, {"cost": COST}], "seen": [{"cost": COST + 1e-3}],
          "same": [{"cost": COST}], "ends": [{"cost": COST * np.nan}]}  # fmt: skip


def test_hosts_are_tried_until_one_shows_the_fault(monkeypatch):
    clean, faulty = iter(["ends", "clean", "clean", "clean", "clean"]), iter(["same", None, "seen"])

    def traces(planter, fault, experiment):
        name = next(clean if fault is None else faulty)
        if name is None:
            raise WorkerError("it has no such layer")
        return TRACES[name]

    monkeypatch.setattr(power, "plain_traces", traces)
    monkeypatch.setattr(power, "verdict_on", lambda planters, planting, arguments: Verdict("parity", ()))
    plant = power.planted(Clean(), 4, 9)
    assert plant.hosts == [power.ENDS, power.HIDES, power.REFUSED, power.SHOWS]
    assert plant.planting == power.drawn(4, 9)
    assert plant.arguments == hosts.draw(plant.planting, 4, 9, 3)
    assert plant.outcome == MISSED
    clean = iter(["ends"] * hosts.TRIES)
    assert power.planted(Clean(), 4, 9).outcome == NOWHERE


def test_what_is_said_of_a_pair(monkeypatch):
    failed = Check("cost", "lockstep", "failed", None, None, "step 0, loss, cost", "far | off")
    open_ = Check("cost is finite", "loop", "not_judged", None, None, None, "NaN")
    answers = iter(
        [Verdict("mismatch", (failed,)), Verdict("incomparable", (failed,)), Verdict("insufficient", (open_,))]
    )
    monkeypatch.setattr(power, "verdict_on", lambda *_: next(answers))
    said = [power.judged(Clean(), TANH, ["xor_tanh"], [power.SHOWS]) for _ in range(3)]
    assert [(plant.outcome, plant.level, plant.where) for plant in said] == [
        (FOUND, "lockstep", "step 0, loss, cost"), (FOUND, "lockstep", "step 0, loss, cost"),
        (OPEN, "loop", "cost is finite"),
    ]  # fmt: skip

    def dies(*_):
        raise WorkerError("died\nof this")

    monkeypatch.setattr(power, "verdict_on", dies)
    assert power.judged(Clean(), TANH, ["xor_tanh"], [power.SHOWS])[4:] == (FAILED, "", "", "died\nof this", 0.0)


def plant(number, outcome=FOUND, seed=1, attempt=0, **changes):
    planting = power.drawn(seed, number)
    arguments = hosts.draw(planting, seed, number, attempt)
    return Plant(*planting, arguments, [power.HIDES] * attempt + [power.SHOWS], outcome, **changes)


def test_it_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    state = State(tmp_path / "runs" / "state.jsonl", 1)
    for number in range(2):
        state.write(number, "planted", plant(number, attempt=number)._asdict())
    # Of what would be drawn otherwise by now, nothing is said.
    state.write(2, "planted", plant(2)._replace(arguments=["xor_tanh"])._asdict())
    state.write(3, "planted", plant(4)._asdict())
    done, said = [], []
    monkeypatch.setattr(power, "planted", lambda planters, seed, number: done.append(number) or plant(number))
    again = State(tmp_path / "runs" / "state.jsonl", 1)
    assert again.plants == {number: plant(number, attempt=number) for number in range(2)}
    assert len(power.campaign(again, 4, 1, 1, float("inf"), said.append)) == 4
    assert len(power.campaign(again, 5, 1, 1, 0, said.append)) == 4
    assert (done, len(said)) == ([2, 3], 2)
    # What failed is tried again.
    again.write(1, "planted", plant(1, FAILED)._asdict())
    power.campaign(State(again.file, 1), 4, 1, 1, float("inf"), said.append)
    assert done == [2, 3, 1]


def test_the_tables_and_the_exit_status():
    plants = [
        plant(0, level="lockstep"),
        plant(1, level="loop", attempt=2),
        plant(2, NOWHERE)._replace(hosts=[power.ENDS] * 6),
        plant(3, OPEN, reason="NaN | NaN"),
    ]
    kinds = Counter(planted.planting.fault.kind for planted in plants)
    text = "\n\n".join(power.summary(plants))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert ["all", "4", "3", "2", "0", "1", "0", "lockstep 1, loop 1"] in rows
    assert {row[0]: int(row[1]) for row in rows if row[0] in kinds} == kinds
    assert "Hosts: 6 ends in no number; 3 visible; 2 invisible." in text
    assert f"No host: {plants[2].fault}." in text
    assert "NaN \\| NaN" in text
    assert power.status(plants) == 0
    assert power.status([plant(0, MISSED)]) == power.status([plant(0, FAILED)]) == 1
    assert "Every visible fault is found." in [*power.summary(plants[:2])]


@pytest.mark.slow
def test_the_command(tmp_path):
    """Two faults, each in an experiment of its own."""
    command = [sys.executable, "-m", "benchmarks.detection", "--random", "2", "--seed", "3", "--jobs", "1"]
    command += ["--state", str(tmp_path / "state.jsonl")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    lines = [json.loads(line) for line in (tmp_path / "state.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in lines] == [FOUND, FOUND]
    assert "Every visible fault is found." in done.stdout


def test_a_host_takes_faults():
    command = [sys.executable, "-m", "benchmarks.detection", "--host", "mnist_narrow"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--host takes the --faults" in done.stderr
