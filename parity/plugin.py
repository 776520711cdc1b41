"""A pytest plugin, installed with the package: tests that two models are one computation, and goldens of one of them.

    def test_port(parity_check):
        parity_check("my_keras.py", "my_torch.py", data="data.py")

    def test_torch_alone(parity_golden):
        parity_golden(torch="my_torch.py", keras="my_keras.py", data="data.py", checks="torch")

No framework is imported in pytest's process: each runs in one of its own, which serves all tests of a session.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from parity import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Literal

    from parity.ports.report import Report
    from parity.suite import Suite

    Source = str | Path | Callable[..., Any]
    Check = Callable[..., Report]
    Golden = Callable[..., None]

FOLDER, ENDING, SAID = "goldens", ".golden", "parity"
# Settings that name files.
FILES = ("keras", "torch", "data", "inputs", "map", "save_weights")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's only option."""
    group = parser.getgroup("parity", "keras-torch-parity")
    group.addoption("--parity-update", action="store_true", help="record goldens anew, and print what moved")


@pytest.fixture(scope="session")
def _parity_suite() -> Iterator[Suite]:
    """The frameworks' processes, each started when a test first needs it."""
    # Imported late, as all else: a suite that does not use the fixtures pays nothing.
    from parity.suite import Suite

    with Suite() as suite:
        yield suite


@pytest.fixture
def parity_check(
    request: pytest.FixtureRequest, _parity_suite: Suite, tmp_path_factory: pytest.TempPathFactory
) -> Check:
    """A function (keras, torch, **settings) that fails the test unless the two are the same computation.

    Sides and settings are those of `parity.check_models`; paths may be relative to the test's file. It returns the
    report, whose folder lies among pytest's temporary ones.
    """

    def check(keras: Source, torch: Source, **settings: Any) -> Report:
        __tracebackhide__ = True
        folder = tmp_path_factory.mktemp("parity")
        with failures():
            given = found(request.path.parent, {"keras": keras, "torch": torch, **settings})
            report = _parity_suite.checked(folder, **given)
        if not report:
            pytest.fail(str(report), pytrace=False)
        return report

    return check


@pytest.fixture
def parity_golden(
    request: pytest.FixtureRequest, _parity_suite: Suite, tmp_path_factory: pytest.TempPathFactory
) -> Golden:
    """A function that fails the test unless one side does what its golden has, which a file beside the tests keeps.

    Give one side, torch= or keras=, or both and which one `checks`: then the golden is only recorded where both are
    found to be the same computation, and afterwards the other framework need not be installed. `data`, `inputs`,
    `shapes`, `samples` and `steps` are those of `parity.check_models`, and are read when the golden is recorded; `name`
    is for a test with several goldens. With --parity-update it is recorded.
    """

    def golden(
        *,
        keras: Source | None = None,
        torch: Source | None = None,
        checks: Literal["keras", "torch"] | None = None,
        name: str = "",
        **settings: Any,
    ) -> None:
        __tracebackhide__ = True
        folder = tmp_path_factory.mktemp("parity")
        file = golden_file(request.node, name)
        with failures():
            given = found(request.path.parent, {"keras": keras, "torch": torch, **settings})
            if request.config.getoption("--parity-update"):
                said = _parity_suite.golden_recorded(file, folder, checks, **given)
                request.node.user_properties.append((SAID, said))
                return
            again = f"python -m pytest '{request.node.nodeid}' --parity-update"
            if not file.is_file():
                pytest.fail(f"there is no golden {file}; record it, and keep it:\n  {again}", pytrace=False)
            failure, warning = _parity_suite.golden_checked(file, folder, checks, **given)
        if failure:
            pytest.fail(f"{failure}\n  if it is meant: {again}", pytrace=False)
        if warning:
            request.node.warn(pytest.PytestWarning(warning))

    return golden


def golden_file(node: pytest.Item, name: str) -> Path:
    """Where a test's golden lies: in a folder beside its file, by the test's name and the golden's own, if any."""
    called = f"{node.name}-{name}" if name else node.name
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in called)
    return node.path.parent / FOLDER / node.path.stem / f"{plain}{ENDING}"


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Fail the test by a message in place of a traceback, where what was asked for cannot be done."""
    from parity.errors import ParityError

    try:
        yield
    except ParityError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def found(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, their files looked for in the test's folder first."""
    return {name: beside(folder, value) if name in FILES else value for name, value in settings.items()}


def beside(folder: Path, value: Any) -> Any:
    """A path, or "file.py:function", as it is found from the test's folder, if it is there."""
    if not isinstance(value, str | Path):
        return value
    path, colon, name = str(value).partition(".py:")
    there = folder / (f"{path}.py" if colon else path)
    return f"{there}{':' if colon else ''}{name}" if there.exists() else str(value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what moved where goldens were recorded anew, in whichever process that was."""
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when")]
    said = [text for r in reports if r.when == "call" for key, text in r.user_properties if key == SAID]
    if said:
        terminalreporter.section("goldens")
        for text in said:
            terminalreporter.write_line(str(text))
