"""What does a verdict cost? Whole commands against the same training as users write it by hand, in one run.

    python -m benchmarks.speed                                  on the embedded digits
    python -m benchmarks.speed --mnist FOLDER --epochs 15       on all of MNIST, of which FOLDER holds the four files
    python -m benchmarks.speed --against e7db322                another revision's commands beside this one's
    python -m benchmarks.speed --page                           writes docs/speed.md and docs/speed.png, too

Everything is run in turn, `--repeats` times, so that what else the machine does falls on all alike; what is told is the
median, and the least and the most. By hand (benchmarks/by_hand), both programs run at once with a thread each, as
`parity.run` runs its two sides. A table in Markdown is printed. On busy machines only the ratios say anything.
"""

import argparse
import gzip
import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.tables import Say, markdown, progress
from parity.commands.options import count
from parity.data.digits import EMBEDDED, FILES
from parity.experiment.spec import FRAMEWORKS, LABELS
from parity.recordings import recording
from parity.recordings.recording import Recording

HERE = Path(__file__).parents[1]
PAGE, PICTURE = Path("docs/speed.md"), Path("docs/speed.png")
BY_HAND = HERE / "benchmarks" / "by_hand"
# Updates whose matrix products are timed.
PRODUCTS = 2000
# Seconds by task and name, and what there is to know of each full run by side.
Times = Mapping[tuple[str, str], Sequence[float]]
Parts = Mapping[str, Sequence[Mapping[str, float]]]


class Work(NamedTuple):
    """Something that is timed, as one process or several at once; `task` groups what does the same."""

    name: str
    task: str
    commands: Sequence[Sequence[str]]
    folder: Path


class Target(NamedTuple):
    """A ratio of medians, and what it should be at most."""

    name: str
    ratio: float
    goal: float


def seconds(work: Work) -> float:
    """How long it takes until all of it is done. Raises RuntimeError where a process fails."""
    # Of another revision, its own modules are found.
    environment = os.environ | {"PYTHONPATH": str(work.folder), "TF_CPP_MIN_LOG_LEVEL": "2"}
    quiet: Mapping[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    began = time.perf_counter()
    with ExitStack() as stack:
        running = [
            stack.enter_context(subprocess.Popen([*command], cwd=work.folder, env=environment, **quiet))
            for command in work.commands
        ]
        said = [process.communicate()[1] for process in running]
    took = time.perf_counter() - began
    for process, text in zip(running, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"{work.name} ended in {process.returncode}: {text.strip()[-500:]}")
    return took


def unpacked(source: Path, folder: Path) -> Path:
    """The folder, with the digits of `source` as torchvision keeps them."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        (raw / name).write_bytes(gzip.decompress((source / f"{name}.gz").read_bytes()))
    return folder


def checked_out(revision: str, folder: Path) -> Path:
    """The folder, with the files of a revision."""
    archive = subprocess.run(["git", "archive", revision], cwd=HERE, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def module(name: str, *arguments: object) -> list[str]:
    """A command of this project, as it is typed."""
    return [sys.executable, "-m", name, *map(str, arguments)]


def by_hand(name: str, *arguments: object) -> list[str]:
    """A program of a user."""
    return [sys.executable, str(BY_HAND / f"{name}.py"), *map(str, arguments)]


class Commands:
    """The commands of one revision, each of which writes into a folder that is new."""

    def __init__(self, label: str, root: Path, place: Path, options: argparse.Namespace) -> None:
        self.label, self.root, self.place, self.options = label, root, place, options
        self.runs: dict[tuple[str, str], Path] = {}

    def run(self, experiment: str, verdict: str, *more: object) -> Work:
        """A run, whose recordings the next one of the same kind replaces."""
        out = Path(tempfile.mkdtemp(dir=self.place)) / "run"
        self.runs[experiment, verdict] = out
        common = ("--verdict", verdict, "--no-figures", "--quiet", "--device", "cpu", "--out", out)
        return Work(f"{self.label}: {verdict} verdict", experiment, [module("parity.run", experiment, *common, *more)],
                    self.root)  # fmt: skip

    def mnist(self, verdict: str) -> Work:
        """`parity.run mnist_relu`."""
        data = ("--data-dir", self.options.mnist, "--data", "mnist") if self.options.mnist else ("--data", "embedded")
        return self.run("mnist_relu", verdict, "--epochs", self.options.epochs, *data)

    def xor(self) -> Work:
        """`parity.run xor_tanh`, without twins."""
        return self.run("xor_tanh", "quick", "--steps", self.options.steps)


def works(ours: Commands, others: Sequence[Commands], digits: Path, options: argparse.Namespace) -> list[Work]:
    """All that is timed once, in turn."""
    mnist = [by_hand(f"mnist_{side}", digits, options.epochs) for side in ("keras", "torch")]
    xor = [by_hand(f"xor_{side}", options.steps) for side in ("keras", "torch")]
    return [
        Work("Keras by hand", "mnist_relu", mnist[:1], HERE), Work("torch by hand", "mnist_relu", mnist[1:], HERE),
        Work("both by hand, at once", "mnist_relu", mnist, HERE),
        *(commands.mnist(verdict) for verdict in ("quick", "full") for commands in (ours, *others)),
        Work("both by hand, at once", "xor_tanh", xor, HERE),
        *(commands.xor() for commands in (ours, *others)),
        Work("python -m parity", "other commands", [module("parity")], HERE),
        Work("python -m parity --help", "other commands", [module("parity", "--help")], HERE),
        Work("parity.compare", "other commands", [module("parity.compare", ours.runs["mnist_relu", "full"])], HERE),
    ]  # fmt: skip


def products(side: str) -> float:
    """Seconds of an update's matrix products."""
    command = by_hand("products", side, PRODUCTS)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HERE)
    return float(done.stdout.split()[-1])


def measured(options: argparse.Namespace, say: Say) -> tuple[Times, Parts]:
    """The seconds of each work, by task and name; and by side, the parts of each full run, and of it the products'."""
    times: dict[tuple[str, str], list[float]] = {}
    parts: dict[str, list[dict[str, float]]] = {label: [] for label in LABELS.values()}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        digits = unpacked(options.mnist or EMBEDDED, place / "digits")
        others = []
        if options.against:
            root = checked_out(options.against, place / "other")
            others = [Commands(options.against, root, place, options)]
        ours = Commands("parity.run", HERE, place, options)
        for repeat in range(options.repeats):
            listed = works(ours, others, digits, options)
            for work in listed:
                took = seconds(work)
                times.setdefault((work.task, work.name), []).append(took)
                say(f"{repeat + 1} of {options.repeats}: {work.task}, {work.name}: {took:.1f} s")
            for side in FRAMEWORKS:
                recorded = recording.read(ours.runs["mnist_relu", "full"] / side)
                parts[recorded.label].append(of_a_run(recorded) | {"products": products(recorded.label.lower())})
    return times, parts


def of_a_run(side: Recording) -> dict[str, float]:
    """The seconds of a run's parts, and how many steps it took; `memory` is in GB."""
    manifest = side.manifest
    return manifest.seconds | {"memory": manifest.peak_memory_bytes / 1e9, "steps": len(side.trace["cost"])}


def targets(times: Times, parts: Parts, against: str | None) -> list[Target]:
    """Each goal with what was measured of it."""

    def of(task: str, name: str) -> float:
        return median(times[task, name])

    hand = of("mnist_relu", "both by hand, at once")
    found = [
        Target("quick verdict, against both programs by hand", of("mnist_relu", "parity.run: quick verdict") / hand, 1),
        Target("full verdict, against both by hand", of("mnist_relu", "parity.run: full verdict") / hand, 1.6),
    ]
    for label, runs in parts.items():
        train, twins, steps, products = (middle(runs, name) for name in ("train", "twins", "steps", "products"))
        found.append(Target(f"{label}'s three twins, against one training", twins / train, 1.3))
        alone = train / (steps * products)
        found.append(Target(f"{label}'s training, against its matrix products alone", alone, 1.4))
    if against is not None:
        for task, verdict, goal in (("mnist_relu", "full", 0.6), ("xor_tanh", "quick", 0.4)):
            mine, other = (of(task, f"{who}: {verdict} verdict") for who in ("parity.run", against))
            found.append(Target(f"{task}, {verdict} verdict, against {against}", mine / other, goal))
    return found


def middle(runs: Sequence[Mapping[str, float]], name: str) -> float:
    """The median of one part of several runs."""
    return median([run[name] for run in runs])


def tables(times: Times, parts: Parts, against: str | None) -> tuple[str, str, str]:
    """Of whole commands, of the parts of a run, and of the goals."""
    rows = [[task, name, *(f"{f(values):.2f}" for f in (median, min, max))] for (task, name), values in times.items()]
    names = ("prepare", "train", "replay", "twins", "memory")
    split = [[label, *(f"{middle(runs, name):.2f}" for name in names)] for label, runs in parts.items()]
    met = [
        [target.name, f"{target.ratio:.2f}", f"{target.goal:g}", "yes" if target.ratio <= target.goal else "no"]
        for target in targets(times, parts, against)
    ]
    return (
        markdown(("task", "what", "median, s", "least", "most"), rows),
        markdown(("side", "preparing, s", "training", "replays", "twins", "most memory, GB"), split),
        markdown(("ratio of medians", "measured", "goal, at most", "met"), met),
    )


def document(found: tuple[str, str, str], options: argparse.Namespace, command: str) -> str:
    """docs/speed.md."""
    whole, sides, ratios = found
    digits = "all of MNIST" if options.mnist else "the embedded digits"
    return f"""# What a verdict costs

Made by `{command}` on {os.cpu_count()} cores ({platform.machine()}). `mnist_relu` is {options.epochs} epochs of
{digits}, `xor_tanh` {options.steps:,} steps. Each row is run {options.repeats} times, in turn with all others; the
programs by hand are those of `benchmarks/by_hand`, both at once with a thread each, like the two sides of `parity.run`.

![Seconds of whole commands](speed.png)

{whole}

Of the runs with a full verdict, each side's process; the two work at the same time:

{sides}

{ratios}
"""


def draw(times: Times, file: Path) -> None:
    """A bar for each work, with the least and the most."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = {f"{task}: {name}": values for (task, name), values in times.items() if task != "other commands"}
    middles = [median(values) for values in shown.values()]
    ends = [(median(values) - min(values), max(values) - median(values)) for values in shown.values()]
    colours = ["0.6" if "by hand" in name else "tab:blue" for name in shown]
    figure, axes = plt.subplots(figsize=(8, 0.45 * len(shown) + 0.9), layout="constrained")
    axes.barh(list(shown), middles, xerr=list(zip(*ends, strict=True)), color=colours, ecolor="0.3", capsize=3)
    axes.invert_yaxis()
    axes.set_xlabel("seconds of a whole command")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=100)


def parsed() -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="MNIST's four files, gzipped (default: embedded)")
    parser.add_argument("--epochs", type=count, default=15, metavar="N", help="of mnist_relu (default 15)")
    parser.add_argument("--steps", type=count, default=20001, metavar="N", help="of xor_tanh (default 20001)")
    parser.add_argument("--repeats", type=count, default=3, metavar="N", help="of everything (default 3)")
    parser.add_argument("--against", metavar="REVISION", help="time this revision's commands, too")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE} and {PICTURE}, too")
    options = parser.parse_args()
    if options.mnist is not None:
        options.mnist = options.mnist.resolve()
        missing = [name for name in FILES if not (options.mnist / f"{name}.gz").is_file()]
        if missing:
            parser.error(f"{options.mnist} has no {missing[0]}.gz: name the folder of MNIST's four files")
    return options


def main() -> None:
    """Measure and print."""
    options = parsed()
    times, parts = measured(options, progress())
    found = tables(times, parts, options.against)
    print(*found, sep="\n\n")
    if options.page:
        # Where somebody keeps the digits is nobody else's.
        typed = ["FOLDER" if before == "--mnist" else word for before, word in pairwise(sys.argv)]
        PAGE.write_text(document(found, options, " ".join(["python -m benchmarks.speed", *typed])))
        draw(times, PICTURE)


if __name__ == "__main__":
    main()
