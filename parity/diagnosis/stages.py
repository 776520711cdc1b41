"""The findings of lockstep: the choices that explain stages which failed, and accounts of those that none explains."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from parity.diagnosis import replay
from parity.diagnosis.account import Account, Held, groups, of_group
from parity.diagnosis.asked import Sides
from parity.diagnosis.replay import Search
from parity.diagnosis.transforms import listed
from parity.diagnosis.value import Finding
from parity.experiment.spec import Identity
from parity.recordings.recording import Recording

FINER = "only float32 fails, where each side is held against its own float64: no choice explains that"
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")
# So many sentences say what one thing does.
TOLD = 4
# Two numbers that a mistake was found with at two steps are one if they differ by less, of how far they are off.
ONE = 1e-3


def findings(
    a: Recording, b: Recording, failed: str, follow: Collection[tuple[int, str]], ask: Sides
) -> tuple[list[Finding], Search | None]:
    """What is off in the stages of a step, the choices first, and how these were found; one for each thing.

    `follow` are the steps and results that failed because of what the step used.
    """
    found = replay.searched(a, b, ask)
    if found is None:
        return [Finding(failed, note=FINER)], None
    causes = replay.causes(found)
    if found.left is None:
        return [Finding(failed, causes, True, found.residual)], found
    own = [Finding("known choices", causes, True)] if causes else []
    return own + list(accounts(found, follow, ask)), found


def off(found: Search, follow: Collection[tuple[int, str]]) -> dict[str, dict[int, list[str]]]:
    """The results that failed, by group of stages and by step; the group that failed first is the first."""
    identity = found.side.manifest.identity
    groups_off: dict[str, dict[int, list[str]]] = {}
    for step in sorted(found.stages):
        for name, stages in groups(identity, [stage.name for stage in found.stages[step]]).items():
            here = [result for stage in found.stages[step] if stage.name in stages for result in stage.off]
            here = [result for result in here if (step, result) not in follow]
            if here:
                groups_off.setdefault(name, {})[step] = here
    return groups_off


def accounts(found: Search, follow: Collection[tuple[int, str]], ask: Sides) -> Iterator[Finding]:
    """A finding for each group of stages that failed, those of one kind of layer that say the same as one."""
    identity = found.side.manifest.identity
    told: dict[tuple[str, ...], list[tuple[str, int, list[Account]]]] = {}
    for name, by_step in off(found, follow).items():
        here = [of_step(found, name, step, by_step[step], ask) for step in chosen(by_step)]
        told.setdefault(alike(identity, here), []).append((name, min(by_step), here))
    for number, same in enumerate(told.values()):
        name, step, here = same[0]
        names = listed([group for group, _, _ in same])
        # Layers of one kind that say the same are told once.
        sentences = {shape(s): s for _, _, each in reversed(same) for s in reversed(said(each))}
        explained = all(account.whole for _, _, each in same for account in each)
        yield Finding(
            f"step {step}, {names}",
            explained=explained,
            excluded=found.tried if not number else (),
            described=tuple([*sentences.values()][::-1][:TOLD]),
            beside=here[0].beside,
            note=replay.excluded(found) if not number else None,
        )


def chosen(by_step: Mapping[int, Sequence[str]]) -> list[int]:
    """The steps whose tensors are looked at: the first that failed, and the last."""
    return sorted({min(by_step), max(by_step)})


def of_step(found: Search, name: str, step: int, failed: Sequence[str], ask: Sides) -> Account:
    """The account of a group at one step."""
    tensors = ask.tensors(found.side, found.owner, step, found.realisation)
    stages = groups(found.side.manifest.identity, [stage.name for stage in found.stages[step]])[name]
    return of_group(tensors, name, stages, failed)


def alike(identity: Identity, accounts: Sequence[Account]) -> tuple[str, ...]:
    """What makes two groups one finding: the same suppositions, or the same kind of activation."""
    functions = {node.name: getattr(node, "function", None) for node in identity.model}
    group = accounts[0].group
    held = [held.sentence for account in accounts for held in account.held]
    if held:
        return (functions.get(group) or group.rstrip("0123456789"), *sorted(set(held)))
    return (functions.get(group) or group,)


def said(accounts: Sequence[Account]) -> list[str]:
    """What the accounts of one group say, of its steps together."""
    first, last = accounts[0], accounts[-1]
    common = [held for held in first.held if any(same_kind(held, other) for other in last.held)]
    if first.odd is not None and common:
        plain = [held for held in common if held.neutral is None]
        steady = [held for held in common if any(same_number(held, other) for other in last.held)]
        # Of different weights, each does its own.
        apart = len({held.weights for held in common}) > 1
        chosen = common if apart else plain or steady or common
        ways = [with_steps(held, first, last) for held in chosen]
        return [f"{first.odd} does as if {(' and ' if apart else ' or ').join(ways)}"]
    told = [sentences(account) for account in accounts]
    always = [sentence for sentence in told[0] if all(shape(sentence) in map(shape, others) for others in told)]
    # What one step alone says comes with it; where only numbers differ, one step stands for both.
    return always + [
        f"step {account.step}: {sentence}"
        for account, here in zip(accounts, told, strict=True)
        for sentence in here
        if shape(sentence) not in map(shape, always)
    ]


def shape(sentence: str) -> str:
    """A sentence without its numbers, and so without the numbers of layers."""
    return NUMBER.sub("#", sentence)


def sentences(account: Account) -> list[str]:
    """What the account of one step says."""
    # Of different weights, each does its own.
    apart = len({held.weights for held in account.held}) > 1
    ways = (" and " if apart else " or ").join(held.sentence for held in account.held)
    return ([f"{account.odd} does as if {ways}"] if ways else []) + list(account.relations)


def same_kind(one: Held, other: Held) -> bool:
    """Whether two are the same supposition on the same weights."""
    return (one.says, one.weights) == (other.says, other.weights)


def same_number(one: Held, other: Held) -> bool:
    """Whether two are the same supposition with the same number."""
    if not same_kind(one, other) or one.neutral is None:
        return False
    return abs(one.number - other.number) <= ONE * abs(one.number - one.neutral)


def with_steps(held: Held, first: Account, last: Account) -> str:
    """A supposition in words, with its number at either step where these are two."""
    others = [other for other in last.held if same_kind(held, other)]
    if held.neutral is None or same_number(held, others[0]):
        return held.sentence
    after = replace(others[0], weights=()).sentence
    return f"{held.sentence} (at step {first.step}; at step {last.step}: {after})"
