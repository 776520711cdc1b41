"""Has a pair's training replayed by its workers, and asks parity.causes why it parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from parity.causes.buffers import Kept, of_statistics, of_still
from parity.causes.cause import Cause
from parity.causes.given import of_function_in_eval, of_inputs, of_mode, of_shares
from parity.causes.losses import Explained, explained, of_penalty, tries
from parity.causes.rules import close
from parity.causes.training import Answer, Training, numbered, of_keras, of_torch, ratio
from parity.causes.words import (
    of_late_loss,
    of_no_step,
    of_padding_row,
    of_ratio,
    of_statistics_alone,
    of_tensors_alone,
    of_unused,
)
from parity.errors import UsageError
from parity.models.calls import INPUTS
from parity.models.described import Side as Framework
from parity.pairing.transfer import moved
from parity.pairing.views import total, turned
from parity.ports.arrays import Arrays, load_arrays, save_arrays
from parity.ports.findings import Finding
from parity.ports.job import TraceJob
from parity.ports.judge import Judge
from parity.ports.losses import Asked
from parity.ports.probes import PARTS
from parity.ports.replays import Replays
from parity.ports.session import nudged
from parity.ports.sides import dropping
from parity.ports.stagewise import Stagewise
from parity.workers.processes import Doer

# What a trace may take on disk.
LARGEST = 2**31
# What is said of a level that parts for no known cause.
TRIED = {
    "inputs": "torch's inputs are not Keras's, nor these scaled, reversed, swapped, in another order, cast or clipped",
    "predict": "predict() differs in eval mode, too",
}


class Why(Replays):
    """A judged pair, both sides of which are live, and what is asked of it."""

    def answer(self, findings: list[Finding]) -> Answer:
        """The causes in the loss and in training."""
        answer = Answer()
        if not any(finding.result == "failed" for finding in findings):
            return answer
        failures = [finding for finding in findings if finding.result == "failed"]
        answer.causes += [*self.inputs(), *self.unused(), *self.modes(), *self.buffers(failures)]
        answer.causes += [*self.gradients(failures), *self.late_losses(failures)]
        dropout = (f for f in failures if f.level == "training forward" and f.name == "dropout")
        answer.causes += [of_shares(finding.reason) for finding in dropout]
        failed = {finding.level for finding in failures}
        for level, tried in TRIED.items():
            if level in failed and all(cause.level != level for cause in answer.causes):
                answer.excluded.append(tried)
        agrees = self.loss(answer, bool(failed & {"inputs", "weights", "forward"}))
        count = self.judge.keras.recorded.steps
        weights = sum(w.nbytes for w in self.judge.keras.weights.values())
        steps = min(count, max(1, LARGEST // max(1, 6 * weights)))
        if steps and "costs" in self.judge.keras.arrays and "costs" in self.judge.torch.arrays:
            before = {"inputs", "weights", "forward", "training forward"}
            found = self.training(steps, agrees or Explained([], ()), not failed & before, agrees is not None)
            answer.causes += found.causes
            answer.excluded += found.excluded
        alone = [finding for finding in failures if finding.level == "optimizer step"]
        for has, names in (
            ("Keras", [finding.keras for finding in alone if finding.keras and not finding.torch]),
            ("torch", [finding.torch for finding in alone if finding.torch and not finding.keras]),
        ):
            known = self.judge.pairing.model("keras" if has == "Keras" else "torch").weights()
            trained = [name for name in names if all(known[part].trainable for part in name.split(" + "))]
            kept = [name for name in names if name not in trained]
            answer.causes += [of_tensors_alone(trained, has)] if trained else []
            answer.causes += [of_statistics_alone(kept, has)] if kept else []
        answer.causes = once(answer.causes)
        return answer

    def inputs(self) -> Iterator[Cause]:
        """Why torch's model is called with other numbers."""
        judge = self.judge
        for key, other in zip(judge.keras.names(INPUTS).values(), judge.torch.names(INPUTS).values(), strict=False):
            ours, theirs = judge.keras.arrays[key], judge.torch.arrays[other]
            layout = judge.input_layout(ours, theirs)
            if layout is not None and not close(layout.turn(ours).astype("f8"), theirs.astype("f8"), 0.0):
                cause = of_inputs(layout.turn(ours).astype("f8"), theirs.astype("f8"))
                yield from [] if cause is None else [cause]

    def unused(self) -> Iterator[Cause]:
        """Paired layers that make something of one side's results, and nothing of the other's."""
        for who in ("torch", "Keras"):
            found = self.judge.unused(who)
            for called in (False, True):
                here = [pair for pair in found if bool(pair[0].writes) == called]
                # What is called and comes to nothing is one chain of layers, mostly.
                for group in [here] if called and here else [[pair] for pair in here]:
                    own, other = zip(*group, strict=True)
                    keras, torch = (own[0], other[0]) if who == "Keras" else (other[0], own[0])
                    paths, others = ([layer.path for layer in layers] for layers in (own, other))
                    yield of_unused(who, paths, others, called, (keras.source, torch.source))

    def buffers(self, failures: Sequence[Finding]) -> Iterator[Cause]:
        """Why the moving statistics of batch norms part; the first layer says it for all."""
        judge = self.judge
        failed = {finding.keras for finding in failures if finding.level == "buffers"}
        said: set[str] = set()
        for pair in judge.pairing.pairs:
            keras, torch = judge.pairing.keras.layer(pair.keras), judge.pairing.torch.layer(pair.torch)
            call = next((c for c in judge.keras.recorded.calls.get("train", ()) if c.layer == keras.path), None)
            momenta = keras.settings.get("momentum"), torch.settings.get("momentum")
            if call is None or momenta[0] is None or momenta[1] is None:
                continue
            for link in (link for link in pair.links if len(link.keras) == len(link.torch) == 1):
                own, other = link.keras[0].name, link.torch[0].name
                if own not in failed:
                    continue
                after = judge.keras.arrays.get(f"buffers/{own}"), judge.torch.arrays.get(f"buffers/{other}")
                if after[0] is None or after[1] is None:
                    # What stays as it was is not recorded.
                    who = "torch" if after[1] is None else "Keras"
                    found = [of_still(who, keras.path, (keras.source, torch.source))]
                    yield from [cause for cause in found if cause.name not in said]
                    said |= {cause.name for cause in found}
                    continue
                kept = Kept(
                    link.tensor == "variance",
                    judge.torch.weights[other].astype("f8"),
                    after[0],
                    after[1],
                    (momenta[0], momenta[1]),
                    int(np.prod(call.shape)) // after[0].size,
                    max(judge.keras.rounding(f"buffers/{own}"), judge.torch.rounding(f"buffers/{other}")),
                )
                found = [c for c in of_statistics(kept, keras.path, (keras.source, torch.source)) if c.name not in said]
                said |= {cause.name for cause in found}
                yield from found

    def gradients(self, failures: Sequence[Finding]) -> Iterator[Cause]:
        """Why gradients by weights part where all results agree."""
        levels = {finding.level for finding in failures}
        if "backward" not in levels or levels & {"inputs", "weights", "forward", "training forward"}:
            return
        judge, factors = self.judge, dict[float, list[str]]()
        names = [{n: side.arrays[key] for n, key in side.names("weight-gradient/").items()}
                 for side in (judge.keras, judge.torch)]  # fmt: skip
        for pair in judge.pairing.pairs:
            for link in pair.links:
                own, other = link.keras[0], link.torch[0]
                if own.name not in names[0] or other.name not in names[1]:
                    continue
                ours, theirs = turned(total([own], names[0]), own, other), total([other], names[1])
                rounding = max(judge.keras.rounding(f"weight-gradient/{own.name}"),
                               judge.torch.rounding(f"weight-gradient/{other.name}"))  # fmt: skip
                if close(ours, theirs, rounding):
                    continue
                keras, torch = judge.pairing.keras.layer(pair.keras), judge.pairing.torch.layer(pair.torch)
                row, factor = torch.settings.get("padding_idx"), ratio({"": ours}, {"": theirs})
                if row is not None and close(np.delete(ours, row, 0), np.delete(theirs, row, 0), rounding):
                    yield of_padding_row(row, (keras.source, torch.source))
                elif factor and close(factor * ours, theirs, abs(factor) * rounding):
                    factors.setdefault(float(f"{factor:.9g}"), []).append(other.name)
        yield from (of_ratio(found, factor) for factor, found in factors.items())

    def late_losses(self, failures: Sequence[Finding]) -> Iterator[Cause]:
        """Whether the losses of one side's steps are those of the other side's next ones."""
        if {finding.level for finding in failures} != {"steps"}:
            return
        ours, theirs = self.judge.keras.arrays["costs"], self.judge.torch.arrays["costs"]
        rounding = max(self.judge.keras.rounding("costs"), self.judge.torch.rounding("costs"))
        if len(ours) < 2 or close(ours, theirs, rounding):
            return
        if close(theirs[:-1], ours[1:], rounding):
            yield of_late_loss("torch")
        elif close(ours[:-1], theirs[1:], rounding):
            yield of_late_loss("Keras")

    def modes(self) -> Iterator[Cause]:
        """Whether either side's predict() runs the model in train mode, and the other one's does not."""
        judge = self.judge
        for who, side, other in (("torch", judge.torch, judge.keras), ("Keras", judge.keras, judge.torch)):
            if dropping(side) and not dropping(other):
                layers = ", ".join(name.partition(" (")[0] for name in side.opened.random)
                yield of_mode(who, layers)
                continue
            dropped, others = side.recorded.drawn.get("eval", ()), other.recorded.drawn.get("eval", ())
            if dropped and not others:
                yield of_function_in_eval(who, dropped)
                continue
            ways = [f"outputs/{'predict' if one.names('outputs/predict/') else 'eval'}/" for one in (side, other)]
            mine, theirs, settled = side.names(ways[0]), other.names(ways[1]), side.names("alone/settled/")
            triples = list(zip(mine.values(), theirs.values(), settled.values(), strict=False))
            if triples and len(mine) == len(theirs) == len(settled):
                rounding = [max(side.rounding(a), other.rounding(b)) for a, b, _ in triples]
                as_is = [
                    close(side.arrays[a], other.arrays[b], r) for (a, b, _), r in zip(triples, rounding, strict=True)
                ]
                in_eval = [
                    close(side.arrays[c], other.arrays[b], r) for (_, b, c), r in zip(triples, rounding, strict=True)
                ]
                if all(in_eval) and not all(as_is):
                    yield of_mode(who)

    def training(self, steps: int, loss: Explained, forward_agrees: bool, loss_agrees: bool) -> Answer:
        """The causes in Keras's training and in torch's, from the same weights and with losses that agree."""
        job = TraceJob(self.starts["keras"], steps, self.out / "keras" / "trace", None, loss.change("keras"))
        arrays, facts = self.run("keras", job)
        if not all(facts["steps"]):
            return Answer(
                excluded=["Keras's step() calls no apply() of its optimizer, so that its steps cannot be seen"]
            )
        keras = of_keras(arrays, facts, self.judge.pairing)
        visits = {
            f"{number}/{name}": value
            for number, step in enumerate(numbered(arrays, "before", steps))
            for name, value in moved(self.judge.pairing, step, "keras").values.items()
        }
        traced = []
        for name in ("trace", "nudged"):
            path = self.out / "torch" / f"{name}.visits"
            moving = name == "nudged"
            save_arrays(path, {n: nudged(v, 0, i) if moving else v for i, (n, v) in enumerate(visits.items())})
            change = loss.change("torch")
            job = TraceJob(self.starts["torch"], steps, self.out / "torch" / name, path, change, self.frozen)
            traced.append(self.run("torch", job))
        if not all(traced[0][1]["steps"]):
            return unseen(*traced[0])
        torch = of_torch(*traced[0])
        others = numbered(traced[1][0], "gradient", steps)
        moves = [
            {n: float(np.max(np.abs(g - other[n]), initial=0.0)) for n, g in step.items() if n in other}
            for step, other in zip(torch.steps.gradients, others, strict=True)
        ]
        try:
            unused = frozenset(w.name for layer, _ in self.judge.unused("torch") for w in layer.weights)
            return Training(keras, torch, self.judge.pairing, moves, unused).causes(forward_agrees, loss_agrees)
        except ValueError as error:
            return Answer(excluded=[f"an optimizer has a number that its formula is not known for: {error}"])

    def parts(self, penalty: float) -> list[tuple[float, float]]:
        """Shares of the batch, and by what factor torch's loss of each is larger than Keras's without its penalty."""
        sides = self.judge.keras.arrays, self.judge.torch.arrays
        found: list[tuple[float, float]] = []
        for n in PARTS[1:]:
            if all(f"alone/loss/{n}" in arrays for arrays in sides):
                ours, theirs = (arrays[f"alone/loss/{n}"] for arrays in sides)
                found += zip(sides[0][f"alone/shares/{n}"], theirs / (ours - penalty), strict=True)
        return [(float(share), float(factor)) for share, factor in found if np.isfinite(factor)]

    def loss(self, answer: Answer, forward_fails: bool) -> Explained | None:
        """Look for causes in the loss, of Keras's results on both sides; what makes both agree, if it is known."""
        keras, torch = self.judge.keras, self.judge.torch
        as_it_is = Explained([], ())
        if "loss" not in keras.arrays or "loss" not in torch.arrays:
            return as_it_is
        asked = Asked(self)
        plain = asked.values("keras", ()), asked.values("torch", ())
        penalty = float(asked.arrays["keras"]["penalty"])
        if not asked.names or plain[0] is None or plain[1] is None:
            return as_it_is
        whole = replace(plain[0], loss=plain[0].loss + penalty)
        if not close(whole.loss, keras.arrays["loss"], max(keras.rounding("loss"), whole.moves)):
            return as_it_is
        if penalty and asked.same(whole, plain[1]):
            return as_it_is
        parts = [] if forward_fails else self.parts(penalty)
        found = explained(asked.options, asked.values, asked.same, asked.counts(), parts, asked.places())
        if found is None:
            cause = asked.another(plain[0], plain[1])
            if cause is not None:
                answer.causes.append(cause)
                return None
            tried = len(tries(asked.options))
            said = f"the losses of equal results differ; none of {tried} changes of either makes them agree"
            answer.excluded.append(said)
            return None
        answer.causes += found.causes
        if not found.causes and penalty:
            answer.causes.append(of_penalty(penalty, asked.places()))
        return found


def unseen(arrays: Arrays, facts: Mapping[str, Any]) -> Answer:
    """What is said where torch's optimizer was not seen to take a step."""
    count = len(facts["steps"])
    pairs = zip(numbered(arrays, "before", count), numbered(arrays, "after", count), strict=True)
    if not any(facts["steps"]) and all(np.array_equal(b[n], a[n]) for b, a in pairs for n in b):
        return Answer([of_no_step(facts["place"])])
    return Answer(excluded=["torch's step() does not always call step() of its optimizer, so that it cannot be seen"])


def once(causes: list[Cause]) -> list[Cause]:
    """A penalty once, though it acts in the loss and in the gradients."""
    decayed = any(cause.name == "l2_regularizer_is_weight_decay" for cause in causes)
    others = [cause for cause in causes if cause.name != "penalty_in_cost"]
    return others if decayed else [*[cause for cause in causes if cause.name == "penalty_in_cost"][:1], *others]


def causes(
    judge: Judge,
    workers: Mapping[Literal["tf", "torch"], Doer],
    out: Path,
    starts: Mapping[Framework, Path],
    frozen: tuple[str, ...],
    findings: list[Finding],
    failing: Sequence[Finding],
) -> tuple[list[Cause], list[str]]:
    """The causes in layers, in the loss and in training, and what was tried in vain; `failing` are stages alone."""
    try:
        forward = Stagewise(judge, workers["torch"], out, load_arrays(starts["torch"])).answer(findings, failing)
        found = Why(judge, workers, out, starts, frozen).answer(findings)
    except UsageError as error:
        # The user's code ran when it was recorded, and need not bear to be run from other weights.
        return [], [f"it could not be replayed: {error}"]
    return [*forward.causes, *found.causes], [*forward.excluded, *found.excluded]
