"""No step unwatched: the whole run is taken again by replayed steps, and must arrive at every checkpoint as it did.

In the run's own precision, bit for bit: the replay is compiled as the loop is, so that both round alike and nothing is
amplified. Where they part, the step is sought: loop and replay are run again from the checkpoint before, and held
against each other halfway, and so on. That step is then judged as those of checkpoints are, by what rounding may make
of it, and the rest is watched from the state behind it.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from parity.recordings.recording import EQUAL, PARTED, UNREPEATED, UNWATCHED, Arrays
from parity.worker.chunks import chunks
from parity.worker.programs import Program
from parity.worker.task import Task

# So many steps of a stretch are judged by themselves; each takes the bounds of a whole step.
MOST = 2
Run = Callable[[int, int], Mapping[str, NDArray[Any]]]
# Whether a stretch was watched, up to which step, and the summaries of steps that are judged by themselves.
Came = tuple[int, int, dict[str, NDArray[Any]]]


class Taken(NamedTuple):
    """What some steps cost, and the state behind them."""

    costs: NDArray[Any]
    arrived: Arrays


def watched(task: Task, states: Mapping[int, Arrays], arrived: Mapping[int, Arrays], costs: NDArray[Any]) -> Arrays:
    """What comes of all stretches, as watch.safetensors holds it (parity/recordings/recording.py).

    `states` are those before checkpoints' steps, `arrived` those at which the loop arrived at the same steps and at the
    end, `costs` [steps] the run's.
    """
    task.side.runtime.set_dtype(task.identity.dtype)
    replay, stops = replaying(task), [*states, len(costs)]
    outcomes, until = [], []
    found: dict[str, NDArray[Any]] = {}
    # The last step at which the run was given a state, if the replay has come from there by itself.
    root: int | None = None
    for first, last in pairwise(stops):
        if root is None or first in task.taken_over:
            root = first if first == 0 or first in task.taken_over else None
            replay.write(states[first])
        # What is behind the state that is read may be more than can be written: a slot of another scale, say.
        replayed, run = taken(replay.continued, replay, first, last), Taken(costs[first:last], arrived[last])
        outcome, step = EQUAL, last
        summaries: dict[str, NDArray[Any]] = {}
        if not same(replayed, run):
            outcome, step, summaries = sought(task, states[first], first, last)
            if outcome == EQUAL:
                outcome, step = unrepeated(task, states, root, first, replayed, run)
            root = None
        outcomes.append(outcome)
        until.append(step)
        # Checkpoints' own steps are judged already.
        found |= {name: column for name, column in summaries.items() if int(name.partition("/")[0]) not in states}
    columns = {"stops": stops, "outcome": outcomes, "until": until}
    return {name: np.array(column, np.int64) for name, column in columns.items()} | found


def replaying(task: Task) -> Program:
    """What replays steps in the run's precision."""
    return task.replaying((task.identity.dtype,))[task.identity.dtype]


def taken(run: Run, program: Program, first: int, last: int) -> Taken:
    """The steps from `first` to `last` - 1, run by the loop of a program or by its replay."""
    pieces = [run(first + begin, first + end)["cost"] for begin, end in chunks([last - first])]
    return Taken(np.concatenate(pieces), program.read(last))


def again(task: Task, state: Arrays, first: int, last: int) -> tuple[Taken, Taken]:
    """The same steps from one state, by the loop and by its replay."""
    loop, replay = task.loop, replaying(task)
    loop.write(state)
    ours = taken(loop.chunk, loop, first, last)
    replay.write(state)
    return ours, taken(replay.continued, replay, first, last)


def sought(task: Task, state: Arrays, first: int, last: int) -> Came:
    """Where loop and replay part between a checkpoint's `state` and the next; nowhere, maybe, when they run again."""
    summaries: dict[str, NDArray[Any]] = {}
    step = first - 1
    for _ in range(MOST):
        found = parting(task, state, step + 1, last)
        if found is None:
            return (PARTED if step >= first else EQUAL), last, summaries
        step, before = found
        state, columns = alone(task, step, before)
        summaries |= columns
        if step + 1 == last:
            return PARTED, last, summaries
    rest = parting(task, state, step + 1, last)
    return (PARTED, last, summaries) if rest is None else (UNWATCHED, rest[0], summaries)


def parting(task: Task, state: Arrays, first: int, last: int) -> tuple[int, Arrays] | None:
    """The first step that the loop and its replay take otherwise from a state on, and the state before it."""
    ours, theirs = again(task, state, first, last)
    if same(ours, theirs):
        return None
    differ = np.flatnonzero(~equal(ours.costs, theirs.costs))
    low, high = first, first + int(differ[0]) + 1 if differ.size else last
    while high - low > 1:
        middle = (low + high) // 2
        ours, theirs = again(task, state, low, middle)
        if same(ours, theirs):
            low, state = middle, ours.arrived
        else:
            high = middle
    return low, state


def alone(task: Task, step: int, before: Arrays) -> tuple[Arrays, dict[str, NDArray[Any]]]:
    """The state behind one step of the loop, and the summaries of that step against the replayed one."""
    task.loop.write(before)
    one, replayer, at = taken(task.loop.chunk, task.loop, step, step + 1), task.replayer, task.checkpoint(step, before)
    columns, *_ = replayer.steps_of_loop(at, replayer.whole(at), {**one.arrived, "cost": one.costs[0]}, step + 1)
    task.side.runtime.set_dtype(task.identity.dtype)
    return one.arrived, columns


def unrepeated(
    task: Task, states: Mapping[int, Arrays], root: int | None, first: int, replayed: Taken, run: Taken
) -> tuple[int, int]:
    """Whether the run did what the same loop, from the same beginning, does not do again; and where that is seen."""
    differ = np.flatnonzero(~equal(replayed.costs, run.costs))
    seen = first + int(differ[0]) if differ.size else first + len(run.costs) - 1
    if root is None:
        return UNWATCHED, first
    task.loop.write(states[root])
    if root < first:
        taken(task.loop.chunk, task.loop, root, first)
    repeated = taken(task.loop.chunk, task.loop, first, first + len(run.costs))
    return (UNREPEATED, seen) if same(repeated, replayed) else (UNWATCHED, first)


def same(x: Taken, y: Taken) -> bool:
    """Whether two runs of the same steps gave the same costs and arrived at the same state, bit for bit."""
    states = all(bool(equal(x.arrived[name], y.arrived[name]).all()) for name in x.arrived)
    return states and bool(equal(x.costs, y.costs).all())


def equal(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
    """Elementwise; what is no number on both sides is the same."""
    return (x == y) | (np.isnan(x) & np.isnan(y))
