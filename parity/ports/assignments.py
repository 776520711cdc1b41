"""Layers that nothing tells apart: every way to pair them, of which the one that makes both models agree is right.

That two models agree in every number, in float64 and of weights drawn at random, proves the pairing as much as it needs
it; that they differ under each way proves that no pairing makes them one.
"""

import json
import math
from collections.abc import Iterator
from itertools import permutations, product

from parity.pairing.pairs import Pairing

# Ways beyond which it takes too long, and numbers of all weights.
MOST, LARGEST = 24, 2**22


def can_be_tried(pairing: Pairing) -> bool:
    """Whether layers are undecided, and few enough to try every way."""
    ways = math.prod(math.factorial(len(ours)) for ours, _ in pairing.undecided)
    size = sum(math.prod(weight.shape) for weight in pairing.keras.weights().values())
    return 1 < ways <= MOST and size <= LARGEST


def assignments(pairing: Pairing) -> Iterator[str]:
    """Every way to pair what is undecided, as lines of a map."""
    groups = pairing.undecided
    for chosen in product(*(permutations(theirs) for _, theirs in groups)):
        both = [(ours, theirs) for (ours, _), theirs in zip(groups, chosen, strict=True)]
        pairs = [pair for ours, theirs in both for pair in zip(ours, theirs, strict=True)]
        yield "\n".join(" = ".join(json.dumps(name, ensure_ascii=False) for name in pair) for pair in pairs) + "\n"
