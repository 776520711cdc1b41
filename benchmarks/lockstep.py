"""How much of its bound each kind of stage uses: the table of docs/lockstep.md.

    python -m benchmarks.lockstep                             every experiment at full length, seeds 0 to 3
    python -m benchmarks.lockstep --data FOLDER mnist_relu    on MNIST's own files
    python -m benchmarks.lockstep xor_tanh:cost=logits mnist_relu:activation=elu xor_tanh:optimizer=sgd:momentum=0.9
                                                              experiments with an option changed

Both frameworks train each experiment and replay each other's checkpoints. For each row of parity/bounds/rows.py, the
table gives what is allowed and the largest deviation of any element of any tensor at any checkpoint, in units of u S,
or of n u S of a sum of n terms: each framework's float32 against its own float64, and the two frameworks' float64
against each other. Below it stands how much of their bound (parity/bounds/whole_step.py) whole steps use, and what
verdicts the pairs have.
"""

import argparse
import itertools
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np

from parity.bounds.measure import entries
from parity.bounds.rows import ALLOWED
from parity.bounds.stages import Result
from parity.experiment.experiments import EXPERIMENTS
from parity.experiment.nodes import ActivationName
from parity.experiment.optimizers import OPTIMIZERS, ClipBy
from parity.experiment.requested import chosen_clipping, chosen_optimizer, one_of, with_activation, with_cost
from parity.experiment.spec import DTYPES, LABELS, Dtype, Experiment, Framework
from parity.recordings.recording import Recording
from parity.verdict import composed, judge, loop, segments
from parity.workers.pairs import record_pair
from parity.workers.processes import Worker

FLOAT64 = "both, float64"
LOOP, START = "The loop's own step", "The start step as a whole"
SEGMENTS = "The loop's steps between checkpoints"
ACTIVATIONS, CLIPS = get_args(ActivationName), get_args(ClipBy)
# What the experiments do not have: between them they reach every row.
VARIANTS = [
    *(f"xor_{hidden}:cost={cost}" for hidden in ("relu", "tanh") for cost in ("logits", "clipped", "clamped", "mse")),
    *(f"mnist_softmax:cost={cost}" for cost in ("softmax_naive", "softmax_clipped", "mse")),
    *(f"mnist_relu:activation={name}" for name in ACTIVATIONS),
    *(f"xor_tanh:optimizer={name}" for name in OPTIMIZERS if name != "sparse_adam"),
    *(f"xor_tanh:optimizer={name}" for name in ("sgd:momentum=0.9", "rmsprop:momentum=0.9,centered=true")),
    # Limits that gradients exceed.
    *(f"{name}:clip={by}:{limit}" for name, limit in (("xor_tanh", 1e-4), ("mnist_softmax", 0.1)) for by in CLIPS),
]
COLUMNS = ("Keras, float32", "torch, float32", FLOAT64)
Worst = dict[tuple[str, str], float]


class Deviation(NamedTuple):
    """How far a side's result of a stage is off, at most, in units of u S (parity/bounds/stages.py)."""

    result: Result
    dtype: Dtype
    side: Framework
    size: float


def deviations(a: Recording, b: Recording) -> Iterator[Deviation]:
    """Of every result of every stage, at the checkpoints of both sides, replayed by both."""
    for owner, side in itertools.product((a, b), repeat=2):
        for step, key in owner.checkpoints.items():
            summaries = side.replayed(key)
            assert summaries is not None
            for dtype in DTYPES if side is not owner else ("float32",):
                for result, entry in zip(side.phase.results(step), entries(summaries, dtype), strict=True):
                    if np.isfinite(entry.ours) and np.isfinite(entry.theirs):
                        yield Deviation(result, dtype, side.manifest.framework, entry.measured)


def measure(a: Recording, b: Recording, worst: Worst) -> int:
    """Raise `worst` to the largest deviations of this pair; returns how many tensors were measured."""
    count = 0
    for result, dtype, side, size in deviations(a, b):
        column = FLOAT64 if dtype == "float64" else f"{LABELS[side]}, float32"
        worst[result.kind, column] = max(worst[result.kind, column], size)
        count += 1
    return count


def whole_steps(a: Recording, b: Recording, worst: Worst) -> None:
    """The same for steps as a whole, as a share of their bound: the loops', and the start step that both sides took."""
    for side in (a, b):
        for check in loop.loop_is_replay(side):
            name = f"{side.label}, {check.name.split()[2]}"
            worst[LOOP, name] = max(worst[LOOP, name], check.share)
    for check in composed.checks(a, b) if a.manifest.phase == "training" else []:
        dtype = check.name.split()[0]
        worst[START, dtype] = max(worst[START, dtype], check.share)
    for check in segments.checks(a, b):
        worst[SEGMENTS, "float64"] = max(worst[SEGMENTS, "float64"], check.share)


def asked_for(text: str, options: argparse.Namespace) -> Iterator[Experiment]:
    """The experiment that "NAME" or "NAME:OPTION=VALUE" stands for, once for each seed."""
    name, _, change = text.partition(":")
    option, _, value = change.partition("=")
    identity = EXPERIMENTS[name].identity
    if option == "cost":
        identity = with_cost(identity, value)
    elif option == "activation":
        identity = replace(identity, model=with_activation(identity.model, one_of(value, ACTIVATIONS, "activation")))
    elif option == "optimizer":
        identity = replace(identity, optimizer=chosen_optimizer(value))
    elif option == "clip":
        identity = replace(identity, clipping=chosen_clipping(value))
    if options.steps is not None:
        identity = replace(identity, schedule=replace(identity.schedule, duration=options.steps, unit="steps"))
    for seed in range(options.seeds):
        yield replace(EXPERIMENTS[name], identity=replace(identity, seed=seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=4, metavar="N")
    parser.add_argument("--steps", type=int, metavar="N", help="shorter than the experiments' own length")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="MNIST's own files for the experiments on digits")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT[:OPTION=VALUE]", help="default: all there is")
    options = parser.parse_args()
    worst: Worst = defaultdict(float)
    count, verdicts = 0, Counter[str]()
    with Worker("tf", "cpu", 1) as tf, Worker("torch", "cpu", 1) as torch:
        for text in options.experiments or [*EXPERIMENTS, *VARIANTS]:
            for experiment in asked_for(text, options):
                data = options.data if experiment.identity.data != "xor" else None
                with tempfile.TemporaryDirectory() as folder:
                    pair = record_pair({"tf": tf, "torch": torch}, experiment, Path(folder), data)
                    verdicts[judge(*pair).verdict] += 1
                    before = [recorded.pretraining for recorded in pair if recorded.pretraining is not None]
                    for ours, theirs in filter(None, (pair, before)):
                        count += measure(ours, theirs, worst)
                        whole_steps(ours, theirs, worst)
    print(table(worst))
    for kind in (LOOP, SEGMENTS, START):
        shares = ", ".join(f"{name} {share:.2%}" for (row, name), share in worst.items() if row == kind)
        print(f"\n{kind}: {shares} of the bound.")
    listed = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())
    print(f"\n{count} tensors. Verdicts: {listed}.")


def table(worst: Worst) -> str:
    """The rows that were reached, in Markdown; the last column is the largest share of its bound."""
    lines = [
        f"| kind of stage | allowed, Keras and torch | {' | '.join(COLUMNS)} | of the bound |",
        "|---|---|---|---|---|---|",
    ]
    for kind, allowed in ALLOWED.items():
        if not any(name == kind for name, _ in worst):
            continue
        figures = [worst[kind, column] for column in COLUMNS]
        bounds = [allowed["tf"], allowed["torch"], allowed["tf"] + allowed["torch"]]
        share = max((figure / bound for figure, bound in zip(figures, bounds, strict=True) if bound), default=None)
        shown = "equal" if share is None else f"{share:.0%}"
        cells = " | ".join(f"{figure:.2g}" for figure in figures)
        lines.append(f"| {kind} | {allowed['tf']:g} and {allowed['torch']:g} | {cells} | {shown} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
