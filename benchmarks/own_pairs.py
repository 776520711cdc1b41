"""How often the judge of users' pairs is wrong: python -m benchmarks.own_pairs --honest 200 --faults 40

Draws pairs of models at random, both sides written by the draw. Honest ones must be parity; a fault planted in one must
be a mismatch whose first divergence is at the planted level and stage. Prints each mistake with its seed.
"""

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.drawn_pairs import drawn
from benchmarks.user_pairs import Fault
from parity.errors import ParityError
from parity.ports.check import Request, checked
from parity.ports.findings import MEASURED
from parity.ports.report import Report
from parity.workers.processes import Worker, started


def judged(seed: int, fault: Fault | None, workers: Mapping, folder: Path) -> Report:
    """The report on a seed's pair, with a fault in torch's side or none."""
    paths = drawn(seed).write(folder, fault)
    request = Request(str(paths["keras"]), str(paths["torch"]), data=str(paths["data"]))
    return checked(request, workers, folder / "out")


def largest(report: Report) -> float:
    """The largest share of a measured bound that a passing check uses; a ReLU may use all of its derived one."""
    judged_here = (f for f in report.findings if f.result == "passed" and f.level != "float32" and f.rule == MEASURED)
    shares = (f.measured / f.bound for f in judged_here if f.measured and f.bound)
    return max(shares, default=0.0)


def honest(seed: int, workers: Mapping[str, Worker]) -> tuple[bool, float]:
    """Whether an honest pair is parity, and how much of its bounds it uses."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = judged(seed, None, workers, Path(folder))
        except ParityError as error:
            print(f"seed {seed}: {error}")
            return False, 0.0
        if not report:
            print(f"seed {seed}: {report}")
        return bool(report), largest(report)


def visible(faulty: Report, seed: int, workers: Mapping[str, Worker], folder: Path) -> bool:
    """Whether a fault changes any result, or gradient, of torch's side: where no value is negative, no slope shows."""
    right = judged(seed, None, workers, folder).torch.arrays
    names = [name for name in right if name.startswith(("outputs/", "weight-gradient/"))]
    return not all(np.array_equal(right[name], faulty.torch.arrays[name]) for name in names)


def planted(seed: int, workers: Mapping[str, Worker]) -> bool | None:
    """Whether a fault of a seed's pair is found where it is; None where the pair has none, or it changes nothing."""
    faults = drawn(seed).faults
    if not faults:
        return None
    fault = faults[seed % len(faults)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = judged(seed, fault, workers, Path(folder))
        except ParityError as error:
            print(f"seed {seed}, {fault.new}: {error}")
            return None
        first = report.first_divergence
        found = (
            first is not None
            and first.level == fault.level
            and fault.stage in f"{first.name} {first.torch} {first.inside}"
        )
        if report and not visible(report, seed, workers, Path(folder) / "honest"):
            return None
        if not found:
            print(f"seed {seed}, {fault.old} -> {fault.new}, expected at {fault.level}, {fault.stage}:\n{report}")
        return found


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks.own_pairs", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--honest", type=int, default=200, metavar="N")
    parser.add_argument("--faults", type=int, default=40, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first seed")
    options = parser.parse_args()
    with started("cpu", 1, None, module="parity.ports.worker") as workers:
        pairs = [honest(options.seed + number, workers) for number in range(options.honest)]
        faults = [planted(options.seed + number, workers) for number in range(options.faults)]
    if pairs:
        share = max(share for _, share in pairs)
        print(f"honest: {sum(right for right, _ in pairs)} of {len(pairs)} parity, at most {share:.2f} of a bound used")
    told = [found for found in faults if found is not None]
    print(f"faults: {sum(told)} of {len(told)} found at their level and stage")


if __name__ == "__main__":
    main()
