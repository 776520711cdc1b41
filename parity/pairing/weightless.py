"""Layers without weights, paired by what they mean, in their order between layers that are paired."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from parity.pairing.groups import longest_increasing
from parity.pairing.items import Item
from parity.pairing.matching import Matcher


def pair_weightless(matcher: Matcher, fixed: Sequence[tuple[Item, Item]]) -> Iterator[tuple[Item, Item]]:
    """Pairs of layers of one meaning, each within the gap between two neighbouring pairs; `fixed` are made already."""
    keras, torch = matcher.sides
    known = sorted((position, found.torch.position) for position, found in matcher.found.items())
    known = sorted([*known, *((own.position, other.position) for own, other in fixed)])
    frame = [known[index] for index in longest_increasing([other for _, other in known])]
    gone = {own.position for own, _ in fixed}, {other.position for _, other in fixed}
    free = [
        [i for i in side.weightless if i.meaning and i.position not in taken and i.position not in out]
        for side, taken, out in zip((keras, torch), gone, matcher.left_out, strict=True)
    ]
    for start, end in pairwise([(-1, -1), *frame, (len(keras.items), len(torch.items))]):
        ours = [item for item in free[0] if start[0] < item.position < end[0]]
        theirs = [item for item in free[1] if start[1] < item.position < end[1]]
        yield from common(ours, theirs)


def common(ours: Sequence[Item], theirs: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    """A longest common subsequence of what two sequences mean."""
    # best[i][j] is the length of that of ours[i:] and theirs[j:].
    best = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in reversed(range(len(ours))):
        for j in reversed(range(len(theirs))):
            same = ours[i].meaning == theirs[j].meaning
            best[i][j] = best[i + 1][j + 1] + 1 if same else max(best[i + 1][j], best[i][j + 1])
    i = j = 0
    while i < len(ours) and j < len(theirs):
        if ours[i].meaning == theirs[j].meaning:
            yield ours[i], theirs[j]
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
