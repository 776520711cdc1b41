"""Honest experiments, drawn at random, in which a fault may show: its hosts.

A host is the arguments of a command, as in benchmarks/draws.py, whose experiment is a family of benchmarks/families.py
(the fault's own, or another one on the same data) and whose layers may have other widths. The options are drawn
by what draws them for honest pairs, but for the few below. The first draws for a fault change most; the last ones
change nothing that the fault may be about: activation, optimizer, cost, dropout and clipping are those of its family.
"""

import argparse
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache

import numpy as np

from benchmarks import draws
from benchmarks.campaign import Planting
from benchmarks.drawers import (
    NOT_DRAWN,
    Drawer,
    Random,
    between,
    chance,
    most_steps,
    near,
    pick,
    set_size,
    with_field,
    written,
)
from benchmarks.families import FAMILIES, family
from parity.commands import options as opts
from parity.data.datasets import passes_needed
from parity.errors import UsageError
from parity.experiment.nodes import Dense, Node
from parity.experiment.optimizers import OPTIMIZERS
from parity.experiment.requested import one_of
from parity.experiment.spec import Experiment

# So many hosts are tried for a fault, the first of them bold.
TRIES, BOLD = 6, 3
# Shares of the bold draws: another family than the fault's own; a degenerate run, as of zeros or huge numbers.
OTHER_FAMILY, DEGENERATE = 0.3, 0.15
# What a fault may be about. A draw that is not bold leaves these alone.
SUBJECTS = ("--activation", "--cost", "--dropout", "--clip", "--choice")
# Steps behind the one from which on a fault acts, on digits, and on XOR.
FEWEST, MOST, MOST_XOR = 20, 80, 200
WIDTHS = "--widths"


@cache
def parser() -> argparse.ArgumentParser:
    """What reads the options of a run, and the widths of its hidden layers."""
    made = opts.Parser(prog="parity.run")
    opts.add_experiment_options(made)
    made.add_argument(WIDTHS, type=lambda text: tuple(map(int, text.split(","))))
    return made


def made_of(arguments: Sequence[str]) -> Experiment:
    """The experiment that a host is; UsageError if it is refused."""
    options = parser().parse_args(arguments)
    chosen = family(one_of(options.experiment, FAMILIES, "family"), options.steps or FEWEST)
    if options.widths is not None:
        model = with_widths(chosen.identity.model, options.widths)
        chosen = replace(chosen, identity=replace(chosen.identity, model=model))
    made = opts.asked(chosen, options)
    # A batch of more samples than there are.
    passes_needed(made.identity.schedule, set_size(made.identity))
    return made


def with_widths(model: tuple[Node, ...], widths: Sequence[int]) -> tuple[Node, ...]:
    """The model with hidden layers of other widths."""
    dense = [node for node in model if isinstance(node, Dense)]
    if len(widths) != len(dense) - 1 or min(widths, default=1) < 1:
        raise UsageError(f"{WIDTHS} takes one for each hidden layer, {len(dense) - 1} here")
    units, nodes = dense[0].inputs if dense else 0, []
    for node in model:
        if isinstance(node, Dense):
            position = dense.index(node)
            inputs, units = units, node.units if node is dense[-1] else widths[position]
            node = replace(node, inputs=inputs, units=units)
        elif hasattr(node, "units"):
            node = replace(node, units=units)
        nodes.append(node)
    return tuple(nodes)


def draw(planting: Planting, seed: int, number: int, attempt: int) -> list[str]:
    """The arguments of a host for a fault: try `attempt` of draw `number` of this seed."""
    rng, bold = np.random.default_rng([seed, number, attempt]), attempt < BOLD
    arguments = [base(rng, planting.fault.experiment, bold)]
    made = made_of(arguments)
    degenerate = draws.degenerate(rng) if bold and rng.random() < DEGENERATE / draws.DEGENERATE_SHARE else {}
    for option, drawer in drawers(planting, bold).items():
        for _ in range(draws.TRIES):
            values = degenerate.get(option) or drawer(rng, made)
            flag = option in draws.actions() and draws.actions()[option].nargs == 0
            more = [*arguments, *(part for value in values for part in ([option] if flag else [option, value]))]
            try:
                made, arguments = made_of(more), more
                break
            except UsageError:
                continue
    return arguments


def base(rng: Random, own: str, bold: bool) -> str:
    """The fault's own family, or another one on the same data, and with pre-training where that has it."""
    if not bold or rng.random() > OTHER_FAMILY:
        return own
    wanted = family(own, FEWEST).identity
    identities = {name: family(name, FEWEST).identity for name in FAMILIES}
    alike = [
        name
        for name, identity in identities.items()
        if identity.data == wanted.data and (identity.pretraining is None) == (wanted.pretraining is None)
    ]
    return str(pick(rng, alike))


def drawers(planting: Planting, bold: bool) -> dict[str, Drawer]:
    """What draws each option of a host, the steps last."""
    found = {option: drawer for option, drawer in draws.drawers().items() if option not in SUBJECTS or bold}
    for option in (*NOT_DRAWN, "--init-from", "--verdict", "--epochs", "--steps"):
        found.pop(option, None)
    for option in set(SUBJECTS) & set(found) - {"--choice"}:
        found[option] = chance(0.4, found[option])
    found["--optimizer"] = optimizer if bold else lambda rng, made: [numbers(rng, made, 0.2)]
    found["--lr"] = chance(0.4, learning_rate)
    found["--batch-size"] = chance(0.4, batch_size)
    found["--checkpoints"] = lambda rng, made: [str(rng.integers(3, 13))]
    return {WIDTHS: chance(0.3, widths), **found, "--steps": steps(planting)}


def optimizer(rng: Random, made: Experiment) -> list[str]:
    """Often the one that is there, with some of its numbers changed; sometimes another one, or the very same."""
    kind = rng.random()
    if kind < 0.25:
        return draws.drawers()["--optimizer"](rng, made)
    return [numbers(rng, made, 0.3)] if kind < 0.75 else []


def numbers(rng: Random, made: Experiment, share: float) -> str:
    """The optimizer that is there as it is typed, this share of its fields changed, but for the learning rate."""
    chosen = made.identity.optimizer
    for field in fields(chosen):
        if field.name not in ("kind", "learning_rate") and rng.random() < share:
            chosen = with_field(chosen, field.name, written(near(rng, getattr(chosen, field.name)))) or chosen
    stock = OPTIMIZERS[chosen.kind]
    values = {field.name: getattr(chosen, field.name) for field in fields(chosen) if field.name != "kind"}
    settings = [f"{name}={written(value)}" for name, value in values.items() if value != getattr(stock, name)]
    return f"{chosen.kind}:{','.join(settings)}" if settings else chosen.kind


def learning_rate(rng: Random, made: Experiment) -> list[str]:
    """Up to ten times as large or small as it is."""
    return [written(made.identity.optimizer.learning_rate * between(rng, 0.1, 10))]


def batch_size(rng: Random, made: Experiment) -> list[str]:
    """Of a size that steps take milliseconds with; L-BFGS takes the training set alone."""
    samples = set_size(made.identity)
    return [str(samples if made.identity.optimizer.kind == "lbfgs" else int(between(rng, 1, min(samples, 200) + 1)))]


def widths(rng: Random, made: Experiment) -> list[str]:
    """Of each hidden layer, from a few units to twice as many as there are."""
    hidden = [node.units for node in made.identity.model if isinstance(node, Dense)][:-1]
    return [",".join(str(int(between(rng, 3, 2 * units + 1))) for units in hidden)] if hidden else []


def steps(planting: Planting) -> Drawer:
    """A short run, as long as the fault needs to act."""

    def drawn(rng: Random, made: Experiment) -> list[str]:
        xor = made.identity.data == "xor"
        most = MOST_XOR if xor else max(FEWEST, min(MOST, most_steps(made.identity)))
        return [str(planting.fault.since + int(between(rng, FEWEST, most + 1)))]

    return drawn
