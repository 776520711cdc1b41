"""What stands around a layer, as a colour that is equal on both sides where the surroundings are.

The refinement of Weisfeiler and Lehman: at first a colour says what a layer is and whose partner; each round adds the
colours of those that it reads from, that read from it, and that read the same.
"""

from collections.abc import Hashable, Iterator, Mapping

from parity.pairing.groups import Fits
from parity.pairing.items import Side

# A circle wider than that tells no more of a layer's place than its order does.
ROUNDS = 12
Colours = tuple[Mapping[int, Hashable], Mapping[int, Hashable]]


def surroundings(
    sides: tuple[Side, Side], pairs: Mapping[int, int], fits: Fits, functions: bool = False
) -> Iterator[Colours]:
    """The colours of both sides' items with weights, by position, after each round; none where no flow is known.

    With `functions` a colour says, too, through which functions what an item gives goes on.
    """
    if not all(any(sources for sources in side.before.values()) for side in sides):
        return
    colours = first(sides, pairs, fits)
    if functions:
        colours = tuple(  # type: ignore[assignment]
            {position: (colour, side.way[position]) for position, colour in own.items()}
            for side, own in zip(sides, colours, strict=True)
        )
    for _ in range(ROUNDS):
        wider = widened(sides[0], colours[0]), widened(sides[1], colours[1])
        numbers: dict[Hashable, int] = {}
        colours = tuple(  # type: ignore[assignment]
            {position: numbers.setdefault(colour, len(numbers)) for position, colour in side.items()} for side in wider
        )
        yield colours


def first(sides: tuple[Side, Side], pairs: Mapping[int, int], fits: Fits) -> Colours:
    """Partners share a colour of their own; others have that of all items that fit them, directly or by others."""
    root = {("keras", item.position): ("keras", item.position) for item in sides[0].weighted}
    root |= {("torch", item.position): ("torch", item.position) for item in sides[1].weighted}

    def top(node: tuple[str, int]) -> tuple[str, int]:
        while root[node] != node:
            node = root[node]
        return node

    for position, others in fits.items():
        for other in others:
            root[top(("torch", other))] = top(("keras", position))
    ours: dict[int, Hashable] = {i.position: top(("keras", i.position)) for i in sides[0].weighted}
    theirs: dict[int, Hashable] = {i.position: top(("torch", i.position)) for i in sides[1].weighted}
    for position, other in pairs.items():
        ours[position] = theirs[other] = ("pair", position)
    return ours, theirs


def widened(side: Side, colours: Mapping[int, Hashable]) -> dict[int, Hashable]:
    """The colours with those of what is read from, of readers, and of those beside."""
    kinds = (side.before, side.after, side.beside)
    return {
        position: (colour, *(tuple(sorted(map(hash_of, (colours[p] for p in kind[position] or ())))) for kind in kinds))
        for position, colour in colours.items()
    }


def hash_of(colour: Hashable) -> str:
    """Something that can be sorted."""
    return repr(colour)
