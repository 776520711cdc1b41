"""What is covered, and how much of its bound each combination uses: docs/coverage.md.

    python -m benchmarks.coverage            everything, some twenty minutes on two cores
    python -m benchmarks.coverage --reduced  one combination of each kind, printed and not written

Each cell is a run of a few steps in both frameworks, each of which replays the other's checkpoints; it shows the
largest share of its bound that any tensor of any stage uses: float64 of both, then float32 of Keras and of torch.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

from benchmarks.pairs import record_pair
from parity.changes import COSTS, chosen_optimizer, initializer, with_activation, with_cost, with_initializer
from parity.experiments import EXPERIMENTS, mlp
from parity.nodes import NUMBERED, ActivationName, InitializerName
from parity.processes import Worker
from parity.spec import FRAMEWORKS, Experiment, Framework, Identity, own_choices
from parity.verdict import Verdict, judge

PAGE = Path("docs/coverage.md")
STEPS = 3
# Numbers for the initializers that need one.
NUMBERS = {"constant": 0.05, "normal": 0.1, "uniform": 0.1, "truncated_normal": 0.1}
VARIANTS = (
    "sgd", "sgd:momentum=0.9", "sgd:momentum=0.9,nesterov=true", "sgd:weight_decay=0.01", "adam",
    "adam:weight_decay=0.01", "adamw", "adamax", "nadam", "nadam:momentum_decay=1", "adagrad", "adadelta", "rmsprop",
    "rmsprop:momentum=0.9,centered=true", "rprop", "asgd",
)  # fmt: skip


class Cell(NamedTuple):
    """What is recorded for a cell of a table."""

    row: str
    column: str
    experiment: Experiment


def short(name: str, steps: int, **changes: object) -> Experiment:
    """An experiment of so many steps, its hidden layers narrow."""
    chosen = EXPERIMENTS[name]
    identity: Identity = chosen.identity
    schedule = replace(identity.schedule, duration=steps, unit="steps")
    return replace(chosen, identity=replace(identity, schedule=schedule, **changes))


def narrow(steps: int) -> Experiment:
    """Digits through two hidden layers of 16 units."""
    normal = initializer("normal:0.1")
    return short("mnist_relu", steps, model=mlp([784, 16, 16, 10], "relu", "linear", normal, normal))


def in_own_way(experiment: Experiment, way: Framework) -> Experiment:
    """Both sides in one framework's way."""
    choices = own_choices(way)
    return replace(experiment, tf=replace(experiment.tf, **choices), torch=replace(experiment.torch, **choices))


def activations() -> Iterator[Cell]:
    """Every activation behind layers of every initializer."""
    base = narrow(STEPS)
    for function, name in itertools.product(get_args(ActivationName), get_args(InitializerName)):
        kernel = initializer(f"{name}:{NUMBERS[name]}" if name in NUMBERED else name)
        model = with_initializer(with_activation(base.identity.model, function), kernel)
        # In turn, so that both ways are met by each activation and each initializer.
        way = FRAMEWORKS[(get_args(ActivationName).index(function) + get_args(InitializerName).index(name)) % 2]
        yield Cell(name, function, in_own_way(replace(base, identity=replace(base.identity, model=model)), way))


def optimizers() -> Iterator[Cell]:
    """Every optimizer in both frameworks' ways, on digits and on XOR."""
    for text, way in itertools.product(VARIANTS, FRAMEWORKS):
        for base in (narrow(STEPS), short("xor_tanh", STEPS)):
            identity = replace(base.identity, optimizer=chosen_optimizer(text))
            column = f"{'Keras' if way == 'tf' else 'torch'}'s way, {'XOR' if identity.data == 'xor' else 'digits'}"
            yield Cell(text, column, in_own_way(replace(base, identity=identity), way))


def losses() -> Iterator[Cell]:
    """Every loss on the data it is for."""
    for name in COSTS:
        base = short("xor_tanh", STEPS) if not name.startswith("softmax") else narrow(STEPS)
        yield Cell(name, "cost", replace(base, identity=with_cost(base.identity, name)))
    base = narrow(STEPS)
    yield Cell("mse on digits", "cost", replace(base, identity=with_cost(base.identity, "mse")))


TABLES = {"Activations and initializers": activations, "Optimizers": optimizers, "Losses": losses}


def measured(workers: dict[Framework, Worker], cell: Cell) -> tuple[Verdict, str]:
    """The verdict on a cell, and its text."""
    with tempfile.TemporaryDirectory() as folder:
        verdict = judge(*record_pair(workers, cell.experiment, Path(folder), checkpoints=2))
    shares = {}
    for check in verdict.checks:
        if check.level == "lockstep":
            dtype = next(part for part in check.name.split() if part.startswith("float"))
            key = dtype if dtype == "float64" else f"{dtype} {check.side}"
            shares[key] = max(shares.get(key, 0.0), check.share)
    text = " / ".join(f"{100 * shares.get(key, 0):.0f}" for key in ("float64", "float32 Keras", "float32 torch"))
    return verdict, text if verdict.verdict == "parity" else f"**{verdict.verdict}** {text}"


def table(cells: Iterable[tuple[Cell, str]]) -> str:
    """A Markdown table of the cells' texts."""
    found = {(cell.row, cell.column): text for cell, text in cells}
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*found, strict=True))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {row} | {' | '.join(found.get((row, column), '') for column in columns)} |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reduced", action="store_true", help="only the first cell of each row of the small tables")
    options = parser.parse_args()
    sections, failed = [], []
    with Worker("tf", "cpu", 1) as tf, Worker("torch", "cpu", 1) as torch:
        for title, cells in TABLES.items():
            found = []
            for cell in itertools.islice(cells(), 2) if options.reduced else cells():
                verdict, text = measured({"tf": tf, "torch": torch}, cell)
                found.append((cell, text))
                if verdict.verdict != "parity":
                    failed.append(f"{title}: {cell.row}, {cell.column}: {verdict.verdict}")
            sections.append(f"## {title}\n\n{table(found)}\n")
    page = HEAD + "\n" + "\n".join(sections) + f"\n{len(failed)} cells without parity.\n"
    if options.reduced:
        print(page)
    else:
        PAGE.write_text(page)
    print("\n".join(failed) or f"parity in every cell; {'nothing' if options.reduced else PAGE} written")
    raise SystemExit(1 if failed else 0)


HEAD = """# What is covered

`python -m benchmarks.coverage` makes this page. Each cell is a run of three steps in both frameworks from the same
weights on the same batches, each side's two checkpoints replayed by both, stage by stage. The numbers are percent: how
much of its bound the worst tensor of all stages uses in float64 (both frameworks against each other), and in float32
(Keras, then torch, each against its own float64). Up to 100 is within rounding. [lockstep.md](lockstep.md) says what
the bounds are made of.
"""


if __name__ == "__main__":
    main()
