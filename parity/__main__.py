"""List the experiments: python -m parity"""

from parity.experiments import EXPERIMENTS


def main() -> None:
    """Print each experiment's name and what it shows."""
    width = max(map(len, EXPERIMENTS))
    for name, experiment in EXPERIMENTS.items():
        print(f"{name:{width}}  {experiment.shows}")
    print("\nrun one with: python -m parity.run NAME    (options: python -m parity.run --help)")


if __name__ == "__main__":
    main()
