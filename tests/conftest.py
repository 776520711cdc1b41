"""What the tests share: a live worker for each framework, and experiments recorded on both sides."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.families import pretrained, shortened, xor_lbfgs
from parity.commands.options import DEFAULT_DATA, EMBEDDED
from parity.experiment.experiments import activation
from parity.experiment.nodes import Dense, Node
from parity.experiment.requested import initializer
from parity.experiment.spec import Experiment, Framework
from parity.recordings.recording import Recording
from parity.workers import pairs
from parity.workers.processes import Worker, started

__all__ = ["pretrained", "shortened", "xor_lbfgs"]
Pair = tuple[Recording, Recording]
# Also of the commands that tests start: nothing is downloaded, on no machine.
os.environ[DEFAULT_DATA] = EMBEDDED
# Of their scripts, which find the packages of this folder, installed or not.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")


def selected(request: pytest.FixtureRequest, name: str) -> list[str]:
    """The values of the parameter `name` in the module's tests that are not skipped, each once, in order."""
    items = [item for item in request.session.items if item.path == request.path]
    with_values = [item.callspec for item in items if hasattr(item, "callspec") and not item.get_closest_marker("skip")]
    return list(dict.fromkeys(spec.params[name] for spec in with_values if name in spec.params))


# Files that take longest, so that none of them is begun last, when one process has nothing else to do.
LONGEST = (
    "test_failures", "test_browser", "test_tour", "test_wheel", "test_faults", "test_detection", "test_forward_causes",
    "test_converted", "test_plugin", "test_public_models", "test_benchmarks", "test_architecture", "test_site",
    "test_unusual_pairs", "test_mnist", "test_honest", "test_power", "test_differences", "test_watch", "test_located",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
    if not config.getoption("--slow"):
        for item in items:
            # Not by keywords, to which a folder adds its name: a clone in a folder "ci" would test nothing.
            if any(item.get_closest_marker(name) for name in ("slow", "ci")):
                item.add_marker(pytest.mark.skip(reason="takes minutes; use --slow"))


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder with the real MNIST files, named by PARITY_MNIST."""
    folder = os.environ.get("PARITY_MNIST")
    if not folder:
        pytest.skip("PARITY_MNIST does not name the folder of MNIST's four files")
    return Path(folder)


@pytest.fixture(scope="session")
def workers() -> Iterator[dict[Framework, Worker]]:
    """A process for each framework that lives as long as the tests."""
    with Worker("tf", "cpu", 1) as tf, Worker("torch", "cpu", 1) as torch:
        yield {"tf": tf, "torch": torch}


@pytest.fixture(scope="session")
def own_workers() -> Iterator[dict[Framework, Worker]]:
    """A process for each framework that runs users' models, and lives as long as the tests."""
    with started("cpu", 1, None, module="parity.ports.worker") as workers:
        yield workers


def both_sides(experiment: Experiment, **choices: Any) -> Experiment:
    """The experiment with fields of both realisations changed."""
    return replace(experiment, tf=replace(experiment.tf, **choices), torch=replace(experiment.torch, **choices))


def with_activations(names: Sequence[str], steps: int, biases: str = "normal", **changes: Any) -> Experiment:
    """Digits through narrow layers with one of these activations behind each, and few steps."""
    widths = [784, *[16] * len(names)]
    nodes: list[Node] = []
    for position, (name, (inputs, units)) in enumerate(zip(names, pairwise(widths), strict=True), start=1):
        nodes.append(Dense(f"dense_{position}", inputs, units, initializer("he_normal"), initializer(biases)))
        nodes.append(activation(position, name, units))
    model = (*nodes, Dense("output", widths[-1], 10, initializer("he_normal"), initializer("zeros")))
    return shortened("mnist_relu", steps, model=model, **changes)


@pytest.fixture(scope="session")
def record_pair(workers: dict[Framework, Worker]) -> Callable[..., Pair]:
    """A function (experiment, folder) that records both sides at once; with `exchange`, each replays the other's."""
    return partial(pairs.record_pair, workers, checkpoints=2)


@pytest.fixture(scope="session")
def clean_pair(record_pair: Callable[..., Pair], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """mnist_relu's first epoch, both sides, each with the other's checkpoints replayed."""
    return record_pair(shortened("mnist_relu", 40), tmp_path_factory.mktemp("clean"), checkpoints=3)


@pytest.fixture(scope="session")
def pair_apart(record_pair: Callable[..., Pair], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """mnist_relu's first epoch, both sides, recorded apart."""
    return record_pair(shortened("mnist_relu", 40), tmp_path_factory.mktemp("apart"), checkpoints=3, exchange=False)
