"""The pytest plugin, as a suite uses it: in processes of its own, with and without xdist."""

import os
import subprocess
import sys

import pytest
from own_pairs import PAIRS

TESTS = """
def test_port(parity_check):
    parity_check("my_keras.py", "my_torch.py", data="data.py")


def test_torch_alone(parity_golden):
    parity_golden(keras="my_keras.py", torch="my_torch.py", checks="torch", data="data.py")
"""


def suite(folder, *arguments):
    """pytest in a folder, with the plugin of this checkout, whether it is installed or not."""
    called = [sys.executable, "-m", "pytest", "-q", "-p", "parity.plugin", "-p", "xdist", "-p", "no:cacheprovider"]
    place = ["--basetemp", str(folder.parent / f"{folder.name}-temporary")]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([*called, *place, *arguments], cwd=folder, capture_output=True, text=True, env=environment)


@pytest.fixture
def project(tmp_path):
    """A folder with a pair and its tests."""
    folder = tmp_path / "project"
    paths = PAIRS["flatten"].write(folder)
    (folder / "test_net.py").write_text(TESTS)
    return folder, paths["torch"]


def test_loading_it_imports_nothing_large():
    code = "import sys\nbefore = {*sys.modules}\nimport pytest\nfirst = {*sys.modules}\nimport parity.plugin\n"
    code += "print(sorted({name.split('.')[0] for name in {*sys.modules} - first}))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['parity']"


def test_a_golden_that_is_missing_fails_with_the_line_that_makes_it(project):
    """Also a request that cannot be carried out is one line, without any framework."""
    folder, _ = project
    (folder / "test_net.py").write_text(
        TESTS + "\n\ndef test_typo(parity_check):\n    parity_check('no.py', 'my_torch.py', data='data.py')\n"
        "\n\ndef test_none(parity_golden):\n    parity_golden(data='data.py')\n"
    )
    done = suite(folder, "-k", "not port")
    assert done.returncode == 1
    assert "python -m pytest 'test_net.py::test_torch_alone' --parity-update" in done.stdout
    assert "no.py: there is no such file" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.ci
def test_from_a_pair_to_a_golden_that_finds_drift(project):
    """Recorded with both frameworks under xdist, then without Keras's file at all."""
    folder, torch = project
    done = suite(folder, "-n", "2", "--parity-update")
    assert done.returncode == 0, done.stdout
    (golden,) = folder.rglob("*.golden")
    assert f"{golden}: recorded, " in done.stdout
    (folder / "my_keras.py").unlink()
    text = torch.read_text()
    torch.write_text(text.replace("x = x.permute(0, 2, 3, 1)", "x = x.permute(0, 2, 3, 1) + 1e-9"))
    done = suite(folder, "-n", "2")
    assert done.returncode == 1
    assert "first in eval/flatten" in done.stdout, done.stdout
    assert "During handling" not in done.stdout
    assert "my_keras.py: there is no such file" in done.stdout
    assert "2 failed" in done.stdout


@pytest.mark.slow
def test_an_update_says_what_moved_and_takes_no_wrong_port(project):
    folder, torch = project
    assert suite(folder, "--parity-update").returncode == 0
    (golden,) = folder.rglob("*.golden")
    before = golden.read_bytes()
    assert suite(folder).returncode == 0
    text = torch.read_text()
    torch.write_text(text.replace("x = x.permute(0, 2, 3, 1)", "x = 1.5 * x.permute(0, 2, 3, 1)"))
    done = suite(folder, "-k", "alone", "--parity-update")
    assert done.returncode == 1
    assert "is not recorded, since the pair is not one computation\nmismatch: Keras and torch part first" in done.stdout
    assert golden.read_bytes() == before
    keras = (folder / "my_keras.py").read_text()
    (folder / "my_keras.py").write_text(keras.replace("SGD(0.1)", "SGD(0.2)"))
    torch.write_text(text.replace("SGD(parameters, 0.1)", "SGD(parameters, 0.2)"))
    done = suite(folder, "-k", "alone", "--parity-update")
    assert done.returncode == 0, done.stdout
    assert "recorded anew, " in done.stdout
    assert "tensors moved: step/" in done.stdout
