"""List the experiments, or be one of the commands: python -m parity [COMMAND ...], the same as keras-torch-parity"""

if __name__ == "__main__":
    # Before what follows is imported, which takes its time and may fail.
    from parity.commands import entry

    entry.program()

from collections.abc import Sequence

from parity.commands.entry import COMMANDS
from parity.errors import UsageError
from parity.experiment.experiments import list_experiments

USAGE = """\
usage: keras-torch-parity [COMMAND ...]      the same as: python -m parity.COMMAND ...

Are a Keras and a torch network the same computation, and if not, what differs first?

{commands}

without COMMAND it lists the experiments; each command has its own --help
"""


def main(arguments: Sequence[str]) -> int:
    """Print each experiment's name and what it shows, or with --help the commands; returns the exit status."""
    if arguments in (["--help"], ["-h"]):
        width = max(map(len, COMMANDS))
        print(USAGE.format(commands="\n".join(f"  {name:{width}}  {does}" for name, does in COMMANDS.items())), end="")
        return 0
    if arguments:
        raise UsageError(f"there are the commands {', '.join(COMMANDS)}; try python -m parity run {arguments[0]}")
    experiments = list_experiments()
    width = max(map(len, experiments))
    for name, shows in experiments.items():
        print(f"{name:{width}}  {shows}")
    print("\nrun one with: python -m parity.run NAME    (options: python -m parity.run --help)")
    print("how Keras and torch differ: python -m parity.explain    (all commands: python -m parity --help)")
    return 0
