"""What pip installs: a wheel with everything in it, the README's lines of Python, and the console script."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("parity", "tf_impl", "torch_impl")
# As `import parity` finds what is installed, and not this checkout.
PLACE = "installed"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from what git would hand out, so that nothing of an earlier build joins it."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES, "*.py", "pyproject.toml",
         "README.md", "LICENSE"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        if (ROOT / name).exists():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An empty folder, and the environment of a program that finds the wheel's packages and the libraries here."""
    folder = tmp_path_factory.mktemp("place")
    pip("install", "--no-deps", "--target", folder / PLACE, wheel)
    (folder / "empty").mkdir()
    return folder / "empty", os.environ | {"PYTHONPATH": str(folder / PLACE)}


def pip(*arguments):
    """Offline."""
    called = [sys.executable, "-m", "pip", *map(str, arguments), "--no-index", "--quiet"]
    done = subprocess.run(called, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def readme_lines():
    """The README's lines of Python."""
    (block,) = re.findall(r"<!-- tests/test_wheel.py -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    return block


def test_the_readme_shows_ten_lines():
    code = readme_lines()
    compile(code, "README.md", "exec")
    assert len([line for line in code.splitlines() if line]) <= 10


@pytest.mark.ci
def test_the_wheel_holds_every_module(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        assert {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")} <= held
    assert {"parity/py.typed", "keras_torch_parity.py", "parity/data/embedded/LICENSE.md"} <= held
    assert not [name for name in held if name.startswith(("tests/", "benchmarks/"))]


@pytest.mark.ci
def test_the_readmes_python_from_an_empty_folder(installed):
    folder, environment = installed
    code = f"{readme_lines()}\nimport sys\nprint(parity.__file__, file=sys.stderr)\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"{folder.parent / PLACE / 'parity/__init__.py'}\n"
    lines = done.stdout.splitlines()
    assert "Adam adds epsilon before the bias correction in Keras, after it in torch" in done.stdout
    assert any(re.fullmatch(r"mismatch step 0, optimizer, .*\] \['adam_epsilon'\]", line) for line in lines)
    assert "lockstep failed" in lines
    assert any(line.startswith("mismatch adam_epsilon_position: Adam adds epsilon before") for line in lines)
    assert [path.name for path in folder.iterdir()] == ["pair"]


@pytest.mark.ci
def test_the_readmes_test_in_an_empty_project(installed, tmp_path):
    """The plugin is found by its entry point alone, and the port that --new writes is right; then it is not."""
    _, environment = installed
    (code,) = re.findall(r"a test -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "test_port.py").write_text(code)
    new = [sys.executable, "-m", "parity.check", "--new", "."]
    subprocess.run(new, cwd=tmp_path, env=environment, capture_output=True, check=True)

    def tested():
        called = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        return subprocess.run(called, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    done = tested()
    assert "1 passed" in done.stdout, done.stdout
    side = tmp_path / "my_torch.py"
    side.write_text(side.read_text().replace("BatchNorm2d(5)", "BatchNorm2d(5, eps=1e-4)"))
    done = tested()
    assert "mismatch: Keras and torch part first at batch_normalization ~ norm, forward" in done.stdout, done.stdout
    assert "1 failed" in done.stdout


@pytest.mark.ci
def test_the_console_script(installed):
    folder, environment = installed
    script = folder.parent / PLACE / "bin/keras-torch-parity"
    for arguments, said in (
        (["--help"], "usage: keras-torch-parity"),
        (["explain", "adam_epsilon_position", "--no-run"], "Adam adds epsilon before the bias correction in Keras"),
    ):
        done = subprocess.run([script, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
        assert (done.returncode, said in done.stdout) == (0, True), done.stderr


def test_every_folder_is_a_package():
    """Which the wheel takes from a list in pyproject.toml."""
    packages = re.search(r"packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.S)[1]
    listed = set(re.findall(r'"([\w.]+)"', packages))
    for package in PACKAGES:
        folders = {path.parent.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")}
        assert {".".join(folder.parts) for folder in folders} <= listed
