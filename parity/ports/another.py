"""What a stage that parts computes on either side, where that is no layer with a partner: another operation."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.causes.cause import Cause
from parity.causes.layers import borders
from parity.causes.operations import Expression, expressions, in_parts
from parity.causes.rules import close
from parity.models.axes import CHANNELS_FIRST, SAME, TIME_FIRST, layouts
from parity.models.calls import INPUTS, Call
from parity.pairing.windows import several
from parity.ports.findings import Finding
from parity.ports.judge import Judge, key_of
from parity.ports.stages import Stage, nearest

Array = NDArray[Any]
# Elements of a stage's largest tensor beyond which every expression would cost too much.
LARGEST = 2**23
# The share of a result's numbers that have to differ for a relation of both results.
SEEN = 0.1
NAME = "another_operation"
# Known differences, by how Keras's and torch's expressions begin.
ENTRIES = {
    "max_pool_zero_padding": (r"F\.max_pool\dd\(F\.pad\(.*-inf", r"F\.max_pool\dd\(F\.pad\((?!.*-inf)"),
    "softmax_axis": (r"torch\.softmax", r"torch\.softmax"),
    "bidirectional_last_step": (r"torch\.cat\(\[\S+\[:, -1, :\d+\], \S+\[:, 0, \d+:\]\]", r"\S+\[:, -1\]$"),
}
# In which order a map is flattened is no fault by itself: what reads it may be made for that.
MOVED = re.compile(r"\{\d+\}(\.(permute|reshape)\([-\d, ]*\))*")
CONFIRMED = "of the same tensors, each gives what that side gives, every number"
CONFIRMED_AT_THE_END = "it does so in every number of the result, and every stage before agrees"


@dataclass(frozen=True)
class Another:
    """A judged pair, and what torch's stages made of Keras's tensors by their names; all is said in torch's layouts."""

    judge: Judge
    made: Mapping[str, Array]
    # Stages that fail, and that no layer ends: what is made of them is told of what they are made of.
    passed_through: frozenset[str] = frozenset()

    def cause(self, stage: Stage) -> Cause | None:
        """What the stage computes, if that is known on both sides, or what the one's result is of the other's."""
        ours, theirs = self.keras(stage.keras.name, stage), self.made.get(stage.torch.name)
        if ours is None or theirs is None or ours.size > LARGEST:
            return None
        given, rounding = self.given(stage, ours), self.judge.keras.rounding(f"eval/{stage.keras.name}")
        inner, alike = self.inner(stage), ours.shape == theirs.shape
        # Of a layer with weights, what it is given is asked for, and what it makes of that is its own.
        weighted = any(layer.path == stage.torch.layer and layer.weights for layer in self.judge.pairing.torch.layers)
        if weighted and all(pair.torch != stage.torch.layer for pair in self.judge.pairing.pairs):
            return None
        found = told_apart(given, inner, ours, theirs, rounding) if alike and not weighted else None
        if found is not None and not all(MOVED.fullmatch(expression.code) for expression in found):
            return self.told(stage, "torch computes {} there, which Keras has as {}", found, list(given))
        of_inputs = self.of_inputs(stage, given, inner)
        if of_inputs is not None:
            name, names, found = of_inputs
            return self.told(stage, f'"{name}" is given {{}}, which Keras has as {{}}', found, names)
        layers = self.layers(stage)
        found = told_apart(layers, ([], []), ours, theirs, rounding) if alike else None
        if found is not None:
            return self.told(stage, "torch takes {}, and {} is what Keras has", found, list(layers))
        says = related(ours, theirs, rounding) if alike else None
        return None if says is None else Cause(NAME, "forward", *says, "port", CONFIRMED, *places(stage))

    def inner(self, stage: Stage) -> tuple[list[Array], list[Array]]:
        """What Keras's and torch's stage make on the way, Keras's in the layout of what they are made of.

        Keras's tensor may be told by way of torch's, too, as a map of which torch has the channels first.
        """
        passed = [other for other in self.judge.stages if other.name in set(self.through(stage))]
        calls = {*stage.inside, *(call for other in passed for call in (other.keras, other.torch, *other.inside))}
        own, other = (
            [c for c in side.recorded.calls["eval"] if c in calls] for side in (self.judge.keras, self.judge.torch)
        )
        known = {s.keras.name: s for s in self.judge.stages}
        origins = [known[name] for name in self.origins(stage, "keras") if name in known]
        ours = []
        for call in own:
            array = self.keras(call.name, None)
            layout = next((s.layout for s in origins if len(s.keras.shape) == len(call.shape)), SAME)
            # A layout of flattened maps is one shape's alone.
            ours += (
                [array if layout not in (CHANNELS_FIRST, TIME_FIRST) else layout.turn(array)]
                if array is not None
                else []
            )
        theirs = [self.made[c.name] for c in other if c.layer is None and c.name in self.made]
        theirs = [array for array in theirs if array.dtype.kind == "f"]
        return [*ours, *theirs], theirs

    def told(self, stage: Stage, says: str, found: tuple[Expression, Expression], names: Sequence[str]) -> Cause:
        """The cause in a stage, by the expressions of both sides."""
        own, other = (e.of([spoken(name) for name in names]) for e in found)
        entry = next(
            (e for e, (ours, theirs) in ENTRIES.items() if re.match(ours, own) and re.match(theirs, other)), None
        )
        return Cause(entry or NAME, "forward", says.format(other, own), own, "port", CONFIRMED, *places(stage), entry)

    def layers(self, stage: Stage) -> dict[str, Array]:
        """All that the layers of torch's gave that the stage has in it, as a recurrent one its states and the last."""
        calls = [call for call in self.judge.torch.recorded.calls["eval"] if call in (*stage.inside, stage.torch)]
        paths = {call.layer for call in calls if call.layer is not None}
        every = [call.name for call in self.judge.torch.recorded.calls["eval"] if call.layer in paths]
        return {name: self.made[name] for name in every if name in self.made}

    def of_inputs(
        self, stage: Stage, given: Mapping[str, Array], inner: tuple[list[Array], list[Array]]
    ) -> tuple[str, list[str], tuple[Expression, Expression]] | None:
        """The same of what the stage's own layers are given, where each reads one tensor: the call, and the names."""
        call = self.own_layer(stage)
        if call is None or stage.keras.layer is None or not len(stage.keras.reads) == len(call.reads) == 1:
            return None
        (read,), (other,) = stage.keras.reads, call.reads
        own, theirs = self.keras(read, None), given.get(other, self.made.get(other))
        if own is None or theirs is None or own.size > LARGEST:
            return None
        # Of a square map any order of axes fits: as it is comes first.
        ways = [layout.turn(own) for layout in sorted(layouts(own.shape, theirs.shape), key=lambda one: one != SAME)]
        rounding = self.judge.keras.rounding(f"eval/{read}")
        if any(close(ours, theirs, rounding) for ours in ways):
            return None
        for ours in ways or [np.moveaxis(own, -1, 1)]:
            bordered = self.with_borders(stage, call, ours, theirs)
            if close(*bordered, rounding):
                return None
            tried = [
                (given, inner, *bordered),
                (given, inner, ours, theirs),
                (self.layers(stage), ([], []), ours, theirs),
            ]
            for names, parts, mine, others in tried:
                found = told_apart(names, parts, mine, others, rounding)
                if found is not None:
                    return call.name, list(names), found
        return None

    def with_borders(self, stage: Stage, call: Call, ours: Array, theirs: Array) -> tuple[Array, Array]:
        """What both layers are given, with what they put around it themselves, where both slide over it."""
        keras = next(layer for layer in self.judge.pairing.keras.layers if layer.path == stage.keras.layer)
        torch = next(layer for layer in self.judge.pairing.torch.layers if layer.path == call.layer)
        widths = borders(keras, ours.shape[2:]), torch.settings.get("padding", 0)
        if widths[0] is None or isinstance(widths[1], str) or "Conv" not in torch.kind or ours.ndim != theirs.ndim:
            return ours, theirs
        around = [(n, n) for n in several(widths[1], theirs.ndim - 2)]
        return np.pad(ours, [(0, 0), (0, 0), *widths[0]]), np.pad(theirs, [(0, 0), (0, 0), *around])

    def own_layer(self, stage: Stage) -> Call | None:
        """The call of torch's layer that is paired with Keras's of the stage, if it is called once there."""
        paths = {pair.torch for pair in self.judge.pairing.pairs if pair.keras == stage.keras.layer}
        calls = [c for c in self.judge.torch.recorded.calls["eval"] if c in (*stage.inside, stage.torch)]
        found = [call for call in calls if call.layer in paths]
        return found[0] if len({(call.layer, call.number) for call in found}) == 1 else None

    def keras(self, name: str, stage: Stage | None) -> Array | None:
        """A tensor of Keras's, or an input, as the stage that ends in it has it in torch."""
        arrays = self.judge.keras.arrays
        array = arrays.get(key_of(name))
        if array is None or array.dtype.kind not in "fiu":
            return None
        wide = np.asarray(array, np.float64)
        return wide if stage is None else stage.layout.turn(wide)

    def given(self, stage: Stage, result: Array) -> dict[str, Array]:
        """What either side's stage is made of: Keras's tensors, and inputs, by torch's names and in its layouts.

        One of (batch, channels) is given as such a factor of the result's places, too.
        """
        known = {other.keras.name: other for other in self.judge.stages}
        names = [*self.origins(stage, "keras"), *self.origins(stage, "torch")]
        found: dict[str, Array] = {}
        for name in names:
            if name in known:
                value = self.keras(name, known[name])
                found |= {known[name].torch.name: value} if value is not None else {}
                continue
            arrays = self.judge.torch.arrays
            ours, theirs = self.keras(name, None), arrays.get(key_of(name))
            # What differs already is told of as such.
            if ours is not None and theirs is not None and self.judge.same_inputs(ours, theirs):
                found[name] = np.asarray(theirs, np.float64)
        for name, value in list(found.items()):
            if 1 < value.ndim < result.ndim and value.shape == result.shape[: value.ndim]:
                more = result.ndim - value.ndim
                found[f"{name}[{', '.join([':'] * value.ndim + ['None'] * more)}]"] = value.reshape(
                    value.shape + (1,) * more
                )
        return found

    def origins(self, stage: Stage, side: str) -> list[str]:
        """The nearest paired tensors, by Keras's names, and inputs, that one side's stage is made of."""
        own = self.judge.keras if side == "keras" else self.judge.torch
        solid = [other for other in self.judge.stages if other.name not in self.passed_through]
        names = {(other.keras if side == "keras" else other.torch).name: other.keras.name for other in solid}
        reads = {call.name: call.reads for call in own.recorded.calls["eval"]}
        ends, _ = nearest(reads, (stage.keras if side == "keras" else stage.torch).reads, names)
        return list(dict.fromkeys(names.get(name, name) for name in ends))

    def through(self, stage: Stage) -> Iterator[str]:
        """The stages that are passed through on the way to what a stage is made of."""
        for other in (other for other in self.judge.stages if other.name in self.passed_through and other != stage):
            rest = replace(self, passed_through=self.passed_through - {other.name})
            if any(other.keras.name in rest.origins(stage, side) for side in ("keras", "torch")):
                yield other.name


def spoken(name: str) -> str:
    """A tensor's name as an expression has it; what is no name of Python's, or an input's, is in quotes."""
    if name.startswith(INPUTS):
        return "_".join(filter(None, ("input", *re.split(r"\W+", name.removeprefix(INPUTS)))))
    return f'"{name}"' if name[0].isdigit() or name == "input" else name


def places(stage: Stage) -> tuple[str | None, str | None]:
    """Where a stage is on either side."""
    return stage.keras.source, stage.torch.source


def told_apart(
    given: Mapping[str, Array], inner: tuple[list[Array], list[Array]], ours: Array, theirs: Array, rounding: float
) -> tuple[Expression, Expression] | None:
    """What makes Keras's and torch's tensor of the same ones, by way of their `inner` ones, if nothing makes both."""
    arrays = list(given.values())
    if not arrays or max(array.size for array in arrays) > LARGEST:
        return None
    own, other = (
        in_parts(arrays, parts, result, rounding) for parts, result in zip(inner, (ours, theirs), strict=True)
    )
    if not own or not other or {e.code for e in own} & {e.code for e in other}:
        return None
    return own[0], other[0]


def related(ours: Array, theirs: Array, rounding: float) -> tuple[str, str] | None:
    """What one side's result is of the other's, in words, and what to write."""
    if np.count_nonzero(ours != theirs) < SEEN * ours.size:
        # A few numbers fit by chance.
        return None
    if close(ours, theirs, rounding):
        return None
    found = expressions([ours], theirs, rounding)
    if found:
        said = found[0].of(["y"])
        return f"torch's result is {said}, y being Keras's", f"y alone, without what makes {said} of it"
    found = expressions([theirs], ours, rounding)
    if found:
        said = found[0].of(["y"])
        return f"Keras's result is {said}, y being torch's", said
    return None


def at_the_end(judge: Judge, findings: Sequence[Finding]) -> Iterator[Cause]:
    """What makes results differ after the last stage, where all stages agree."""
    failed = {f.name for f in findings if f.level == "forward" and f.result == "failed"}
    ours, theirs = (list(side.names("outputs/eval/").items()) for side in (judge.keras, judge.torch))
    pairs = [(own, other) for (name, own), (_, other) in zip(ours, theirs, strict=False)
             if f"output {name}".rstrip() in failed]  # fmt: skip
    partners = [[n for n, (_, other) in enumerate(theirs) if same_results(judge, own, other)] for _, own in ours]
    if len(pairs) > 1 and all(partners):
        order = ", ".join(str(found[0]) for found in partners)
        says = f"torch gives its results in another order: Keras's are torch's {order}, counted from 0"
        yield Cause(NAME, "forward", says, "the order of Keras's results", "port", CONFIRMED_AT_THE_END)
        return
    for own, other in pairs:
        found = related(*results(judge, own, other), judge.keras.rounding(own))
        if found is not None:
            says, fix = found
            yield Cause(NAME, "forward", f"{says}, at the model's end", fix, "port", CONFIRMED_AT_THE_END)


def results(judge: Judge, own: str, other: str) -> tuple[Array, Array]:
    """A result of either side, by their keys, Keras's as torch lays it out."""
    ours, theirs = judge.keras.arrays[own].astype(np.float64), judge.torch.arrays[other].astype(np.float64)
    layout = judge.output_layout(ours, theirs)
    return (ours if layout is None else layout.turn(ours)), theirs


def same_results(judge: Judge, own: str, other: str) -> bool:
    """Whether two results are the same but for rounding."""
    return close(*results(judge, own, other), max(judge.keras.rounding(own), judge.torch.rounding(other)))
