"""The rules of the house, proven: what imports what, what mirrors what, and that nothing mirrored goes unused."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FRAMEWORKS = {"tensorflow", "keras", "torch", "torchvision", "tensorflow_datasets"}
IMPLEMENTATIONS = {"tf_impl", "torch_impl"}
# Where a module may be imported by name.
BY_NAME = ("parity/worker/serving.py", "parity/ports/worker.py", "parity/commands/entry.py", "parity/__init__.py")
# What of parity an implementation may see: the task and the data, and nothing of what judges it.
VISIBLE = (
    "errors.py", "experiment/spec.py", "experiment/nodes.py", "experiment/optimizers.py", "experiment/randomness.py",
    "data", "models/calls.py", "models/described.py", "models/places.py", "models/trees.py",
)  # fmt: skip
# The arrows: what of parity each room may import besides itself, a room or a file. What runs is apart from what judges,
# and a verdict rests on recordings alone.
ARROWS = {
    "experiment": ("errors.py",),
    "data": ("errors.py", "experiment"),
    "bounds": ("experiment",),
    "steps": ("errors.py", "experiment", "bounds"),
    "recordings": ("errors.py", "experiment", "data", "bounds/measure.py", "steps"),
    "workers": ("errors.py", "experiment", "steps", "recordings"),
    "worker": ("errors.py", "experiment", "data", "bounds", "steps", "recordings", "workers"),
    "differences": ("experiment",),
    "models": ("experiment/validation.py",),
    "pairing": ("errors.py", "models"),
    # Knows nothing of what is compared.
    "page": (),
    "ports": (
        "errors.py", "__init__.py", "experiment", "recordings/files.py", "workers", "worker", "models", "pairing",
        "verdict/checks.py",
        "causes",
        "page",
    ),
    "causes": ("experiment", "bounds", "models", "pairing"),
    "verdict": ("experiment", "bounds", "recordings"),
    # Formulas tell which side is off; workers are asked for replays.
    "diagnosis": ("errors.py", "experiment", "data", "bounds", "recordings", "workers", "differences", "verdict"),
    # The page shows the digits.
    "report": ("experiment", "data/shown.py", "recordings", "verdict", "diagnosis/value.py", "page"),
    # Chapters record and check as the commands do, which hand them the means.
    "book": (
        "experiment", "recordings", "workers", "differences", "ports/report.py", "verdict", "report", "page",
    ),
    "commands": ("errors.py", "__init__.py", "experiment", "data", "recordings", "workers", "worker/replays.py"),
    # The commands themselves, and the Python interface.
    "": (
        "errors.py", "experiment", "data", "recordings", "workers", "differences", "ports", "verdict",
        "diagnosis", "report", "commands", "page", "book",
    ),
    "tf_impl": VISIBLE,
    "torch_impl": VISIBLE,
}  # fmt: skip
# Of the experiment's room: what a spec is made of.
SPEC = ("spec", "nodes", "optimizers", "validation", "patches")
# Where a generator may be named: a framework's own initializers draw where a user asks for them, from seeds of
# randomness.py; a user's own model draws its start as its framework does; a known difference shows a framework's masks;
# beside a live model, the generators of the user's process are put back.
GENERATORS = (
    "parity/experiment/randomness.py",
    "tf_impl/initializers.py",
    "torch_impl/initializers.py",
    "torch_impl/own.py",
    "parity/differences/layers.py",
    "tf_impl/live.py",
)
# Lets Keras's own layers run on torch, as a third opinion; that is no second framework in the process.
WITNESS = "torch_impl/own.py"
# What stands on one side only, and why.
TORCH_FORMULA, KERAS_FORMULA = "torch's formula, a stock class there", "Keras's formula, a stock class there"
ONE_SIDED = {
    "activations.Function": "Keras has a stock layer for any function",
    "activations.TorchPReLU": "torch's formula, which torch has as a stock class",
    "activations.KerasPReLU": "Keras's formula, which Keras has as a stock class",
    "activations.torch_selu": "torch's formula, which torch has as a stock class",
    "activations.keras_selu": "Keras's formula, which Keras has as a stock class",
    "activations.exact_leaky_relu": "Keras's stock layer rounds its slope; torch's does not",
    "activations.exact_gelu": "Keras's stock function rounds its constant; torch's does not",
    "activations.rounded_gelu": "torch's stock class does not round its constant; Keras's does",
    "activations.exact_gelu_tanh": "Keras's stock function rounds its constant; torch's does not",
    "activations.rounded_hard_sigmoid": "Keras's stock function does not round its slope; torch's does",
    "activations.exact_hard_sigmoid": "torch's stock class rounds its slope; Keras's does not",
    "activations.torch_softplus": "torch's formula, which torch has as a stock class; Keras's it has by an argument",
    "capture.Activation": "Keras's layers hold activations of their own",
    "capture.wrap_activation": "Keras's layers hold activations of their own",
    "capture.Functions": "Keras's functions are operations of a graph, which its hook sees",
    "capture.Narrower": "TensorFlow tells of its operations by a callback",
    "capture.Changed": "variants are tried on torch's side",
    "capture.edited": "variants are tried on torch's side",
    "capture.padded": "variants are tried on torch's side",
    "capture.cropped": "variants are tried on torch's side",
    "capture.called_with": "variants are tried on torch's side",
    "modes.Still": "torch's functions can be replaced by a mode",
    "capture.called": "torch's models take several inputs as several arguments",
    "costs.Stock": "torch's functions can be replaced by a mode",
    "costs.changed": "torch's stock losses are functions, and Keras's are objects with settings",
    "costs.alike": "Keras squeezes targets by itself",
    "clipping.clipped_by_norm": "torch's formula, a stock function there",
    "clipping.clip_by_norm": "Keras's formula, a stock method there",
    "live.renewed": "torch's modules are copied as they are, and converted",
    "live.precise": "torch's modules are copied as they are, and converted",
    "layers.TorchBatchNorm": TORCH_FORMULA,
    "layers.KerasBatchNorm1d": KERAS_FORMULA,
    "lbfgs.direction": "torch's formula, which its stock class does itself",
    "lbfgs.dot": "torch's formula, which its stock class does itself",
    "lbfgs.slots": "torch's stock class keeps vectors of all weights together",
    "lbfgs.restore": "torch's stock class keeps vectors of all weights together",
    "losses.clipped": "Keras's clip, which its stock losses do themselves",
    "describe.aliases": "torch's paths are those of attributes",
    "kept.put_slot": "Keras's slots are those that are carried",
    "own.slot_variables": "torch keeps a state for each weight",
    "own.Exact": "torch's functions can be replaced by a mode",
    "own.as_keras": "what an optimizer keeps is told in Keras's terms",
    "own.witness": "Keras has its layers on torch, too; torch has none on TensorFlow",
    "own.has_training": "of the same",
    "own.pooled": "TensorFlow lacks pooling over three axes in float64",
    "own.unrounded": "the part of exact_constants that is about constants, beside that for pooling",
    "describe.plain": "Keras wraps a layer to call it at each time step",
    "optimizers.TorchAdam": TORCH_FORMULA,
    "optimizers.TorchAdamax": TORCH_FORMULA,
    "optimizers.TorchNAdam": TORCH_FORMULA,
    "optimizers.TorchAdagrad": TORCH_FORMULA,
    "optimizers.TorchRMSprop": TORCH_FORMULA,
    "optimizers.epsilon": "Keras's own classes have their default; torch gets it as a number",
    "optimizers.Rprop": "Keras has none",
    "optimizers.ASGD": "Keras has none",
    "optimizers.SparseAdam": "Keras has none",
    "optimizers.add_l2": "torch's stock optimizers take weight decay so",
    "optimizers.KerasFormula": "what the classes below share",
    "optimizers.KerasAdam": KERAS_FORMULA,
    "optimizers.KerasAdamax": KERAS_FORMULA,
    "optimizers.KerasNadam": KERAS_FORMULA,
    "optimizers.KerasAdagrad": KERAS_FORMULA,
    "optimizers.KerasRMSprop": KERAS_FORMULA,
    "optimizers.shrink": "Keras's stock optimizers take weight decay so",
    "optimizers.with_betas": "torch's name for the betas is one for both",
    "optimizers.power": "Keras's own rounding, which its stock classes do themselves",
    "optimizers.through_float32": "Keras's own rounding, which its stock classes do themselves",
    "models.set_training": "torch keeps train and eval mode in the modules; Keras takes it at each call",
    "randomness.shifted": "torch shifts by an operator",
    "runtime.exact": "Keras rounds its constants; torch does not",
    "state.neutral": "the neutral layout is Keras's own; torch's is transposed",
    "state.own": "the neutral layout is Keras's own; torch's is transposed",
    "state.neutral_slot": "the neutral layout is Keras's own; torch's is transposed",
    "state.own_slot": "the neutral layout is Keras's own; torch's is transposed",
    "state.counters": "torch keeps them for each weight; Keras has one counter",
    "state.rate_inside": "Keras keeps the learning rate inside a velocity",
    "state.scaled": "Keras keeps the learning rate inside a velocity",
}


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, at any depth."""
    return imported(path.read_text())


@cache
def imported(text: str) -> set[str]:
    """What `imports` says of a file with this text; copies of a tree differ in one file."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def python_files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def room(root: Path, path: Path) -> str:
    """The room that a file stands in: a folder of parity, "" for parity itself, or an implementation."""
    parts = path.relative_to(root).parts
    if parts[0] != "parity":
        return parts[0]
    return parts[1] if len(parts) > 2 else ""


def defined_in(root: Path, name: str) -> Path:
    """The file that a dotted name of parity is defined in."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = root.joinpath(*parts[:length])
        if place.with_suffix(".py").is_file():
            return place.with_suffix(".py")
        if (place / "__init__.py").is_file():
            return place / "__init__.py"
    raise AssertionError(f"{name} is nowhere")


def may_import(own: str, target: str) -> bool:
    """Whether a file of the room `own` may import the file `target` of parity."""
    parts = target.split("/")
    there, name = parts[0] if len(parts) > 1 else "", parts[-1]
    if there == own:
        return True
    # A room's `__init__` that only says what lives there is imported with each of its modules.
    if name == "__init__.py" and len(ast.parse((ROOT / "parity" / target).read_text()).body) == 1:
        return True
    return any(allowed in (target, there) for allowed in ARROWS[own])


def violations(root: Path) -> list[str]:
    """Every breach of the import rules under `root`."""
    found = []
    for path in sorted((root / "parity").rglob("*.py")):
        for name in roots(imports(path)) & (FRAMEWORKS | IMPLEMENTATIONS):
            found.append(f"{path.name} imports {name}: parity knows no framework")
    for own, other in (("tf_impl", "torch_impl"), ("torch_impl", "tf_impl")):
        for path in sorted((root / own).rglob("*.py")):
            names = imports(path)
            foreign = {"tensorflow", "keras"} if own == "torch_impl" else {"torch", "torchvision"}
            allowed = {"keras"} if f"{own}/{path.name}" == WITNESS else set()
            for name in roots(names) & ({other} | foreign) - allowed:
                found.append(f"{own}/{path.name} imports {name}: a process loads one framework")
    for path in [p for package in ("parity", "tf_impl", "torch_impl") for p in sorted((root / package).rglob("*.py"))]:
        text = path.read_text()
        used = {g for g in ("default_rng", "np.random", "torch.rand", "manual_seed", "tf.random") if g in text}
        for generator in sorted(used | (roots(imports(path)) & {"random", "secrets"})):
            if path.relative_to(root).as_posix() not in GENERATORS:
                found.append(f"{path.name} uses {generator}: randomness originates in randomness.py alone")
    for path in [p for package in ("parity", *IMPLEMENTATIONS) for p in sorted((root / package).rglob("*.py"))]:
        own = room(root, path)
        for name in sorted(name for name in imports(path) if name.startswith("parity.")):
            target = defined_in(root, name)
            if not may_import(own, target.relative_to(root / "parity").as_posix()):
                found.append(f"{path.relative_to(root)} imports {name}, which it may not see")
    for path in sorted((root / "parity").rglob("*.py")):
        if "import_module" in path.read_text() and path.relative_to(root).as_posix() not in BY_NAME:
            found.append(
                f"{path.name} imports by name: only the worker does, commands their module, and the package lazily"
            )
    standard = sys.stdlib_module_names
    for module in SPEC:
        for name in roots(imports(root / "parity" / "experiment" / f"{module}.py")) - set(standard) - {"parity"}:
            found.append(f"{module}.py imports {name}: a spec needs the standard library only")
    return found


def test_import_rules():
    assert violations(ROOT) == []


def test_every_arrow_is_used():
    used = set()
    for path in [p for package in ("parity", *IMPLEMENTATIONS) for p in python_files(package)]:
        for name in (name for name in imports(path) if name.startswith("parity.")):
            target = defined_in(ROOT, name).relative_to(ROOT / "parity").as_posix()
            used |= {(room(ROOT, path), target), (room(ROOT, path), target.split("/")[0])}
    assert {(own, target) for own, targets in ARROWS.items() for target in targets} <= used


@pytest.mark.parametrize(
    ("file", "line", "breach"),
    [
        ("parity/verdict/lockstep.py", "import torch", "parity knows no framework"),
        ("parity/report/console.py", "from tf_impl.train import predict", "parity knows no framework"),
        ("tf_impl/losses.py", "import torch", "a process loads one framework"),
        ("torch_impl/losses.py", "from tf_impl import losses", "a process loads one framework"),
        ("torch_impl/train.py", "from parity.verdict import judge", "which it may not see"),
        ("tf_impl/replay.py", "from parity.diagnosis import diagnose", "which it may not see"),
        ("tf_impl/layers.py", "x = tf.random.normal([1])", "randomness originates"),
        ("torch_impl/randomness.py", "torch.manual_seed(1)", "randomness originates"),
        ("parity/experiment/initializers.py", "x = np.random.normal()", "randomness originates"),
        ("parity/verdict/outcome.py", "from parity.worker import serving", "which it may not see"),
        ("parity/experiment/spec.py", "from parity.bounds import sums", "which it may not see"),
        ("parity/data/digits.py", "from parity.recordings import files", "which it may not see"),
        ("parity/bounds/sums.py", "from parity.steps import phases", "which it may not see"),
        ("parity/steps/layout.py", "from parity.recordings import recording", "which it may not see"),
        ("parity/recordings/recording.py", "from parity.bounds import sums", "which it may not see"),
        ("parity/workers/job.py", "from parity.worker import task", "which it may not see"),
        ("parity/worker/task.py", "from parity.verdict import checks", "which it may not see"),
        ("parity/differences/text.py", "from parity.diagnosis import value", "which it may not see"),
        ("parity/models/described.py", "from parity.diagnosis import value", "which it may not see"),
        ("parity/diagnosis/given.py", "from parity.report import console", "which it may not see"),
        ("parity/report/console.py", "from parity.diagnosis import replay", "which it may not see"),
        ("parity/commands/options.py", "from parity.worker import task", "which it may not see"),
        ("parity/run.py", "from parity.worker import task", "which it may not see"),
        ("torch_impl/data.py", "from parity.recordings import recording", "which it may not see"),
        ("parity/experiment/spec.py", "import numpy", "standard library only"),
        ("tf_impl/train.py", "from parity.worker.training import record", "which it may not see"),
        ("parity/report/console.py", "importlib.import_module('torch')", "only the worker does"),
    ],
)
def test_import_rules_find_a_planted_breach(file, line, breach, tmp_path):
    copy_sources(tmp_path)
    path = tmp_path / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    found = violations(tmp_path)
    assert len(found) in (1, 2)  # "from a import b" names a and a.b
    assert all(breach in text for text in found)


def copy_sources(target: Path) -> None:
    for package in ("parity", "tf_impl", "torch_impl"):
        for path in python_files(package):
            copy = target / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text())


def definitions(folder: Path) -> dict[str, list[str]]:
    """Functions and classes by "module.name", with a function's argument names."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                found[f"{path.stem}.{node.name}"] = [argument.arg for argument in node.args.args]
            elif isinstance(node, ast.ClassDef):
                found[f"{path.stem}.{node.name}"] = []
    return found


def asymmetries(root: Path) -> list[str]:
    """Every file, function or argument that one side has and the other has not."""
    files = [{path.name for path in (root / side).glob("*.py")} for side in ("tf_impl", "torch_impl")]
    found = [f"{name} stands on one side only" for name in sorted(files[0] ^ files[1])]
    ours, theirs = definitions(root / "tf_impl"), definitions(root / "torch_impl")
    found += [f"{name} stands on one side only" for name in sorted(set(ours) ^ set(theirs)) if name not in ONE_SIDED]
    found += [
        f"{name} takes {ours[name]} in tf_impl and {theirs[name]} in torch_impl"
        for name in sorted(set(ours) & set(theirs))
        if ours[name] != theirs[name]
    ]
    return found


def test_both_sides_hold_the_same_functions():
    assert asymmetries(ROOT) == []


def test_the_exceptions_are_still_needed():
    names = {*definitions(ROOT / "tf_impl"), *definitions(ROOT / "torch_impl")}
    both = set(definitions(ROOT / "tf_impl")) & set(definitions(ROOT / "torch_impl"))
    assert set(ONE_SIDED) <= names - both


@pytest.mark.parametrize(
    ("old", "new", "asymmetry"),
    [
        ("def tested(", "def judged(", "train.judged stands on one side only"),
        ("data: OnDevice, identity", "digits: OnDevice, identity", "train.evaluate takes"),
    ],
)
def test_the_mirror_test_finds_a_planted_difference(old, new, asymmetry, tmp_path):
    copy_sources(tmp_path)
    path = tmp_path / "torch_impl" / "train.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert any(asymmetry in found for found in asymmetries(tmp_path))


def test_the_mirror_test_finds_a_missing_file(tmp_path):
    copy_sources(tmp_path)
    (tmp_path / "tf_impl" / "losses.py").unlink()
    assert "losses.py stands on one side only" in asymmetries(tmp_path)


@pytest.mark.ci
@pytest.mark.parametrize("side", ["tf", "torch"])
def test_every_function_is_executed(side, tmp_path):
    """Each function of a side runs in some job of tests/executed.py."""
    script = ROOT / "tests" / "executed.py"
    done = subprocess.run([sys.executable, script, side, tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    executed = set(json.loads(done.stdout.splitlines()[-1]))
    defined = definitions(ROOT / f"{side}_impl")
    functions = {name for name in defined if name.split(".")[1].islower()}
    # These need the real files, with which tests/test_mnist.py executes them.
    assert functions - executed == {"data.mnist", "data.make_mnist", "data.read_mnist"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["parity"],
        ["parity.run", "--help"],
        ["parity.record", "--help"],
        ["parity.compare", "--help"],
        ["parity.explain", "adam_epsilon_position", "--no-run"],
    ],
)
def test_no_framework_is_loaded(arguments):
    """These commands work, and import none of the frameworks although they are installed."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = {arguments!r}\n"
        "try:\n"
        f"    runpy.run_module({arguments[0]!r}, run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"assert not set(sys.modules) & {FRAMEWORKS | IMPLEMENTATIONS | {'matplotlib'}!r}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "mnist_relu" in done.stdout
