"""A mismatch comes with its cause: choices that one side acts by, found by replays, and changes of what was given."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from commands import run
from conftest import both_sides, shortened

from parity import explain
from parity.diagnosis import Sides, diagnose, transforms
from parity.diagnosis.given import LATER, UNUSED
from parity.diagnosis.replay import acts_in, entry_of
from parity.differences import DIFFERENCES
from parity.errors import WorkerError
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.requested import with_activation
from parity.experiment.spec import FRAMEWORKS, LABELS, own_choices
from parity.recordings import recording, start
from parity.verdict import judge
from parity.workers.job import RecordJob, ReplayJob
from parity.workers.processes import Worker

ROOT = Path(__file__).parents[1]
STOCK_ADAM = {"adam_epsilon": "before_correction", "constants": "through_float32", "epsilon_value": "keras_default"}
SHORT = shortened("mnist_softmax", 2)


def with_tf(experiment, **choices):
    """The experiment with Keras's side changed."""
    return replace(experiment, tf=replace(experiment.tf, **choices))


def judged(workers, experiment, folder):
    """Both sides recorded, each with the other's checkpoints replayed, the verdict, and whom a diagnosis asks."""
    jobs = {
        side: RecordJob("", experiment.identity, getattr(experiment, side), "cpu", folder / side, checkpoints=2)
        for side in FRAMEWORKS
    }
    for side in FRAMEWORKS:
        workers[side].record(jobs[side], lambda done, steps: None)
    for side, other in (("tf", "torch"), ("torch", "tf")):
        workers[side].replay(ReplayJob(jobs[side], folder / other))
    sides = [recording.read(folder / side) for side in FRAMEWORKS]
    return sides, judge(*sides), Sides(workers, jobs)


def diagnosed(workers, experiment, folder):
    return diagnose(*judged(workers, experiment, folder))


@pytest.fixture(scope="module")
def stock_adam(workers, tmp_path_factory):
    """What is judged where one side runs Keras's own Adam."""
    return judged(workers, with_tf(SHORT, **STOCK_ADAM), tmp_path_factory.mktemp("stock"))


def with_leaky_adamax():
    """Two choices in different stages: the slope of leaky ReLU, and Adamax's epsilon."""
    experiment = both_sides(shortened("xor_leaky_relu", 2, optimizer=OPTIMIZERS["adamax"]), constants="exact")
    return with_tf(experiment, constants="through_float32", adamax_epsilon="in_denominator")


def with_selu_momentum():
    """Two choices that differ and are read: no value is exactly zero, but a momentum acts from the second step on."""
    experiment = shortened("mnist_no_batchnorm", 2, optimizer=replace(OPTIMIZERS["sgd"], momentum=0.9))
    model = with_activation(experiment.identity.model, "selu")
    experiment = replace(experiment, identity=replace(experiment.identity, model=model))
    return with_tf(experiment, constants="through_float32", selu_at_zero="slope_above")


def require_named(found, fields, failed):
    """Exactly these choices, with what each side does, its difference, how to align, and a residual of rounding."""
    assert (found.explained, found.first.failed, found.first.excluded) == (True, failed, ())
    assert {cause.field for cause in found.causes} == fields
    for cause in found.causes:
        assert cause.values == {label: own_choices(side)[cause.field] for side, label in LABELS.items()}
        assert cause.choices["tf"] == f"{cause.field}={own_choices('torch')[cause.field]}"
        assert cause.choices["torch"] == f"{cause.field}={own_choices('tf')[cause.field]}"
        assert cause.scripts["tf"]
        assert f"parity.explain {cause.difference})" in " ".join(found.lines())
    assert 0 <= found.first.residual.share <= 1


def test_stock_adam_is_named(stock_adam):
    require_named(diagnose(*stock_adam), {*STOCK_ADAM}, "step 0, optimizer")


@pytest.mark.slow
def test_choices_of_two_stages_are_named(workers, tmp_path):
    found = diagnosed(workers, with_leaky_adamax(), tmp_path)
    require_named(found, {"constants", "adamax_epsilon"}, "step 0, forward leaky_relu_1")


@pytest.mark.ci
def test_a_choice_that_does_not_matter_is_not_named(workers, tmp_path):
    require_named(diagnosed(workers, with_selu_momentum(), tmp_path), {"constants"}, "step 1, optimizer")


def test_a_difference_that_no_choice_makes(stock_adam):
    """Where the choices of a stage do not explain it, they are listed, and what the numbers say is said."""
    sides, verdict, ask = stock_adam
    recordings = {side.manifest.framework: side for side in sides}
    asked = []

    class Unmoved(Sides):
        """Replays in which no choice changes anything."""

        def replayed(self, side, owner, steps, realisations):
            asked.extend((side, realisation) for realisation in realisations)
            return [[recordings[side].replayed(owner.checkpoints[step]) for step in steps] for _ in realisations]

    found = diagnose(sides, verdict, Unmoved(ask.workers, ask.jobs))
    assert (found.explained, found.causes, set(found.first.excluded)) == (False, (), {*STOCK_ADAM})
    assert found.first.note.startswith(
        "none of the 3 known choices that act there explains step 0, optimizer, alone or"
    )
    assert (
        found.first.beside == "right beside it: first_moment, second_moment; off: weights (look at how it is applied)"
    )
    # Every set of choices but the empty one, in both directions, once.
    assert len(set(asked)) == len(asked) == 2 * (2**3 - 1)


def test_a_diagnosis_that_fails_says_so(stock_adam):
    class Broken(Sides):
        def replayed(self, *asked):
            raise WorkerError("the torch worker was killed\n  torch: its last line")

    found = diagnose(*stock_adam[:2], Broken({}, {}))
    assert found.first.note == "the cause could not be sought: the torch worker was killed"


def test_the_choices_of_a_stage():
    """What acts in a node's stage does not act in the optimizer's, nor the other way round; in the loss, nothing."""
    identity, widest = with_leaky_adamax().identity, replace(SHORT.tf, **own_choices("tf"))
    for stage, fields in {
        "forward leaky_relu_1": {"constants"},
        "forward dense_1": set(),
        "loss": set(),
        "optimizer": {"constants", "adamax_epsilon", "epsilon_value", "weight_decay"},
    }.items():
        assert {field for field in own_choices("tf") if acts_in(field, stage, identity, widest)} == fields


EFFECTS = {name: entry for name, entry in DIFFERENCES.items() if entry.effect is not None}


@pytest.mark.parametrize("name", EFFECTS)
def test_a_known_choice_is_tried_where_it_acts(name):
    """And named as this difference, among all that are of the same field."""
    effect = EFFECTS[name].effect
    experiment, _ = explain.realised(effect)
    assert entry_of(effect.field, experiment.identity, experiment.tf).id == name
    # Pixels come before the first stage, and are seen in what is consumed.
    assert acts_in(effect.field, effect.stage, experiment.identity, experiment.tf) != (effect.field == "pixel_scaling")


# The sides as they are not. Keras: its stock Adam, whatever the realisation says, and a learning rate that is 1 % off.
# torch: epsilon before the correction, whatever the realisation says.
EDITS = {
    "tf": (
        ("    made = stock if", "    return stock(spec.learning_rate)\n    made = stock if"),
        ("return keras.optimizers.SGD(spec.learning_rate", "return keras.optimizers.SGD(1.01 * spec.learning_rate"),
    ),
    "torch": (('if realisation.adam_epsilon == "after_correction":', "if False:"),),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A process of either framework whose code is not what its realisation says."""
    folder = tmp_path_factory.mktemp("planted")
    for package in ("parity", "tf_impl", "torch_impl"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for side, edits in EDITS.items():
        path = folder / f"{side}_impl" / "optimizers.py"
        for old, new in edits:
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
    with Worker("tf", "cpu", 1, packages=folder) as tf, Worker("torch", "cpu", 1, packages=folder) as torch:
        yield {"tf": tf, "torch": torch}


@pytest.mark.ci
def test_code_that_does_not_do_as_it_says(planted, workers, tmp_path):
    """Both sides' settings are equal, and Keras's code is its stock Adam."""
    found = diagnosed(workers | {"tf": planted["tf"]}, SHORT, tmp_path)
    assert found.explained
    assert {cause.field for cause in found.causes} == {*STOCK_ADAM}
    for cause in found.causes:
        own = own_choices("torch")[cause.field]
        assert f"Keras does as if {STOCK_ADAM[cause.field]}, though its settings say {own}" in cause.says
        assert set(cause.choices) == {"torch"}
    assert 0 <= found.first.residual.share <= 1


@pytest.mark.ci
def test_the_other_side_is_asked_where_one_does_not_do_as_it_says(planted, workers, tmp_path):
    """torch's code makes the same choice whatever it is asked for, so that Keras must replay torch's checkpoints."""
    found = diagnosed(workers | {"torch": planted["torch"]}, SHORT, tmp_path)
    assert found.explained
    (cause,) = found.causes
    said = "torch does as if before_correction, though its settings say after_correction, Keras after_correction"
    assert cause.says == f"adam_epsilon: {said}"
    assert cause.choices == {"tf": "adam_epsilon=before_correction"}


@pytest.mark.slow
def test_a_fault_without_a_known_cause(planted, workers, tmp_path):
    experiment = shortened("mnist_softmax", 2, optimizer=replace(OPTIMIZERS["sgd"], momentum=0.9))
    found = diagnosed(workers | {"tf": planted["tf"]}, experiment, tmp_path)
    assert (found.explained, found.causes, found.first.excluded) == (False, (), ("constants",))
    assert found.first.note == "the one known choice that acts there does not explain step 0, optimizer: constants"
    # Of descent with a momentum, a rate is no other than a factor of all gradients, but in the velocity.
    assert found.first.described == ("Keras does as if learning_rate were 0.0101 and not 0.01",)


@pytest.mark.ci
def test_the_command_names_stock_adam(tmp_path):
    """The causes are printed behind the verdict and stand in verdict.json; the evidence is gone."""
    choices = [part for item in STOCK_ADAM.items() for part in ("--choice", "tf:{}={}".format(*item))]
    arguments = ["mnist_softmax", "--data", "embedded", "--steps", 2, "--no-figures", "--out", "out", *choices]
    done = run("parity.run", *arguments, folder=tmp_path)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.split("verdict: mismatch\n")[1].splitlines()
    assert lines[0] == "diagnosis: step 0, optimizer: 3 causes, together"
    assert "of what rounding explains" in lines[-2]
    written = json.loads((tmp_path / "out" / "verdict.json").read_text())["diagnosis"]
    (finding,) = written["findings"]
    assert {cause["field"] for cause in finding["causes"]} == {*STOCK_ADAM}
    # Recorded again with these aligned, the two agree.
    assert written["explained"]
    assert not (tmp_path / "out" / "tf" / "evidence").exists()
    # Without a framework, and without the evidence.
    done = run("parity.compare", "out/tf", "out/torch", folder=tmp_path)
    assert "the settings differ in epsilon_value (Keras keras_default, torch given), adam_epsilon (" in done.stdout


NUMBERS = np.random.default_rng(0)
ORDER = NUMBERS.permutation(100)
PIXELS = (NUMBERS.integers(0, 256, (100, 784)) / 255).astype(np.float32).astype(np.float64)
KERNEL = NUMBERS.normal(size=(256, 256))
WIDE = NUMBERS.normal(size=(784, 256))


def images(change):
    return change(PIXELS.reshape(-1, 28, 28)).reshape(PIXELS.shape)


def rounded(values):
    return values.astype(np.float32).astype(np.float64)


# What one side has, the other, and what is said of it.
CHANGES = [
    (PIXELS, rounded(PIXELS * 255), "times 255"),
    (rounded(PIXELS * 255), PIXELS, "divided by 255"),
    (PIXELS, rounded(1 - PIXELS), "subtracted from 1"),
    (PIXELS, rounded(PIXELS + 1), "plus 1"),
    (PIXELS, rounded(2 * PIXELS - 1), "times 2 plus -1"),
    (PIXELS, PIXELS * (1 + 2**-24), "but for the rounding of float32"),
    (PIXELS, PIXELS * 0, "all zero"),
    (PIXELS, PIXELS * 1e-310, "times 1e-310"),
    (PIXELS, PIXELS[ORDER], "its rows in another order"),
    (PIXELS, images(lambda x: x.transpose(0, 2, 1)), "each image transposed"),
    (PIXELS, images(lambda x: x[:, :, ::-1]), "each image mirrored left to right"),
    (PIXELS, images(lambda x: x[:, ::-1]), "each image upside down"),
    (PIXELS, rounded(images(lambda x: x.transpose(0, 2, 1)) * 255), "each image transposed, times 255"),
    (KERNEL, KERNEL.T, "transposed"),
    (KERNEL, KERNEL[::-1, ::-1], "backwards"),
    (KERNEL, -KERNEL, "times -1"),
    (KERNEL, KERNEL[:, NUMBERS.permutation(256)], "its columns in another order"),
    (WIDE, WIDE.T.reshape(WIDE.shape), "stored in the order of its transpose"),
    (WIDE, WIDE.reshape(WIDE.shape[::-1]).T, "read in the order of its transpose"),
    (WIDE, NUMBERS.permutation(WIDE.reshape(-1)).reshape(WIDE.shape), "its values in another order"),
    (np.zeros(10), np.full(10, 0.5), "plus 0.5"),
    # Nothing of all that.
    (KERNEL, NUMBERS.normal(size=KERNEL.shape), None),
    (PIXELS, PIXELS**2, None),
    (KERNEL, KERNEL * (1 + 1e-5 * NUMBERS.normal(size=KERNEL.shape)), None),
    (KERNEL, np.where(np.arange(256) == 7, np.nan, KERNEL), None),
    (KERNEL, KERNEL[:, :255], None),
    (np.zeros(10), NUMBERS.normal(size=10), None),
]


@pytest.mark.parametrize(("x", "y", "said"), CHANGES)
def test_changes_of_an_array(x, y, said):
    assert transforms.between(x, y, 28 if x is PIXELS else None) == said


CLASSES = np.arange(100) % 10


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (CLASSES + 1, "plus 1"),
        (np.where(CLASSES < 2, 1 - CLASSES, CLASSES), "classes renamed: 0 as 1, 1 as 0"),
        (CLASSES[ORDER], "in another order"),
        (CLASSES // 2, None),
        (CLASSES[:5], None),
    ],
)
def test_changes_of_labels(other, said):
    assert transforms.of_labels(CLASSES, other) == said


def recorded(worker, folder, name, realisation=None, **given):
    """One recording by torch."""
    experiment = shortened("mnist_relu", 2)
    job = RecordJob("", experiment.identity, realisation or experiment.torch, "cpu", folder / name, **given)
    worker.record(job, lambda done, steps: None)
    return recording.read(folder / name)


def test_a_start_and_data_that_differ(workers, tmp_path):
    """From the recordings alone, until their evidence is dropped."""
    plain = recorded(workers["torch"], tmp_path, "plain")
    identity = plain.manifest.identity
    weights = start.named_weights(identity, plain.state(0))
    weights["layers.1.kernel"] = np.ascontiguousarray(weights["layers.1.kernel"].T)
    safetensors.numpy.save_file(weights, tmp_path / "drawn")
    order = start.order(identity, 4000, None)
    order[0, :100] = order[0, 99::-1]
    np.save(tmp_path / "order.npy", order)
    reciprocal = replace(shortened("mnist_relu", 1).torch, pixel_scaling="reciprocal")
    others = {
        "pixels": {"realisation": reciprocal},
        "weights": {"initial_weights": tmp_path / "drawn"},
        "order": {"batch_order": tmp_path / "order.npy"},
    }
    said = {
        "weights": "weights/dense_2/kernel: weights's is plain's, transposed",
        "order": "inputs and labels: the same samples in another order",
        "pixels": "pixel_scaling: plain division, pixels reciprocal",
    }
    for name, given in others.items():
        other = recorded(workers["torch"], tmp_path, name, **given)
        sides = replace(plain, label="plain"), replace(other, label=name)
        found = diagnose(sides, judge(*sides))
        assert (found.first.explained, [cause.says for cause in found.causes]) == (True, [said[name]])
        # Of one framework there are no sides to name.
        assert found.causes[0].choices == {}
    sides = plain, replace(recording.read(tmp_path / "weights"), label="weights")
    digests = sides[1].manifest.digests | {"data": "0" * 64}
    found = diagnose(sides, judge(plain, replace(sides[1], manifest=replace(sides[1].manifest, digests=digests))))
    assert [cause.says for cause in found.causes] == [said["weights"].replace("plain", "torch")]
    assert (found.first.explained, found.first.note) == (False, "that does not explain why data differs")
    for step, note in enumerate((UNUSED, LATER)):
        labels = plain.trace["consumed/labels"].copy()
        labels[step] += 1
        sides = plain, replace(plain, trace=plain.trace | {"consumed/labels": labels})
        found = diagnose(sides, judge(*sides))
        assert (found.causes, found.explained, found.first.note) == ((), False, note)
    sides = plain, recording.read(tmp_path / "order")
    recording.drop_evidence(tmp_path / "order")
    found = diagnose(sides, judge(*sides))
    note = "the first step's samples are not kept here: parity.record keeps them"
    assert (found.explained, found.first.note) == (False, note)
