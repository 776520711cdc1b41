"""Has the workers replay a judged pair, both sides of which are live."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from parity.models.described import Side as Framework
from parity.ports.arrays import Arrays, load_arrays
from parity.ports.job import LossJob, TraceJob
from parity.ports.judge import Judge
from parity.workers.processes import Doer, silent

KINDS: Mapping[Framework, Literal["tf", "torch"]] = {"keras": "tf", "torch": "torch"}


@dataclass
class Replays:
    """A judged pair, both sides of which are live; replays are written below `out`."""

    judge: Judge
    workers: Mapping[Literal["tf", "torch"], Doer]
    out: Path
    starts: Mapping[Framework, Path]
    frozen: tuple[str, ...]

    def run(self, side: Framework, job: LossJob | TraceJob) -> tuple[Arrays, dict[str, Any]]:
        """A job of one side's: its arrays and its facts."""
        self.workers[KINDS[side]].run(job, silent, "replaying took")
        return load_arrays(job.out), json.loads(job.out.with_suffix(".json").read_bytes())
