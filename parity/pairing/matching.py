"""Which layers correspond by what they are and where they stand: rules 3 and 4 of pairing.

Layers that fit one another and stand between the same pairs form a group. A group of one on each side is a pair. In a
larger one, what its members read and who reads them tells them apart, then what is applied to what they give, alone or
on the way to the next weights, then their names; then their order, if what the one gives reaches the next. Where all of
that fails, order alone is a guess, which is said; and layers that read the same tensor, as queries, keys and values do,
have no order: they stay unpaired.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from parity.pairing.groups import Group, chained, fitting, groups, in_order, parallel, segments, told
from parity.pairing.items import Item, Side
from parity.pairing.pairs import Rule
from parity.pairing.surroundings import surroundings


@dataclass(frozen=True)
class Found:
    """The partner of an item of Keras's side, the rule that found it, and whether order alone did."""

    torch: Item
    rule: Rule
    guess: bool = False


@dataclass
class Matcher:
    """Pairs of items with weights, found one after the other. `found` is by the position of Keras's item.

    `left_out` are the positions of items of either side that get no partner.
    """

    sides: tuple[Side, Side]
    left_out: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())
    found: dict[int, Found] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fits = fitting(self.sides[0].weighted, self.sides[1].weighted)

    def fit(self, keras: Item, torch: Item) -> bool:
        """Whether the weights of two items correspond."""
        return torch.position in self.fits[keras.position]

    def match(self) -> None:
        """Pair what can be paired: first what is certain, and with every new pair what that makes certain."""
        ways = (
            self.single,
            self.by_flow,
            self.by_surroundings,
            self.single_between,
            self.by_activation,
            self.by_way,
            self.by_surrounding_functions,
            self.by_names,
            self.by_chain,
            self.by_order,
            self.by_elimination,
        )
        while any(way() for way in ways):
            pass

    def free(self) -> Group:
        """The items that have no partner yet."""
        taken = (self.found.keys(), {found.torch.position for found in self.found.values()})
        ours, theirs = (
            [item for item in side.weighted if item.position not in gone and item.position not in out]
            for side, gone, out in zip(self.sides, taken, self.left_out, strict=True)
        )
        return ours, theirs

    def partner_of(self) -> dict[int, int]:
        """The pairs, by positions."""
        return {position: found.torch.position for position, found in self.found.items()}

    def groups(self) -> Iterator[Group]:
        """The groups of free items within each segment; pairs that are made meanwhile do not change them."""
        for segment in list(segments(self.sides, self.partner_of(), self.free())):
            yield from groups(segment, self.fits)

    def whole(self) -> Iterator[Group]:
        """The groups of all free items, wherever they stand."""
        return groups(self.free(), self.fits)

    def even(self) -> Iterator[Group]:
        """The groups within segments of as many items on both sides that all fit and have no partner meanwhile."""
        for group in self.groups():
            ours, theirs = self.free()
            still = all(item in ours for item in group[0]) and all(item in theirs for item in group[1])
            if still and len(group[0]) == len(group[1]) and all(self.fit(k, t) for k in group[0] for t in group[1]):
                yield group

    def pair(self, group: Group, order: tuple[int, ...], rule: Rule, guess: bool = False) -> bool:
        """Pair a group's members, Keras's n-th with torch's of the index `order[n]`."""
        for item, index in zip(group[0], order, strict=True):
            self.found[item.position] = Found(group[1][index], rule, guess)
        return True

    def single(self) -> bool:
        """Rule 3: the only ones of their kind and shape that are left in the whole models."""
        return self.pair_single(list(self.whole()))

    def single_between(self) -> bool:
        """Rule 3: the only ones of their kind and shape between two pairs."""
        return self.pair_single(self.even())

    def pair_single(self, found: Iterable[Group]) -> bool:
        """Pair the groups of one on each side that read alike, as far as that is known."""
        before = len(self.found)
        for ours, theirs in found:
            if len(ours) == len(theirs) == 1 and not self.apart(ours[0], theirs[0]):
                self.pair((ours, theirs), (0,), "structure")
        return len(self.found) > before

    def by_elimination(self) -> bool:
        """Rule 3, guessed: the only ones that are left, although they read from others than partners."""
        alone = next((group for group in self.even() if len(group[0]) == 1), None)
        return alone is not None and self.pair(alone, (0,), "structure", guess=True)

    def apart(self, keras: Item, torch: Item) -> bool:
        """Whether two items read from layers that are known not to be partners."""
        own, other = self.sources(keras, 0), self.sources(torch, 1)
        return own is not None and other is not None and own != other

    def by_flow(self) -> bool:
        """Rule 3: those that read what partners give, or stand beside partners, or are read by them."""
        before = len(self.found)
        for ours, theirs in list(self.whole()):
            for key in (self.sources, self.neighbours, self.readers):
                free = self.free()
                own = {item: key(item, 0) for item in ours if item in free[0]}
                other = {item: key(item, 1) for item in theirs if item in free[1]}
                for item, known in own.items():
                    like = [partner for partner, value in other.items() if value == known]
                    alone = known is not None and len(like) == list(own.values()).count(known) == 1
                    if alone and self.fit(item, like[0]):
                        self.found[item.position] = Found(like[0], "structure")
        return len(self.found) > before

    def by_surrounding_functions(self) -> bool:
        """Rule 3: the same, if the functions that lie between are looked at, too."""
        return self.by_surroundings(functions=True)

    def by_surroundings(self, functions: bool = False) -> bool:
        """Rule 3: the only one of its group whose surroundings look so, in ever wider circles."""
        for colours in surroundings(self.sides, self.partner_of(), self.fits, functions):
            before = len(self.found)
            for ours, theirs in list(self.whole()):
                own, other = (
                    [colours[0][item.position] for item in ours],
                    [colours[1][item.position] for item in theirs],
                )
                for item, colour in zip(ours, own, strict=True):
                    if own.count(colour) == other.count(colour) == 1:
                        partner = theirs[other.index(colour)]
                        free = self.free()
                        if item in free[0] and partner in free[1] and self.fit(item, partner):
                            self.found[item.position] = Found(partner, "structure")
            if len(self.found) > before:
                return True
        return False

    def by_activation(self) -> bool:
        """Rule 3: what is applied to what they give is one member's alone, on both sides alike."""
        return self.by_functions([side.applied for side in self.sides], needed=True)

    def by_way(self) -> bool:
        """Rule 3: what they give goes through functions on its way to the next weights that no other member's does."""
        return self.by_functions([side.way for side in self.sides], needed=False)

    def by_functions(self, of_side: Sequence[Mapping[int, tuple[str, ...]]], needed: bool) -> bool:
        """Pair those members of a group whose functions are one member's alone, on both sides.

        Where some are `needed`, having none tells nothing; where not, all members' have to be the same on both sides.
        """
        before = len(self.found)
        for group in [*self.even(), *(group for group in self.whole() if len(group[0]) == len(group[1]))]:
            own, other = ([names[item.position] for item in items] for names, items in zip(of_side, group, strict=True))
            if not needed and sorted(own) != sorted(other):
                continue
            for item, name in zip(group[0], own, strict=True):
                free = self.free()
                if (name or not needed) and own.count(name) == other.count(name) == 1:
                    partner = group[1][other.index(name)]
                    if item in free[0] and partner in free[1] and self.fit(item, partner):
                        self.found[item.position] = Found(partner, "structure")
        return len(self.found) > before

    def by_names(self) -> bool:
        """Rule 4: the names tell the members of a group from each other, and do not contradict a known order."""
        for group in self.even():
            said = told(group)
            if said is None:
                continue
            certain = said.by_words and not chained(self.sides, group)
            agree = not any(self.apart(k, group[1][i]) for k, i in zip(group[0], said.order, strict=True))
            if agree and (in_order(said) or parallel(self.sides, group) or certain):
                return self.pair(group, said.order, "names")
        return False

    def by_chain(self) -> bool:
        """Rule 3: each member reaches the next one, on both sides."""
        group = next((group for group in self.even() if chained(self.sides, group)), None)
        return group is not None and self.pair(group, tuple(range(len(group[0]))), "structure")

    def by_order(self) -> bool:
        """Rule 3, guessed: nothing is known but the order, and no names contradict it."""
        for group in self.even():
            said = told(group)
            agree = not any(self.apart(k, t) for k, t in zip(*group, strict=True))
            if agree and not parallel(self.sides, group) and (said is None or in_order(said)):
                return self.pair(group, tuple(range(len(group[0]))), "structure", guess=True)
        return False

    def partners(self, positions: frozenset[int] | None, side: int) -> Hashable:
        """Items that are all paired, by the positions of Keras's; None if one is not, or they are not known."""
        back = {found.torch.position: position for position, found in self.found.items()}
        known = back if side else {position: position for position in self.found}
        return frozenset(known[p] for p in positions) if positions and all(p in known for p in positions) else None

    def sources(self, item: Item, side: int) -> Hashable:
        """What an item's input comes from."""
        return self.partners(self.sides[side].before[item.position], side)

    def neighbours(self, item: Item, side: int) -> Hashable:
        """Those with a partner that read the same."""
        taken = {found.torch.position for found in self.found.values()} if side else set(self.found)
        return self.partners(self.sides[side].beside[item.position] & taken, side)

    def readers(self, item: Item, side: int) -> Hashable:
        """Those that read what an item gives."""
        return self.partners(self.sides[side].after[item.position], side)
