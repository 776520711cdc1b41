"""Nested inputs and outputs: dicts, lists, tuples and what behaves like them, with arrays or tensors as leaves."""

from collections.abc import Callable, Mapping
from typing import Any


def leaves(tree: Any, name: str = "") -> dict[str, Any]:
    """The leaves by name, "image" or "0/mask"; those of a dict in the order of its sorted keys; None is no leaf."""
    if tree is None:
        return {}
    if isinstance(tree, Mapping):
        parts = [(str(key), tree[key]) for key in sorted(tree, key=str)]
    elif isinstance(tree, list | tuple):
        parts = [(str(position), value) for position, value in enumerate(tree)]
    else:
        return {name: tree}
    found: dict[str, Any] = {}
    for key, value in parts:
        found |= leaves(value, f"{name}/{key}" if name else key)
    return found


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same tree with `function` of each leaf in its place."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {key: mapped(function, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        parts = [mapped(function, value) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree)
