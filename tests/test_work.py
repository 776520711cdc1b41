"""Which verdict is given where nobody asks for one: by settings alone; and what is said of what it leaves out."""

import json

import pytest
from commands import run

from parity.commands import options
from parity.data import datasets
from parity.experiment import workload
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.spec import FRAMEWORKS
from parity.recordings import start
from parity.recordings.recording import read
from parity.verdict import Verdict, judge, judge_alone
from parity.verdict.checks import Check
from parity.verdict.judged import levels, remark

QUICK = "quick: trajectory and outcome not judged"
NO_TWINS = "no noise was measured: Keras, no twins were asked for; torch, no twins were asked for"


def chosen(*arguments, samples=4000):
    """What becomes of --verdict, and why there are no twins."""
    parser = options.Parser(prog="parity.run")
    options.add_experiment_options(parser)
    asked = parser.parse_args(list(map(str, arguments)))
    experiment = options.experiment(asked)
    samples = 4 if experiment.identity.data == "xor" else samples
    steps = len(datasets.planned(experiment.identity, start.order(experiment.identity, samples, None)))
    options.choose_verdict(asked, experiment.identity, steps)
    return asked.verdict, asked.without_twins


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name.startswith("mnist")])
def test_all_of_mnist_is_quick_and_the_embedded_digits_are_full(name):
    # Four layers of 512 units are as much work as four times the others.
    assert chosen(name)[0] == ("quick" if name == "mnist_dropout" else "full")
    assert chosen(name, samples=60_000)[0] == "quick"


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name.startswith("xor")])
def test_xor_is_full_for_thousands_of_steps(name):
    assert chosen(name, "--steps", 5000) == ("full", "no twins were asked for")
    verdict, reason = chosen(name, "--steps", 20_000)
    assert (verdict, reason) == (
        "quick",
        "20000 steps are some 1.0e+12 operations, and above 3e+11 there are no twins by default "
        "(--verdict full takes them)",
    )


def test_what_is_asked_for_is_done():
    assert chosen("mnist_relu", "--verdict", "full", samples=60_000) == ("full", "no twins were asked for")
    assert chosen("mnist_relu", "--verdict", "quick") == ("quick", "no twins were asked for")


def test_work_grows_with_steps_batches_and_layers():
    """Twice the products of the published network, by hand: 784 * 256 + 256 * 256 + 256 * 10."""
    identity = EXPERIMENTS["mnist_relu"].identity
    assert workload.estimated(identity, 600) == 600 * (6 * 100 * 268_800 + workload.PER_STEP)
    assert chosen("mnist_relu", "--batch-size", 1000, "--steps", 600)[0] == "quick"


@pytest.fixture(scope="module")
def too_much(tmp_path_factory):
    """The folder of two recordings that would be too much work with twins; one process of each command."""
    folder = tmp_path_factory.mktemp("work")
    code = "import parity.experiment.workload; parity.experiment.workload.LIMIT = 10"
    for side in FRAMEWORKS:
        asked = ["mnist_softmax", "--framework", side, "--steps", 12, "--checkpoints", 2, "--out", side, "--quiet"]
        done = run("parity.record", *asked, folder=folder, code=code)
        assert done.returncode == 0, done.stderr
    return folder


def test_both_sides_decide_alike(too_much):
    for side in FRAMEWORKS:
        manifest = read(too_much / side).manifest
        assert manifest.twins == 0
        assert manifest.without_twins.startswith(
            "12 steps are some 6.6e+08 operations, and above 1e+01 there are no twins"
        )


def test_what_is_left_out_is_said_beside_the_verdict(too_much):
    done = run("parity.compare", "tf", "torch", "--out", "out", "--no-figures", folder=too_much)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"verdict: parity ({QUICK})")
    verdict = json.loads((too_much / "out/verdict.json").read_text())
    assert verdict["judged"] == ["preflight", "consumed", "lockstep", "loop"]
    assert list(verdict["not_judged"]) == ["trajectory", "outcome"]
    assert set(verdict["not_judged"].values()) == {
        "no noise was measured: " + "; ".join(
            f"{label}, 12 steps are some 6.6e+08 operations, and above 1e+01 there are no twins by default "
            "(--verdict full takes them)" for label in ("Keras", "torch")
        )
    }  # fmt: skip


def test_levels_of_a_pair(clean_pair):
    found = judge(*clean_pair)
    without = {"trajectory": NO_TWINS, "outcome": NO_TWINS}
    assert levels(clean_pair, found) == (["preflight", "consumed", "lockstep", "loop"], without)
    assert remark(clean_pair, found) == f" ({QUICK})"


def test_levels_of_one_recording(clean_pair):
    judged, not_judged = levels(clean_pair[:1], judge_alone(clean_pair[0]))
    assert judged == ["lockstep", "loop"]
    assert not_judged == dict.fromkeys(["preflight", "consumed", "trajectory", "outcome"], "it takes two recordings")


def of(**results):
    """A verdict with one check of each of these levels."""
    return Verdict.of([Check("x", level, result, None, None, None, "why") for level, result in results.items()])


def test_levels_behind_a_preflight_that_failed(clean_pair):
    verdict = of(preflight="failed")
    judged, not_judged = levels(clean_pair, verdict)
    assert (judged, remark(clean_pair, verdict)) == (["preflight"], "")
    assert not_judged == dict.fromkeys(["consumed", "lockstep", "loop", "trajectory", "outcome"], "preflight failed")


def test_a_level_that_proves_nothing(clean_pair):
    verdict = of(preflight="passed", consumed="passed", lockstep="not_judged", loop="passed", pretraining="not_judged")
    judged, not_judged = levels(clean_pair, verdict)
    assert judged == ["preflight", "consumed", "loop"]
    assert not_judged == {"pretraining": "why", "lockstep": "why", "trajectory": NO_TWINS, "outcome": NO_TWINS}
    assert remark(clean_pair, verdict) == " (quick: pretraining, lockstep, trajectory and outcome not judged)"
