"""Train the published programs at their settings on all of MNIST, and set their figures beside both frameworks'."""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity.commands import entry

    entry.run("parity.published")

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parity.commands import options as opts
from parity.data.mnist import default_folder
from parity.errors import UsageError
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.requested import one_of
from parity.experiment.spec import FRAMEWORKS, LABELS, Experiment, Framework, TestPixels
from parity.recordings.files import write_whole
from parity.recordings.recording import Recording
from parity.verdict import judge
from parity.workers.installed import require_library
from parity.workers.pairs import record_pair
from parity.workers.processes import available_cpus, started

EPILOG = """\
example:
  python -m parity.published --seeds 2 --out docs/published.md mnist_softmax mnist_relu
without --out it prints the table; FILE gets a picture beside it, FILE with .png for .md
exit status: 0 every pair of runs has parity, 1 one has not, 2 usage, 4 a worker failed, 130 interrupted
"""
CHECKPOINTS = 2
# What a figure is read from: an array of a trace, and which entry of it.
Entry = tuple[str, int]
FIRST_COST, SECOND_COST, THIRD_COST, LAST_COST = (("epoch_cost", place) for place in (0, 1, 2, -1))
ACCURACY, TEST_LOSS = ("accuracy", -1), ("test_loss", -1)
TITLES: dict[Entry, str] = {
    FIRST_COST: "cost of epoch 1",
    SECOND_COST: "cost of epoch 2",
    THIRD_COST: "cost of epoch 3",
    LAST_COST: "cost of the last epoch",
    ACCURACY: "accuracy on the test set",
    TEST_LOSS: "test loss",
}
# As five public posts on vanishing gradients and ReLU reported them; the first two networks were reported twice.
PUBLISHED: dict[str, dict[Entry, tuple[float, ...]]] = {
    "mnist_softmax": {
        FIRST_COST: (4.848181248, 5.090342045), LAST_COST: (0.396514893, 0.401649684), ACCURACY: (0.8902,),
    },
    "mnist_relu": {
        FIRST_COST: (129.325607300, 150.338470459), SECOND_COST: (40.185184479,), THIRD_COST: (25.047693253,),
        LAST_COST: (0.751341939, 0.780548275), ACCURACY: (0.9489,),
    },
    "mnist_deep_relu": {ACCURACY: (0.9838,), TEST_LOSS: (0.0011,)},
    "mnist_deep_sigmoid": {ACCURACY: (0.9789,), TEST_LOSS: (0.0013,)},
    "xor_sigmoid": {ACCURACY: (0.5,)},
    "xor_relu": {ACCURACY: (1.0,)},
    "xor_leaky_relu": {ACCURACY: (1.0,)},
    "xor_tanh": {ACCURACY: (1.0,)},
}  # fmt: skip
# These were tested on pixels from 0 to 255.
RAW = ("mnist_softmax", "mnist_relu")
HEAD = """# The published figures, and ours

`python -m parity.published --seeds {count} --out FILE.md` made this page. It trains the published programs at their
settings, the networks on digits on {data}, in both frameworks from the same weights on the same batches.
Published figures are of one run each, with weights of their own; ours are the median and the range of {seeds}. What
was published and lies outside of that range is marked.
"""


@dataclass
class Found:
    """The results of one system: both sides' traces, one for each seed, and the verdicts on the pairs."""

    traces: dict[Framework, list[Mapping[str, NDArray[np.generic]]]] = field(
        default_factory=lambda: {side: [] for side in FRAMEWORKS}
    )
    verdicts: Counter[str] = field(default_factory=Counter)

    def add(self, sides: Sequence[Recording]) -> None:
        """Another seed's pair."""
        for side in sides:
            kept = {name for name, _ in TITLES}
            self.traces[side.manifest.framework].append({name: side.trace[name] for name in kept})
        self.verdicts[judge(sides[0], sides[1]).verdict] += 1

    def figures(self, entry: Entry, side: Framework) -> list[float]:
        """One figure of every seed."""
        name, place = entry
        return [float(trace[name][place]) for trace in self.traces[side]]


def main(arguments: Sequence[str]) -> int:
    """Parse, train, print or write; returns the exit status."""
    parser = opts.Parser(prog="parity.published", description=__doc__, epilog=EPILOG)
    parser.add_argument("systems", metavar="EXPERIMENT", nargs="*", help=f"of {', '.join(PUBLISHED)}; default all")
    parser.add_argument("--seeds", type=opts.count, default=3, metavar="N", help="seeds 0 to N - 1 (default 3)")
    parser.add_argument("--data", default=opts.MNIST, metavar=f"{opts.MNIST}|DIR", help="as for parity.run")
    parser.add_argument("--data-dir", type=Path, default=default_folder(), metavar="DIR", help="as for parity.run")
    parser.add_argument("--time-limit", type=opts.seconds, metavar="SECONDS", help="of each framework's run")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the page and its picture")
    parser.add_argument("--quiet", action="store_true", help="print no progress")
    options = parser.parse_args(arguments)
    if options.data in (opts.AUTO, opts.EMBEDDED):
        raise UsageError("the published figures are of all of MNIST: --data mnist, or a folder with its files")
    chosen = {name: system(one_of(name, PUBLISHED, "published system")) for name in options.systems or PUBLISHED}
    if options.out is not None:
        require_library("matplotlib", "leave --out away", True)
    unlike = None
    on_digits = [experiment for experiment in chosen.values() if experiment.identity.data != "xor"]
    if on_digits:
        opts.choose_data(options, on_digits[0], FRAMEWORKS)
        unlike = opts.say_what_is_not_mnist(options)
    found = trained(chosen, options)
    if options.out is None:
        print(table(found), end="")
    else:
        write_page(found, options.out, options.seeds, unlike)
    return 0 if all(set(system.verdicts) == {"parity"} for system in found.values()) else 1


def system(name: str) -> Experiment:
    """A published program as an experiment."""
    experiment = EXPERIMENTS[name]
    pixels: TestPixels = "raw" if name in RAW else "scaled"
    return replace(experiment, identity=replace(experiment.identity, test_pixels=pixels))


def trained(chosen: Mapping[str, Experiment], options: argparse.Namespace) -> dict[str, Found]:
    """Every system with every seed, in both frameworks."""
    threads = max(1, available_cpus() // len(FRAMEWORKS))
    found = {name: Found() for name in chosen}
    with started("cpu", threads, options.time_limit) as workers:
        for name, experiment in chosen.items():
            digits = experiment.identity.data != "xor"
            data, data_dir = opts.sources(options) if digits else (None, None)
            for seed in range(options.seeds):
                seeded = replace(experiment, identity=replace(experiment.identity, seed=seed))
                with tempfile.TemporaryDirectory() as folder:
                    found[name].add(record_pair(workers, seeded, Path(folder), data, CHECKPOINTS, data_dir=data_dir))
                if not options.quiet:
                    print(f"{name}, seed {seed}: {dict(found[name].verdicts)}", flush=True)
    return found


def table(found: Mapping[str, Found]) -> str:
    """In Markdown: a row for each figure."""
    sides = [LABELS[side] for side in FRAMEWORKS]
    lines = [f"| | figure | published | {' | '.join(sides)} |", "|---|---|---|---|---|"]
    for name, system in found.items():
        for entry, published in PUBLISHED[name].items():
            ours = {side: system.figures(entry, side) for side in FRAMEWORKS}
            everything = [value for values in ours.values() for value in values]
            # One run has no range.
            low, high = (min(everything), max(everything)) if len(ours["tf"]) > 1 else (-np.inf, np.inf)
            marked = [f"{value:.6g}{'' if low <= value <= high else ' (outside)'}" for value in published]
            summed_up = " | ".join(map(median_and_range, ours.values()))
            lines.append(f"| `{name}` | {TITLES[entry]} | {', '.join(marked)} | {summed_up} |")
    verdicts = sum((system.verdicts for system in found.values()), Counter[str]())
    counted = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
    return "\n".join([*lines, "", f"Verdicts on the pairs of runs: {counted}."]) + "\n"


def median_and_range(values: Sequence[float]) -> str:
    """As in "0.981 (0.979 to 0.983)"; where all are the same, the one value."""
    median, low, high = (f"{value:.6g}" for value in (np.median(values), min(values), max(values)))
    return median if low == high else f"{median} ({low} to {high})"


def write_page(found: Mapping[str, Found], out: Path, seeds: int, unlike: str | None) -> None:
    """The page, and its picture beside it; `unlike` is the folder that was trained on, where it is not MNIST."""
    from parity.report.figures import published, save

    picture = out.with_suffix(".png")
    curves = {name: {side: system.traces[side] for side in FRAMEWORKS} for name, system in found.items()}
    save(published({name: PUBLISHED[name].get(ACCURACY, ()) for name in found}, curves), picture, dpi=100)
    head = HEAD.format(count=seeds, seeds=f"{seeds} seeds" if seeds > 1 else "one seed", data=unlike or "all of MNIST")
    shown = f"![Accuracy after each epoch of every run, and as published]({picture.name})\n"
    caption = "Accuracy after each epoch; the dotted line is the published one at the end:\n"
    write_whole(out, "\n".join([head, table(found), caption, shown]).encode())
