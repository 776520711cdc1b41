"""What the verdict finds, and other tools' rules: faults that were planted, and honest pairs.

    python -m benchmarks.detection                    all faults and all honest pairs, within 45 minutes on two cores
    python -m benchmarks.detection --reduced          a few of either
    python -m benchmarks.detection --faults NAME ...  these faults alone
    python -m benchmarks.detection --draw 25          so many faults, drawn by a seed
    python -m benchmarks.detection --pairs 30         pairs of faults planted together
    python -m benchmarks.detection --calibrate        honest pairs of other seeds, and what levels use of their bounds
    python -m benchmarks.detection --random N         faults in experiments drawn at random; the same command goes on
    python -m benchmarks.detection --faults NAME --host "mnist_narrow --steps 20 --lr 0.1"    in one of those alone

Faults that were planted before, by the same code, are not planted again (`--state`): what was stopped goes on. Of each
visible fault it is also told whether the first divergence is where the fault acts, and whether what the diagnosis says
is true (benchmarks/campaign.py).

Each fault of benchmarks/faults is planted on one side, whose process replays the checkpoints of the other, clean side;
the pair is judged by `parity.verdict.judge` and by the rules of benchmarks/rules.py. Whether a fault is visible at all
is decided before (benchmarks/visibility.py). Honest pairs are of benchmarks/nulls.py. Tables in Markdown are printed;
the exit status is 1 where the verdict missed a visible fault or raised a false alarm.
"""

import argparse
import math
import shlex
import signal
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks import nulls, power, together
from benchmarks.campaign import Campaign, Row, alternating
from benchmarks.faults import FAULTS, Kind
from benchmarks.judged import Judgement
from benchmarks.kept import Kept
from benchmarks.nulls import Nulls
from benchmarks.rules import RULES
from benchmarks.tables import CONFIDENCE, markdown, progress, upper_bound
from benchmarks.together import PairRow
from parity.experiment.spec import LABELS
from parity.verdict.checks import Level

OURS = "ours"
# Of most kinds, in experiments that take seconds.
REDUCED = (
    "nothing is added to the norm that clips", "one label of the training set is changed",
    "dropout is left on at test time", "one layer has no activation",
)  # fmt: skip
QUANTILES = (0.5, 0.9, 0.99, 1.0)
NOTHING, NOBODY = "-", "not found"


def finds(rule: str, judgement: Judgement) -> bool:
    """Whether a rule, or our verdict, finds two recordings different."""
    return judgement.found if rule == OURS else rule in judgement.rules


def rules_table(rows: Sequence[Row], honest: Nulls | None) -> str:
    """What each rule found, and how often it was wrong."""
    pairs = [pair.judgement for pair in honest.pairs] if honest else []
    lines = []
    for rule in (OURS, *RULES):
        # What changes no number of the runs that a rule is shown is not asked of it.
        asked = [row.judgement for row in rows if row.visible and row.judgement and (row.shown or rule == OURS)]
        hits, alarms = (sum(finds(rule, judgement) for judgement in some) for some in (asked, pairs))
        bound = f"{upper_bound(alarms, len(pairs)):.1%}" if pairs else NOTHING
        named = caused(rows) if rule == OURS else NOTHING
        lines.append((rule, f"{hits} of {len(asked)}", f"{alarms} of {len(pairs)}", bound, named))
    head = (
        "rule",
        "visible faults found",
        "false alarms on honest pairs",
        f"{CONFIDENCE:.0%} upper bound",
        "cause named",
    )
    return markdown(head, lines)


def figures_table(rows: Sequence[Row], pairs: Sequence[PairRow]) -> str:
    """Of visible faults: how often the first divergence is where the fault acts, and what is said of it true."""
    seen = [row for row in rows if row.visible and row.judgement]
    counts = {
        "found": sum(row.judgement.found for row in seen if row.judgement),
        "first divergence at the fault's level, step and tensor": sum(row.in_place for row in seen),
        "cause or description true": sum(row.described for row in seen),
        "cause or description false": sum(row.misled for row in seen),
    }
    lines = [(name, f"{count} of {len(seen)}") for name, count in counts.items() if seen]
    if pairs:
        told = [pair for pair in pairs if not pair.reason]
        both = sum(all(pair.told) for pair in told)
        lines.append(("pairs of faults planted together, both told", f"{both} of {len(told)}"))
    return markdown(("of visible faults", ""), lines)


def pairs_table(pairs: Sequence[PairRow]) -> str:
    """What is said of pairs of faults."""
    lines = []
    for pair in pairs:
        said = pair.reason or "; ".join(pair.said)[:300]
        cells = ("yes" if told else "no" for told in pair.told) if not pair.reason else ("-", "-")
        names = (name.replace("|", "\\|") for name in pair.names)
        lines.append((*names, LABELS[pair.side], *cells, said.replace("|", "\\|")))
    return markdown(("fault", "another", "side", "first told", "second told", "what is said"), lines)


def caused(rows: Sequence[Row]) -> str:
    """Of how many faults that choices express the diagnosis names these choices, and no other."""
    expressed = [row for row in rows if row.planting.fault.cause]
    named = sum(row.causes == row.planting.fault.cause for row in expressed)
    return f"{named} of {len(expressed)}"


def faults_table(rows: Sequence[Row]) -> str:
    """Where the verdict found each fault, and which of the other rules did; their numbers are those of the list."""
    lines = []
    for row in rows:
        name, side = row.planting
        if row.judgement is None:
            place, others = f"not recorded: {row.reason}", NOTHING
        else:
            first = row.judgement.first
            place = f"{first.level}: {first.where or first.name}" if first else row.judgement.verdict.verdict
            others = (
                " ".join(str(number) for number, rule in enumerate(RULES, 1) if finds(rule, row.judgement)) or NOTHING
            )
        causes = ", ".join(sorted(row.causes)) or "none" if row.planting.fault.cause else NOTHING
        seen = {True: "yes", False: "no", None: NOTHING}[row.visible]
        told = (row.told[0] if row.told else NOTHING).replace("|", "\\|")
        marks = {"p": row.in_place, "t": row.described, "f": row.misled}
        right = "".join(letter for letter, mark in marks.items() if mark)
        lines.append((name, LABELS[side], row.planting.fault.kind, seen, place, causes, told, right or NOTHING, others))
    head = (
        "fault",
        "side",
        "kind",
        "visible",
        "found by our verdict",
        "causes named",
        "told first",
        "right",
        "by rules",
    )
    return markdown(head, lines)


def levels_table(rows: Sequence[Row]) -> str:
    """How many faults of each kind, visible or not, each level finds first."""
    levels = [*get_args(Level), NOBODY]
    counts = Counter(
        (row.planting.fault.kind, row.judgement.first.level if row.judgement.first else NOBODY)
        for row in rows
        if row.judgement
    )
    used = [level for level in levels if any(counts[kind, level] for kind in get_args(Kind))]
    lines = [(kind, *(str(counts[kind, level] or "") for level in used)) for kind in get_args(Kind)]
    return markdown(("kind of fault", *used), lines)


def calibration_table(honest: Nulls) -> str:
    """How much of their bounds honest pairs use of the levels that are judged by measured noise."""
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    for pair in honest.pairs:
        for check in pair.judgement.verdict.checks:
            if check.level in ("trajectory", "outcome") and check.measured is not None and check.bound is not None:
                for experiment in (pair.cell.experiment, "all"):
                    shares[f"{check.level}: {check.name}", experiment].append(check.share)
    if not shares:
        return "No check of a trajectory or an outcome has a bound."
    lines = [
        (name, experiment, str(len(found)), *(f"{share:.2g}" for share in np.quantile(found, QUANTILES)))
        for (name, experiment), found in sorted(shares.items())
    ]
    return markdown(("check", "experiment", "pairs", *(f"{q:.0%}" for q in QUANTILES)), lines)


def faults_summary(rows: Sequence[Row]) -> Iterator[str]:
    """The faults one by one, and which of them do not count."""
    yield "\n".join(f"{number}. {rule}" for number, rule in enumerate(RULES, 1))
    yield levels_table(rows)
    yield faults_table(rows)
    causes = sum(bool(row.planting.fault.cause) for row in rows)
    hidden = [row.planting.name for row in rows if row.visible is False]
    lost = [f"{row.planting.name} ({row.reason})" for row in rows if row.judgement is None]
    unshown = [row.planting.name for row in rows if row.visible and row.judgement and not row.shown]
    firsts = [(row.judgement.first, row.planting.fault.level) for row in rows if row.judgement]
    there = sum(first is not None and first.level == level for first, level in firsts)
    yield "Right: p where the fault is found in its place, t where what is said is true, f where it is false."
    yield f"{len(rows)} faults, of which a choice of the realisation expresses {causes}."
    yield f"{there} of {len(firsts)} are found first at the level that the list of faults names."
    yield f"Invisible in a plain run in float64, and not counted above: {'; '.join(hidden) or 'none'}."
    without = "Without a trace in the float32 runs that the other rules are shown, and not asked of them"
    yield f"{without}: {'; '.join(unshown) or 'none'}."
    yield f"Not recorded: {'; '.join(lost) or 'none'}."


def honest_summary(honest: Nulls) -> Iterator[str]:
    """What the honest pairs are, each false alarm, and the shares of the bounds."""
    pairs, cells = honest.pairs, len({pair.cell for pair in honest.pairs})
    across = sum(pair.across for pair in pairs)
    yield (
        f"{len(pairs)} honest pairs, {across} of them across frameworks, of {honest.recordings} recordings of {cells} "
        f"experiments. Left out: {honest.repeated} recordings whose costs another one of the same framework has to the "
        f"bit, and {honest.identical} pairs whose costs are the same on both sides."
    )
    for pair in pairs:
        first = pair.judgement.first
        if pair.judgement.found and first:
            where = f"{pair.cell.name}, {' against '.join(pair.ways)}"
            yield f"False alarm: {where}: {first.level}, {first.name}: {first.reason}"
    yield calibration_table(honest)


def status(rows: Sequence[Row], honest: Nulls | None) -> int:
    """0 if the verdict found every visible fault, and nothing in honest pairs."""
    missed = any(row.judgement is None or (row.visible and not row.judgement.found) for row in rows)
    return int(missed or (honest is not None and any(pair.judgement.found for pair in honest.pairs)))


def parsed() -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--faults", nargs="+", choices=FAULTS, metavar="NAME", help="plant these, and judge nothing else"
    )
    parser.add_argument("--reduced", action="store_true", help="a few faults and pairs, in short runs")
    parser.add_argument("--both-sides", action="store_true", help="plant each fault on both sides, not by turns")
    parser.add_argument("--calibrate", action="store_true", help="honest pairs alone")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each process that plants faults")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="recordings made at once")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the recordings there, without their evidence")
    parser.add_argument("--random", type=int, metavar="N", help="faults in experiments drawn at random, N of them")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of these draws (default 0)")
    parser.add_argument("--minutes", type=float, default=math.inf, metavar="M", help="begin no draw after so many")
    parser.add_argument("--state", type=Path, metavar="FILE", help="what came of each (default runs/power-SEED.jsonl)")
    parser.add_argument("--host", type=shlex.split, metavar="ARGUMENTS", help="plant --faults in this experiment alone")
    parser.add_argument("--draw", type=int, metavar="N", help="N faults of the list, drawn by the seed")
    parser.add_argument("--pairs", type=int, metavar="N", help="N pairs of faults, each planted together on one side")
    options = parser.parse_args()
    if options.host and not options.faults:
        parser.error("--host takes the --faults that are planted in it")
    return options


def at_random(options: argparse.Namespace) -> int:
    """Plant faults in experiments drawn at random; returns the exit status."""
    state = power.State(options.state or Path("runs") / f"power-{options.seed}.jsonl", options.seed)
    interrupted = False
    try:
        power.campaign(state, options.random, options.threads, options.jobs, 60 * options.minutes, progress())
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted; the same command goes on\n")
    plants = state.below(options.random)
    print("\n\n".join(power.summary(plants)))
    return 130 if interrupted else power.status(plants)


def in_pairs(options: argparse.Namespace) -> int:
    """Plant pairs of faults; returns the exit status."""
    kept = Kept(options.state or Path("runs") / "pairs.jsonl", False)
    pairs = together.campaign(kept, options.pairs, options.seed, options.threads, 60 * options.minutes, progress())
    print(f"{figures_table([], pairs)}\n\n{pairs_table(pairs)}")
    return int(any(pair.reason or not all(pair.told) for pair in pairs))


def main() -> None:
    options = parsed()
    # A request to end is taken like Ctrl-C: no process is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.random is not None:
        raise SystemExit(at_random(options))
    if options.pairs is not None:
        raise SystemExit(in_pairs(options))
    names = options.faults or (REDUCED if options.reduced else tuple(FAULTS))
    if options.draw is not None:
        names = tuple(power.shuffled(options.seed)[: options.draw])
    plantings = alternating(names, options.both_sides)
    if options.host:
        raise SystemExit(power.given(plantings, options.host, options.threads))
    say, keep = progress(), options.out is not None
    kept = Kept(options.state or Path("runs") / "detection.jsonl", options.reduced)
    rows: list[Row] = []
    honest: Nulls | None = None
    with nullcontext(options.out) if keep else tempfile.TemporaryDirectory() as place:
        if not options.calibrate:
            given = options.reduced, options.threads, options.jobs, keep, say, kept
            rows = Campaign(Path(place), plantings, *given).run()
        if not options.faults and options.draw is None:
            selection = nulls.REDUCED if options.reduced else nulls.CALIBRATION if options.calibrate else nulls.WHOLE
            honest = nulls.measure(Path(place) / "honest", selection, options.jobs, keep, say)
    sections = [rules_table(rows, honest)]
    sections += [figures_table(rows, [])] if rows else []
    sections += [*faults_summary(rows)] if rows else []
    sections += [*honest_summary(honest)] if honest else []
    print("\n\n".join(sections))
    raise SystemExit(status(rows, honest))


if __name__ == "__main__":
    main()
