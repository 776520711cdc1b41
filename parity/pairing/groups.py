"""Which layers could correspond: those that fit one another and stand between the same pairs."""

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import pairwise

from parity.pairing.items import Item, Side
from parity.pairing.layouts.form import OWN
from parity.pairing.links import ties
from parity.pairing.names import Told, matched

# Items of Keras's side and of torch's.
Group = tuple[list[Item], list[Item]]
# For each of Keras's items, by position, the positions of torch's that it fits.
Fits = Mapping[int, frozenset[int]]


def fitting(keras: Sequence[Item], torch: Sequence[Item]) -> Fits:
    """Which items' weights correspond, whatever their place."""
    by_key: dict[Hashable, list[Item]] = {}
    for item in torch:
        for form in item.part.forms if item.part else ():
            by_key.setdefault(OWN if form.name == OWN else form.key, []).append(item)
    found = {}
    for item in keras:
        keys = [OWN, *(form.key for form in item.part.forms if item.part)] if item.part else []
        unknown = item.part is not None and item.part.forms[0].name == OWN
        others = torch if unknown else [other for key in keys for other in by_key.get(key, ())]
        found[item.position] = frozenset(o.position for o in others if item.part and o.part and ties(item.part, o.part))
    return found


def segments(sides: tuple[Side, Side], pairs: Mapping[int, int], free: Group) -> Iterator[Group]:
    """The free items between two neighbouring pairs, and then all of them at once.

    Only pairs that stand in one order on both sides count, as many of them as possible.
    """
    known = sorted(pairs.items())
    frame = [known[index] for index in longest_increasing([torch for _, torch in known])]
    for start, end in pairwise([(-1, -1), *frame, (len(sides[0].items), len(sides[1].items))]):
        ours = [item for item in free[0] if start[0] < item.position < end[0]]
        theirs = [item for item in free[1] if start[1] < item.position < end[1]]
        if ours and theirs:
            yield ours, theirs
    if frame and all(free):
        yield free


def groups(segment: Group, fits: Fits) -> Iterator[Group]:
    """Items of a segment that fit one another, directly or by others."""
    left = list(segment[0])
    while left:
        group = grown(left[0], segment, fits)
        left = [item for item in left if item not in group[0]]
        if group[1]:
            yield group


def grown(first: Item, segment: Group, fits: Fits) -> Group:
    """The items of a segment that fit `first`, those that fit them, and so on, in their order."""
    keras, torch = {first.position}, set[int]()
    while True:
        reached = {p for position in keras for p in fits[position]}
        more = {item.position for item in segment[1] if item.position in reached} - torch
        torch |= more
        back = {item.position for item in segment[0] if fits[item.position] & torch} - keras
        keras |= back
        if not more and not back:
            ours, theirs = segment
            return [i for i in ours if i.position in keras], [i for i in theirs if i.position in torch]


def chained(sides: tuple[Side, Side], group: Group) -> bool:
    """Whether on both sides each member reaches the next."""
    members = zip(sides, group, strict=True)
    return all(side.reaches(one, other) for side, items in members for one, other in pairwise(items))


def parallel(sides: tuple[Side, Side], group: Group) -> bool:
    """Whether two members on one side read the same tensor, so that they have no order."""
    members = zip(sides, group, strict=True)
    return any(one.position in side.beside[i.position] for side, items in members for one in items for i in items)


def told(group: Group) -> Told | None:
    """What the names of a group's members say: those that their frameworks know, or else those of the user's code."""
    names = [[item.path for item in items] for items in group], [[item.alias for item in items] for items in group]
    return matched(*names[0]) or matched(*names[1])


def in_order(said: Told) -> bool:
    """Whether names pair the members in their order."""
    return list(said.order) == sorted(said.order)


def longest_increasing(values: Sequence[int]) -> list[int]:
    """The indices of a longest increasing subsequence."""
    tails: list[int] = []
    ends: list[int] = []
    previous: list[int] = []
    for index, value in enumerate(values):
        place = bisect_left(tails, value)
        previous.append(ends[place - 1] if place else -1)
        if place == len(tails):
            tails.append(value)
            ends.append(index)
        else:
            tails[place], ends[place] = value, index
    found = []
    index = ends[-1] if ends else -1
    while index >= 0:
        found.append(index)
        index = previous[index]
    return found[::-1]
