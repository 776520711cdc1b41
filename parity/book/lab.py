"""Where a book's recordings are made: live workers, and experiments asked for as parity.run is asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parity.experiment.spec import FRAMEWORKS, Experiment, Framework
from parity.recordings.recording import Recording
from parity.workers.pairs import record_pair
from parity.workers.processes import Worker

Pair = tuple[Recording, Recording]
Values = NDArray[np.float64]
Costs = dict[Framework, Values]


@dataclass
class Lab:
    """Records pairs below a folder, each of them once; `typed` makes an experiment of the words behind parity.run."""

    workers: Mapping[Framework, Worker]
    folder: Path
    typed: Callable[[str], Experiment]
    made: dict[str, Pair] = field(default_factory=dict)

    def pair(self, words: str, twins: int = 0, judged: bool = True) -> Pair:
        """Keras's recording and torch's; unless it is to be `judged`, neither replays the other's checkpoints."""
        return self.recorded(self.typed(words), twins, 12, judged)

    def recorded(self, experiment: Experiment, twins: int = 0, checkpoints: int = 2, judged: bool = True) -> Pair:
        """The recordings of an experiment."""
        key = f"{experiment}, {twins} twins, {checkpoints} checkpoints, judged: {judged}"
        if key not in self.made:
            folder = self.folder / f"pair-{len(self.made)}"
            self.made[key] = record_pair(
                self.workers, experiment, folder, checkpoints=checkpoints, twins=twins, exchange=judged
            )
        return self.made[key]


def costs_of(pair: Pair) -> Costs:
    """The cost of every step, of either side."""
    return {side: np.asarray(made.trace["cost"], np.float64) for side, made in zip(FRAMEWORKS, pair, strict=True)}


def relative(costs: Costs) -> Values:
    """The difference of both sides' costs, in parts of the larger one."""
    x, y = (np.asarray(costs[side], np.float64) for side in ("tf", "torch"))
    with np.errstate(all="ignore"):
        found = np.abs(x - y) / np.maximum(np.abs(x), np.abs(y))
    return np.where(np.isfinite(found), found, 0.0)
