"""What ties the weights of a pair of layers: which are which, and by which transform."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

from parity.pairing.layouts.form import NEUTRAL, OWN, Form, Part
from parity.pairing.views import View

# Names of one role in two frameworks, of layers that no table knows.
ROLES = {
    "weight": "kernel",
    "w": "kernel",
    "embeddings": "kernel",
    "gamma": "scale",
    "beta": "bias",
    "b": "bias",
    "moving_mean": "mean",
    "running_mean": "mean",
    "moving_variance": "variance",
    "running_var": "variance",
}


@dataclass(frozen=True)
class Link:
    """A tensor that both sides have, each in one place or as the sum of several."""

    tensor: str
    keras: tuple[View, ...]
    torch: tuple[View, ...]

    def __str__(self) -> str:
        return " -> ".join(" + ".join(f'"{view}"' for view in views) for views in (self.keras, self.torch))


@dataclass(frozen=True)
class Alone:
    """A tensor that one side lacks, where the other side keeps it, and what it would have to be to mean nothing."""

    tensor: str
    side: str
    views: tuple[View, ...]
    neutral: float


@dataclass(frozen=True)
class Ties:
    """All of a pair of parts, and the form that they share."""

    form: str
    links: tuple[Link, ...]
    alone: tuple[Alone, ...]


def ties(keras: Part, torch: Part) -> Ties | None:
    """How the weights of two parts correspond, or None if they do not."""
    for own in keras.forms:
        for other in torch.forms:
            found = tied(own, other)
            if found is not None:
                return found
    if any(form.name == OWN for form in (*keras.forms, *torch.forms)):
        return tied_by_shape(keras.forms[0], torch.forms[0])
    return None


def tied(keras: Form, torch: Form) -> Ties | None:
    """Two readings in one form correspond if every tensor that counts is in both and of one size."""
    if keras.name != torch.name or keras.name == OWN:
        return None
    both = [tensor for tensor in keras.tensors if tensor in torch.tensors]
    either = {**torch.tensors, **keras.tensors}
    if not both or any(tensor not in both and tensor not in NEUTRAL for tensor in either):
        return None
    if any(sorted(keras.tensors[t][0].shape.items()) != sorted(torch.tensors[t][0].shape.items()) for t in both):
        return None
    links = tuple(Link(tensor, keras.tensors[tensor], torch.tensors[tensor]) for tensor in both)
    return Ties(keras.name, links, tuple(alone(keras, torch)))


def alone(keras: Form, torch: Form) -> Iterator[Alone]:
    """The tensors that one of the two forms lacks."""
    for side, form, other in (("keras", keras, torch), ("torch", torch, keras)):
        for tensor, views in form.tensors.items():
            if tensor not in other.tensors:
                yield Alone(tensor, side, views, NEUTRAL[tensor])


def tied_by_shape(keras: Form, torch: Form) -> Ties | None:
    """Layers of which a table knows at most one: weights of one role, or one by one in their order."""
    views = [view for form in (keras, torch) for kept in form.tensors.values() for view in kept]
    ours, theirs = raw(keras), raw(torch)
    if any(view.at for view in views) or len(ours) != len(theirs):
        return None
    by_role = set(ours) == set(theirs)
    others = [theirs[role] for role in ours] if by_role else list(theirs.values())
    links = []
    for (role, own), other in zip(ours.items(), others, strict=True):
        found = turned_to_fit(own, other)
        if found is None:
            return None
        links.append(Link(role, (own,), (found,)))
    return Ties(OWN, tuple(links), ())


def raw(form: Form) -> Mapping[str, View]:
    """Each weight of a form with numbered axes, by a role that both frameworks would use."""
    views: dict[str, View] = {}
    for role, kept in form.tensors.items():
        for view in kept:
            shape = view.plain_shape
            names = [f"a{number}" for number in range(len(shape))]
            plain = View(view.name, " ".join(names), dict(zip(names, shape, strict=True)), {})
            if plain.name not in {other.name for other in views.values()}:
                views[ROLES.get(role, role)] = plain
    return views


def turned_to_fit(keras: View, torch: View) -> View | None:
    """torch's view with Keras's names: as it is if the shapes are equal, else by the one order of axes that fits."""
    ours, theirs = list(keras.sizes.values()), list(torch.sizes.values())
    if len(ours) != len(theirs):
        return None
    orders = [order for order in permutations(range(len(ours))) if [ours[axis] for axis in order] == theirs]
    # The first is that of equal shapes.
    if not orders or (ours != theirs and len(orders) > 1):
        return None
    names = [f"a{axis}" for axis in orders[0]]
    return View(torch.name, " ".join(names), dict(zip(names, theirs, strict=True)), {})
