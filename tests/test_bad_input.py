"""What cannot be done or compared is told in one line that says what to do; nothing is left behind or lost."""

import gzip
import json
import shutil
import struct
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from commands import command, run
from conftest import shortened
from test_digits import IMAGES, LABELS

from parity.data import digits
from parity.experiment import randomness
from parity.experiment.experiments import EXPERIMENTS
from parity.recordings import recording
from parity.workers.job import RecordJob

HELP = "(see python -m parity.run --help)"
KERNEL = np.zeros((784, 10), np.float32)


def weights_file(**changes):
    """Arguments with a file of mnist_softmax's weights, some changed."""

    def make(folder):
        drawn = randomness.initial_weights(EXPERIMENTS["mnist_softmax"].identity)
        weights = {"layers.0.kernel": drawn["dense_1/kernel"], "layers.0.bias": drawn["dense_1/bias"]}
        weights |= {name.replace("_", "."): value for name, value in changes.items()}
        path = folder / "weights.safetensors"
        safetensors.numpy.save_file({name: value for name, value in weights.items() if value is not None}, path)
        return ["mnist_softmax", "--initial-weights", path.name]

    return make


def order_file(change):
    """Arguments with a file of two epochs' orders, changed."""

    def make(folder):
        np.save(folder / "order.npy", change(np.tile(np.arange(4000), (2, 1))))
        return ["mnist_softmax", "--epochs", "2", "--batch-order", "order.npy"]

    return make


def with_value(value):
    def change(order):
        order[1, 7] = value
        return order

    return change


def digit_files(name, content):
    """Arguments with the embedded digits' files, one of them replaced."""

    def make(folder):
        for file in digits.FILES:
            (folder / file).write_bytes(gzip.decompress((digits.EMBEDDED / f"{file}.gz").read_bytes()))
        (folder / name).write_bytes(content)
        return ["mnist_softmax", "--data", "."]

    return make


def occupied(folder):
    (folder / "full").mkdir()
    (folder / "full/file").touch()
    return ["mnist_relu", "--out", "full"]


# What is typed, and the one line that answers it.
USAGE_ERRORS = {
    "nothing": ([], f"the following arguments are required: EXPERIMENT {HELP}"),
    "L-BFGS with dropout": (
        ["mnist_relu", "--optimizer", "lbfgs", "--batch-size", "4000", "--dropout", "0.5"],
        "lbfgs compares gradients of one function, and dropout makes another at every step",
    ),
    "L-BFGS on batches": (
        ["mnist_softmax", "--optimizer", "lbfgs"],
        "lbfgs takes the whole training set at every step: --batch-size 4000, not 100",
    ),
    "SparseAdam on dense layers": (
        ["mnist_relu", "--optimizer", "sparse_adam"],
        "sparse_adam takes the sparse gradients of embeddings, and dense_1 has dense ones",
    ),
    "no initializer for embeddings": (
        ["mnist_tokens", "--init-from", "torch"],
        "--init-from draws the weights of dense layers; give an embedding's with --init",
    ),
    "raw words": (
        ["mnist_tokens", "--raw-test-pixels"],
        "raw pixels are for experiments on the digits' pixels, which this is not",
    ),
    "a rate that torch cannot compute": (
        ["xor_tanh", "--optimizer", "asgd:decay=1000,power=1000", "--lr", "0.05", "--steps", "6"],
        "--optimizer asgd: the rate is divided by (1 + 1000 * 0.05 * 6) ** 1000, which is beyond float64; "
        "take a smaller decay or power",
    ),
    "no whole number": (
        ["xor_tanh", "--optimizer", "lbfgs:history_size=2.5"],
        "--optimizer lbfgs:history_size=2.5: '2.5' must be a whole number",
    ),
    "no history": (
        ["xor_tanh", "--optimizer", "lbfgs:history_size=0"],
        "history_size must be a finite number above zero, not 0",
    ),
    "experiment": (["mnist_rellu"], "unknown experiment 'mnist_rellu'; did you mean mnist_relu?"),
    "nothing near": (["zzzz"], f"unknown experiment 'zzzz'; there are {', '.join(EXPERIMENTS)}"),
    "activation": (["mnist_relu", "--activation", "sigmoit"], "unknown activation 'sigmoit'; did you mean sigmoid?"),
    "hidden": (
        ["mnist_softmax", "--activation", "tanh"],
        "--activation changes the hidden layers, and this experiment has none",
    ),
    "dropout": (["mnist_relu", "--dropout", "1.0"], "dropout_1: rate must be above 0 and below 1, to 16 bits, not 1.0"),
    "dropout that is no number": (
        ["mnist_relu", "--dropout", "some"],
        f"argument --dropout: invalid float value: 'some' {HELP}",
    ),
    "dropout without a hidden layer": (
        ["mnist_softmax", "--dropout", "0.3"],
        "--dropout is for hidden layers, and this experiment has none",
    ),
    "init": (["mnist_relu", "--init", "xavier"], "unknown initializer 'xavier'; did you mean xavier_normal?"),
    "init number": (
        ["mnist_relu", "--init", "normal:0"],
        "initializer normal: deviation must be a finite number above zero, not 0.0",
    ),
    "init without its number": (
        ["mnist_relu", "--init", "constant"],
        "initializer constant needs its value, as in constant:0.1",
    ),
    "init from": (["mnist_relu", "--init-from", "jax"], "unknown framework 'jax'; there are tf, torch"),
    "init from and weights": (
        ["mnist_relu", "--init-from", "tf", "--initial-weights", "w"],
        f"argument --initial-weights: not allowed with argument --init-from {HELP}",
    ),
    "a batch of one": (
        ["mnist_batchnorm", "--batch-size", "1"],
        "batch normalisation needs more than one sample in a batch",
    ),
    "a rate beyond float32's range": (
        ["mnist_relu", "--optimizer", "nadam", "--lr", "1e100"],
        "learning rate must be below 2**100 in float32, not 1e+100; try --dtype float64",
    ),
    "pre-training of other units": (
        ["mnist_rbm", "--activation", "relu"],
        "pre-training takes dense layers with a sigmoid after each, and finds relu_1 there",
    ),
    "pre-training with dropout": (
        ["mnist_rbm", "--dropout", "0.3"],
        "pre-training takes dense layers with a sigmoid after each, and finds dropout_1 there",
    ),
    "pre-training without a function": (
        ["mnist_rbm", "--activation", "linear"],
        "pre-training takes dense layers with a sigmoid after each, and finds dense_2 there",
    ),
    "optimizer": (["mnist_relu", "--optimizer", "adm"], "unknown optimizer 'adm'; did you mean adam?"),
    "dtype": (["mnist_relu", "--dtype", "float23"], "unknown dtype 'float23'; did you mean float32?"),
    "choice": (
        ["mnist_relu", "--choice", "adam_epsilom=x"],
        "unknown choice 'adam_epsilom'; did you mean adam_epsilon?",
    ),
    "choice value": (
        ["mnist_relu", "--choice", "constants=exat"],
        "unknown value of constants 'exat'; did you mean exact?",
    ),
    "choice side": (
        ["mnist_relu", "--choice", "jax:constants=exact"],
        "unknown side 'jax'; there are tf, torch",
    ),
    "choice form": (
        ["mnist_relu", "--choice", "constants"],
        "--choice constants: write FIELD=VALUE, or tf:FIELD=VALUE for one side",
    ),
    "choice unread": (
        ["xor_tanh", "--choice", "adam_epsilon=before_correction"],
        "--choice adam_epsilon=before_correction changes nothing here: xor_tanh with these options never uses "
        "adam_epsilon",
    ),
    "choice unread by torch's Adam": (
        ["mnist_relu", "--choice", "constants=exact"],
        "--choice constants=exact changes nothing here: mnist_relu with these options never uses constants",
    ),
    "cost": (["xor_tanh", "--cost", "logit"], "unknown cost 'logit'; did you mean logits?"),
    "cost for one output": (
        ["mnist_relu", "--cost", "clamped"],
        "binary cross-entropy needs one output, and dense_3 has 10",
    ),
    "cost from logits for one output": (
        ["mnist_softmax", "--cost", "logits"],
        "binary cross-entropy needs one output, and dense_1 has 10",
    ),
    "cost for several outputs": (
        ["xor_relu", "--cost", "softmax_clipped"],
        "softmax cross-entropy needs an output for each class, and dense_10 has one",
    ),
    "epoch cost": (
        ["mnist_relu", "--epoch-cost", "mean"],
        "unknown epoch cost 'mean'; did you mean batch_mean?",
    ),
    "absurd": (
        ["xor_tanh", "--steps", "1000000000000"],
        "this takes more memory than there is; ask for fewer steps or a smaller network",
    ),
    "option": (["mnist_relu", "--epoch", "3"], f"unrecognized arguments: --epoch 3 {HELP}"),
    "both lengths": (
        ["mnist_relu", "--epochs", "3", "--steps", "3"],
        f"argument --steps: not allowed with argument --epochs {HELP}",
    ),
    "epochs": (["mnist_relu", "--epochs", "0"], "epochs must be a finite number above zero, not 0"),
    "steps": (["mnist_relu", "--steps", "-1"], "steps must be a finite number above zero, not -1"),
    "batch size": (["mnist_relu", "--batch-size", "0"], "batch size must be a finite number above zero, not 0"),
    "large batch": (
        ["mnist_relu", "--batch-size", "4001"],
        "a batch of 4001 is larger than the training set of 4000 samples",
    ),
    "lr zero": (["mnist_relu", "--lr", "0"], "learning rate must be a finite number above zero, not 0.0"),
    "lr negative": (["mnist_relu", "--lr", "-0.1"], "learning rate must be a finite number above zero, not -0.1"),
    "lr nan": (["mnist_relu", "--lr", "nan"], "learning rate must be a finite number above zero, not nan"),
    "lr inf": (["mnist_relu", "--lr", "inf"], "learning rate must be a finite number above zero, not inf"),
    "lr text": (["mnist_relu", "--lr", "fast"], f"argument --lr: invalid float value: 'fast' {HELP}"),
    "seed": (["mnist_relu", "--seed", "-1"], "seed must be from 0 to 2**64 - 1, not -1"),
    "time limit": (
        ["mnist_relu", "--time-limit", "0"],
        f"argument --time-limit: must be a finite number above zero, not 0 {HELP}",
    ),
    "data": (
        ["mnist_relu", "--data", "nowhere"],
        f"--data nowhere is no folder; give one that holds {IMAGES}.gz and its three companions",
    ),
    "data for xor": (["xor_tanh", "--data", "."], "--data is for experiments on digits, and xor_tanh has none"),
    "digits truncated": (
        digit_files(IMAGES, struct.pack(">4i", 2051, 1000, 28, 28) + bytes(784)),
        f"{IMAGES} is damaged: its header promises 784000 bytes and 784 follow; fetch it again",
    ),
    "digits of a wrong magic number": (
        digit_files(LABELS, struct.pack(">2i", 2051, 0)),
        f"{LABELS} does not hold labels (magic number 2051, not 2049)",
    ),
    "digits with a label 10": (
        digit_files(LABELS, struct.pack(">2i", 2049, 4000) + bytes([10] * 4000)),
        f"{LABELS}: label 10 at position 0 is not a digit from 0 to 9",
    ),
    "digits of different counts": (
        digit_files(IMAGES, struct.pack(">4i", 2051, 1, 28, 28) + bytes(784)),
        f"{IMAGES} holds 1 images for 4000 labels",
    ),
    "out occupied": (occupied, "--out full is not empty; give a new folder, nothing recorded is ever overwritten"),
    "out not writable": (
        ["mnist_relu", "--out", "/proc/here"],
        "--out /proc/here cannot be written (No such file or directory); give another folder",
    ),
    "weights missing": (
        ["mnist_relu", "--initial-weights", "w"],
        "--initial-weights w cannot be read as safetensors ([Errno 2] No such file or directory: 'w')",
    ),
    "weights lack": (
        weights_file(layers_0_bias=None),
        "--initial-weights weights.safetensors lacks layers.0.bias; it needs exactly layers.0.kernel, layers.0.bias",
    ),
    "weights extra": (
        weights_file(layers_1_bias=KERNEL),
        "--initial-weights weights.safetensors has a tensor too many: layers.1.bias; it needs exactly "
        "layers.0.kernel, layers.0.bias",
    ),
    "weights transposed": (
        weights_file(layers_0_kernel=KERNEL.T.copy()),
        "--initial-weights weights.safetensors: layers.0.kernel has shape (10, 784) and must have (784, 10); it is "
        "transposed",
    ),
    "weights shape": (
        weights_file(layers_0_bias=KERNEL),
        "--initial-weights weights.safetensors: layers.0.bias has shape (784, 10) and must have (10,)",
    ),
    "weights dtype": (
        weights_file(layers_0_kernel=KERNEL.astype(np.float64)),
        "--initial-weights weights.safetensors: layers.0.kernel is float64 and must be float32, or the run's --dtype",
    ),
    "weights nan": (
        weights_file(layers_0_kernel=KERNEL + np.float32("nan")),
        "--initial-weights weights.safetensors: layers.0.kernel[0, 0] is nan, and every weight must be finite",
    ),
    "order missing": (
        ["mnist_relu", "--batch-order", "o.npy"],
        "--batch-order o.npy cannot be read as an .npy array ([Errno 2] No such file or directory: 'o.npy')",
    ),
    "order floats": (order_file(lambda order: order * 1.0), "--batch-order order.npy must hold integers, not float64"),
    "order shape": (
        order_file(lambda order: order[:1]),
        "--batch-order order.npy has shape (1, 4000) and must be (epochs, samples) = (2, 4000)",
    ),
    "order outside": (order_file(with_value(4000)), "--batch-order order.npy[1, 7] is 4000, outside 0 to 3999"),
    "order repeated": (
        order_file(with_value(8)),
        "--batch-order order.npy: row 1 repeats sample 8; each row must hold every sample once",
    ),
}


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_usage_errors(case, tmp_path):
    arguments, message = USAGE_ERRORS[case]
    arguments = arguments(tmp_path) if callable(arguments) else arguments
    before = sorted(tmp_path.rglob("*"))
    done = run("parity.run", *arguments, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {message}\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_device(tmp_path):
    """How argparse quotes the choices depends on Python's version."""
    done = run("parity.run", "mnist_relu", "--device", "tpu", folder=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: argument --device: invalid choice: 'tpu' (choose from ")


def test_record_needs_a_known_framework(tmp_path):
    done = run("parity.record", "mnist_relu", "--framework", "tourch", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: unknown framework 'tourch'; did you mean torch?\n")


@pytest.mark.parametrize("side", ["tf", "torch"])
def test_a_gpu_that_is_not_there(side, tmp_path):
    done = run("parity.record", "xor_tanh", "--framework", side, "--device", "gpu", "--steps", 3, folder=tmp_path)
    if done.returncode == 0:
        pytest.skip("this machine has a GPU")
    assert (done.returncode, done.stderr) == (2, f"error: --device gpu: {side} finds none here (it finds cpu)\n")


@pytest.mark.parametrize(
    ("side", "module", "needed"), [("tf", "keras", "tensorflow keras"), ("torch", "torch", "torch")]
)
def test_a_framework_that_is_not_installed(side, module, needed, tmp_path):
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})")
    done = run("parity.record", "xor_tanh", "--framework", side, folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"error: {module} is not installed: pip install {needed}\n")


WITHOUT = "import sys\nfor name in {names!r}: sys.modules[name] = None"


@pytest.mark.parametrize(("names", "said"), [
    (("tensorflow", "keras", "torch", "matplotlib"), "tensorflow and keras and torch are not installed: pip install"
     " tensorflow keras torch"),
    (("torch", "torchvision"), "torch is not installed: pip install torch"),
])  # fmt: skip
def test_frameworks_that_are_not_installed_are_named_first(names, said, tmp_path):
    """Before data that cannot be had, or pictures that cannot be drawn."""
    options = ["mnist_relu", "--data", "mnist", "--data-dir", "nowhere"]
    done = run("parity.run", *options, folder=tmp_path, code=WITHOUT.format(names=names))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {said}\n")
    assert list(tmp_path.iterdir()) == []


# What a run that fails leaves of the folders that it made: of a framework that stops at once, none.
@pytest.mark.parametrize("out", [[], ["--out", "some/where"], ["--out", "there"]], ids=["default", "new", "empty"])
def test_a_start_that_fails_leaves_no_folder(out, tmp_path):
    (tmp_path / "there").mkdir()
    for module in ("keras", "torch"):
        (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})")
    done = run("parity.run", "xor_tanh", *out, folder=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2, "error: keras is not installed: pip install tensorflow keras"
    )  # fmt: skip
    left = {path.name for path in tmp_path.rglob("*") if path.is_dir()} - {"__pycache__"}
    assert left == {"there"}
    assert list((tmp_path / "there").iterdir()) == []


def test_a_comparison_that_fails_leaves_no_folder(tmp_path):
    done = run("parity.compare", "a", "b", "--out", "out", "--no-figures", folder=tmp_path)
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--out", "--data", "--initial-weights"])
@pytest.mark.parametrize("joined", [True, False])
def test_paths_that_are_no_text(option, joined, tmp_path):
    """A recording names its files in JSON, which has no bytes."""
    name = b"runs/\xff".decode(errors="surrogateescape")
    words = [f"{option}={name}"] if joined else [option, name]
    done = run("parity.run", "mnist_softmax", *words, folder=tmp_path)
    said = f"error: {words[-1]!a} holds bytes that are no text; give the file or folder another name\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert list(tmp_path.iterdir()) == []


def test_the_framework_that_is_to_draw_is_not_installed(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(name='torch')")
    done = run("parity.record", "xor_tanh", "--framework", "tf", "--init-from", "torch", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: torch is not installed: pip install torch\n")


def test_compare_names_a_folder_without_a_recording(tmp_path):
    done = run("parity.compare", "a", "b", folder=tmp_path)
    message = "error: a holds no recording (no manifest.json); give a folder that parity.record wrote\n"
    assert (done.returncode, done.stderr) == (2, message)


def test_a_full_standard_output(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(command("parity"), stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: [Errno 28] No space left on device\n")


@pytest.fixture(scope="module")
def record_torch(workers, tmp_path_factory):
    """A function (experiment, **fields of the job) that records torch's side and returns the folder."""

    def record(experiment, **fields):
        out = tmp_path_factory.mktemp("recording")
        job = RecordJob("test", experiment.identity, experiment.torch, "cpu", out, **fields)
        workers["torch"].record(job, lambda done, steps: None)
        return out

    return record


SHORT = shortened("mnist_softmax", 3)


@pytest.fixture(scope="module")
def first(record_torch):
    return record_torch(SHORT)


def as_it_is(folder):
    return folder


def with_manifest(**changes):
    """A change of the manifest."""

    def change(folder):
        path = folder / recording.MANIFEST
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        return folder

    return change


def without_states(folder):
    manifest = json.loads((folder / recording.MANIFEST).read_text())
    files = {name: digest for name, digest in manifest["files"].items() if not name.startswith("states/")}
    return with_manifest(files=files)(folder)


def in_flushed_precision(folder):
    manifest = json.loads((folder / recording.MANIFEST).read_text())
    return with_manifest(precision=manifest["precision"] | {"matmul": "tf32"})(folder)


INCOMPARABLE = {
    "format version": (with_manifest(format=6), f"{{}} has format 6, and this version reads format {recording.FORMAT}"),
    "interrupted": (
        with_manifest(status="interrupted"),
        "{} is not a complete recording (status: interrupted); record it again",
    ),
    "no common state": (without_states, "{} holds no states/0.safetensors; record the run again"),
}


@pytest.mark.parametrize("case", INCOMPARABLE)
def test_recordings_that_cannot_be_read(case, first, tmp_path):
    change, message = INCOMPARABLE[case]
    changed = change(shutil.copytree(first, tmp_path / "changed"))
    done = run("parity.compare", first, changed, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", f"error: {message.format(changed)}\n")


def other_start(record, folder):
    weights_file(layers_0_kernel=KERNEL)(folder)
    return record(SHORT, initial_weights=folder / "weights.safetensors")


def other_order(record, folder):
    np.save(folder / "order.npy", np.arange(4000)[None, ::-1])
    return record(SHORT, batch_order=folder / "order.npy")


def other_digits(record, folder):
    digit_files(LABELS, struct.pack(">2i", 2049, 4000) + bytes(4000))(folder)
    return record(SHORT, data=folder)


def other_precision(record, folder):
    return in_flushed_precision(shutil.copytree(record(SHORT), folder / "flushed"))


def other_dtype(record, folder):
    return record(replace(SHORT, identity=replace(SHORT.identity, dtype="float64")))


def other_identity(record, folder):
    optimizer = replace(SHORT.identity.optimizer, learning_rate=0.002)
    return record(replace(SHORT, identity=replace(SHORT.identity, optimizer=optimizer)))


# How the second recording is made, and the checks that fail.
DIFFERENT = {
    other_identity: ["identity"],
    other_dtype: ["identity", "start", "precision dtype"],
    other_start: ["start"],
    other_order: ["order"],
    other_digits: ["data"],
    other_precision: ["precision matmul"],
}


@pytest.mark.parametrize("make", DIFFERENT, ids=lambda make: make.__name__)
def test_recordings_of_different_runs(make, first, record_torch, tmp_path):
    second = make(record_torch, tmp_path)
    done = run("parity.compare", first, second, "--out", "out", "--no-figures", folder=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert "\nverdict: incomparable\n" in done.stdout
    verdict = json.loads((tmp_path / "out/verdict.json").read_text())
    assert [check["name"] for check in verdict["checks"] if check["result"] == "failed"] == DIFFERENT[make]
    if make is other_identity:
        assert "settings: optimizer.learning_rate 0.001 and 0.002" in done.stdout
    for check in DIFFERENT[make]:
        assert f"failed: preflight {check}: " in done.stdout
    assert "record both with the same options" in done.stdout
    # Where the settings are equal, what both were given is looked into.
    sought = make in (other_start, other_order, other_digits)
    assert (f"\ndiagnosis: preflight, {DIFFERENT[make][0]}: " in done.stdout) == sought
