"""What is covered, and how much of its bound each combination uses: docs/coverage.md.

    python -m benchmarks.coverage            everything, some five minutes on two cores
    python -m benchmarks.coverage --reduced  one run for each table, printed and not written

Both frameworks run a few steps and replay each other's checkpoints. A cell shows the largest share of its bound that
any tensor of its stages uses in float64, then how far Keras is off in float32, and torch.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, get_args

from benchmarks.families import shortened
from benchmarks.lockstep import deviations
from parity.bounds.rows import ALLOWED
from parity.experiment.experiments import activation, mlp, normalised, with_dropout
from parity.experiment.nodes import NUMBERED, ActivationName, Dense, InitializerName, Node, PReLU
from parity.experiment.optimizers import LBFGS, OPTIMIZERS, ClipBy, Clipping
from parity.experiment.requested import COSTS, chosen_optimizer, initializer, with_activation, with_cost
from parity.experiment.spec import FRAMEWORKS, LABELS, Experiment, Framework, own_choices
from parity.verdict import judge
from parity.verdict.checks import VerdictName
from parity.workers.pairs import record_pair
from parity.workers.processes import Worker

PAGE = Path("docs/coverage.md")
STEPS = 3
# Runs made at once, each by workers of its own; most of a run is Keras's compiling, on one core.
AT_ONCE = 2
# Numbers for the initializers that need one.
NUMBERS = {"constant": 0.05, "normal": 0.1, "uniform": 0.1, "truncated_normal": 0.1}
VARIANTS = (
    "sgd", "sgd:momentum=0.9", "sgd:momentum=0.9,nesterov=true", "sgd:weight_decay=0.01", "adam",
    "adam:weight_decay=0.01", "adamw", "adamax", "nadam", "nadam:momentum_decay=1", "adagrad", "adadelta", "rmsprop",
    "rmsprop:momentum=0.9,centered=true", "rprop", "asgd", "lbfgs",
)  # fmt: skip


class Run(NamedTuple):
    """What is recorded for a row of a table: an experiment, and the nodes that each column is about, None for all."""

    row: str
    columns: dict[str, set[str] | None]
    experiment: Experiment


def narrow(steps: int) -> Experiment:
    """Digits through two hidden layers of 16 units."""
    normal = initializer("normal:0.1")
    return shortened("mnist_relu", steps, model=mlp([784, 16, 16, 10], "relu", "linear", normal, normal))


def shallow_xor(steps: int) -> Experiment:
    """XOR through two hidden layers of 5 units."""
    normal = initializer("normal")
    return shortened("xor_tanh", steps, model=mlp([2, 5, 5, 1], "tanh", "sigmoid", normal, normal))


def in_own_way(experiment: Experiment, way: Framework) -> Experiment:
    """Both sides in one framework's way."""
    choices = own_choices(way)
    return replace(experiment, tf=replace(experiment.tf, **choices), torch=replace(experiment.torch, **choices))


def activations() -> Iterator[Run]:
    """Every activation behind a layer of every initializer: all activations in one network, one behind each layer.

    The runs of a way follow each other: what a worker has compiled for one serves the next.
    """
    functions = get_args(ActivationName)
    widths = [784, *[16] * len(functions)]
    base = shortened("mnist_relu", STEPS)
    for way, name in itertools.product(FRAMEWORKS, get_args(InitializerName)):
        kernel = initializer(f"{name}:{NUMBERS[name]}" if name in NUMBERED else name)
        bias = kernel if name in ("torch_default", "keras_default") else initializer("normal:0.1")
        nodes: list[Node] = []
        columns: dict[str, set[str] | None] = {}
        for position, (function, (inputs, units)) in enumerate(zip(functions, pairwise(widths), strict=True), start=1):
            layer = [Dense(f"dense_{position}", inputs, units, kernel, bias)]
            if function != "linear":
                layer.append(activation(position, function, units))
            columns[function] = {node.name for node in layer}
            nodes += layer
        identity = replace(base.identity, model=(*nodes, Dense("output", 16, 10, kernel, bias)))
        yield Run(f"{name}, {LABELS[way]}'s way", columns, in_own_way(replace(base, identity=identity), way))


def optimizers() -> Iterator[Run]:
    """Every optimizer in both frameworks' ways, on digits and on XOR; SparseAdam has an embedding to train."""
    yield Run("sparse_adam", {"both frameworks' way, digits as words": None}, shortened("mnist_tokens", STEPS))
    for text, way in itertools.product(VARIANTS, FRAMEWORKS):
        for base in (narrow(STEPS), shallow_xor(STEPS)):
            identity = replace(base.identity, optimizer=chosen_optimizer(text))
            if isinstance(identity.optimizer, LBFGS) and identity.data == "digits":
                # It takes the whole training set at once.
                identity = replace(identity, schedule=replace(identity.schedule, batch_size=4000))
            column = f"{LABELS[way]}'s way, {'XOR' if identity.data == 'xor' else 'digits'}"
            yield Run(text, {column: None}, in_own_way(replace(base, identity=identity), way))


def losses() -> Iterator[Run]:
    """Every loss on data it is for."""
    for name in COSTS:
        base = shallow_xor(STEPS) if not name.startswith("softmax") else narrow(STEPS)
        yield Run(name, {"cost": None}, replace(base, identity=with_cost(base.identity, name)))
    base = narrow(STEPS)
    yield Run("mse on digits", {"cost": None}, replace(base, identity=with_cost(base.identity, "mse")))


def layers() -> Iterator[Run]:
    """The layers that are not in the tables above, and clipping, in both frameworks' ways."""
    digits = narrow(STEPS)
    model = digits.identity.model
    apart = tuple(replace(n, shared=False) if isinstance(n, PReLU) else n for n in with_activation(model, "prelu"))
    changed: dict[str, dict[str, Any]] = {
        "batch normalisation": {"model": normalised(model, "batch_norm")},
        "layer normalisation": {"model": normalised(model, "layer_norm")},
        "dropout": {"model": with_dropout(model, 0.3)},
        "prelu, a slope for each unit": {"model": apart},
        **{f"clipping by {by}": {"clipping": Clipping(by, 0.01)} for by in get_args(ClipBy)},
    }
    rows = {row: replace(digits, identity=replace(digits.identity, **changes)) for row, changes in changed.items()}
    rows["embedding"] = shortened("mnist_tokens", STEPS, optimizer=OPTIMIZERS["adam"])
    for (row, base), way in itertools.product(rows.items(), FRAMEWORKS):
        yield Run(row, {f"{LABELS[way]}'s way": None}, in_own_way(base, way))


TABLES = {
    "Activations and initializers": activations, "Optimizers": optimizers, "Losses": losses, "Layers": layers,
}  # fmt: skip


def measured(workers: dict[Framework, Worker], run: Run) -> tuple[VerdictName, dict[str, str]]:
    """The verdict on a run, and the text of each of its columns."""
    with tempfile.TemporaryDirectory() as folder:
        a, b = record_pair(workers, run.experiment, Path(folder), checkpoints=2)
        found = list(deviations(a, b))
        verdict = judge(a, b).verdict
    texts = {}
    for column, nodes in run.columns.items():
        here = [d for d in found if nodes is None or nodes & {*d.result.name.split("/")}]
        shares = [d.size / sum(ALLOWED[d.result.kind].values()) for d in here if d.size and d.dtype == "float64"]
        ulps = [max(d.size for d in here if (d.dtype, d.side) == ("float32", side)) / 2 for side in FRAMEWORKS]
        # None where all results are the same to the bit.
        texts[column] = " / ".join([f"{max(shares, default=0.0):.0%}", *(f"{number:.1f}" for number in ulps)])
    return verdict, texts


def measured_all(runs: Sequence[Run]) -> list[tuple[VerdictName, dict[str, str]]]:
    """What is `measured` of each run."""
    idle: SimpleQueue[dict[Framework, Worker]] = SimpleQueue()

    def measure(run: Run) -> tuple[VerdictName, dict[str, str]]:
        workers = idle.get()
        try:
            return measured(workers, run)
        finally:
            idle.put(workers)

    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(AT_ONCE):
            idle.put({side: stack.enter_context(Worker(side, "cpu", 1)) for side in FRAMEWORKS})
        return list(pool.map(measure, runs))


def table(found: dict[str, dict[str, str]]) -> str:
    """A Markdown table of texts by row and column."""
    columns = list(dict.fromkeys(column for texts in found.values() for column in texts))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {row} | {' | '.join(texts.get(column, '') for column in columns)} |" for row, texts in found.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reduced", action="store_true", help="only the first run of each table, and write nothing")
    options = parser.parse_args()
    listed = {title: [*itertools.islice(runs(), 1 if options.reduced else None)] for title, runs in TABLES.items()}
    sections, failed = [], []
    found = iter(measured_all([run for runs in listed.values() for run in runs]))
    for title, runs in listed.items():
        cells: dict[str, dict[str, str]] = {}
        for run, (verdict, texts) in zip(runs, itertools.islice(found, len(runs)), strict=True):
            cells[run.row] = cells.get(run.row, {}) | texts
            if verdict != "parity":
                failed.append(f"{title}: {run.row}, {', '.join(texts)}: {verdict}")
        sections.append(f"## {title}\n\n{table(cells)}\n")
    page = "\n".join([HEAD, *sections, f"{len(failed)} runs without parity.", *failed]) + "\n"
    if options.reduced:
        print(page)
    else:
        PAGE.write_text(page)
    raise SystemExit(1 if failed else 0)


HEAD = """# What is covered

`python -m benchmarks.coverage` makes this page. Behind each cell is a run of three steps in both frameworks from the
same weights on the same batches, each side's two checkpoints replayed by both, stage by stage. In the first table a run
has all activations in one network, one behind each layer of 16 units, and a cell is about its own layer; in the others
it is about the whole network.

The first number is how much of its bound the worst tensor of the stages uses in float64, both frameworks against each
other; up to 100% is within rounding. The others are float32, Keras and then torch, each against its own float64: units
in the last place of the condition scale, times the root of a sum's length. [lockstep.md](lockstep.md) explains them.
"""


if __name__ == "__main__":
    main()
