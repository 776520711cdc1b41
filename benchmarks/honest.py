"""Does the verdict raise false alarms? Honest pairs of everything that `parity.run` accepts, drawn by a seed.

    python -m benchmarks.honest --seed 1 --count 300 --minutes 30     goes on where it was stopped
    python -m benchmarks.honest --command "mnist_relu --init ones"    judges one command, and prints what failed

Both sides are asked for the same computation (benchmarks/draws.py), recorded in live workers, and judged. The exit
status is 1 where any pair was called different, or was not carried out although nothing refused it.
"""

import argparse
import shlex
from collections.abc import Sequence

from benchmarks.lanes import Lane

SHOWN = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--command", type=shlex.split, action="append", metavar="ARGUMENTS", help="judge this one alone; or several"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of its processes")
    options = parser.parse_args()
    with Lane() as lane:
        raise SystemExit(max(given(lane, command, options.threads) for command in options.command))


def given(lane: Lane, command: Sequence[str], threads: int) -> int:
    """Judge one command and print what came of it; returns the exit status."""
    found, verdict = lane.judged(command, threads)
    print(f"{shlex.join(command)}\n{found.outcome} after {found.seconds:.1f} s")
    failed = [check for check in verdict.checks if check.result == "failed"] if verdict else []
    if not failed and found.reason:
        print(f"  {found.level} {found.name} {found.where}: {found.reason}")
    for check in failed[:SHOWN]:
        print(f"  {check.level}: {check.name}\n    {check.where}: {check.reason}")
    if len(failed) > SHOWN:
        print(f"  and {len(failed) - SHOWN} more checks that failed")
    return int(found.alarm)


if __name__ == "__main__":
    main()
