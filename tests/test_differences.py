"""Every figure of the known differences is measured again, and the command shows what the entries hold."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest
from commands import run

from parity import explain
from parity.differences import DIFFERENCES
from parity.differences.text import markdown
from parity.experiment.spec import FRAMEWORKS, Realisation, own_choices
from parity.verdict import judge

ROOT = Path(__file__).parents[1]
SIDES = {"keras": "Keras", "torch": "torch"}
CHOICES = [name for name, entry in DIFFERENCES.items() if entry.kind == "choice"]
# How long those take that other tests have no like of; the others act where a combination of coverage does, too.
SHOWN = {"adam_epsilon_position": [], "batchnorm_moving_variance": [pytest.mark.ci]}


@pytest.fixture(scope="module")
def found():
    """What all scripts of either framework print: one process for each."""

    def measure(framework):
        script = [sys.executable, str(ROOT / "tests/measured.py"), framework]
        done = subprocess.run(script, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SIDES, pool.map(measure, SIDES), strict=True))


def contradictions(entry, found):
    """Where a script prints something else than the entry says, or an alignment something else than the other side."""
    others = {"keras": entry.torch, "torch": entry.keras}
    expected = {
        f"{framework} {kind}": side.prints
        for framework in SIDES
        for kind, side in (("code", getattr(entry, framework)), ("align", others[framework]))
    }
    printed = {key: found[key.split()[0]]["printed"][f"{entry.id} {key.split()[1]}"] for key in expected}
    return [f"{key}: {printed[key]!r}, not {expected[key]!r}" for key in expected if printed[key] != expected[key]]


def about_other_versions(entry, found):
    """Whether an entry on a change between versions says nothing of those that are installed."""
    installed = [f"{label} {'.'.join(found[name]['version'].split('.')[:2])}" for name, label in SIDES.items()]
    return entry.kind == "version" and any(version not in entry.versions for version in installed)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_scripts_print_what_the_entry_says(name, found):
    entry = DIFFERENCES[name]
    if about_other_versions(entry, found):
        pytest.skip(f"it is about {entry.versions}")
    assert contradictions(entry, found) == []


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_planted_figure_is_found(name, side, found):
    """A last digit that is off contradicts the side's own script, and the other side's alignment."""
    entry = DIFFERENCES[name]
    prints = getattr(entry, side).prints
    off = prints[:-1] + ("1" if prints[-1] == "0" else "0")
    wrong = contradictions(replace(entry, **{side: replace(getattr(entry, side), prints=off)}), found)
    other = {"keras": "torch", "torch": "keras"}[side]
    assert {line.split(":")[0] for line in wrong} >= {f"{side} code", f"{other} align"}


def test_entries_are_about_something():
    """Both sides print different things, and an entry has an effect where it is a choice, and only there."""
    for name, entry in DIFFERENCES.items():
        assert entry.keras.prints != entry.torch.prints, name
        assert (entry.effect is not None) == (entry.kind == "choice"), name
        assert entry.document is None or (ROOT / entry.document).is_file(), name
    assert len(DIFFERENCES) == len(markdown().split("\n## ")) - 1


def test_sources_are_installed(found):
    """Each source names a file of the installed package that holds the names."""
    assert [found[framework]["missing"] for framework in SIDES] == [[], []]


def test_every_choice_has_an_entry():
    choices = {field.name for field in fields(Realisation) if get_args(field.type)}
    assert {DIFFERENCES[name].effect.field for name in CHOICES} == choices


@pytest.mark.parametrize("name", [pytest.param(name, marks=SHOWN.get(name, [pytest.mark.slow])) for name in CHOICES])
def test_a_choice_acts_where_the_entry_says(name, record_pair, tmp_path):
    """Two steps, since a momentum acts on the second, each side in its own way: the first divergence is the entry's."""
    effect = DIFFERENCES[name].effect
    if effect.stage == "optimizer":
        # A smaller network shows an optimizer as well.
        effect = replace(effect, options=effect.options.replace("mnist_relu", "mnist_softmax"))
    apart, _ = explain.realised(effect)
    assert [getattr(getattr(apart, side), effect.field) for side in FRAMEWORKS] == [
        own_choices(side)[effect.field] for side in FRAMEWORKS
    ]
    schedule = replace(apart.identity.schedule, duration=2, unit="steps")
    apart = replace(apart, identity=replace(apart.identity, schedule=schedule))
    verdict = judge(*record_pair(apart, tmp_path, checkpoints=2))
    failed = [check for check in verdict.checks if check.result == "failed"]
    assert verdict.verdict == "mismatch"
    first = failed[0]
    assert (first.name if first.level == "consumed" else first.where.split(", ")[1]) == effect.stage, first


def test_the_document_is_what_the_data_gives():
    """python -m parity.explain --markdown > docs/differences.md"""
    assert (ROOT / "docs/differences.md").read_text() == markdown()


@pytest.mark.slow
def test_explain_measures_a_choice(tmp_path):
    done = run("parity.explain", "leaky_relu_constant", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    text, measured = done.stdout.split("\nmeasured over 100 steps of xor_leaky_relu --dtype float64:\n")
    assert "prints: -0.200000002980" in text
    apart, alike = measured.split("  both in torch's way: ")
    assert apart.startswith(
        "  each in its own way: mismatch\n    first divergence: lockstep, step 0, forward leaky_relu_1"
    )
    assert alike.startswith("parity\n    cost after 1 step ")
    assert "cost after 100 steps Keras" in alike
    assert list(tmp_path.iterdir()) == []


def test_explain_lists_all(tmp_path):
    done = run("parity.explain", folder=tmp_path)
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()[: len(DIFFERENCES)]} == set(DIFFERENCES)


def test_explain_lists_those_that_fit(tmp_path):
    """A word lists the differences that have it in id or title, in any case of letters."""
    done = run("parity.explain", "Adam", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    listed = [line.split()[0] for line in done.stdout.partition("\n\n")[0].splitlines()]
    assert listed == [
        "tf_cast_python_float", "adam_epsilon_position", "adam_bias_correction_precision", "adamax_epsilon_position",
        "sparse_gradients", "nadam_momentum_decay",
    ]  # fmt: skip


def test_the_text_needs_no_framework(tmp_path):
    block = (
        "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n: None if n in ('keras', 'torch') else f(n)"
    )
    done = run("parity.explain", "selu_at_zero", folder=tmp_path, code=block)
    assert (done.returncode, done.stderr) == (0, "")
    assert "its effect is measured where both frameworks are installed; here is no keras, torch" in done.stdout
    assert "prints: 1.7581" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["selu_at_zerro"], "unknown difference 'selu_at_zerro'; did you mean selu_at_zero?"),
        (["selu_at_zero", "--markdown"], "--markdown prints all differences; give no ID with it"),
        (["--what"], "unrecognized arguments: --what (see python -m parity.explain --help)"),
    ],
)
def test_bad_requests(arguments, message, tmp_path):
    done = run("parity.explain", *arguments, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")
