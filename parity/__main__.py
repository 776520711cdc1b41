"""List the experiments: python -m parity"""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity import command

    command.run("parity.__main__")

from collections.abc import Sequence

from parity.errors import UsageError
from parity.experiments import EXPERIMENTS


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
