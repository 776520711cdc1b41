"""The commands, as a user types them: files, output, messages and exit status."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from test_processes import running_in, wait_for

from parity import randomness, recording
from parity.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[1]


def run(module, *arguments, folder, code=None):
    """A command in `folder`; `code` runs before it, in the same process."""
    start = ["-m", module] if code is None else ["-c", f"{code}\nimport runpy; runpy.run_module({module!r}, "
                                                       "run_name='__main__', alter_sys=True)"]  # fmt: skip
    command = [sys.executable, *start, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One epoch of mnist_softmax through parity.run, with the user's own weights and batch order."""
    folder = tmp_path_factory.mktemp("run")
    drawn = randomness.initial_weights(EXPERIMENTS["mnist_softmax"].identity)
    weights = {"layers.0.kernel": drawn["dense_1/kernel"] / 10, "layers.0.bias": drawn["dense_1/bias"] + 1}
    safetensors.numpy.save_file(weights, folder / "weights.safetensors")
    np.save(folder / "order.npy", np.arange(4000, dtype=np.int32)[None, ::-1])
    options = ["--epochs", 1, "--initial-weights", "weights.safetensors", "--batch-order", "order.npy", "--out", "out"]
    done = run("parity.run", "mnist_softmax", *options, folder=folder)
    return done, folder / "out", weights


def test_run_ends_in_parity(finished):
    done, _, _ = finished
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["verdict: parity", "written to out"]
    assert done.stderr == ""
    assert "mnist_softmax: 784-10, adam, float32, 40 steps" in done.stdout
    for level in ("preflight", "consumed", "lockstep", "loop", "trajectory", "outcome"):
        assert level in done.stdout


def test_run_writes_what_it_says(finished):
    _, out, _ = finished
    assert {path.name for path in out.iterdir()} == {"tf", "torch", "verdict.json", "costs.png", "accuracy.png"}
    for picture in ("costs.png", "accuracy.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
        assert (out / picture).stat().st_size > 10_000
    assert [recording.read(out / side).manifest.framework for side in ("tf", "torch")] == ["tf", "torch"]
    assert not list(out.rglob("*.partial"))


def test_verdict_json(finished):
    _, out, _ = finished
    verdict = json.loads((out / "verdict.json").read_text())
    assert set(verdict) == {"format", "experiment", "verdict", "checks"}
    assert (verdict["format"], verdict["experiment"], verdict["verdict"]) == (1, "mnist_softmax", "parity")
    keys = {"name", "level", "result", "measured", "bound", "where", "reason"}
    assert all(set(check) == keys for check in verdict["checks"])
    results = {level: {c["result"] for c in verdict["checks"] if c["level"] == level} for level in
               ("preflight", "consumed", "lockstep", "loop", "trajectory", "outcome")}  # fmt: skip
    assert results == {
        "preflight": {"passed"}, "consumed": {"passed"}, "lockstep": {"passed"}, "loop": {"passed"},
        "trajectory": {"not_judged"}, "outcome": {"not_judged"},
    }  # fmt: skip


def test_the_users_weights_and_order_are_used(finished):
    _, out, weights = finished
    for side in ("tf", "torch"):
        recorded = recording.read(out / side)
        state = recorded.state(0)
        assert (state["weights/dense_1/kernel"] == weights["layers.0.kernel"]).all()
        assert (state["weights/dense_1/bias"] == weights["layers.0.bias"]).all()
        # Reversed, the embedded digits end with ..., 1, 0: the first batch's labels go 9, 8, ..., 0, 9, ...
        replay = recorded.replay(recorded.manifest.digests["start"], "float64")
        assert replay["labels"].tolist() == [*range(9, -1, -1)] * 10


def test_compare_needs_no_framework(finished, tmp_path):
    _, out, _ = finished
    block = (
        "import sys\nfor name in ('tensorflow', 'keras', 'torch', 'tf_impl', 'torch_impl'): sys.modules[name] = None"
    )
    done = run("parity.compare", out / "tf", out / "torch", "--out", "again", folder=tmp_path, code=block)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "verdict: parity"
    assert (tmp_path / "again/verdict.json").read_text() == (out / "verdict.json").read_text()


def test_compare_quietly(finished, tmp_path):
    _, out, _ = finished
    done = run("parity.compare", out / "tf", out / "torch", "--quiet", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "verdict: parity\n")


def test_figures_without_matplotlib(finished, tmp_path):
    _, out, _ = finished
    block = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n: None if n == 'matplotlib' else f(n)"
    done = run("parity.compare", out / "tf", out / "torch", "--out", "again", folder=tmp_path, code=block)
    assert done.returncode == 2
    assert done.stderr == "error: matplotlib is not installed: use --no-figures, or pip install matplotlib\n"
    assert not (tmp_path / "again").exists()
    done = run("parity.compare", out / "tf", out / "torch", "--out", "b", "--no-figures", folder=tmp_path, code=block)
    assert done.returncode == 0
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["verdict.json"]


def test_recordings_made_apart_compare(finished, tmp_path):
    """parity.record twice, then parity.compare; and against a run of other settings, which cannot be compared."""
    options = ["mnist_softmax", "--steps", 5, "--seed", 3]
    for side in ("tf", "torch"):
        done = run("parity.record", *options, "--framework", side, "--out", side, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"recorded in {side}" in done.stdout
    done = run("parity.compare", "tf", "torch", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "verdict: parity")
    done = run("parity.compare", "tf", finished[1] / "torch", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "verdict: incomparable")
    assert "record both with the same options" in done.stdout


def test_a_mismatch_has_status_1(tmp_path):
    options = ["mnist_softmax", "--steps", 5, "--choice", "tf:adam_epsilon=before_correction", "--out", "out"]
    done = run("parity.run", *options, "--no-figures", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-2]) == (1, "verdict: mismatch")
    assert "failed: lockstep float64 weights/dense_1/kernel" in done.stdout
    assert "times what rounding explains" in done.stdout
    assert json.loads((tmp_path / "out/verdict.json").read_text())["verdict"] == "mismatch"


def test_list(tmp_path):
    done = run("parity", folder=tmp_path)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[: len(EXPERIMENTS)]] == list(EXPERIMENTS)


def weights_file(folder, **changes):
    drawn = randomness.initial_weights(EXPERIMENTS["mnist_softmax"].identity)
    weights = {"layers.0.kernel": drawn["dense_1/kernel"], "layers.0.bias": drawn["dense_1/bias"]}
    weights |= {name.replace("_", "."): value for name, value in changes.items()}
    path = folder / "weights.safetensors"
    safetensors.numpy.save_file({name: value for name, value in weights.items() if value is not None}, path)
    return ["mnist_softmax", "--initial-weights", "weights.safetensors"]


def order_file(folder, order):
    np.save(folder / "order.npy", order)
    return ["mnist_softmax", "--epochs", "2", "--batch-order", "order.npy"]


def permutations():
    return np.tile(np.arange(4000), (2, 1))


def with_value(order, value):
    order[1, 7] = value
    return order


def occupied(folder):
    (folder / "full").mkdir()
    (folder / "full/file").touch()
    return ["mnist_relu", "--out", "full"]


KERNEL = np.zeros((784, 10), np.float32)
# What is typed, and a part of the one line that answers it.
USAGE_ERRORS = {
    "nothing": ([], "the following arguments are required: EXPERIMENT"),
    "experiment": (["mnist_rellu"], "unknown experiment 'mnist_rellu'; did you mean mnist_relu?"),
    "nothing near": (["zzzz"], "unknown experiment 'zzzz'; there are mnist_softmax"),
    "activation": (["mnist_relu", "--activation", "sigmoit"], "unknown activation 'sigmoit'; did you mean sigmoid?"),
    "hidden": (["mnist_softmax", "--activation", "tanh"], "this experiment has none"),
    "init": (["mnist_relu", "--init", "xavier"], "unknown initializer 'xavier'; did you mean xavier_"),
    "optimizer": (["mnist_relu", "--optimizer", "adm"], "unknown optimizer 'adm'; did you mean adam?"),
    "dtype": (["mnist_relu", "--dtype", "float23"], "unknown dtype 'float23'; did you mean float32?"),
    "choice": (["mnist_relu", "--choice", "adam_epsilom=x"], "unknown choice 'adam_epsilom'; did you mean adam_eps"),
    "choice value": (["mnist_relu", "--choice", "constants=exat"], "unknown value of constants 'exat'; did you mean"),
    "choice side": (["mnist_relu", "--choice", "jax:constants=exact"], "unknown side 'jax'"),
    "choice form": (["mnist_relu", "--choice", "constants"], "write FIELD=VALUE"),
    "choice unread": (["xor_tanh", "--choice", "adam_epsilon=before_correction"], "changes nothing here"),
    "choice unread by torch's Adam": (["mnist_relu", "--choice", "constants=exact"], "changes nothing here"),
    "absurd": (["xor_tanh", "--steps", "1000000000000"], "takes more memory than there is"),
    "option": (["mnist_relu", "--epoch", "3"], "unrecognized arguments: --epoch 3"),
    "both lengths": (["mnist_relu", "--epochs", "3", "--steps", "3"], "not allowed with argument"),
    "epochs": (["mnist_relu", "--epochs", "0"], "epochs must be a finite number above zero, not 0"),
    "steps": (["mnist_relu", "--steps", "-1"], "steps must be a finite number above zero, not -1"),
    "batch size": (["mnist_relu", "--batch-size", "0"], "batch size must be a finite number above zero"),
    "large batch": (["mnist_relu", "--batch-size", "4001"], "batch of 4001 is larger than the training set of 4000"),
    "lr zero": (["mnist_relu", "--lr", "0"], "learning rate must be a finite number above zero, not 0.0"),
    "lr nan": (["mnist_relu", "--lr", "nan"], "learning rate must be a finite number above zero, not nan"),
    "lr inf": (["mnist_relu", "--lr", "inf"], "learning rate must be a finite number above zero, not inf"),
    "lr text": (["mnist_relu", "--lr", "fast"], "argument --lr: invalid float value: 'fast'"),
    "seed": (["mnist_relu", "--seed", "-1"], "seed must be from 0 to"),
    "data": (["mnist_relu", "--data", "nowhere"], "--data nowhere is no folder"),
    "data for xor": (["xor_tanh", "--data", "."], "--data is for experiments on digits"),
    "device": (["mnist_relu", "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
    "out occupied": (occupied, "--out full is not empty"),
    "out not writable": (["mnist_relu", "--out", "/proc/here"], "--out /proc/here cannot be written"),
    "weights missing": (["mnist_relu", "--initial-weights", "w"], "cannot be read as safetensors"),
    "weights lack": (lambda f: weights_file(f, layers_0_bias=None), "lacks layers.0.bias"),
    "weights extra": (lambda f: weights_file(f, layers_1_bias=KERNEL), "has a tensor too many: layers.1.bias"),
    "weights transposed": (lambda f: weights_file(f, layers_0_kernel=KERNEL.T.copy()), "it is transposed"),
    "weights shape": (lambda f: weights_file(f, layers_0_bias=KERNEL), "has shape (784, 10) and must have (10,)"),
    "weights dtype": (lambda f: weights_file(f, layers_0_kernel=KERNEL.astype(np.float64)), "is float64 and must"),
    "weights nan": (lambda f: weights_file(f, layers_0_kernel=KERNEL + np.float32("nan")), "[0, 0] is nan"),
    "order missing": (["mnist_relu", "--batch-order", "o.npy"], "cannot be read as an .npy array"),
    "order floats": (lambda f: order_file(f, permutations() * 1.0), "must hold integers, not float64"),
    "order shape": (lambda f: order_file(f, permutations()[:1]), "must be (epochs, samples) = (2, 4000)"),
    "order outside": (lambda f: order_file(f, with_value(permutations(), 4000)), "[1, 7] is 4000, outside 0 to 3999"),
    "order repeated": (lambda f: order_file(f, with_value(permutations(), 8)), "row 1 repeats sample 8"),
}


@pytest.mark.parametrize("case", USAGE_ERRORS)
def test_usage_errors(case, tmp_path):
    arguments, message = USAGE_ERRORS[case]
    arguments = arguments(tmp_path) if callable(arguments) else arguments
    before = sorted(tmp_path.rglob("*"))
    done = run("parity.run", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_record_needs_a_known_framework(tmp_path):
    done = run("parity.record", "mnist_relu", "--framework", "tourch", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: unknown framework 'tourch'; did you mean torch?\n")


def test_compare_names_a_folder_without_a_recording(tmp_path):
    done = run("parity.compare", "a", "b", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: a holds no recording")


def test_a_gpu_that_is_not_there(tmp_path):
    done = run("parity.record", "xor_tanh", "--framework", "torch", "--device", "gpu", folder=tmp_path)
    if done.returncode == 0:
        pytest.skip("this machine has a GPU")
    assert done.returncode == 2
    assert done.stderr == "error: --device gpu: torch finds none here (it finds cpu)\n"


def test_a_framework_that_is_not_installed(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(name='torch')")
    done = run("parity.record", "xor_tanh", "--framework", "torch", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: torch is not installed: pip install torch\n"


def test_a_framework_that_fails_to_load(tmp_path):
    (tmp_path / "torch.py").write_text("import os; print('the last words'); os.abort()")
    done = run("parity.run", "xor_tanh", "--steps", 10, "--out", "out", folder=tmp_path)
    assert done.returncode == 4
    assert done.stderr == "error: the torch worker was killed by SIGABRT\n  torch: the last words\n"
    assert recording.read(tmp_path / "out/tf").manifest.status == "complete"


def test_interruption(tmp_path):
    """SIGTERM while training: status 130 soon, recordings that say so, no process left behind."""
    command = [sys.executable, "-m", "parity.run", "xor_tanh", "--out", "out"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    manifests = [tmp_path / "out" / side / recording.MANIFEST for side in ("tf", "torch")]
    wait_for(lambda: all(path.exists() for path in manifests))
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted\n"
    assert [json.loads(path.read_text())["status"] for path in manifests] == ["interrupted", "interrupted"]
    assert running_in(tmp_path) == []
    done = run("parity.compare", "out/tf", "out/torch", folder=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "status: interrupted" in done.stderr
