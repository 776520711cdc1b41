"""Honest commands at random: the arguments of a `parity.run` whose two sides are asked for the same computation.

Values come from the tables that the command line reads, so what joins those is drawn, too: an optimizer and each of its
fields, an activation, an initializer, a choice of the realisation, a flag. Every option of the command line has a
drawer (benchmarks/drawers.py) or a reason why it has none. A share of the draws begins with a degenerate run: zeros,
constants, dead and saturated units, numbers that are huge or tiny.
"""

import argparse
import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np

from benchmarks.drawers import DEGENERATE, DRAWERS, NOT_DRAWN, Drawer, Random, chance, pick, set_size
from parity.commands import options as opts
from parity.data.datasets import passes_needed
from parity.errors import UsageError
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.spec import Experiment

DEGENERATE_SHARE = 0.35
# Of the draws: these keep an option that the ones before it do not go with, so that refusals are drawn as well.
RECKLESS_SHARE = 0.05
FLAG_SHARE = 0.1
TRIES = 5
# So many draws in a row have the same number of threads, which are those of a process.
BLOCK = 20


@cache
def parser() -> argparse.ArgumentParser:
    """What reads the options of a run."""
    made = opts.Parser(prog="parity.run")
    opts.add_experiment_options(made)
    return made


def actions() -> dict[str, argparse.Action]:
    """Every option of the command line by its name."""
    return {action.option_strings[-1]: action for action in parser()._actions if action.option_strings}


def drawers() -> dict[str, Drawer]:
    """`DRAWERS`, and a drawer of each option that has none and says itself what it takes: flags, and given names."""
    found = dict(DRAWERS)
    for option, action in actions().items():
        if option in DRAWERS or option in NOT_DRAWN:
            continue
        if action.choices or action.nargs == 0:
            found[option] = chance(
                FLAG_SHARE, lambda rng, made, action=action: [pick(rng, [*(action.choices or [""])])]
            )
    return found


def made_of(arguments: Sequence[str]) -> Experiment:
    """The experiment that a command asks for; UsageError if it is refused."""
    return opts.experiment(parser().parse_args(arguments))


def typed(option: str, values: Sequence[str]) -> list[str]:
    """An option with each of the values, as it is typed; a flag has none."""
    flag = actions()[option].nargs == 0
    return list(itertools.chain.from_iterable([option] if flag else [option, value] for value in values))


def degenerate(rng: Random) -> dict[str, list[str]]:
    """The values of the options that a degenerate draw begins with; of most draws, none."""
    if rng.random() > DEGENERATE_SHARE:
        return {}
    return {option: [pick(rng, values)] for option, values in pick(rng, list(DEGENERATE.values())).items()}


def draw(seed: int, number: int) -> list[str]:
    """The arguments of draw `number` of this seed."""
    rng = np.random.default_rng([seed, number])
    arguments = [pick(rng, list(EXPERIMENTS))]
    made, fixed, reckless = made_of(arguments), degenerate(rng), rng.random() < RECKLESS_SHARE
    for option, drawer in drawers().items():
        for _ in range(TRIES):
            more = [*arguments, *typed(option, fixed.get(option) or drawer(rng, made))]
            try:
                then = made_of(more)
                # A batch of more samples than there are.
                passes_needed(then.identity.schedule, set_size(then.identity))
                made, arguments = then, more
                break
            except UsageError:
                if reckless:
                    return more
    return arguments


def threads(seed: int, number: int) -> int:
    """How many threads the processes of a draw have."""
    return 2 if np.random.default_rng([seed, number // BLOCK, 0]).random() < 0.25 else 1
