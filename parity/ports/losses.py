"""The losses of a pair's own functions, taken of equal results under variants of either."""

from pathlib import Path
from typing import Any

import numpy as np

from parity.causes.cause import Cause
from parity.causes.loss_formulas import another
from parity.causes.losses import Option, Value, first, merged, of_side, options, tries
from parity.causes.rules import close
from parity.models.axes import layouts
from parity.models.described import Side as Framework
from parity.ports.arrays import Arrays, save_arrays
from parity.ports.job import LossJob
from parity.ports.replays import KINDS, Replays


class Asked:
    """The losses of both sides of Keras's results, under all variants that are tried."""

    def __init__(self, replays: Replays) -> None:
        judge = replays.judge
        mode = "train" if judge.trained else "eval"
        ours = {n: judge.keras.arrays[key] for n, key in judge.keras.names(f"outputs/{mode}/").items()}
        ours = {name: value for name, value in ours.items() if value.dtype.kind == "f"}
        # torch's own names and shapes of its results: its outputs() may make others of them.
        theirs = {n: judge.torch.arrays[key].shape for n, key in judge.torch.names("loss-gradient/").items()}
        self.names = dict(zip(ours, theirs, strict=False)) if len(ours) == len(theirs) else {}
        self.layouts = {}
        results: dict[Framework, Arrays] = {"keras": ours, "torch": {}}
        for own, other in self.names.items():
            found = list(layouts(ours[own].shape, theirs[other]))
            self.layouts[own] = next((one for one in found if one.name == "the same"), found[0] if found else None)
            results["torch"][other] = self.turned(own, ours[own])
        self.arrays: dict[Framework, Arrays] = {}
        self.changes: dict[Framework, list[Any]] = {}
        self.options: list[Option] = []
        self.results = results["torch"]
        paths = {side: replays.out / side / "results" for side in KINDS}
        for side in KINDS:
            save_arrays(paths[side], results[side])
        calls = [self.ask(replays, side, paths[side], [{}])["calls"] for side in KINDS]
        self.calls = calls
        self.options = options(calls[0], calls[1])
        for side in KINDS:
            every = [merged(of_side(chosen, side)) for chosen in tries(self.options)]
            unlike = [change for n, change in enumerate(every) if change is not None and change not in every[:n]]
            self.ask(replays, side, paths[side], unlike)

    def ask(self, replays: Replays, side: Framework, results: Path, changes: list[Any]) -> dict[str, Any]:
        """Have a side take its loss under each change."""
        self.changes[side] = changes
        job = LossJob(
            replays.starts[side],
            results,
            tuple(changes),
            replays.judge.keras.recorded.steps,
            replays.out / side / "losses",
        )
        self.arrays[side], facts = replays.run(side, job)
        return facts

    def values(self, side: str, chosen: tuple[Option, ...]) -> Value | None:
        """A side's loss under some options; None where it cannot be taken so."""
        framework: Framework = "keras" if side == "keras" else "torch"
        change = merged(chosen)
        if change not in self.changes[framework]:
            return None
        arrays, number = self.arrays[framework], self.changes[framework].index(change)
        if f"{number}/loss" not in arrays:
            return None
        gradients = {n.split("/", 2)[2]: g for n, g in arrays.items() if n.startswith(f"{number}/gradient/")}
        if framework == "keras":
            gradients = {self.names[n]: self.turned(n, g) for n, g in gradients.items() if n in self.names}
        moves = {n.split("/", 2)[2]: float(move) for n, move in arrays.items() if n.startswith(f"{number}/moves/")}
        moves = {self.names.get(n, n) if framework == "keras" else n: move for n, move in moves.items()}
        return Value(arrays[f"{number}/loss"], gradients, float(arrays[f"{number}/moves"]), moves)

    def same(self, ours: Value, theirs: Value) -> bool:
        """Whether two losses agree."""
        sums = {n: v.sum(axis=1) for n, v in self.results.items() if v.ndim > 1 and v.shape[1] > 1}
        return ours.same(theirs, [n for n, total in sums.items() if close(np.ones_like(total), total, 1e-16)])

    def turned(self, name: str, gradient: Any) -> Any:
        """A gradient of Keras's in torch's layout."""
        layout = self.layouts[name]
        return gradient if layout is None else layout.turn(gradient)

    def places(self) -> tuple[str | None, str | None]:
        """The lines of the losses on both sides."""
        return first(self.calls[0]).get("place"), first(self.calls[1]).get("place")

    def another(self, keras: Value, torch: Value) -> Cause | None:
        """The formulas of both losses, if both are known and are two."""
        targets = [array for name, array in self.arrays["keras"].items() if name.startswith("targets/")]
        if len(self.results) != 1 or len(targets) != 1:
            return None
        return another(next(iter(self.results.values())), targets[0], keras, torch, self.places())

    def counts(self) -> dict[str, int]:
        """Of what a factor may be the number."""
        shape = next(iter(self.results.values())).shape if self.results else ()
        if not shape:
            return {}
        return {
            "the number of samples": shape[0],
            "of results for each": int(np.prod(shape[1:])),
            "of all results": int(np.prod(shape)),
        }
