"""List the experiments: python -m parity"""

import sys

from parity.experiments import EXPERIMENTS


def main() -> None:
    """Print each experiment's name and what it shows."""
    if sys.argv[1:]:
        print(f"error: this only lists; try python -m parity.run {' '.join(sys.argv[1:])}", file=sys.stderr)
        sys.exit(2)
    width = max(map(len, EXPERIMENTS))
    for name, experiment in EXPERIMENTS.items():
        print(f"{name:{width}}  {experiment.shows}")
    print("\nrun one with: python -m parity.run NAME    (options: python -m parity.run --help)")


if __name__ == "__main__":
    main()
