"""Two recordings of a user's pair, judged level by level."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.causes import masks
from parity.models.axes import Layout, layouts
from parity.models.calls import INPUTS, Call, largest
from parity.models.described import Layer
from parity.pairing.links import Link
from parity.pairing.pairs import Pairing
from parity.pairing.views import total, turned
from parity.ports.derived import Known, allowed
from parity.ports.findings import Finding, Level
from parity.ports.recording import BLOCK, Opened, Recorded
from parity.ports.stages import MOVES, Stage, family

Array = NDArray[Any]
Arrays = Mapping[str, Array]
# By how much two honest float64 runs may differ, in the largest of what was measured of rounding in them.
FACTOR = 32
LEAKY = "within float32's rounding"
# Of what a model gives: a bound that lets float64 be further off than float32 is says nothing of it. Of gradients and
# updates it does, since rounding decides at kinks and of what is divided by its own size.
RESULTS: tuple[Level, ...] = ("forward", "predict", "training forward", "loss", "forward after training")
# The share of what float32 moves a tensor by that a unit in the last place of float64 may, 2**-29 of the other's, where
# nothing but rounding acts.
SMOOTH = 2.0**-14
# float32's unit roundoff over float64's.
FINER = 2.0**-29
# Of the largest value of a tensor: what its last operation and the conversion between layouts may round.
LAST = 4 * np.finfo(np.float64).eps


@dataclass
class Away:
    """How far two arrays are apart at most, and where; `size` is the largest value of the first one.

    `alone` is a place where one of them alone has a number, `numbers` how many both have.
    """

    at: tuple[int, ...]
    apart: float = 0.0
    size: float = 0.0
    numbers: int = 0
    alone: tuple[int, ...] | None = None


def furthest(ours: Array, theirs: Array) -> Away:
    """Where two arrays of one shape are furthest apart; block by block, since a large weight takes much memory."""
    found = Away((0,) * ours.ndim)
    rows = max(1, BLOCK * len(ours) // max(1, ours.size))
    for start in range(0, len(ours) if ours.size else 0, rows):
        a, b = (array[start : start + rows].astype(np.float64) for array in (ours, theirs))
        numbers = np.isfinite(a), np.isfinite(b)
        unlike = ~(numbers[0] & numbers[1]) & ~((a == b) | (np.isnan(a) & np.isnan(b)))
        if found.alone is None and unlike.any():
            first, *others = (int(n) for n in np.argwhere(unlike)[0])
            found.alone = (start + first, *others)
        with np.errstate(all="ignore"):
            apart = np.where(numbers[0] & numbers[1], np.abs(a - b), 0.0)
        first, *others = (int(n) for n in np.unravel_index(int(np.argmax(apart)), apart.shape))
        if apart[(first, *others)] > found.apart:
            found.apart, found.at = float(apart[(first, *others)]), (start + first, *others)
        found.size = max(found.size, largest([a]))
        found.numbers += int(numbers[0].sum())
    return found


@dataclass(frozen=True)
class Side:
    """One side as it was recorded."""

    opened: Opened
    recorded: Recorded
    arrays: Arrays
    weights: Arrays

    def rounding(self, name: str) -> float:
        """By how much rounding moves a tensor, as it was measured."""
        return max(self.recorded.nudged.get(name, 0.0), self.recorded.narrow.get(name, 0.0) * FINER)

    @cached_property
    def leaking(self) -> dict[str, int]:
        """In each mode, how many tensors are made before the first that comes of fewer digits than float64's."""
        found = {}
        for mode, leaks in self.recorded.leaks.items():
            order = [call.name for call in self.recorded.calls[mode]]
            found[mode] = min(order.index(leak.stage) if leak.stage in order else 0 for leak in leaks)
        return found

    def leaky(self, mode: str, call: Call) -> bool:
        """Whether a tensor of a pass may come of fewer digits."""
        order = [other.name for other in self.recorded.calls.get(mode, ())]
        return mode in self.leaking and (call.name not in order or order.index(call.name) >= self.leaking[mode])

    def names(self, prefix: str) -> dict[str, str]:
        """The recorded arrays below a prefix, by the rest of their names."""
        return {name[len(prefix) :]: name for name in self.arrays if name.startswith(prefix)}


@dataclass(frozen=True)
class Judge:
    """Judges two sides; `stages` are what is paired of their passes."""

    keras: Side
    torch: Side
    pairing: Pairing
    stages: Sequence[Stage]
    # Whether each stage was given the other side's inputs.
    forced: bool = False

    @property
    def trained(self) -> bool:
        """Whether there was a pass in train mode."""
        return bool(self.keras.recorded.calls.get("train"))

    def compared(
        self,
        level: Level,
        name: str,
        keys: tuple[str, str],
        arrays: tuple[Array, Array],
        leaky: bool | None = None,
    ) -> Finding:
        """Whether two arrays of one layout, recorded under these names, differ by no more than rounding explains.

        What is `leaky`, by default what comes after any leak at all, is held to float32's rounding if float64's is not
        met.
        """
        ours, theirs = (np.asarray(array) for array in arrays)
        if ours.shape != theirs.shape:
            reason = f"Keras has the shape {ours.shape}, torch {theirs.shape}"
            return Finding(level, name, "failed", reason)
        is_number = ours.ndim == 0
        ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
        away = furthest(ours, theirs)
        if away.alone is not None:
            values = float(ours[away.alone]), float(theirs[away.alone])
            where = str(list(away.alone))
            return Finding(level, name, "failed", "one side alone is a number", where=where, values=values)
        if ours.size and not away.numbers:
            return Finding(level, name, "not_judged", "no number on both sides proves nothing")
        at, measured, size = away.at, away.apart, away.size
        rounding = max(self.keras.rounding(keys[0]), self.torch.rounding(keys[1]))
        bound = FACTOR * rounding + LAST * size
        worst = (float(ours[at]), float(theirs[at])) if ours.size else None
        where = "[]" if is_number else str(list(at))
        entry = Finding(level, name, "passed", "", None, None, where, worst, measured, bound)
        if not math.isfinite(bound):
            return replace(entry, result="not_judged", reason="no bound: rounding alone decides it", bound=None)
        narrow = max(self.keras.recorded.narrow.get(keys[0], 0.0), self.torch.recorded.narrow.get(keys[1], 0.0))
        if measured <= bound:
            coarse = measured > narrow or rounding > SMOOTH * narrow
            if level in RESULTS and coarse and measured > LAST / FINER * size:
                reason = f"a unit in the last place of its inputs moves it by {rounding:.3g}: rounding decides it"
                return replace(entry, result="not_judged", reason=reason, bound=None)
            return replace(entry, reason="within rounding")
        if leaky or (leaky is None and (self.keras.recorded.leaks or self.torch.recorded.leaks)):
            wide = FACTOR * narrow + LAST / FINER * size
            if measured <= wide:
                return replace(entry, bound=wide, reason=f"{LEAKY}: the float64 run has fewer digits there")
        return replace(entry, result="failed", reason="differs by more than rounding explains")

    def by_stage(
        self, level: Level, prefix: str, stages: Sequence[Stage], real: Array | None = None
    ) -> Iterator[Finding]:
        """The tensors of a pass, or their gradients, stage by stage; of sequences, at the `real` steps alone."""
        for stage in stages:
            keys = f"{prefix}{stage.keras.name}", f"{prefix}{stage.torch.name}"
            if keys[0] not in self.keras.arrays or keys[1] not in self.torch.arrays:
                continue
            ours, theirs = stage.layout.turn(self.keras.arrays[keys[0]]), self.torch.arrays[keys[1]]
            if real is not None:
                # As Keras has them, since its axes are known.
                ours, theirs = self.keras.arrays[keys[0]], stage.layout.back(theirs, stage.keras.shape)
                there = real.reshape(real.shape + (1,) * (ours.ndim - real.ndim))
                ours, theirs = (stage.layout.turn(np.where(there, array, 0.0)) for array in (ours, theirs))
            if prefix == "gradient/" and kinked(stage):
                ours, theirs = self.without_kinks(stage, ours, theirs)
            mode = prefix.rstrip("/")
            leaky = self.keras.leaky(mode, stage.keras) or self.torch.leaky(mode, stage.torch)
            found = self.compared(level, stage.name, keys, (ours, theirs), None if mode == "gradient" else leaky)
            if not leaky and mode != "gradient" and found.bound is not None:
                found = by_formula(found, (ours, theirs), self.known(stage, prefix), stage)
            yield self.told(found, stage)

    def known(self, stage: Stage, prefix: str) -> Known | None:
        """What a stage is computed of, where no other calls are inside of it and all of it was recorded."""
        if any(family(call.kind) not in MOVES for call in stage.inside):
            return None
        call = stage.keras
        layer = self.pairing.keras.layer(call.layer) if call.layer is not None else None
        weights = {w.role: np.asarray(self.keras.weights[w.name], np.float64) for w in layer.weights} if layer else {}
        given = [self.given(name, prefix) for name in call.reads]
        if not given or None in given or len(call.reads) != len(call.inputs):
            return None
        inputs, others = zip(*(pair for pair in given if pair is not None), strict=True)
        apart = [None if self.forced else np.abs(a - b) for a, b in zip(inputs, others, strict=True)]
        kind = call.kind or (layer.kind if layer is not None else "")
        return Known(kind, layer, weights, inputs, apart, prefix == "train/")

    def real(self, call: Call) -> Array | None:
        """Which steps of a tensor of Keras's are not masked, [batch, time] bool: as the layer says that made it, or one
        before it. None where no layer makes masks, or two do."""
        calls = {each.name: each for each in self.keras.recorded.calls["eval"]}
        found: list[Array] = []
        waiting, seen = [call.name], set()
        while waiting:
            name = waiting.pop()
            if name in seen or name not in calls:
                continue
            seen.add(name)
            made = self.mask(calls[name])
            if made is not None:
                found.append(made)
            else:
                waiting += calls[name].reads
        fitting = [real for real in found if call.shape[:2] == real.shape]
        return fitting[0] if len(fitting) == len(found) == 1 else None

    def unused(self, who: str) -> list[tuple[Layer, Layer]]:
        """Layers of one side, "torch" or "Keras", whose weights none of its results hangs on, and their partners on the
        other side, of which a result does; nothing where gradients are not known."""
        sides = (self.torch, self.keras) if who == "torch" else (self.keras, self.torch)
        ours, theirs = (side.names("weight-gradient/") for side in sides)
        found = []
        for pair in self.pairing.pairs:
            layers = self.pairing.torch.layer(pair.torch), self.pairing.keras.layer(pair.keras)
            own, other = layers if who == "torch" else layers[::-1]
            names, others = ([w.name for w in layer.weights if w.trainable] for layer in (own, other))
            if ours and names and not any(n in ours for n in names) and any(n in theirs for n in others):
                found.append((own, other))
        return found

    def read_by(self, call: Call) -> set[str]:
        """The kinds of what reads a tensor of Keras's; a result of the model is read by its user."""
        calls = self.keras.recorded.calls["eval"]
        readers = {each.kind for each in calls if call.name in each.reads}
        return readers or {"result"}

    def mask(self, call: Call) -> Array | None:
        """The mask that a layer of Keras's makes of what it reads; None of a layer that makes none."""
        layer = self.pairing.keras.layer(call.layer) if call.layer is not None else None
        inputs = (self.keras.arrays[key] for key in self.keras.names(INPUTS).values())
        fitting = [x for x in inputs if call.inputs and x.shape == call.inputs[0]]
        if layer is None or len(fitting) != 1:
            return None
        return masks.real_steps(layer.kind, layer.settings, fitting[0])

    def given(self, name: str, prefix: str) -> tuple[Array, Array] | None:
        """A tensor that is read, of either side, as Keras has it."""
        keys = prefix + name, ""
        if name.startswith(INPUTS):
            ours, theirs = (list(side.names(INPUTS).values()) for side in (self.keras, self.torch))
            if name not in ours or len(ours) != len(theirs):
                return None
            keys = name, theirs[ours.index(name)]
            layout = self.input_layout(self.keras.arrays[keys[0]], self.torch.arrays[keys[1]])
        else:
            stage = next((stage for stage in self.stages if stage.keras.name == name), None)
            if stage is not None and stage.guess and not self.agrees(stage, prefix):
                # Place alone paired them: how far they are apart excuses nothing.
                return None
            layout = stage.layout if stage is not None else None
            keys = keys[0], f"{prefix}{stage.torch.name}" if stage is not None else ""
        if layout is None or keys[0] not in self.keras.arrays or keys[1] not in self.torch.arrays:
            return None
        own, other = self.keras.arrays[keys[0]], self.torch.arrays[keys[1]]
        return (own, layout.back(other, own.shape)) if own.size == other.size else None

    def agrees(self, stage: Stage, prefix: str) -> bool:
        """Whether what a stage made is the same on both sides but for rounding."""
        keys = f"{prefix}{stage.keras.name}", f"{prefix}{stage.torch.name}"
        if keys[0] not in self.keras.arrays or keys[1] not in self.torch.arrays:
            return False
        ours, theirs = stage.layout.turn(self.keras.arrays[keys[0]]), self.torch.arrays[keys[1]]
        return self.compared("forward", stage.name, keys, (ours, theirs)).result == "passed"

    def without_kinks(self, stage: Stage, ours: Array, theirs: Array) -> tuple[Array, Array]:
        """Gradients by what a ReLU makes, without those of its zeros: they go nowhere, and a pooling may split them."""
        mode = "train" if self.trained else "eval"
        values = (
            self.keras.arrays.get(f"{mode}/{stage.keras.name}"),
            self.torch.arrays.get(f"{mode}/{stage.torch.name}"),
        )
        if values[0] is None or values[1] is None:
            return ours, theirs
        zero = (stage.layout.turn(values[0]) == 0) & (values[1] == 0)
        return np.where(zero, 0.0, ours), np.where(zero, 0.0, theirs)

    def told(self, finding: Finding, stage: Stage) -> Finding:
        """A finding with both names and places."""
        names = self.named(self.keras, stage.keras), self.named(self.torch, stage.torch)
        inside = tuple(self.named(self.torch, call) for call in stage.inside)
        return replace(finding, keras=names[0], torch=names[1], inside=inside)

    def named(self, side: Side, call: Call) -> str:
        """A tensor's name, what made it, and where."""
        parts = [call.name, call.kind if call.kind != call.name else "", call.source or ""]
        return "  ".join(part for part in parts if part)

    def outputs(self, level: Level, prefix: str, other: str | None = None) -> Iterator[Finding]:
        """The model's results; torch's of another prefix where they are called otherwise."""
        ours, theirs = self.keras.names(prefix), self.torch.names(other or prefix)
        if len(ours) != len(theirs):
            reason = f"Keras's model gives {len(ours)} tensors, torch's {len(theirs)}"
            yield Finding(level, "outputs", "failed", reason)
            return
        for (name, key), (other_name, other_key) in zip(ours.items(), theirs.items(), strict=True):
            called = f"output {name}".rstrip()
            pair = self.keras.arrays[key], self.torch.arrays[other_key]
            layout = self.output_layout(*pair)
            turned_pair = (layout.turn(pair[0]), pair[1]) if layout is not None else pair
            found = self.compared(level, called, (key, other_key), turned_pair)
            yield replace(found, keras=called, torch=f"output {other_name}".rstrip())

    def output_layout(self, ours: Array, theirs: Array) -> Layout | None:
        """The layout in which two results have one shape: as they are, or else channels first."""
        found = list(layouts(ours.shape, theirs.shape))
        return next((layout for layout in found if layout.name == "the same"), found[0] if found else None)

    def in_float32(self) -> Iterator[Finding]:
        """Whether float32 rounds either side's forward pass as it does the other's.

        Where it does not, one may have fewer digits, or a kernel that makes more of rounding: that is said, and is no
        failure.
        """
        for stage in self.stages:
            key, other = f"eval/{stage.keras.name}", f"eval/{stage.torch.name}"
            if key not in self.keras.recorded.narrow or other not in self.torch.recorded.narrow:
                continue
            moved = self.keras.recorded.narrow[key], self.torch.recorded.narrow[other]
            size = largest([self.keras.arrays[key], self.torch.arrays[other]])
            nudged = max(self.keras.recorded.nudged.get(key, 0.0), self.torch.recorded.nudged.get(other, 0.0))
            bound = FACTOR * max(min(moved), nudged / FINER) + LAST / FINER * size
            found = Finding("float32", stage.name, "passed", "rounded alike", None, None, None, None, max(moved), bound)
            if max(moved) > bound:
                who = "Keras" if moved[0] > moved[1] else "torch"
                reason = f"{who} rounds far more in float32 than the other side: half precision, autocast, TF32?"
                found = replace(found, result="not_judged", reason=reason, needed=False)
            yield self.told(found, stage)

    def input_layout(self, ours: Array, theirs: Array) -> Layout | None:
        """The layout by which the values agree, or else the first in which the shapes do."""
        found = list(layouts(ours.shape, theirs.shape))
        agreeing = [layout for layout in found if np.array_equal(layout.turn(ours), theirs)]
        return next(iter([*agreeing, *found]), None)

    def same_inputs(self, ours: Array, theirs: Array) -> bool:
        """Whether an input is the same on both sides, up to a layout."""
        layout = self.input_layout(ours, theirs)
        return layout is not None and np.array_equal(layout.turn(ours), theirs)

    def by_weight(self, level: Level, prefix: str | tuple[str, str], one: bool = False) -> Iterator[Finding]:
        """Arrays of weights by the tensors that both sides have; with `one`, as each part of a sum has it."""
        prefixes = prefix if isinstance(prefix, tuple) else (prefix, prefix)
        ours = {name: self.keras.arrays[key] for name, key in self.keras.names(prefixes[0]).items()}
        theirs = {name: self.torch.arrays[key] for name, key in self.torch.names(prefixes[1]).items()}
        for pair in self.pairing.pairs:
            for link in pair.links:
                found = self.by_link(level, prefixes, link, (ours, theirs), one)
                if found is not None:
                    yield found

    def by_tensor_alone(self, level: Level, prefix: str) -> Iterator[Finding]:
        """Tensors that one side lacks: whether what the other's has become still means nothing."""
        for tensor in (tensor for pair in self.pairing.pairs for tensor in pair.alone):
            side, lacking = (self.keras, "torch") if tensor.side == "keras" else (self.torch, "Keras")
            arrays = {name: side.arrays[key] for name, key in side.names(prefix).items()}
            if not all(view.name in arrays for view in tensor.views):
                continue
            array = total(tensor.views, arrays)
            name, key = " + ".join(view.name for view in tensor.views), f"{prefix}{tensor.views[0].name}"
            finding = self.compared(level, name, (key, key), (array, np.full_like(array, tensor.neutral)))
            if finding.result == "failed":
                reason = f"{lacking} has no {tensor.tensor} there, and this one is trained"
                finding = replace(finding, reason=reason)
            yield replace(finding, keras=name) if tensor.side == "keras" else replace(finding, torch=name)

    def by_link(
        self, level: Level, prefixes: tuple[str, str], link: Link, sides: tuple[Arrays, Arrays], one: bool
    ) -> Finding | None:
        """One tensor of both sides; None where neither has it."""
        views = [
            [v for v in side if v.name in arrays] for side, arrays in zip((link.keras, link.torch), sides, strict=True)
        ]
        names = " + ".join(v.name for v in link.keras), " + ".join(v.name for v in link.torch)
        if not views[0] and not views[1]:
            return None
        if not views[0] or not views[1]:
            who = "Keras" if views[0] else "torch"
            reason = f"{who} alone has it: is the other's weight trained, and used?"
            return Finding(level, " ~ ".join(names), "failed", reason, names[0], names[1])
        used = [side[:1] if one else side for side in views]
        ours = turned(total(used[0], sides[0]), used[0][0], used[1][0])
        keys = f"{prefixes[0]}{used[0][0].name}", f"{prefixes[1]}{used[1][0].name}"
        return replace(
            self.compared(level, " ~ ".join(names), keys, (ours, total(used[1], sides[1]))),
            keras=names[0],
            torch=names[1],
        )


def key_of(name: str) -> str:
    """Where a tensor is kept that was read in eval mode: what a call made, or else an input."""
    return name if name.startswith(INPUTS) else f"eval/{name}"


def by_formula(finding: Finding, arrays: tuple[Array, Array], known: Known | None, stage: Stage) -> Finding:
    """The finding with the bound of the stage's formula for each element, where there is one."""
    found = allowed(known, stage.torch.kind) if known is not None else None
    if found is None or found[0].shape != stage.keras.shape:
        return finding
    bound, apart = stage.layout.turn(found[0]), np.abs(arrays[0] - arrays[1])
    with np.errstate(all="ignore"):
        share = np.where(apart == 0, 0.0, apart / bound)
    if not np.isfinite(apart).all():
        return finding
    at = tuple(int(n) for n in np.unravel_index(int(np.argmax(share)), share.shape))
    failed = bool(apart[at] > bound[at])
    return replace(
        finding,
        result="failed" if failed else "passed",
        reason="differs by more than rounding explains" if failed else "within rounding",
        where=str(list(at)),
        values=(float(arrays[0][at]), float(arrays[1][at])),
        measured=float(apart[at]),
        bound=float(bound[at]),
        rule=found[1],
    )


def kinked(stage: Stage) -> bool:
    """Whether a stage is a ReLU, of any name."""
    return "relu" in stage.keras.kind.lower() or "relu" in stage.torch.kind.lower()
