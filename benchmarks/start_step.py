"""How far the start step of every experiment differs between the frameworks, and how much of its bound that uses.

    python -m benchmarks.start_step              the table of the README, seeds 0 to 3
    python -m benchmarks.start_step --seeds 100  what the bound's factor rests on (parity.rounding.py)

Both frameworks take one step from the same start state in float64 and float32. For each experiment the table gives the
tensor that differs most in float64, relative to the tensor's largest element, and the largest share of its bound that
any element uses, over all seeds; then how many tensors passed, how many failed, and how many hold NaN on both sides
(the unprotected cost of XOR is NaN where the output saturates).
"""

import argparse
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from parity import recording
from parity.experiments import EXPERIMENTS
from parity.job import RecordJob
from parity.processes import Worker
from parity.recording import Recording
from parity.spec import FRAMEWORKS, Experiment, Framework
from parity.verdict import lockstep


def record_start(workers: dict[Framework, Worker], experiment: Experiment, folder: Path) -> list[Recording]:
    """Both sides' recordings of the experiment's first step."""
    for side, worker in workers.items():
        realisation = getattr(experiment, side)
        job = RecordJob(experiment.name, experiment.identity, realisation, "cpu", folder / side)
        worker.record(job, lambda done, steps: None)
    return [recording.read(folder / side) for side in FRAMEWORKS]


def largest_difference(a: Recording, b: Recording) -> tuple[float, str]:
    """max |x - y| / max |x| over the float64 replay's tensors, and the tensor's name."""
    ours, theirs = (r.start("float64") for r in (a, b))
    return max(
        (float(np.abs(x - theirs[name]).max() / (np.abs(x).max() or 1)), name)
        for name, x in ours.items()
        if x.dtype.kind == "f" and np.isfinite(x).all()
    )


def measure(workers: dict[Framework, Worker], name: str, seeds: int) -> str:
    """One row of the table."""
    differences, shares, results = [], {"float64": 0.0, "float32": 0.0}, Counter()
    for seed in range(seeds):
        identity = EXPERIMENTS[name].identity
        schedule = replace(identity.schedule, duration=1, unit="steps")
        experiment = replace(EXPERIMENTS[name], identity=replace(identity, seed=seed, schedule=schedule))
        with tempfile.TemporaryDirectory() as folder:
            a, b = record_start(workers, experiment, Path(folder))
            differences.append(largest_difference(a, b))
            for check in lockstep.checks(a, b):
                dtype = check.name.split()[0]
                results[check.result] += 1
                if check.measured is not None and check.bound:
                    shares[dtype] = max(shares[dtype], check.measured / check.bound)
    worst, tensor = max(differences)
    share = " | ".join(f"{100 * value:.1f} %" for value in shares.values())
    counts = " | ".join(str(results[result]) for result in ("passed", "failed", "not_judged"))
    return f"| `{name}` | {worst:.1e} | `{tensor}` | {share} | {counts} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=4, metavar="N")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help="default: all")
    options = parser.parse_args()
    print("| experiment | largest relative difference | in | bound used, float64 | float32 | passed | failed | NaN |")
    print("|---|---|---|---|---|---|---|---|")
    with Worker("tf", "cpu", 1) as tf, Worker("torch", "cpu", 1) as torch:
        for name in options.experiments or EXPERIMENTS:
            print(measure({"tf": tf, "torch": torch}, name, options.seeds), flush=True)


if __name__ == "__main__":
    main()
