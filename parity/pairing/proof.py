"""Whether each weight of one side is the other's by its transform, and what it looks like where it is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from parity.pairing.links import Alone, Link
from parity.pairing.looks import exact, expected, looks_like, undecided
from parity.pairing.pairs import Pairing
from parity.pairing.transfer import NAMES
from parity.pairing.views import Array, total

# "undecided": equal, and so it would be by another transform, as zeros are by any.
Status = Literal["equal", "undecided", "different", "lacking"]


@dataclass(frozen=True)
class Proof:
    """Of one tensor: the names of the weights that hold it on either side, the transform, and what the values say."""

    tensor: str
    keras: tuple[str, ...]
    torch: tuple[str, ...]
    transform: str
    status: Status
    says: str

    def __str__(self) -> str:
        names = " and ".join(" + ".join(side) for side in (self.keras, self.torch) if side)
        return f"{names}: {self.says}"


def proven(pairing: Pairing, keras: Mapping[str, Array], torch: Mapping[str, Array]) -> list[Proof]:
    """A proof of each tensor of each pair, by the values of all weights of both sides."""
    proofs = []
    for pair in pairing.pairs:
        proofs += [proof_of(link, keras, torch, pairing) for link in pair.links]
        proofs += [proof_alone(tensor, keras if tensor.side == "keras" else torch) for tensor in pair.alone]
    return proofs


def proof_of(link: Link, keras: Mapping[str, Array], torch: Mapping[str, Array], pairing: Pairing) -> Proof:
    """Whether a tensor of both sides has the same numbers, to the bit, by the transform of its kind."""
    theirs = total(link.torch, torch)
    status: Status = "equal"
    if not exact(expected(link, keras), theirs):
        status, says = "different", looks_like(link, theirs, keras, pairing)
    elif other := undecided(link, keras):
        status, says = "undecided", f"equal, but so it would be by other transforms: {other}"
    else:
        says = f"equal by {link}"
    names = [tuple(view.name for view in views) for views in (link.keras, link.torch)]
    return Proof(link.tensor, names[0], names[1], str(link), status, says)


def proof_alone(tensor: Alone, values: Mapping[str, Array]) -> Proof:
    """Whether a tensor that the other side lacks changes nothing."""
    array = total(tensor.views, values)
    lacking = NAMES["torch" if tensor.side == "keras" else "keras"]
    means_nothing = bool(np.all(array == tensor.neutral))
    value = f"{'' if means_nothing else 'not '}{tensor.neutral:g} everywhere"
    names = tuple(view.name for view in tensor.views)
    keras, torch = (names, ()) if tensor.side == "keras" else ((), names)
    status: Status = "equal" if means_nothing else "lacking"
    return Proof(tensor.tensor, keras, torch, "", status, f"{lacking} has no {tensor.tensor} there; it is {value}")
