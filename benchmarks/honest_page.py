"""What came of honest pairs, as tables in Markdown."""

import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import numpy as np

from benchmarks.draws import made_of
from benchmarks.lanes import JUDGED, Outcome
from benchmarks.shrink import Command
from benchmarks.tables import CONFIDENCE, markdown, upper_bound
from parity.bounds.rows import ALLOWED
from parity.experiment.nodes import Activation, Dense, PReLU
from parity.experiment.spec import Identity
from parity.verdict.checks import Level

Outcomes = Sequence[Outcome]
NUMBER = re.compile(r"(?<![A-Za-z])-?\d[\d.]*(?:e[-+]?\d+)?")
SHOWN = 20

HEAD = """# Honest pairs

`python -m benchmarks.honest --page` makes this page. Behind it are runs of everything that `parity.run` accepts, drawn
at random by a seed: both sides are asked for the same computation, so whatever is called a mismatch is a false alarm.
A third of them begin with a degenerate run: zeros, ones, constants, dead or saturated units, huge and tiny numbers.
"""


def page(seed: int, outcomes: Outcomes, shrunk: Mapping[tuple[str, ...], Outcome]) -> str:
    """All tables; `shrunk` has the shortest command of an alarm by the alarm's arguments."""
    pairs = [outcome for outcome in outcomes if outcome.outcome != "refused"]
    sections = [totals(seed, outcomes), alarms_table(pairs, shrunk)]
    sections += [f"## By {name}\n\n{table}" for name, table in tables(pairs)]
    sections += [f"## By level\n\n{levels_table(pairs)}", f"## How much of each bound is used\n\n{shares_table(pairs)}"]
    for title, name in (("Why there is too little evidence", "insufficient"), ("Why a draw is refused", "refused")):
        sections.append(f"## {title}\n\n{reasons_table([o for o in outcomes if o.outcome == name])}")
    return "\n\n".join([HEAD.strip(), *sections]) + "\n"


def totals(seed: int, outcomes: Outcomes) -> str:
    """How many pairs of each outcome, and the bound on the rate of false alarms."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    alarms = sum(outcome.alarm for outcome in outcomes)
    conclusive = counts["parity"] + alarms
    seconds = sum(outcome.seconds for outcome in outcomes) / max(1, len(outcomes) - counts["refused"])
    rows = [
        ("draws of seed " + str(seed), str(len(outcomes))),
        ("pairs judged", str(sum(counts[name] for name in JUDGED))),
        ("parity", str(counts["parity"])),
        ("false alarms: mismatch", str(counts["mismatch"])),
        ("false alarms: incomparable", str(counts["incomparable"])),
        ("false alarms: a process failed", str(counts["failed"])),
        (f"{CONFIDENCE:.0%} upper bound on false alarms", rate(alarms, conclusive)),
        ("insufficient, not counted in the bound", str(counts["insufficient"])),
        ("refused", str(counts["refused"])),
        ("seconds for a pair", f"{seconds:.1f}"),
    ]
    return markdown(("", ""), rows)


def rate(alarms: int, pairs: int) -> str:
    """The bound on their rate."""
    return f"{upper_bound(alarms, pairs):.1%} of {pairs}" if pairs else "-"


def alarms_table(pairs: Outcomes, shrunk: Mapping[tuple[str, ...], Outcome]) -> str:
    """Each false alarm by its shortest command, those with the same one together."""
    found: dict[tuple[str, ...], list[Outcome]] = defaultdict(list)
    for alarm in sorted((pair for pair in pairs if pair.alarm), key=lambda pair: pair.kind):
        shown = shrunk.get(tuple(alarm.arguments), alarm)
        found[tuple(shown.arguments)].append(shown)
    lines = []
    for arguments, alarms in found.items():
        place = f"{alarms[0].level}: {alarms[0].name}" if alarms[0].name else alarms[0].outcome
        cells = f"`{shlex.join(arguments)}`", str(len(alarms)), str(alarms[0].threads)
        lines.append((*cells, plain(place), plain(alarms[0].reason)))
    head = ("false alarm", "draws", "threads", "first check that failed", "reason")
    return f"## False alarms\n\n{markdown(head, lines) if lines else 'None.'}"


def plain(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.split()).replace("|", "\\|")[:300]


def tables(pairs: Outcomes) -> Iterator[tuple[str, str]]:
    """For each property of a run, its values with what came of the pairs that have them."""
    found: dict[str, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        for name, value in properties(pair).items():
            found[name][value].append(pair)
    for name, values in found.items():
        rows = [(value, *counted(here)) for value, here in sorted(values.items())]
        yield name, markdown((name, "pairs", "false alarms", "insufficient"), rows)


def counted(pairs: Outcomes) -> tuple[str, str, str]:
    """How many there are, false alarms, and insufficient ones."""
    insufficient = sum(pair.outcome == "insufficient" for pair in pairs)
    return str(len(pairs)), str(sum(pair.alarm for pair in pairs)), str(insufficient)


def properties(pair: Outcome) -> dict[str, str]:
    """What a pair is told apart by."""
    command, identity = Command.of(pair.arguments), made_of(pair.arguments).identity
    return {
        "experiment": command.experiment,
        "optimizer": identity.optimizer.kind,
        "activation": hidden(identity),
        "initializer": initializer(identity),
        "start": command.value("--init-from") or "this program's",
        "loss": identity.loss,
        "clipping": identity.clipping.by if identity.clipping else "none",
        "dropout": "yes" if identity.dropouts else "no",
        "dtype": identity.dtype,
        "threads": str(pair.threads),
        "verdict": command.value("--verdict") or "default",
    }


def hidden(identity: Identity) -> str:
    """The activation of the hidden layers."""
    before = identity.model[: identity.model.index(identity.layers[-1])]
    names = [node.function for node in before if isinstance(node, Activation | PReLU)]
    return names[0] if names else "linear"


def initializer(identity: Identity) -> str:
    """What the first layer's weights begin with."""
    first = identity.layers[0]
    return first.kernel.name if isinstance(first, Dense) else first.table.name


def levels_table(pairs: Outcomes) -> str:
    """What each level said, and how much of its bounds pairs used of it."""
    rows = []
    for level in get_args(Level):
        here = [pair for pair in pairs if level in pair.levels]
        stopped = [pair for pair in pairs if pair.level == level]
        alarms = sum(pair.alarm for pair in stopped)
        shares = [pair.levels[level] for pair in here if not pair.alarm]
        rows.append((level, str(len(here)), str(alarms), str(len(stopped) - alarms), *used(shares)))
    head = ("level", "pairs", "false alarms", "insufficient", "99 % use, of the bound", "most")
    return markdown(head, rows)


def shares_table(pairs: Outcomes) -> str:
    """How much of its bound each row of parity/bounds/rows.py uses."""
    rows = []
    for kind in ALLOWED:
        shares = [pair.rows[kind] for pair in pairs if kind in pair.rows]
        if shares:
            rows.append((kind, str(len(shares)), *used(shares)))
    return markdown(("kind of stage", "pairs", "99 % use, of the bound", "most"), rows)


def used(shares: Sequence[float]) -> tuple[str, str]:
    """The share that 99 % of pairs stay below, and the largest."""
    if not any(shares):
        return "-", "-"
    return f"{np.quantile(shares, 0.99):.1%}", f"{max(shares):.1%}"


def reasons_table(outcomes: Outcomes) -> str:
    """Reasons, those alike that differ in numbers alone, the most frequent first."""
    counts = Counter(plain(f"{o.level}: " * bool(o.level) + NUMBER.sub("N", o.reason)) for o in outcomes)
    rows = [(reason, str(number)) for reason, number in counts.most_common(SHOWN)]
    return markdown(("reason", "draws"), rows) if rows else "No draw."
