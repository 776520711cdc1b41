"""Does the verdict raise false alarms? Honest pairs of everything that `parity.run` accepts, drawn by a seed.

    python -m benchmarks.honest --seed 1 --count 300 --minutes 30     goes on where it was stopped
    python -m benchmarks.honest --seed 1 --count 300 --page           writes docs/honest.md
    python -m benchmarks.honest --command "mnist_relu --init ones"    judges one command, and prints what failed

Both sides are asked for the same computation (benchmarks/draws.py), recorded in live workers, and judged. What came of
each pair is a line of a file, so that what was stopped goes on; then each false alarm is shrunk to the shortest command
that still shows it. Tables in Markdown are printed; the exit status is 1 where any pair was called different, or failed
although nothing refused it.
"""

import argparse
import shlex
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import draws
from benchmarks.honest_page import page
from benchmarks.lanes import Lane, Outcome
from benchmarks.ledger import Ledger, each
from benchmarks.shrink import TRIES, shrunk
from benchmarks.tables import Say, progress

PAGE = Path("docs/honest.md")
COUNT = 300
# Of the checks of one command that failed.
SHOWN = 10


class State(Ledger):
    """What came of the draws of a seed so far, by their numbers: in memory, and line by line in a file."""

    def __init__(self, file: Path, seed: int) -> None:
        self.drawn: dict[int, Outcome] = {}
        self.shrunk: dict[int, Outcome] = {}
        super().__init__(file, seed)

    def read(self, number: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Hold an outcome; one of a draw that is another one by now would say nothing of it."""
        outcome = Outcome(**fields)
        if kind == "shrunk":
            self.shrunk[number] = outcome
        elif (outcome.arguments, outcome.threads) == drawn(self.seed, number):
            self.drawn[number] = outcome

    def add(self, number: int, kind: str, outcome: Outcome) -> None:
        """Hold an outcome, and write it."""
        self.write(number, kind, outcome._asdict())

    def alarms(self, count: int) -> list[int]:
        """The draws below `count` that are false alarms and not yet shrunk, those first that took least time."""
        found = [n for n, outcome in self.drawn.items() if n < count and outcome.alarm and n not in self.shrunk]
        return sorted(found, key=lambda number: self.drawn[number].seconds)

    def page(self, count: int) -> str:
        """The tables of the draws below `count`."""
        numbers = [number for number in sorted(self.drawn) if number < count]
        shorter = {tuple(self.drawn[n].arguments): self.shrunk[n] for n in numbers if n in self.shrunk}
        return page(self.seed, [self.drawn[number] for number in numbers], shorter)


def drawn(seed: int, number: int) -> tuple[list[str], int]:
    """The arguments of a draw, and its threads."""
    return draws.draw(seed, number), draws.threads(seed, number)


def judge_draw(state: State, say: Say, lane: Lane, number: int) -> None:
    """Record and judge a draw."""
    found, _ = lane.judged(*drawn(state.seed, number))
    state.add(number, "drawn", found)
    say(f"{number}: {found.outcome}, {found.seconds:.1f} s: {shlex.join(found.arguments)}")


def shrink_alarm(state: State, say: Say, tries: int, lane: Lane, number: int) -> None:
    """Find the shortest command of a false alarm."""
    alarm = state.drawn[number]
    found = shrunk(alarm, lambda arguments: lane.judged(arguments, alarm.threads)[0], tries)
    state.add(number, "shrunk", found)
    say(f"{number}: {found.outcome} shrunk to {shlex.join(found.arguments)}")


def campaign(state: State, count: int, lanes: int, seconds: float, tries: int, say: Say) -> None:
    """Judge what of the draws is missing, and then shrink the false alarms, as far as the time goes."""
    deadline = time.monotonic() + seconds
    missing = [number for number in range(count) if number not in state.drawn]
    each(missing, lambda lane, number: judge_draw(state, say, lane, number), Lane, lanes, deadline)
    if tries:
        alarms = state.alarms(count)
        each(alarms, lambda lane, number: shrink_alarm(state, say, tries, lane, number), Lane, lanes, deadline)


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


def parsed() -> Any:
    """What the user asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws (default 0)")
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help="of draws, with those of earlier calls")
    parser.add_argument("--minutes", type=float, default=float("inf"), metavar="M", help="begin nothing after so many")
    parser.add_argument(
        "--lanes", type=int, default=1, metavar="N", help="pairs recorded at once, by two processes each"
    )
    parser.add_argument("--tries", type=int, default=TRIES, metavar="N", help="to shrink a false alarm; 0 leaves it")
    parser.add_argument("--state", type=Path, metavar="FILE", help="what came of each (default runs/honest-SEED.jsonl)")
    parser.add_argument("--page", action="store_true", help=f"write the tables to {PAGE}, too")
    parser.add_argument(
        "--command", type=shlex.split, action="append", metavar="ARGUMENTS", help="judge this one alone; or several"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the processes of a --command")
    return parser.parse_args()


def main() -> None:
    options = parsed()
    # A request to end is taken like Ctrl-C: the pair that is being judged is finished, and no process left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.command:
        with Lane() as lane:
            raise SystemExit(max([given(lane, command, options.threads) for command in options.command]))
    state = State(options.state or Path("runs") / f"honest-{options.seed}.jsonl", options.seed)
    interrupted = False
    try:
        campaign(state, options.count, options.lanes, 60 * options.minutes, options.tries, progress())
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted; the same command goes on\n")
    text = state.page(options.count)
    print(text)
    if options.page:
        PAGE.write_text(text)
    alarm = any(found.alarm for number, found in state.drawn.items() if number < options.count)
    raise SystemExit(130 if interrupted else int(alarm))


if __name__ == "__main__":
    main()
