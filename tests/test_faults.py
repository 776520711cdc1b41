"""Faults planted by code edits, one at a time, on either side: each turns the verdict to mismatch, and where it acts.

A fault is a text of a file and what it is replaced by. The faulty side is a copy of the implementation, run by the
real command in a folder where Python finds the copy first; the other side is recorded from the code as it is.
"""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from parity import recording
from parity.recording import Recording
from parity.spec import LABELS
from parity.verdict import judge

ROOT = Path(__file__).parents[1]
TRAINED = "done = train_step(model, loss, updater, inputs, labels)\n"
TAKEN = "indices, inputs, labels = batch(data, step)\n"
# (fault, side): file, text, replacement
EDITS = {
    ("epsilon in the wrong place", "tf"): (
        "optimizers.py",
        "tf.sqrt(v) / correction + tf.constant(self.epsilon, dtype)",
        "(tf.sqrt(v) + tf.constant(self.epsilon, dtype)) / correction",
    ),
    ("epsilon in the wrong place", "torch"): (
        "optimizers.py",
        'if realisation.adam_epsilon == "after_correction":',
        "if False:",
    ),
    ("one label changed", "tf"): (
        "train.py",
        TAKEN,
        TAKEN + "            labels = tf.concat([(labels[:1] + 1) % 10, labels[1:]], 0)\n",
    ),
    ("one label changed", "torch"): (
        "train.py",
        TAKEN,
        TAKEN + "            labels = torch.cat([(labels[:1] + 1) % 10, labels[1:]])\n",
    ),
    ("one bias not trained", "tf"): (
        "train.py",
        "updater.apply(gradients, weights)",
        'updater.apply(*zip(*[(g, w) for g, w in zip(gradients, weights) if "dense_2/bias" not in w.path]))',
    ),
    ("one bias not trained", "torch"): (
        "optimizers.py",
        "model.parameters(), **numbers, fused",
        '[p for n, p in model.named_parameters() if n != "dense_2.bias"], **numbers, fused',
    ),
    ("batch order shifted by one", "tf"): (
        "data.py",
        "data.order[data.starts[step] : data.stops[step]]",
        "tf.roll(data.order, 1, 0)[data.starts[step] : data.stops[step]]",
    ),
    ("batch order shifted by one", "torch"): (
        "data.py",
        "data.order[data.starts[step] : data.stops[step]]",
        "torch.roll(data.order, 1)[data.starts[step] : data.stops[step]]",
    ),
    ("cost averaged over 99 samples", "tf"): (
        "losses.py",
        "(labels, outputs)",
        "(labels[1:], outputs[1:])",
    ),
    ("cost averaged over 99 samples", "torch"): (
        "losses.py",
        "CrossEntropyLoss()(outputs, labels)",
        "CrossEntropyLoss()(outputs[1:], labels[1:])",
    ),
    ("one layer frozen", "tf"): (
        "models.py",
        "    return keras.Sequential([inputs, *(layer(node, realisation) for node in identity.model)])",
        "    model = keras.Sequential([inputs, *(layer(node, realisation) for node in identity.model)])\n"
        '    model.get_layer("dense_2").trainable = False\n    return model',
    ),
    ("one layer frozen", "torch"): (
        "layers.py",
        "    return torch.nn.utils.skip_init(torch.nn.Linear, node.inputs, node.units)",
        "    made = torch.nn.utils.skip_init(torch.nn.Linear, node.inputs, node.units)\n"
        '    return made.requires_grad_(node.name != "dense_2")',
    ),
    ("weights shrunk inside the loop", "tf"): (
        "train.py",
        TRAINED,
        TRAINED + "            model.trainable_variables[0].assign(0.9 * model.trainable_variables[0])\n",
    ),
    ("weights shrunk inside the loop", "torch"): (
        "train.py",
        TRAINED,
        TRAINED + "            next(model.parameters()).data.mul_(0.9)\n",
    ),
}
# The level and the name of the first check that fails.
FOUND_BY = {
    "epsilon in the wrong place": ("lockstep", "float64 weights/dense_1/kernel"),
    "one label changed": ("consumed", "labels"),
    "one bias not trained": ("lockstep", "float64 slots/first_moment/dense_2/bias"),
    "batch order shifted by one": ("consumed", "indices"),
    "cost averaged over 99 samples": ("lockstep", "float64 cost"),
    "one layer frozen": ("lockstep", "float64 gradients/dense_2/kernel"),
    "weights shrunk inside the loop": ("loop", "{label} weights/dense_1/kernel"),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Recording]:
    """A recording of each faulty side, two processes at a time."""

    def record(key: tuple[str, str]) -> Recording:
        folder = tmp_path_factory.mktemp("fault")
        _, side = key
        file, old, new = EDITS[key]
        shutil.copytree(ROOT / f"{side}_impl", folder / f"{side}_impl", ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / f"{side}_impl" / file
        assert path.read_text().count(old) == 1
        path.write_text(path.read_text().replace(old, new))
        options = ["mnist_relu", "--steps", "40", "--device", "cpu", "--framework", side, "--out", "recording"]
        command = [sys.executable, "-m", "parity.record", *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return recording.read(folder / "recording")

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(EDITS, pool.map(record, EDITS), strict=True))


@pytest.mark.parametrize(("fault", "side"), EDITS)
def test_fault_is_found(fault, side, faulty, clean_pair):
    tf, torch = clean_pair
    pair = (faulty[fault, side], torch) if side == "tf" else (tf, faulty[fault, side])
    verdict = judge(*pair)
    first = next(check for check in verdict.checks if check.result == "failed")
    assert verdict.verdict == "mismatch"
    level, name = FOUND_BY[fault]
    assert (first.level, first.name) == (level, name.format(label=LABELS[side]))


def test_without_a_fault_there_is_parity(clean_pair):
    assert judge(*clean_pair).verdict == "parity"
