"""How commands begin and end: readers that leave, requests to stop while modules load, libraries that are missing.

Real processes and real pipes.
"""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from commands import command, run, start, wait_for
from conftest import shortened

from parity.commands.entry import COMMANDS, LIBRARIES
from parity.recordings import recording
from parity.workers.job import RecordJob

# In place of a library: it says that it is being imported, and takes its time.
SLOW = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(1000)\n"
# The same, which makes another exception of what comes meanwhile.
STUBBORN = f"try:\n    {SLOW.replace(chr(10), '; ')}\nexcept BaseException:\n    raise ImportError('so be it')\n"


@pytest.fixture(scope="module")
def versions(workers, tmp_path_factory):
    """Recordings DIR/tf and DIR/torch, which have parity, and DIR/other, which has not; as parity.matrix finds them."""
    folder, experiment = tmp_path_factory.mktemp("versions"), shortened("mnist_softmax", 3)
    for version, side, changes in (
        ("tf", "tf", {}), ("torch", "torch", {}), ("other", "torch", {"adam_epsilon": "before_correction"}),
    ):  # fmt: skip
        realisation = replace(getattr(experiment, side), **changes)
        job = RecordJob("test", experiment.identity, realisation, "cpu", folder / version / "softmax")
        workers[side].record(job, lambda done, steps: None)
    return folder


def unread(module, *arguments, folder, errors=False, options=()):
    """A command whose standard output, and with `errors` standard error, goes to a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    called = command(module, *arguments)
    called[1:1] = options
    done = subprocess.run(called, cwd=folder, stdout=writer, stderr=writer if errors else subprocess.PIPE, text=True)
    os.close(writer)
    return done.returncode, done.stderr or ""


ENDS = [
    ("parity", 0),
    ("parity.run --help", 0),
    ("parity.record --help", 0),
    ("parity.published --help", 0),
    ("parity.explain", 0),
    ("parity.explain --markdown", 0),
    ("parity.compare tf/softmax torch/softmax", 0),
    ("parity.compare tf/softmax torch/softmax --quiet", 0),
    ("parity.compare --alone tf/softmax", 0),
    ("parity.compare torch/softmax other/softmax", 1),
    ("parity.matrix .", 1),
]


@pytest.mark.parametrize(("called", "status"), ENDS, ids=[called for called, _ in ENDS])
def test_nobody_reads(called, status, versions):
    """The verdict's own status, and no word of the pipe; also where nobody reads what goes wrong."""
    for errors in (False, True):
        assert unread(*called.split(), folder=versions, errors=errors) == (status, "")


def test_a_reader_that_takes_one_line(versions):
    for module, *arguments in (["parity.compare", "tf/softmax", "torch/softmax"], ["parity.explain", "--markdown"]):
        line = f"{' '.join(command(module, *arguments))} | head -1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], cwd=versions, capture_output=True, text=True)
        assert (done.stdout.splitlines()[-1], done.stderr) == ("0", "")
        assert len(done.stdout.splitlines()) == 2


def test_without_a_buffer_nobody_reads_either(versions):
    assert unread("parity.compare", "torch/softmax", "other/softmax", folder=versions, options=["-u"]) == (1, "")


def test_what_goes_wrong_is_read_by_nobody(tmp_path):
    """The status says it all the same."""
    assert unread("parity.compare", "a", "b", folder=tmp_path, errors=True) == (2, "")


def test_a_run_that_nobody_reads_is_whole(tmp_path):
    options = ["mnist_softmax", "--steps", 5, "--checkpoints", 2]
    assert unread("parity.run", *options, "--out", "out", folder=tmp_path, errors=True) == (0, "")
    written = {"tf", "torch", "verdict.json", "report.html", "costs.png", "accuracy.png", "flow.png", "noise.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == written
    assert unread("parity.record", *options, "--framework", "torch", "--out", "o", folder=tmp_path) == (0, "")
    assert recording.read(tmp_path / "o").manifest.status == "complete"


def test_a_full_standard_output_loses_no_file(versions, tmp_path):
    """What cannot be printed is told in the end, when all else is written."""
    called = command("parity.compare", versions / "tf/softmax", versions / "torch/softmax", "--out", "out")
    with open("/dev/full", "w") as full:
        done = subprocess.run(called, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: [Errno 28] No space left on device\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "verdict.json", "report.html", "costs.png", "accuracy.png", "flow.png",
    }  # fmt: skip


@pytest.mark.parametrize(("closed", "status", "said"), [
    (">&-", 2, "error: [Errno 9] Bad file descriptor\n"),
    ("2>&-", 1, ""),
    ("<&-", 1, ""),
    (">&- 2>&- <&-", 2, ""),
])  # fmt: skip
def test_streams_that_are_closed(closed, status, said, versions):
    """No file that is opened gets the number of such a stream, and what is printed."""
    line = f"{' '.join(command('parity.compare', 'torch/softmax', 'other/softmax', '--quiet'))} {closed}"
    done = subprocess.run(["bash", "-c", line], cwd=versions, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, said)


@pytest.mark.parametrize("library", ["numpy", "rich"])
@pytest.mark.parametrize("content", [SLOW, STUBBORN], ids=["slow", "stubborn"])
@pytest.mark.parametrize("request_to_stop", [signal.SIGINT, signal.SIGTERM])
def test_interruption_while_modules_load(library, content, request_to_stop, tmp_path):
    (tmp_path / f"{library}.py").write_text(content)
    process = start("parity.compare", "a", "b", folder=tmp_path)
    wait_for((tmp_path / "begun").exists)
    process.send_signal(request_to_stop)
    _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (130, "interrupted\n")


@pytest.mark.ci
def test_interruption_at_any_moment(versions, tmp_path):
    """From the first imports on: before, Python itself is starting."""
    stub = "import pathlib\npathlib.Path('begun').touch()\nuser_cache_path = pathlib.Path\n"
    (tmp_path / "platformdirs.py").write_text(stub)
    for hundredths in range(0, 50, 3):
        process = start("parity.compare", versions / "tf/softmax", versions / "torch/softmax", folder=tmp_path)
        wait_for((tmp_path / "begun").exists, pause=0.001)
        time.sleep(hundredths / 100)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=5)
        assert (process.returncode, errors) in [(130, "interrupted\n"), (0, "")], hundredths
        (tmp_path / "begun").unlink()


BROKEN = [
    ("numpy", "raise ModuleNotFoundError(name='numpy')", "numpy is not installed: pip install numpy"),
    ("rich", "import nowhere", "rich cannot be imported (ModuleNotFoundError: No module named 'nowhere'); install it"
     " again: pip install --force-reinstall rich"),
    ("pydantic", "raise SystemError('another\\nversion')", "pydantic cannot be imported (SystemError: another version);"
     " install it again: pip install --force-reinstall pydantic"),
]  # fmt: skip


@pytest.mark.parametrize(("library", "content", "said"), BROKEN, ids=[library for library, *_ in BROKEN])
def test_a_library_that_cannot_be_imported(library, content, said, tmp_path):
    (tmp_path / f"{library}.py").write_text(content)
    done = subprocess.run(command("parity.compare", "a", "b"), cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {said}\n")


def test_a_library_that_is_imported_late(versions, tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('libfreetype.so.6')")
    sides = versions / "tf/softmax", versions / "torch/softmax"
    called = command("parity.compare", *sides, "--quiet", "--out", "out")
    done = subprocess.run(called, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "verdict: parity (quick: trajectory and outcome not judged)\n")
    assert done.stderr.startswith("error: matplotlib cannot be imported (ImportError: libfreetype.so.6); install it")
    assert done.stderr.count("\n") == 1


def test_an_import_that_fails_by_our_own_fault(tmp_path):
    code = "import parity.recordings.files; del parity.recordings.files.write_whole"
    done = run("parity.compare", "a", "b", folder=tmp_path, code=code)
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("ImportError: cannot import name 'write_whole'")


def test_the_list_needs_no_library(tmp_path):
    """Each takes longer to be imported than the list to be printed."""
    code = f"import sys\nfor name in {LIBRARIES!r}: sys.modules[name] = None"
    done = run("parity", folder=tmp_path, code=code)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(option, tmp_path):
    done = run("parity", option, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")] == list(COMMANDS)
    said = run("parity", "runn", folder=tmp_path)
    message = f"error: there are the commands {', '.join(COMMANDS)}; try python -m parity run runn\n"
    assert (said.returncode, said.stderr) == (2, message)


@pytest.fixture
def console_script(tmp_path):
    """A function (*arguments, **options) that runs the console script, installed in a folder of its own."""
    script = tmp_path / "bin/keras-torch-parity"
    script.parent.mkdir()
    script.write_text("import sys\nfrom keras_torch_parity import main\nsys.exit(main())\n")
    return lambda *arguments, **options: subprocess.run(
        [sys.executable, script, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path, **options
    )


def test_the_console_script_is_the_commands(console_script, versions):
    listed = console_script()
    assert (listed.returncode, listed.stdout) == (0, run("parity", folder=versions).stdout)
    assert console_script("--help").stdout.startswith("usage: keras-torch-parity [COMMAND ...]")
    assert console_script("record", "--help").stdout.startswith("usage: parity.record ")
    done = console_script("compare", versions / "torch/softmax", versions / "other/softmax", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (
        1, "verdict: mismatch (quick: trajectory and outcome not judged)\n", ""
    )  # fmt: skip


def test_packages_of_the_same_names_are_not_taken_for_these(console_script, tmp_path):
    """Neither by the console script nor by the processes that it starts, wherever the path begins."""
    for name in ("parity", "tf_impl", "torch_impl"):
        (tmp_path / f"{name}.py").write_text("import pathlib\npathlib.Path('executed').touch()\nraise SystemExit(1)\n")
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    options = ["--framework", "torch", "--steps", 2, "--checkpoints", 1, "--verdict", "quick", "--out", "out"]
    done = console_script("record", "xor_tanh", *options, env=os.environ | {"PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "executed").exists()
    assert recording.read(tmp_path / "out").manifest.status == "complete"


def test_little_precedes_the_answer_to_a_request_to_stop():
    """These take as long to be imported as Python takes to start."""
    code = "import sys, parity.commands.entry; print({'typing', 'dataclasses'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "set()\n", "")


def test_libraries_are_those_that_the_package_names():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["report"], "filelock"]
    assert sorted(re.split("[>=]", line)[0] for line in named) == list(LIBRARIES)
