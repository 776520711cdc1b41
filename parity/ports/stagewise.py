"""Why stages of the forward pass part: each is replayed by torch on Keras's tensors under variants, until it agrees.

Stages do not see each other, since each has Keras's tensors in place of what the stages before it made. So one pass
tries a variant of every stage at once, and one cause hides no other.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.causes import functions, masks
from parity.causes.cause import Cause
from parity.causes.functions import KNOWN
from parity.causes.layers import Part, Variant, of_strides, variants
from parity.causes.rules import close
from parity.causes.training import Answer
from parity.causes.transfer import orders
from parity.errors import UsageError
from parity.models.calls import INPUTS, Call
from parity.models.described import Layer
from parity.pairing.transfer import moved
from parity.pairing.views import total, turned
from parity.pairing.windows import several
from parity.ports.another import Another, at_the_end
from parity.ports.arrays import Arrays, load_arrays, save_arrays
from parity.ports.findings import Finding
from parity.ports.job import ForceJob
from parity.ports.judge import Judge
from parity.ports.levels import alone, to_force, with_every_stage
from parity.ports.stages import Stage
from parity.ports.witness import MOST, heard
from parity.workers.processes import Doer, silent

# So many variants of one stage are tried two at once.
TOGETHER = 8
# Stages of which it is asked what they compute, the first ones: a large tensor takes seconds.
ASKED = 16
CONFIRMED = "given Keras's tensors, the stage so changed gives what Keras's gives"
Chosen = tuple[Variant, ...]
Array = NDArray[Any]


@dataclass
class Stagewise:
    """The failing stages of a judged pair, whose torch side is live; replays are written below `out`."""

    judge: Judge
    torch: Doer
    out: Path
    weights: Mapping[str, np.ndarray]
    # Which tensors of Keras's are written for the replays.
    forced: str = "none"
    right: Arrays = field(default_factory=dict)
    # What torch's stages gave in the last replay, and the names of those that agreed.
    made: Arrays = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)

    def answer(self, findings: Sequence[Finding], failing: Sequence[Finding]) -> Answer:
        """The causes in the transfer of weights and in layers; `failing` are stages that fail by themselves."""
        answer = Answer()
        self.judge = with_every_stage(self.judge, findings)
        if any(finding.level == "weights" and finding.result == "failed" for finding in findings):
            answer.causes += self.transfer()
        names = [finding.name for finding in failing if finding.result == "failed"]
        stages = {stage.name: stage for stage in self.judge.stages if stage.name in names}
        if self.right:
            # What a weight's order explains needs no other cause.
            explained = self.agreeing(dict.fromkeys(stages, ()))
            stages = {name: stage for name, stage in stages.items() if name not in explained}
        options = {name: list(self.options(stage)) for name, stage in stages.items()}
        held = self.singles(options)
        of_functions = list(self.functions(stages, set(held)))
        options = {name: found for name, found in options.items() if name in stages}
        left = {name: found[:TOGETHER] for name, found in options.items() if not held.get(name)}
        held = {name: simplest(ways) for name, ways in held.items()}
        held |= self.together({name: found for name, found in left.items() if len(found) > 1})
        of_masks = []
        for name, cause, chosen in self.masked(stages, options, {name for name, ways in held.items() if ways}):
            of_masks.append(cause)
            held[name] = [chosen] if chosen else []
            if not chosen:
                del stages[name]
        # In the order of the computation.
        held = {name: held[name] for name in stages if name in held}
        answer.causes += [*told(stages, held, self), *of_functions, *of_masks]
        unexplained = []
        # A layer that one side alone uses is a cause of its own, and what lies around it is no stage.
        unused = self.unused()
        stages = {name: s for name, s in stages.items() if not any(call.layer in unused for call in s.inside)}
        for name in stages:
            kinds = {variant.name for chosen in held.get(name, []) for variant in chosen}
            if not held.get(name):
                unexplained.append(stages[name])
            elif len(held[name]) > 1 and len(kinds) > 1:
                answer.excluded.append(f"{name}: each of {', '.join(sorted(kinds))} would explain it")
        differ = any(finding.level == "inputs" and finding.result == "failed" for finding in findings)
        causes, unexplained = self.others(unexplained, differ)
        answer.causes += [*causes, *([] if names else at_the_end(self.judge, findings))]
        for stage in unexplained:
            tried = f"none of {len(options[stage.name])} variants of its layers"
            tried = tried if options[stage.name] else "no known variant"
            answer.excluded.append(f"{stage.name}: {tried} makes it agree with Keras's")
        self.third(answer, unexplained)
        return answer

    def unused(self) -> set[str]:
        """The paths of layers of either side that come to nothing on one of them."""
        return {layer.path for who in ("torch", "Keras") for pair in self.judge.unused(who) for layer in pair}

    def others(self, stages: Sequence[Stage], inputs_differ: bool) -> tuple[list[Cause], list[Stage]]:
        """The stages that compute something else on either side, as causes, and those of which that is not known.

        Where one is made of another, which no layer ends, the later one tells of both. What is made of inputs that
        differ says nothing.
        """
        loose = {stage.name: stage for stage in stages if stage.rule in ("place", "kind")}
        if stages:
            self.agreeing({stage.name: () for stage in stages}, free={s.torch.name for s in loose.values()})
        another = Another(self.judge, self.made, frozenset(loose))
        stages = [stage for stage in stages if not self.harmless(stage, another)]
        # Of what is made of a layer that comes to nothing on the other side, that is the cause.
        unused = self.unused()
        calls = {stage.keras.name: stage.keras.layer for stage in self.judge.stages}
        made_of = {stage.name: another.origins(stage, "keras") for stage in stages}
        asked = [
            stage for stage in stages
            if not any(calls.get(name) in unused or (inputs_differ and name.startswith(INPUTS))
                       for name in made_of[stage.name])
        ]  # fmt: skip
        causes = {stage.name: cause for stage in asked[:ASKED] if (cause := another.cause(stage)) is not None}
        told = {name for stage in stages if stage.name in causes for name in another.through(stage)}
        left = [stage for stage in stages if stage.name not in causes and stage.name not in told]
        return [cause for name, cause in causes.items() if name not in told], left

    def harmless(self, stage: Stage, another: Another) -> bool:
        """Whether a stage that no layer ends differs, and all that is made of it, as torch has it, agrees: no pair."""
        if stage.name not in another.passed_through:
            return False
        readers = [o.name for o in self.judge.stages
                   if o.name not in another.passed_through and stage.name in set(another.through(o))]  # fmt: skip
        return bool(readers) and all(name in self.passed for name in readers)

    def third(self, answer: Answer, stages: Sequence[Stage]) -> None:
        """Ask Keras on torch about stages that nothing explains."""
        self.agreeing({stage.name: () for stage in stages})
        for stage in stages[:MOST]:
            layer, made = self.layer("keras", stage.keras), self.made.get(stage.torch.name)
            said = heard(self.judge, self.torch, self.out, stage, layer, made)
            if isinstance(said, str):
                answer.excluded.append(said)
            elif said is not None:
                answer.causes.append(said)

    def functions(self, stages: dict[str, Stage], held: set[str]) -> Iterator[Cause]:
        """Stages that are one known function in Keras and another in torch, but those `held`; they are taken out."""
        if set(stages) > held:
            self.agreeing(dict.fromkeys(stages, ()))
        found: dict[tuple[str, str], list[Stage]] = {}
        for name, stage in [entry for entry in stages.items() if entry[0] not in held]:
            ours, theirs = self.known(stage)
            if len(ours) == len(theirs) == 1 and ours != theirs:
                found.setdefault((ours[0], theirs[0]), []).append(stages.pop(name))
        for (own, other), where in found.items():
            (code, _), entry = KNOWN[own], functions.difference(own, other)
            many = f" (in {len(where)} places, first {where[0].name})" if len(where) > 1 else ""
            yield Cause(
                entry or "another_function", "forward", f"torch has {other} there, Keras {own}{many}", code, "port",
                "each gives what the stage gives on its side, every number", where[0].keras.source,
                where[0].torch.source, entry,
            )  # fmt: skip

    def known(self, stage: Stage) -> tuple[list[str], list[str]]:
        """The functions that either side's stage is."""
        before = {other.keras.name: other for other in self.judge.stages}
        read = before.get(stage.keras.reads[0]) if len(stage.keras.reads) == 1 else None
        if read is None or stage.torch.name not in self.made:
            return [], []
        x, y = (self.judge.keras.arrays[f"eval/{call.name}"] for call in (read.keras, stage.keras))
        other = self.made[stage.torch.name]
        rounding = self.judge.keras.rounding(f"eval/{stage.keras.name}")
        ours = functions.found(x, y, rounding)
        return ours, functions.found(read.layout.turn(x), other, rounding)

    def masked(
        self, stages: Mapping[str, Stage], options: Mapping[str, Sequence[Variant]], held: set[str]
    ) -> Iterator[tuple[str, Cause, Chosen]]:
        """Stages but those `held` of which Keras leaves out masked steps, and torch does not, and a variant with it.

        A recurrent layer is replayed on sequences whose real steps stand first, as it is and under each variant.
        """
        for name, stage in [entry for entry in stages.items() if entry[0] not in held]:
            keras = self.layer("keras", stage.keras)
            read = next((other for other in self.judge.stages if other.keras.name in stage.keras.reads), None)
            real = None if read is None else self.judge.real(read.keras)
            if keras is None or read is None or real is None or real.all():
                continue
            x, y = (self.judge.keras.arrays[f"eval/{call.name}"] for call in (read.keras, stage.keras))
            rounding = self.judge.keras.rounding(f"eval/{stage.keras.name}")
            cause = of_mask(keras, stage, bool((~real[:, 0] & real.any(axis=1)).any()))
            if keras.kind == "GlobalAveragePooling1D" and close(masks.mean_of_real(x, real), y, rounding):
                yield name, cause, ()
            ways: list[Chosen] = (
                [(), *((variant,) for variant in options[name])] if keras.kind in masks.RECURRENT else []
            )
            for chosen in ways:
                self.agreeing({name: chosen}, {read.torch.name: read.layout.turn(masks.closed_up(x, real))})
                found = [np.swapaxes(a, 0, 1) if a.shape[0] != len(x) else a for a in self.states(stage, x.shape[:2])]
                kept = [masks.carried_on(states, real) for states in found]
                # torch must take the states, or the last one, or it takes something else besides.
                own = [states if y.ndim == 3 else states[:, -1] for states in found]
                taken = self.made[stage.torch.name].reshape(-1) if stage.torch.name in self.made else np.zeros(0)
                if any(close(k if y.ndim == 3 else k[:, -1], y, rounding) for k in kept) and any(
                    close(states.reshape(-1), taken, rounding) for states in own
                ):
                    yield name, cause, chosen
                    break

    def states(self, stage: Stage, shape: tuple[int, ...]) -> list[Array]:
        """What recurrent layers of a stage of torch's gave at each step in the last replay; time may come first."""
        names = [call.name for call in (stage.torch, *self.inside(stage))]
        found = [self.made[name] for name in names if name in self.made and self.made[name].ndim == 3]
        return [states for states in found if states.shape[:2] in (shape, shape[::-1])]

    def options(self, stage: Stage) -> Iterator[Variant]:
        """All variants of what a stage has in it."""
        keras = self.layer("keras", stage.keras)
        around = self.around(stage)
        for call in [stage.torch, *self.inside(stage)]:
            yield from variants(Part(keras, self.layer("torch", call), call, around))
        calls = [*self.inside(stage), stage.torch]
        theirs = [layer for layer in (self.layer("torch", call) for call in calls) if layer is not None]
        yield from of_strides([Part(self.partner(layer), layer, stage.torch) for layer in theirs])
        yield from self.flattened(stage)

    def around(self, stage: Stage) -> tuple[tuple[int, int], ...]:
        """What a layer of Keras's puts around the tensor that the stage's own reads; nothing where there is none."""
        calls = {call.name: call for call in self.judge.keras.recorded.calls["eval"]}
        read = calls.get(stage.keras.reads[0]) if len(stage.keras.reads) == 1 else None
        layer = None if read is None or read not in stage.inside else self.layer("keras", read)
        found = layer.settings.get("padding") if layer is not None and layer.kind.startswith("ZeroPadding") else None
        return tuple((int(a), int(b)) for a, b in (several(side, 2) for side in found)) if found else ()

    def partner(self, layer: Layer) -> Layer | None:
        """Keras's layer that one of torch's is paired with."""
        pair = next((pair for pair in self.judge.pairing.pairs if pair.torch == layer.path), None)
        return None if pair is None else self.judge.pairing.keras.layer(pair.keras)

    def inside(self, stage: Stage) -> list[Call]:
        """What a stage has in it on torch's side, without partners."""
        names = {call.name for call in self.judge.torch.recorded.calls["eval"]}
        return [call for call in stage.inside if call.name in names and call.name != stage.torch.name]

    def layer(self, side: str, call: Call) -> Layer | None:
        """The layer that made a tensor."""
        model = self.judge.pairing.keras if side == "keras" else self.judge.pairing.torch
        return next((layer for layer in model.layers if layer.path == call.layer), None)

    def flattened(self, stage: Stage) -> Iterator[Variant]:
        """A dense layer after a feature map that is flattened in the other order: its columns permuted."""
        layer = self.layer("torch", stage.torch)
        calls = {call.name: call for call in self.judge.torch.recorded.calls["eval"]}
        read = next((calls[name] for name in stage.torch.reads if name in calls), None)
        if layer is None or layer.kind != "Linear" or read is None or not read.inputs or len(read.inputs[0]) < 3:
            return
        weight = next((w for w in layer.weights if w.role == "weight"), None)
        if weight is None:
            # It is another layer's, shared.
            return
        kernel, (channels, *size) = self.weights[weight.name], read.inputs[0][1:]
        if int(np.prod([channels, *size])) != kernel.shape[1]:
            return
        units, axes = kernel.shape[0], "h, w" if len(size) == 2 else "positions"
        order = ", ".join(str(i) for i in (0, len(size) + 1, *range(1, len(size) + 1)))
        shape = ", ".join(str(n) for n in (units, *size, channels))
        says = f"torch flattens (channels, {axes}), Keras ({axes}, channels): the columns of {weight.name} are Keras's"
        fix = f"port(): kernel.T.reshape({shape}).transpose({order}).reshape({units}, -1)"
        last = np.moveaxis(kernel.reshape(units, *size, channels), -1, 1).reshape(kernel.shape)
        yield Variant("flatten_order", says, fix, "flatten_order", (), {weight.name: last})

    def singles(self, options: Mapping[str, Sequence[Variant]]) -> dict[str, list[Chosen]]:
        """For each stage, every variant under which it agrees."""
        held: dict[str, list[Chosen]] = {}
        for number in range(max((len(found) for found in options.values()), default=0)):
            chosen: dict[str, Chosen] = {n: (found[number],) for n, found in options.items() if number < len(found)}
            for name in self.agreeing(chosen):
                held.setdefault(name, []).append(chosen[name])
        return held

    def together(self, options: Mapping[str, Sequence[Variant]]) -> dict[str, list[Chosen]]:
        """The first two variants under which a stage agrees that no single one explains."""
        held: dict[str, list[Chosen]] = {}
        pairs = {name: list(combinations(found, 2)) for name, found in options.items()}
        for number in range(max((len(found) for found in pairs.values()), default=0)):
            chosen = {n: p[number] for n, p in pairs.items() if number < len(p) and n not in held}
            for name in self.agreeing(chosen):
                held[name] = [chosen[name]]
        return held

    def agreeing(
        self,
        chosen: Mapping[str, Chosen],
        given: Mapping[str, Array] | None = None,
        free: Collection[str] = (),
    ) -> list[str]:
        """The stages that agree, each under its own variants, in one pass; with torch's tensors as `given`.

        What is `free`, by torch's name, goes on as torch has it.
        """
        if not chosen:
            return []
        every = [variant for each in chosen.values() for variant in each]
        start = {**self.weights, **self.right}
        for variant in every:
            start |= dict(variant.weights or {})
        paths = {name: self.out / "torch" / f"variant.{name}" for name in ("weights", "forced", "made")}
        save_arrays(paths["weights"], start)
        if given or free or self.forced != "as they are":
            forced = {**to_force(self.judge, "torch"), **(given or {})}
            save_arrays(paths["forced"], {name: array for name, array in forced.items() if name not in free})
            self.forced = "otherwise" if given or free else "as they are"
        edits = tuple(dict(edit) for variant in every for edit in variant.edits)
        try:
            self.torch.run(ForceJob(paths["weights"], paths["forced"], paths["made"], edits), silent, "replaying took")
        except UsageError:
            # A variant that torch refuses is none, and must not take the others with it.
            if not every:
                raise
            alone_each = [{name: variants} for name, variants in chosen.items()] if len(chosen) > 1 else []
            return [name for one in alone_each for name in self.agreeing(one, given, free)]
        made = self.made = dict(load_arrays(paths["made"]))
        fitting = {
            stage.torch.name: made[stage.torch.name]
            for stage in self.judge.stages
            if stage.torch.name in made and made[stage.torch.name].shape == self.right_shape(stage)
        }
        names = {stage.name for stage in self.judge.stages if stage.torch.name in fitting}
        self.passed = names & {f.name for f in alone(self.judge, "torch", fitting) if f.result == "passed"}
        return [name for name in chosen if name in self.passed]

    def right_shape(self, stage: Stage) -> tuple[int, ...]:
        """The shape of Keras's tensor as torch has it."""
        return stage.layout.turn(np.empty(stage.keras.shape, np.bool_)).shape

    def transfer(self) -> Iterator[Cause]:
        """Weights that are Keras's in another order; they are put right for what follows."""
        ours, theirs = self.judge.keras.weights, self.judge.torch.weights
        right = moved(self.judge.pairing, ours, "keras").values
        found: dict[tuple[str, str, str | None], list[str]] = {}
        places: dict[str, tuple[str | None, str | None]] = {}
        for pair in self.judge.pairing.pairs:
            keras, torch = self.judge.pairing.keras.layer(pair.keras), self.judge.pairing.torch.layer(pair.torch)
            form = "attention" if "Attention" in keras.kind else pair.form
            places[pair.torch] = keras.source, torch.source
            for link in (link for link in pair.links if link.keras and link.torch):
                own = turned(total(link.keras, ours), link.keras[0], link.torch[0]).astype("f8")
                for says, entry in orders(own, total(link.torch, theirs).astype("f8"), form):
                    self.right |= {view.name: right[view.name] for view in link.torch if view.name in right}
                    found.setdefault((pair.torch, says, entry), []).append(link.torch[0].name)
        for (path, says, entry), names in found.items():
            weights = ", ".join(dict.fromkeys(names))
            yield Cause(
                entry or "weight_order", "weights", f"port() fills {weights} in another order than Keras's: {says}",
                "port(): the order of torch's layer; without a port() parity.check moves these weights itself", "port",
                "Keras's weight, so ordered, is torch's, every number", *places[path], entry,
            )  # fmt: skip


def simplest(ways: Sequence[Chosen]) -> list[Chosen]:
    """The ways that change nothing more than another one of them does."""
    changes = [set().union(*(variant.changes() for variant in chosen)) for chosen in ways]
    return [way for way, ours in zip(ways, changes, strict=True) if not any(theirs < ours for theirs in changes)]


def of_mask(keras: Layer, stage: Stage, leading: bool) -> Cause:
    """Keras's layer leaves out masked steps, with some in front of real ones if `leading`, and torch's reads them."""
    says = f"Keras's {keras.kind} leaves out the masked steps, torch's reads them as if they were real"
    if keras.kind in masks.RECURRENT:
        entry = "mask_zero_first_step" if leading else "mask_zero_last_step"
        fix = "pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), padded at the end"
        confirmed = "torch's state after the real steps alone is Keras's"
    else:
        entry, fix = "masked_mean", "(x * mask).sum(1) / mask.sum(1), with the mask as (batch, time, 1)"
        confirmed = "the mean of Keras's tensors over the real steps alone is what Keras's layer gives"
    ours, theirs = keras.source or stage.keras.source, stage.torch.source
    return Cause(entry, "forward", says, fix, "port", confirmed, ours, theirs, entry)


def told(stages: Mapping[str, Stage], held: Mapping[str, Sequence[Chosen]], asked: Stagewise) -> Iterator[Cause]:
    """One cause for each variant that was confirmed, in however many layers; none where several kinds would do."""
    found: dict[tuple[str, str], list[tuple[Variant, Stage]]] = {}
    for name, ways in held.items():
        if len({tuple(v.name for v in chosen) for chosen in ways}) == 1:
            for variant in ways[0]:
                found.setdefault((variant.name, variant.says), []).append((variant, stages[name]))
    for where in found.values():
        variant, stage = where[0]
        sides = (asked.layer("keras", stage.keras), stage.keras), (asked.layer("torch", stage.torch), stage.torch)
        ours, theirs = ((layer.source if layer else None) or call.source for layer, call in sides)
        many = f" (in {len(where)} layers, first {stage.name})" if len(where) > 1 else ""
        yield Cause(
            variant.name,
            "forward",
            f"{variant.says}{many}",
            variant.fix,
            "port",
            CONFIRMED,
            ours,
            theirs,
            variant.entry,
        )  # fmt: skip
