"""Why two trainings part: whose optimizer does what, found by replaying both from the weights of one of them.

torch's side has trained from Keras's weights at each step, so that a difference of one step is no cause of the next
one's. What an optimizer does is told from its own gradients, so that it does not matter whether these agree.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from parity.causes.cause import Cause
from parity.causes.rules import (
    FACTOR,
    LAST,
    Array,
    Rule,
    Steps,
    clipped,
    close,
    keras_rule,
    replayed,
    torch_rule,
    varied,
)
from parity.causes.words import (
    of_asked,
    of_clip,
    of_clip_epsilon,
    of_gradients,
    of_no_gradient,
    of_rates,
    of_setting,
    of_weight,
)
from parity.pairing.pairs import Pairing
from parity.pairing.transfer import carried, moved

Arrays = Mapping[str, Array]
NUDGES = (0, 1)
# What is compared of two rules, in the order in which it is told.
SETTINGS = (
    "momentum", "nesterov", "dampening", "beta_1", "beta_2", "rho", "centered", "amsgrad", "momentum_decay",
    "initial_accumulator", "rate_decay", "epsilon", "epsilon_position", "weight_decay", "velocity", "rows",
    "maximize",
)  # fmt: skip

# What a framework does that has no such setting.
NOTHING = {"dampening": 0.0, "rate_decay": 0.0, "amsgrad": False, "centered": False, "momentum": 0.0, "nesterov": False}


@dataclass
class Traced:
    """What is known of one side's training, by torch's names of the weights; `rules` by weight, None where unknown."""

    steps: Steps
    rules: dict[str, dict[str, Any] | None]
    penalties: list[dict[str, Array]]
    place: str | None
    clipping: list[dict[str, Any]] = field(default_factory=list)
    # How often the optimizer was asked for a step at each of them.
    asked: tuple[int, ...] = ()


@dataclass
class Answer:
    """The causes that were found, and what was tried in vain."""

    causes: list[Cause] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)


def numbered(arrays: Arrays, kind: str, steps: int) -> list[dict[str, Array]]:
    """Arrays of a kind, by name, for each step."""
    found: list[dict[str, Array]] = [{} for _ in range(steps)]
    for name, value in arrays.items():
        if name.startswith(f"{kind}/"):
            number, _, weight = name[len(kind) + 1 :].partition("/")
            found[int(number)][weight] = value
    return found


def of_torch(arrays: Arrays, facts: Mapping[str, Any]) -> Traced:
    """torch's training as it was traced."""
    count = len(facts["steps"])
    before, after, gradients, penalties = (
        numbered(arrays, k, count) for k in ("before", "after", "gradient", "penalty")
    )
    rates = [dict(step) for step in facts["rates"]]
    rules = {name: torch_rule(settings) for name, settings in facts["settings"].items()}
    steps = Steps(before, after, gradients, [{} for _ in range(count)], rates)
    return Traced(steps, rules, penalties, facts["place"], facts["clipping"], tuple(facts["steps"]))


def of_keras(arrays: Arrays, facts: Mapping[str, Any], pairing: Pairing) -> Traced:
    """Keras's training as it was traced, in torch's layouts and by its names."""
    count = len(facts["steps"])
    kinds = {kind: numbered(arrays, kind, count) for kind in ("before", "after", "gradient", "squares", "penalty")}
    weights = {k: [dict(moved(pairing, step, "keras").values) for step in kinds[k]] for k in ("before", "after")}
    others = {
        k: [dict(carried(pairing, s, "keras").values) for s in kinds[k]] for k in ("gradient", "squares", "penalty")
    }
    partners = partners_of(pairing)
    rates = [{t: rate for name, rate in step.items() for t in partners.get(name, ())} for step in facts["rates"]]
    settings = facts["settings"]
    rules = {t: keras_rule(one) for name, one in settings.items() for t in partners.get(name, ())}
    steps = Steps(weights["before"], weights["after"], others["gradient"], others["squares"], rates)
    return Traced(steps, rules, others["penalty"], facts["place"], asked=tuple(facts["steps"]))


def partners_of(pairing: Pairing) -> dict[str, set[str]]:
    """torch's weights by the names of Keras's."""
    found: dict[str, set[str]] = {}
    for link in (link for pair in pairing.pairs for link in pair.links):
        for view in link.keras:
            found.setdefault(view.name, set()).update(other.name for other in link.torch)
    return found


@dataclass
class Training:
    """Both trainings, torch's from Keras's weights; `moves` are by how much rounding moves its gradients.

    `unused` are weights that no result of torch's hangs on.
    """

    keras: Traced
    torch: Traced
    pairing: Pairing
    moves: Sequence[Mapping[str, float]]
    unused: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for ours, theirs in zip(self.keras.steps.rates, self.torch.steps.rates, strict=True):
            # An optimizer of the user's own may call its rate otherwise.
            theirs.update({name: ours[name] for name, rate in theirs.items() if np.isnan(rate) and name in ours})

    def causes(self, forward_agrees: bool, loss_agrees: bool) -> Answer:
        """Everything that is found; the gradients are compared where the losses agree, and results do."""
        answer = Answer()
        if len({*self.keras.asked, *self.torch.asked}) > 1:
            answer.causes.append(
                of_asked(self.keras.asked[0], self.torch.asked[0], (self.keras.place, self.torch.place))
            )
            return answer
        names = self.moved_alike(answer)
        if not names:
            return answer
        self.by_rule(names, answer)
        if loss_agrees and forward_agrees:
            self.by_gradient(names, answer)
        return answer

    def moved_alike(self, answer: Answer) -> list[str]:
        """The weights that both sides train; the others are told, once it is seen that they stay where they were."""
        keras, torch = self.keras, self.torch
        twins = {
            view.name: link.torch[0].name for p in self.pairing.pairs for link in p.links for view in link.torch[1:]
        }
        names = []
        if any(keras.steps.gradients[0]) and torch.rules and not any(torch.steps.gradients):
            answer.causes.append(of_no_gradient(torch.place))
            return []
        for name in torch.steps.before[0]:
            ours, theirs = (name in one.steps.gradients[0] and name in one.rules for one in (keras, torch))
            still = all(
                np.array_equal(b[name], a[name]) for b, a in zip(torch.steps.before, torch.steps.after, strict=True)
            )
            if name in twins and theirs and not still:
                answer.causes.append(of_weight("two", name, twins[name], torch.place))
            elif ours and theirs:
                names.append(name)
            elif ours and still and name not in twins and name not in self.unused:
                # The second bias of a sum is to stay where it is.
                kind = "frozen" if name in torch.rules else "missing"
                answer.causes.append(of_weight(kind, name, name, torch.place))
            elif theirs and not still and name in keras.steps.before[0] and name not in twins:
                answer.causes.append(of_weight("keras", name, name, torch.place))
        return [name for name in names if name not in twins]

    def explains(self, rule: Rule, side: Traced, names: Sequence[str]) -> bool:
        """Whether a rule makes of a side's own gradients what that side's weights became."""
        return not self.apart(replayed(rule, side.steps, names), side.steps.after, rule, side.steps, names)

    def apart(
        self,
        ours: list[dict[str, Array]],
        theirs: list[dict[str, Array]],
        rule: Rule,
        steps: Steps,
        names: Sequence[str],
    ) -> bool:
        """Whether two sequences of weights, the first made by a rule, differ by more than rounding does to it."""
        nudged = [replayed(rule, steps, names, nudge) for nudge in NUDGES]
        for t, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            for name in names:
                rounding = max(float(np.max(np.abs(n[t][name] - one[name]), initial=0.0)) for n in nudged)
                if not close(one[name], other[name], rounding):
                    return True
        return False

    def by_rule(self, names: Sequence[str], answer: Answer) -> None:
        """What the two optimizers do otherwise, each told from its own gradients."""
        for ours, theirs, group in self.groups(names):
            if ours is None or not self.explains(ours, self.keras, group):
                answer.excluded.append("Keras's optimizer does what no known formula with its settings does")
                return
            made = next((r for r in self.guesses(ours, theirs) if self.explains(r, self.torch, group)), None)
            if made is None:
                answer.excluded.append("torch's optimizer does what no known formula with its settings does")
                return
            for cause in self.differences(ours, made, group):
                if cause not in answer.causes:
                    answer.causes.append(cause)

    def groups(self, names: Sequence[str]) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any] | None, list[str]]]:
        """Both rules, and the weights that have them."""
        found: dict[str, list[str]] = {}
        for name in names:
            rates = [step.get(name) for step in self.torch.steps.rates]
            found.setdefault(repr((self.keras.rules[name], self.torch.rules[name], rates)), []).append(name)
        for group in found.values():
            yield self.keras.rules[group[0]], self.torch.rules[group[0]], group

    def guesses(self, ours: dict[str, Any], theirs: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """What torch's optimizer may be: what it says, or, if it is of the user's own making, Keras's in any way."""
        if theirs is not None:
            yield theirs
        else:
            yield from varied(ours)

    def differences(self, ours: dict[str, Any], theirs: dict[str, Any], names: Sequence[str]) -> Iterator[Cause]:
        """What of two rules makes a difference: each is left out of Keras's rule in its turn."""
        places = self.keras.place, self.torch.place
        if ours["method"] != theirs["method"]:
            yield of_setting("method", ours, theirs, places)
            return
        plain = {**ours, "clip": None}
        steps = self.torch.steps
        rates = [[step[names[0]] for step in side.steps.rates] for side in (self.keras, self.torch)]
        as_keras = Steps(steps.before, steps.after, steps.gradients, self.keras.steps.squares, self.keras.steps.rates)
        base = replayed(plain, as_keras, names)
        if self.apart(
            base, replayed(plain, Steps(**{**vars(as_keras), "rates": steps.rates}), names), plain, as_keras, names
        ):
            yield of_rates(rates[0], rates[1], places)
        for name in SETTINGS:
            if name not in ours and name not in theirs:
                continue
            changed = {**plain, name: theirs.get(name, NOTHING.get(name, ours.get(name)))}
            if name == "weight_decay":
                changed["decay"] = theirs["decay"]
            if changed != plain and self.apart(base, replayed(changed, as_keras, names), plain, as_keras, names):
                yield of_setting(name, ours, theirs, places)

    def by_gradient(self, names: Sequence[str], answer: Answer) -> None:
        """What makes torch's gradients of Keras's: a penalty, gradients that add up, a factor, clipping."""
        own_clip = next(iter(self.keras.rules.values()))
        clip = None if own_clip is None else own_clip["clip"]
        places = self.keras.place, self.torch.place
        limits = {clip[1]} if clip is not None else set()
        limits |= {call["limit"] for call in self.torch.clipping}
        clips: list[Any] = [
            clip,
            None,
            *((kind, limit) for limit in sorted(limits) for kind in ("each", "all", "value")),
        ]
        has_penalty = any(self.keras.penalties)
        ways = sorted(
            product((False, True)[: 1 + has_penalty], (False, True), (False, True), dict.fromkeys(clips)),
            key=lambda way: (sum(way[:3]) + (way[3] != clip), way[2]),
        )
        for without_penalty, added_up, scaled, clipping in ways:
            factor = self.agrees(names, without_penalty, added_up, scaled, clipping)
            if factor is None:
                continue
            if without_penalty:
                decay = next((c for c in answer.causes if c.name == "weight_decay"), None)
                answer.causes = [c for c in answer.causes if c is not decay]
                answer.causes.append(of_gradients("penalty", factor, places, decay is not None))
            if added_up:
                answer.causes.append(of_gradients("added up", factor, places))
            if scaled:
                answer.causes.append(of_gradients("factor", factor, places))
            if clipping != clip:
                place = next((call["place"] for call in self.torch.clipping), places[1])
                answer.causes.append(of_clip(clip, clipping, (places[0], place)))
            if self.agrees(names, without_penalty, added_up, scaled, clipping, (0.0,)) is None:
                answer.causes.append(of_clip_epsilon(places))
            return
        answer.excluded.append(
            "torch's gradients are not Keras's, nor these without a penalty, added up, times a factor or clipped"
        )

    def agrees(
        self,
        names: Sequence[str],
        without_penalty: bool,
        added_up: bool,
        scaled: bool,
        clipping: Any,
        added: Sequence[float] = (0.0, 1e-6),
    ) -> float | None:
        """The factor with which Keras's gradients, so changed, are torch's; None if they are not.

        `added` are the numbers that may be added to a norm that is clipped by.
        """
        sums: dict[str, Array] = {}
        factor = 1.0
        for t, theirs in enumerate(self.torch.steps.gradients):
            ours = {name: self.keras.steps.gradients[t][name] for name in names}
            if without_penalty:
                ours = {name: g - self.keras.penalties[t].get(name, 0.0) for name, g in ours.items()}
            sums = {name: g + sums.get(name, 0.0) for name, g in ours.items()} if added_up else ours
            if scaled and not t:
                factor = ratio(sums, theirs)
            made = {name: factor * g for name, g in sums.items()}
            by_norm = clipping is not None and clipping[0] != "value"
            options = [clipped(made, clipping, extra) for extra in (added if by_norm else (0.0,))]
            # A bias's gradient is a sum that may nearly vanish: its terms are as large as the others'.
            size = max(float(np.max(np.abs(theirs[name]), initial=0.0)) for name in names)
            moves = {name: max(self.moves[t].get(name, 0.0), LAST * size / FACTOR) for name in names}
            if not any(all(close(o[n], theirs[n], moves[n]) for n in names) for o in options):
                return None
        return None if scaled and factor == 1.0 else factor


def ratio(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> float:
    """The factor between two sets of arrays that fits them best."""
    square = sum(float(np.sum(np.square(g))) for g in ours.values())
    found = sum(float(np.sum(g * theirs[name])) for name, g in ours.items()) / square if square else 1.0
    # A factor of two sixteenths, say, is found up to rounding.
    return round(found, 12) if found and abs(found - round(found, 12)) < LAST * abs(found) else found
