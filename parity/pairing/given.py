"""The user's own map of which layer is which, as TOML: read, checked against the models, written.

"stem" = "conv1"                       # Keras's layer and torch's
"block_*/conv" = "layer*.conv"         # what * stands for is the same on both sides, or counted on
"separable" = ["depthwise", "pointwise"]
"attention:query" = "q_proj"           # a part of a layer
ignore = ["proj_bn", "torch:aux.head"] # without a partner on purpose

[flattened]                            # dense layers behind a feature map that each side flattened in its own order
"fc1" = 512                            # its channels
[layout]                               # a weight of Keras's: its transform
"token/kernel" = "a b -> b a"
[sum]                                  # a weight of Keras's that torch has as a sum
"lstm/bias" = ["lstm.bias_ih_l0", "lstm.bias_hh_l0"]
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import chain
from typing import TypeVar

from parity.errors import UsageError
from parity.pairing.items import Item
from parity.pairing.pairs import Pairing, PairingMap

T = TypeVar("T")
TABLES = ("flattened", "layout", "sum")


def from_toml(text: str, name: str = "the map") -> PairingMap:
    """Read a map; raises UsageError, with the file's `name`, that says what is wrong."""
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is not TOML: {error}") from error
    pairs, others = {}, {}
    for key, value in read.items():
        if isinstance(value, str):
            pairs[key] = (value,)
        elif key != "ignore" and names(value):
            pairs[key] = tuple(value)
        else:
            others[key] = value
    ignore = others.pop("ignore", [])
    tables = {key: others.pop(key, {}) for key in TABLES}
    expected = {
        "flattened": lambda value: type(value) is int and value > 0,
        "layout": lambda value: isinstance(value, str) and value.count("->") == 1,
        "sum": names,
    }
    for key, right in expected.items():
        wrong = [k for k, v in tables[key].items() if not right(v)] if isinstance(tables[key], dict) else [key]
        if wrong:
            raise UsageError(f"{name}: [{key}] cannot have {wrong[0]!r} so; see docs/own-pair.md")
    if others or not (ignore == [] or names(ignore)):
        wrong_key = next(iter(others), "ignore")
        raise UsageError(
            f'{name}: {wrong_key} is neither a pair ("keras" = "torch") nor one of ignore, {", ".join(TABLES)}'
        )
    summed = {key: tuple(value) for key, value in tables["sum"].items()}
    return PairingMap(pairs, tuple(ignore), tables["flattened"], tables["layout"], summed)


def names(value: object) -> bool:
    """Whether a value is a list of strings that is not empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def quoted(value: str | Sequence[str]) -> str:
    """A string or a list of strings as TOML; its basic strings are JSON's."""
    return json.dumps(value if isinstance(value, str) else list(value), ensure_ascii=False)


def to_toml(pairing: Pairing) -> str:
    """A map that gives the same pairs again, each with the rule that found it as a comment; to be edited and read."""
    lines = ["# Keras's layer = torch's layer, and the rule that paired them."]
    lines += [f"# {message}" for message in pairing.messages]
    for (keras, torch), rule in whole_layers(pairing):
        lines.append(f"{quoted(keras)} = {quoted(torch)}  # {rule}")
    lines.append(f"ignore = {quoted(pairing.ignored)}")
    for table in TABLES:
        entries = getattr(pairing.given, table)
        if entries:
            lines += ["", f"[{table}]"]
            lines += [f"{quoted(k)} = {v if isinstance(v, int) else quoted(v)}" for k, v in entries.items()]
    return "\n".join(lines) + "\n"


def whole_layers(pairing: Pairing) -> Iterator[tuple[tuple[str, str], str]]:
    """Each pair's names in a map, and its rule: layers, where all parts of one are paired with parts of one of their
    names, else the parts."""
    seen = set()
    for pair in pairing.pairs:
        same = [other for other in pairing.pairs if other.keras == pair.keras or other.torch == pair.torch]
        rule = pair.rule + (", a guess" if pair.guess else "")
        alone = all((other.keras, other.torch) == (pair.keras, pair.torch) for other in same)
        if pair.parts == ("", "") or (alone and all(other.parts[0] == other.parts[1] for other in same)):
            if (pair.keras, pair.torch) not in seen:
                seen.add((pair.keras, pair.torch))
                yield (pair.keras, pair.torch), rule
        else:
            yield (joined(pair.keras, pair.parts[0]), joined(pair.torch, pair.parts[1])), rule


def joined(layer: str, part: str) -> str:
    """A part's name in a map."""
    return f"{layer}:{part}" if part else layer


def resolved(given: PairingMap, keras: Sequence[Item], torch: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    """The items that each line of the map pairs; raises UsageError for a name that is not there."""
    for left, right in given.pairs.items():
        ours, theirs = selected(left, keras, "Keras"), [selected(name, torch, "torch") for name in right]
        if len(right) > 1:
            ours, groups = [flat(ours)], [flat(flat(theirs))]
        else:
            groups = theirs[0]
        if len(ours) != len(groups):
            counts = f"{len(ours)} of Keras's layers and {len(groups)} of torch's"
            raise UsageError(f"the map's line {quoted(left)} = {quoted(right[0])} means {counts}; write it as several")
        for own, other in zip(ours, groups, strict=True):
            yield from together(own, other)


def flat(lists: Iterable[list[T]]) -> list[T]:
    """One list of all members."""
    return list(chain.from_iterable(lists))


def together(keras: list[Item], torch: list[Item]) -> list[tuple[Item, Item]]:
    """The parts of one layer, or several, with those of another: those with weights, by name, else in order."""
    ours, theirs = ([i for i in items if i.part is not None] for items in (keras, torch))
    if not ours and not theirs:
        return [(keras[0], torch[0])]
    by_name = {item.name: item for item in theirs}
    if len(by_name) == len(theirs) and {item.name for item in ours} == set(by_name):
        return [(item, by_name[item.name]) for item in ours]
    if len(ours) != len(theirs):
        said = [", ".join(quoted(item.path) for item in items) or "nothing with weights" for items in (ours, theirs)]
        raise UsageError(f"the map pairs {said[0]} with {said[1]}: name the parts one by one")
    return list(zip(ours, theirs, strict=True))


def selected(name: str, items: Sequence[Item], side: str) -> list[list[Item]]:
    """The items of each layer, or the one part, that a name of the map means, in order of execution."""
    by_layer: dict[str, list[Item]] = {}
    for item in items:
        by_layer.setdefault(item.layer.path, []).append(item)
    exact = by_layer.get(name) or [item for item in items if item.path == name]
    if exact:
        return [exact]
    found = [by_layer[path] for path in natural(by_layer) if fnmatchcase(path, escaped(name))]
    if found:
        return found
    raise UsageError(missing(name, [*by_layer, *(item.path for item in items)], side))


def escaped(pattern: str) -> str:
    """A pattern of which * alone is special."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def natural(paths: Iterable[str]) -> list[str]:
    """Paths sorted with their numbers as numbers, so that both sides' n-th is the n-th."""
    return sorted(paths, key=lambda path: [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", path)])


def missing(name: str, known: Sequence[str], side: str) -> str:
    """The sentence on a name that the model does not have."""
    close = difflib.get_close_matches(name, known, 1)
    hint = f"; closest: {quoted(close[0])}" if close else ""
    return f"the map names {quoted(name)}, which {side}'s model does not have{hint}"
