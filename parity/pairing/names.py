"""What layers' names say of which is which: words and numbers that tell the members of a group from each other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SAME = {
    "query": "q",
    "key": "k",
    "value": "v",
    "output": "o",
    "out": "o",
    "fc": "dense",
    "linear": "dense",
    "bn": "norm",
    "ln": "norm",
    "batchnorm": "norm",
    "layernorm": "norm",
    "normalization": "norm",
    "embedding": "table",
    "embed": "table",
    "emb": "table",
    "downsample": "shortcut",
    "proj": "projection",
    "self": "",
    "layer": "",
    "layers": "",
    "model": "",
    "block": "",
    "blocks": "",
}


def words(path: str) -> list[str]:
    """The words and numbers of a path in order, each in a form that two frameworks share."""
    split = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", path)
    found = [SAME.get(word.lower(), word.lower()) for word in split]
    return [str(int(word)) if word.isdigit() else word for word in found if word]


def telling(paths: Sequence[str]) -> list[frozenset[str]]:
    """For each path, its words and numbers that not all of them have."""
    sets = [frozenset(words(path)) for path in paths]
    common = frozenset.intersection(*sets)
    return [own - common for own in sets]


@dataclass(frozen=True)
class Told:
    """For each of Keras's paths the index of torch's that its name means, and whether words said so, or numbers."""

    order: tuple[int, ...]
    by_words: bool


def matched(keras: Sequence[str], torch: Sequence[str]) -> Told | None:
    """What the names say, if they tell it of all paths; else None.

    Words count, and numbers only where there are none. Of words, one path on each side may be left over: it follows.
    """
    if len(keras) != len(torch) or len(keras) < 2:
        return None
    exact = [words(path) for path in torch]
    same = [exact.index(own) if exact.count(own := words(path)) == 1 else -1 for path in keras]
    if sorted(same) == list(range(len(torch))):
        return Told(tuple(same), True)
    ours, theirs = (
        [frozenset(word for word in own if not word.isdigit()) for own in telling(paths)] for paths in (keras, torch)
    )
    found = one_to_one(ours, theirs)
    if found is not None:
        return Told(tuple(found), True)
    ranks = by_rank(keras, torch)
    return None if any(ours) or any(theirs) or ranks is None else Told(tuple(ranks), False)


def by_rank(keras: Sequence[str], torch: Sequence[str]) -> list[int] | None:
    """The paths in the order of their numbers: one side may count from 0 and the other from 1, and Keras's first layer
    of a kind has none. None where two of a side have the same numbers."""
    sides = [[tuple(int(word) for word in words(path) if word.isdigit()) for path in paths] for paths in (keras, torch)]
    if any(len(set(numbers)) < len(numbers) for numbers in sides):
        return None
    ordered = [sorted(numbers) for numbers in sides]
    return [sides[1].index(ordered[1][ordered[0].index(own)]) for own in sides[0]]


def one_to_one(ours: Sequence[frozenset[str]], theirs: Sequence[frozenset[str]]) -> list[int] | None:
    """The only way to match sets that share a word, where all but at most one on each side do."""
    found: list[int | None] = []
    for own in ours:
        sharing = [index for index, other in enumerate(theirs) if own & other]
        if len(sharing) > 1:
            return None
        found.append(sharing[0] if sharing else None)
    taken = [index for index in found if index is not None]
    if len(set(taken)) < len(taken) or len(taken) < max(1, len(ours) - 1):
        return None
    (left,) = set(range(len(theirs))) - set(taken) or {-1}
    return [left if index is None else index for index in found]
