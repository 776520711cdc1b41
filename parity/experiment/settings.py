"""In which settings two experiments differ, in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parity.experiment.spec import Identity, to_dict

# Of two experiments that have little in common, the first settings tell enough.
SHOWN = 4
# What tells one thing from another of its sort, by the first of these that it has.
NAMED_BY = ("function", "kind", "by", "name")


def differences(ours: Identity, theirs: Identity) -> list[str]:
    """The first settings that are not equal, by path, with both values: "optimizer.learning_rate 0.001 and 0.002"."""
    found = list(compared("", to_dict(ours), to_dict(theirs)))
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return found[:SHOWN] + more


def compared(path: str, x: Any, y: Any) -> Iterator[str]:
    """The differences inside two settings: between two things of one sort, their settings; otherwise what each is."""
    if x == y:
        return
    if path == "model" and [(n["name"], sort(n)) for n in x] == [(n["name"], sort(n)) for n in y]:
        x, y = ({node["name"]: node for node in model} for model in (x, y))
    if isinstance(x, dict) and isinstance(y, dict) and sort(x) == sort(y):
        for key in dict.fromkeys([*x, *y]):
            yield from compared(f"{path}.{key}" if path else key, x.get(key), y.get(key))
    else:
        yield f"{path} {said(x)} and {said(y)}"


def sort(value: Mapping[str, Any]) -> Any:
    """The sort of a thing, where there are several; otherwise None."""
    return next((value[key] for key in NAMED_BY if key in value), None)


def said(value: Any) -> str:
    """A setting in words: a model by its nodes, what has settings of its own by what it is."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(node, value))}]"
    if isinstance(value, Mapping):
        number = value.get("number")
        return f"{sort(value) or 'some'}{'' if number is None else f' {number}'}"
    return "none" if value is None else str(value)


def node(value: Mapping[str, Any]) -> str:
    """A node of a model: a layer by its inputs and units, what follows it by what it is."""
    if value["kind"] == "dense":
        return f"{value['inputs']}-{value['units']}"
    if value["kind"] == "embedding":
        return f"{value['length']} of {value['vocabulary']} words-{value['units']}"
    return str(sort(value))
