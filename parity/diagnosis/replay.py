"""Which known choices explain a stage that failed: one side replays the other's checkpoints as if it made them.

The side that replays is asked for its own code under other realisations; where its stages then give what the other
side recorded, within rounding, the other side acts as that realisation says, whatever its own settings say.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

from parity.bounds.clipping import factor, norms
from parity.bounds.stages import gradients
from parity.diagnosis.asked import Sides
from parity.diagnosis.value import Cause, Residual, chosen
from parity.differences import DIFFERENCES, Difference
from parity.experiment.spec import (
    FRAMEWORKS,
    READ_BY,
    ROUNDED,
    Framework,
    Identity,
    Realisation,
    is_read,
    optimizer_rounds,
    own_choices,
)
from parity.recordings.recording import Recording
from parity.verdict import lockstep
from parity.verdict.checks import Check

# Values by the names of fields of `Realisation`.
Choices = dict[str, Any]
# Replays by torch cost least: nothing is compiled.
ORDER: tuple[Framework, ...] = ("torch", "tf")


class Stage(NamedTuple):
    """One stage's checks of one replay."""

    step: int
    name: str
    # The results that are judged, by name, in the order of the checks.
    results: list[str]
    checks: list[Check]

    @property
    def failed(self) -> bool:
        return any(check.result == "failed" for check in self.checks)

    @property
    def off(self) -> list[str]:
        """The results that failed."""
        pairs = zip(self.results, self.checks, strict=True)
        return [result for result, check in pairs if check.result == "failed"]


@dataclass(frozen=True)
class Search:
    """What came of one direction: the choices that the owner acts by, and the stage that is left, if one is.

    `stages` are those of all steps under these choices.
    """

    side: Recording
    owner: Recording
    choices: Choices
    left: Stage | None
    tried: tuple[str, ...]
    residual: Residual | None
    stages: Mapping[int, Sequence[Stage]]

    @property
    def realisation(self) -> Realisation:
        """That of the side that replays, under these choices."""
        return replace(self.side.manifest.realisation, **self.choices)


def searched(a: Recording, b: Recording, ask: Sides) -> Search | None:
    """The smallest set of choices that explains why stages in float64 differ, sought in both directions.

    None where no stage differs in float64.
    """
    found: list[Search] = []
    for side, owner in sorted(((a, b), (b, a)), key=lambda pair: ORDER.index(pair[0].manifest.framework)):
        replays = [replay for replay in lockstep.of_either(a, b) if replay.side is side and replay.owner == owner.label]
        stages = {replay.step: staged(replay) for replay in replays}
        if first_failed(stages) is not None:
            found.append(search(side, owner, stages, replays, ask))
            if found[-1].left is None:
                break
    return max(found, key=lambda search: (search.left is None, len(search.choices)), default=None)


def staged(replay: lockstep.Replay) -> list[Stage]:
    """A replay's checks in float64, stage by stage."""
    found: list[Stage] = []
    results = replay.side.phase.results(replay.step)
    for result, check in zip(results, lockstep.stages(replay, "float64"), strict=True):
        if not found or found[-1].name != result.stage:
            found.append(Stage(replay.step, result.stage, [], []))
        found[-1].results.append(result.name)
        found[-1].checks.append(check)
    return found


def first_failed(stages: Mapping[int, Sequence[Stage]], but: Collection[str] = ()) -> Stage | None:
    """The first stage that failed, at the earliest step, but for those of these names."""
    failed = (stage for step in sorted(stages) for stage in stages[step] if stage.failed)
    return next((stage for stage in failed if stage.name not in but), None)


def search(
    side: Recording,
    owner: Recording,
    before: dict[int, list[Stage]],
    replays: Sequence[lockstep.Replay],
    ask: Sides,
) -> Search:
    """Explain the first failing stage by as few choices as possible, then the first that still fails, and so on.

    One that no choice explains is left, and hides no other.
    """
    choices: Choices = {}
    left: dict[str, tuple[Stage, tuple[str, ...]]] = {}
    stages, by_step = before, {replay.step: replay for replay in replays}

    def replayed(steps: Sequence[int], sets: Sequence[Choices]) -> list[list[list[Stage]]]:
        realisations = [replace(side.manifest.realisation, **changes) for changes in sets]
        summaries = ask.replayed(side.manifest.framework, owner, steps, realisations)
        return [
            [staged(by_step[step]._replace(summaries=found)) for step, found in zip(steps, row, strict=True)]
            for row in summaries
        ]

    while (stage := first_failed(stages, left)) is not None:
        known = [field for field in candidates(stage.name, side, owner) if field not in choices]
        fields = [field for field in known if matters(field, side, owner, stage.step)]
        extended = smallest(choices, fields, stage, side, left, replayed)
        if extended is None:
            left[stage.name] = stage, tuple(fields)
            continue
        choices = extended
        stages = dict(zip(before, replayed(list(before), [choices])[0], strict=True))
    if left:
        first, tried = next(iter(left.values()))
        return Search(side, owner, choices, first, tried, None, stages)
    return Search(side, owner, choices, None, (), residual(before, stages), stages)


def smallest(
    around: Choices,
    fields: Sequence[str],
    stage: Stage,
    side: Recording,
    left: Collection[str],
    replayed: Callable[[Sequence[int], Sequence[Choices]], list[list[list[Stage]]]],
) -> Choices | None:
    """The smallest set that holds `around` under which a stage passes, and all before it in its step but `left`."""
    for size in range(1, len(fields) + 1):
        sets = [around | {f: other_value(f, side.manifest.realisation) for f in c} for c in combinations(fields, size)]
        for changes, (stages,) in zip(sets, replayed([stage.step], sets), strict=True):
            names = [found.name for found in stages]
            if not any(f.failed and f.name not in left for f in stages[: names.index(stage.name) + 1]):
                return changes
    return None


def candidates(stage: str, side: Recording, owner: Recording) -> list[str]:
    """The choices that the code of a stage reads; first those that the two sides' settings make differently."""
    identity, ours, theirs = side.manifest.identity, side.manifest.realisation, owner.manifest.realisation
    # What is read depends on other choices, and Keras's ways read all.
    keras: Choices = own_choices("tf")
    widest = replace(ours, **keras)
    found = [f for f in keras if is_read(f, identity, widest) and acts_in(f, stage, identity, widest)]
    return sorted(found, key=lambda field: getattr(ours, field) == getattr(theirs, field))


def acts_in(field: str, stage: str, identity: Identity, realisation: Realisation) -> bool:
    """Whether the code of a stage reads a choice."""
    if stage == "clipping":
        return field == "clip_epsilon"
    if stage == "optimizer":
        if field == "constants":
            return optimizer_rounds(identity, realisation)
        return field in ("epsilon_value", "weight_decay") or identity.optimizer.kind in READ_BY.get(field, ())
    # Forward, backward or running statistics of a node, which comes last; no choice acts in the loss.
    functions = {node.name: getattr(node, "function", None) for node in identity.model}
    readers = ROUNDED if field == "constants" else READ_BY.get(field, set())
    return functions.get(stage.split()[-1]) in readers


def matters(field: str, side: Recording, owner: Recording, step: int) -> bool:
    """Whether a choice makes a difference at a checkpoint: what is added to the norm does where that clips."""
    identity, ours = owner.manifest.identity, side.manifest.realisation
    if field != "clip_epsilon" or identity.clipping is None:
        return True
    changes: Choices = {field: other_value(field, ours)}
    ways = ours, replace(ours, **changes)
    reached = norms(identity.clipping, gradients(identity, owner.checkpoint(step)[1])).values()
    return any(len({factor(identity.clipping, way, norm) for way in ways}) > 1 for norm in reached)


def other_value(field: str, realisation: Realisation) -> str:
    """The value that a choice does not have."""
    values = {own_choices(framework)[field] for framework in FRAMEWORKS}
    return (values - {getattr(realisation, field)}).pop()


def residual(before: Mapping[int, Sequence[Stage]], after: Mapping[int, Sequence[Stage]]) -> Residual:
    """The largest share of its bound that is used in the stages that failed before."""
    checks = [
        check
        for step, stages in before.items()
        for stage, left in zip(stages, after[step], strict=True)
        if stage.failed
        for check in left.checks
    ]
    worst = max(checks, key=lambda check: check.share)
    return Residual(worst.measured or 0.0, worst.share, worst.where or worst.name)


def causes(found: Search) -> tuple[Cause, ...]:
    """The choices that were found, as causes."""
    return tuple(cause(field, value, found) for field, value in found.choices.items())


def excluded(found: Search) -> str:
    """Which known choices were tried on what is left, in words."""
    assert found.left is not None
    where = f"step {found.left.step}, {found.left.name}"
    if not found.tried:
        return f"no known choice acts in what is left: {where}"
    listed, count = ", ".join(found.tried), len(found.tried)
    if count > 1:
        return f"none of the {count} known choices that act there explains {where}, alone or together: {listed}"
    return f"the one known choice that acts there does not explain {where}: {listed}"


def cause(field: str, value: str, found: Search) -> Cause:
    """A choice that the owner of the checkpoints acts by, and the other side does not."""
    realisation = found.side.manifest.realisation
    entry = entry_of(field, found.side.manifest.identity, replace(realisation, **found.choices))
    return chosen(field, entry, (found.owner, value), (found.side, getattr(realisation, field)))


def entry_of(field: str, identity: Identity, realisation: Realisation) -> Difference:
    """The known difference that a choice is, where it acts."""
    entries = [entry for entry in DIFFERENCES.values() if entry.effect is not None and entry.effect.field == field]
    kinds = {node.function for node in identity.model if hasattr(node, "function")}
    if optimizer_rounds(identity, realisation):
        kinds.add(identity.optimizer.kind)
    particular = [entry for entry in entries if entry.effect and not kinds.isdisjoint(entry.effect.readers)]
    return (particular or [entry for entry in entries if entry.effect and not entry.effect.readers])[0]
