"""List the experiments: python -m parity"""

from collections.abc import Sequence

from parity.errors import UsageError
from parity.experiments import EXPERIMENTS
from parity.options import run_command


def main(arguments: Sequence[str]) -> int:
    """Print each experiment's name and what it shows; returns the exit status."""
    if arguments:
        raise UsageError(f"this only lists; try python -m parity.run {' '.join(arguments)}")
    width = max(map(len, EXPERIMENTS))
    for name, experiment in EXPERIMENTS.items():
        print(f"{name:{width}}  {experiment.shows}")
    print("\nrun one with: python -m parity.run NAME    (options: python -m parity.run --help)")
    print("how Keras and torch differ: python -m parity.explain")
    return 0


if __name__ == "__main__":
    run_command(main)
