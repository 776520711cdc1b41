"""The Python interface: what `import parity` offers, settings that are the commands' options, and the Report."""

import json
import pkgutil
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import get_type_hints

import pytest
from commands import run
from rich.console import Console
from test_bad_input import HELP, USAGE_ERRORS

import parity
from parity import record
from parity import run as run_command
from parity.commands import keywords
from parity.commands.entry import COMMANDS
from parity.differences import DIFFERENCES
from parity.errors import IncomparableError, UsageError
from parity.experiment.experiments import EXPERIMENTS
from parity.report.value import Report
from parity.verdict import Verdict

ROOT = Path(__file__).parents[1]
# What every import may take, of which the interface is to be little.
SECONDS = 0.15


def python(code, folder):
    """What a script prints that begins with nothing imported."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_is_quick_and_loads_nothing(tmp_path):
    code = (
        "import sys, time\nbegan = time.perf_counter()\nimport parity\n"
        "print(time.perf_counter() - began, *{'numpy', 'rich', 'tensorflow', 'keras', 'torch'} & {*sys.modules})"
    )
    took = [python(code, tmp_path).split() for _ in range(3)]
    assert all(len(words) == 1 for words in took), took
    assert min(float(words[0]) for words in took) < SECONDS


def test_names_are_there_and_clash_with_no_module():
    """A module that is imported takes the place of a function of its name."""
    modules = {module.name for module in pkgutil.iter_modules(parity.__path__)}
    assert set(COMMANDS) <= modules
    assert set(parity.__all__) & modules == {"errors"}
    for name in parity.__all__:
        assert getattr(parity, name).__doc__, name
    assert dir(parity) == sorted(parity.__all__)
    assert set(parity.SOURCES) == set(parity.__all__) - {"errors", "__version__"}
    with pytest.raises(AttributeError, match="module 'parity' has no attribute 'run_experimant'"):
        parity.run_experimant  # noqa: B018


def test_types_are_declared():
    assert (ROOT / "parity/py.typed").exists()
    for name in ("run_experiment", "record_experiment", "compare_recordings", "explain_difference"):
        assert "return" in get_type_hints(getattr(parity, name)), name
        assert "Raises UsageError" in getattr(parity, name).__doc__, name


PARSERS = {run_command: keywords.RunSettings, record: keywords.RecordSettings}


@pytest.mark.parametrize("command", PARSERS, ids=lambda command: command.__name__)
def test_every_option_can_be_given(command):
    """Under the name that its value has; the framework of a recording is an argument of its own."""
    options = set(command.parser().options) - {"framework"}
    assert options == set(PARSERS[command].__annotations__) | set(keywords.Settings.__annotations__)


GIVEN = [
    ("--epochs 3 --batch-size 50 --lr 1e-05 --seed 7", {"epochs": 3, "batch_size": 50, "lr": 1e-5, "seed": 7}),
    ("--keep-last-batch --quiet --no-figures", {"keep_last_batch": True, "quiet": True, "no_figures": True}),
    ("", {"keep_last_batch": False, "optimizer": None}),
    ("--choice tf:constants=exact", {"choice": "tf:constants=exact"}),
    ("--choice a=b --choice tf:c=d", {"choice": ["a=b", "tf:c=d"]}),
    ("--checkpoints 4", {"checkpoints": 4}),
    ("--checkpoints 0,300,", {"checkpoints": (0, 300)}),
    ("--checkpoints 5,", {"checkpoints": [5]}),
    ("--checkpoints 0,20-22,9", {"checkpoints": (0, 20, 21, 22, 9)}),
    ("--data there --out here", {"data": Path("there"), "out": "here"}),
    ("--clip norm:0.5 --init normal:0.05", {"clip": "norm:0.5", "init": "normal:0.05"}),
]


@pytest.mark.parametrize(("typed", "settings"), GIVEN, ids=[typed or "nothing" for typed, _ in GIVEN])
def test_settings_are_the_options(typed, settings):
    parser = run_command.parser()
    assert keywords.parsed(parser, ["xor_tanh"], settings) == parser.parse_args(["xor_tanh", *typed.split()])


def as_settings(arguments):
    """The options of a command line as settings."""
    words = iter(arguments)
    return {word.removeprefix("--").replace("-", "_"): next(words) for word in words}


# Those that are an experiment and options that the interface has.
BAD = {
    case: (arguments[0], as_settings(arguments[1:]), message)
    for case, (arguments, message) in USAGE_ERRORS.items()
    # Python's own MemoryError is no message of this program; --raw-test-pixels is a flag, --epoch no option.
    if isinstance(arguments, list) and arguments and case not in ("absurd", "raw words", "option")
}


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_raise_what_the_command_says(case, tmp_path, monkeypatch):
    name, settings, message = BAD[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        parity.run_experiment(name, **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.1}, "unknown setting 'learning_rate'; did you mean "),
        ({"quiet": "yes"}, "quiet must be True or False, not 'yes'"),
        ({"seed": "--quiet"}, f"argument --seed: invalid int value: '--quiet' {HELP}"),
        ({"out": "runs/\udcff"}, "'--out=runs/\\udcff' holds bytes that are no text"),
    ],
)
def test_settings_that_no_command_line_has(settings, message):
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        parity.run_experiment("xor_tanh", **settings)


@pytest.fixture(scope="module")
def mismatch(tmp_path_factory):
    """A run of two other Adams, by a script that prints its report, and the folder it is in."""
    folder = tmp_path_factory.mktemp("mismatch")
    code = (
        "import parity\nreport = parity.run_experiment('mnist_softmax', steps=3, checkpoints=2, verdict='quick',\n"
        "    choice='tf:adam_epsilon=before_correction', out='pair', no_figures=True, quiet=True)\n"
        "assert not report and report.folder.name == 'pair'\nprint(report)\n"
    )
    return python(code, folder), folder


def test_a_run_prints_as_the_command_does(mismatch):
    printed, folder = mismatch
    done = run("parity.compare", "pair", folder=folder)
    assert done.returncode == 1
    # The cause, which the first line names, is sought while the frameworks run.
    ours, theirs = (text.partition("\ndiagnosis: ")[0].splitlines() for text in (printed, done.stdout))
    assert ours[1:] == theirs[1:]
    assert "diagnosis: step 0, optimizer: 1 cause\n" in printed
    assert sorted(path.name for path in (folder / "pair").iterdir()) == ["tf", "torch", "verdict.json"]


def test_a_report_says_what_was_found(mismatch):
    _, folder = mismatch
    report = parity.compare_recordings(folder / "pair")
    assert isinstance(report, parity.Report)
    assert repr(report) == "<Report: mismatch, Keras and torch, mnist_softmax>"
    assert (report.verdict, bool(report), report.status) == ("mismatch", False, 1)
    assert [side.label for side in report.recordings] == ["Keras", "torch"]
    assert report.first_divergence.where.startswith("step 0, optimizer, weights/dense_1/")
    assert report.first_divergence.measured > report.first_divergence.bound
    assert [row["side"] for row in report.sides_table()] == ["Keras", "torch"]
    assert {row["level"]: row["result"] for row in report.levels_table()}["lockstep"] == "failed"
    assert len(report.checks_table()) == len(report.checks)
    assert report.checks_table()[0]["name"] == report.checks[0].name
    assert json.loads(report.json())["checks"] == json.loads(json.dumps(report.checks_table()))
    assert (report.causes, report.causes_table()) == ((), [])
    again = parity.compare_recordings(folder / "pair/tf", folder / "pair/torch")
    assert str(again) == str(report)
    alone = parity.compare_recordings(folder / "pair/tf", alone=True)
    assert (bool(alone), len(alone.recordings)) == (True, 1)


def test_recordings_that_cannot_be_compared(mismatch, tmp_path):
    with pytest.raises(UsageError, match="give two recordings, a folder that"):
        parity.compare_recordings(mismatch[1] / "pair/tf")
    with pytest.raises(UsageError, match="holds no recording"):
        parity.compare_recordings(tmp_path, tmp_path)
    damaged = shutil.copytree(mismatch[1] / "pair/tf", tmp_path / "damaged")
    (damaged / "trace.safetensors").write_bytes(b"")
    with pytest.raises(IncomparableError, match=r"trace\.safetensors was changed"):
        parity.compare_recordings(damaged, damaged)


@pytest.fixture(scope="module")
def parting(mismatch):
    """The report on that run, its first failure with a reason that would be markup."""
    report = parity.compare_recordings(mismatch[1] / "pair")
    first, *others = report.checks
    first = replace(first, reason="<script>alert('[red]')</script>: 7 times & more")
    return Report(report.recordings, Verdict.of([first, *others]))


def test_a_notebook_shows_every_value_escaped(parting):
    shown = parting._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;alert(&#x27;[red]&#x27;)&lt;/script&gt;: 7 times &amp; more") == 1
    assert re.sub("&lt;.*?&gt;|<.*?>", "", shown).count("mismatch") == 1
    for level in parting.levels_table():
        assert f">{level['level']}<" in shown
    # What is opened is closed, in order.
    opened = []
    for closing, tag in re.findall(r"<(/?)(\w+)", shown):
        assert not closing or opened.pop() == tag
        opened += [] if closing else [tag]
    assert opened == []


def test_rich_shows_it_in_the_width_of_a_terminal(parting):
    screen = Console(width=70, force_terminal=True, file=StringIO(), record=True)
    screen.print(parting)
    lines = screen.export_text().splitlines()
    assert max(map(len, lines)) <= 70
    assert any(line.startswith("verdict: mismatch") for line in lines)
    assert "alert('[red]')" in "".join(lines)


def test_a_report_writes_itself(parting, tmp_path):
    parting.write(tmp_path)
    parting.draw(tmp_path)
    parting.junit(tmp_path / "checks.xml")
    assert (tmp_path / "verdict.json").read_text() == parting.json()
    assert {path.name for path in tmp_path.iterdir()} == {
        "verdict.json", "checks.xml", "costs.png", "accuracy.png", "flow.png",
    }  # fmt: skip


def test_pictures_leave_a_programs_own_alone(tmp_path):
    """Which it draws by pyplot, in a window or a notebook."""
    code = "import sys, parity.report.figures\nprint('matplotlib.pyplot' in sys.modules)"
    assert python(code, tmp_path) == "False\n"


def test_a_report_of_one_recording_has_no_pictures(mismatch, tmp_path):
    alone = parity.compare_recordings(mismatch[1] / "pair/tf", alone=True)
    alone.draw(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_lists():
    assert list(parity.list_experiments()) == list(EXPERIMENTS)
    assert [entry.id for entry in parity.list_differences()] == list(DIFFERENCES)
    assert len(parity.list_differences("Adam")) == 6
    text = str(parity.explain_difference("adam_epsilon_position", no_run=True))
    assert text.startswith("adam_epsilon_position: Adam adds epsilon before the bias correction in Keras")
    with pytest.raises(UsageError, match="unknown difference 'Adam'; there are adam_epsilon_position, "):
        parity.explain_difference("Adam")
