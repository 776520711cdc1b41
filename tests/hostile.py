"""Recordings changed at random, as an attacker or a broken disk would change them.

    python tests/hostile.py RECORDING OTHER --count 100000 --seed 0

Each round changes a copy of RECORDING, lets parity.compare judge it against OTHER, and allows one of two ends: a
verdict, or one of the errors that are told in a line. Anything else stops the run and shows the change. Digests are
made to fit in two of three rounds, since a changed file would otherwise be refused before anything looks inside.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import struct
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from parity import compare
from parity.errors import ParityError
from parity.recordings.recording import MANIFEST

VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**30, 1e308, 0.5, "", "x", "../../../etc/passwd",
    "\u001b[2J", "[/red]",
    "9" * 600, "nan", [], {}, [[]], {"kind": "dense"}, ["a"] * 50,
]  # fmt: skip
NUMBERS = [float("nan"), float("inf"), -float("inf"), 1e308, -0.0, 5e-324]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, child in inside for place in places(child, (*path, key))]


def change_manifest(folder: Path, dice: random.Random) -> str:
    """Replace, remove, add or copy a value somewhere in the manifest; or damage its text."""
    path = folder / MANIFEST
    if dice.random() < 0.1:
        return damage_bytes(path, dice)
    content = json.loads(path.read_text())
    *parents, last = dice.choice(places(content))
    holder = content
    for key in parents:
        holder = holder[key]
    action = dice.choice(["replace", "remove", "add", "copy"])
    if action == "remove":
        del holder[last]
    elif action == "add" and isinstance(holder, dict):
        holder[dice.choice(["x", "", "__class__", "dtype"])] = dice.choice(VALUES)
    elif action == "copy":
        holder[last] = json.loads(json.dumps(content["identity"]))
    else:
        holder[last] = dice.choice([*VALUES, *NUMBERS])
    path.write_text(json.dumps(content))
    return f"{action} {[*parents, last]}"


def change_arrays(folder: Path, dice: random.Random) -> str:
    """Change a file of arrays: its header, its numbers, its bytes, its length, or the file itself."""
    # A second change leaves alone what a link leads to, and would wait for a pipe.
    path = dice.choice(sorted(path for path in folder.rglob("*.safetensors") if is_regular(path)))
    action = dice.choice([change_header, change_numbers, damage_bytes, replace_file])
    return f"{path.name}: {action.__name__} {action(path, dice)}"


def is_regular(path: Path) -> bool:
    """Whether it is a file, and no link to one."""
    return path.is_file() and not path.is_symlink()


def change_header(path: Path, dice: random.Random) -> str:
    """Change a name, dtype, shape or offset that the header claims."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    name = dice.choice(sorted(header))
    what = dice.choice(["name", "dtype", "shape", "data_offsets", "drop"])
    if what == "name":
        header[dice.choice([*sorted(header), "", "../x", "weights/"])] = header.pop(name)
    elif what == "drop":
        del header[name]
    elif what == "dtype":
        header[name]["dtype"] = dice.choice(["F16", "BF16", "F32", "F64", "I64", "I32", "U8", "BOOL", "F8_E4M3", "X"])
    else:
        header[name][what] = dice.choice([[], [0], [1, 1], [2**62, 4], [-1], [0, 2**40], ["a"], None, 7])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return f"{what} of {name}"


def change_numbers(path: Path, dice: random.Random) -> str:
    """Put an unusual number over some bytes behind the header."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack("<Q", content[:8])
    for _ in range(dice.choice([1, 4, 100])):
        at = dice.randrange(8 + start, len(content)) & ~7
        content[at : at + 8] = struct.pack("<d", dice.choice(NUMBERS))[: len(content) - at]
    path.write_bytes(content)
    return "numbers"


def damage_bytes(path: Path, dice: random.Random) -> str:
    """Flip bits, cut the file short, or add to it."""
    content = bytearray(path.read_bytes())
    what = dice.choice(["flip", "cut", "append", "length"])
    if what == "flip":
        for _ in range(dice.choice([1, 10])):
            content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    elif what == "cut":
        content = content[: dice.randrange(len(content))]
    elif what == "append":
        content += dice.randbytes(dice.choice([1, 1000]))
    else:
        content[:8] = struct.pack("<Q", dice.choice([0, 1, 2**20, 2**62, 2**64 - 1]))
    path.write_bytes(content)
    return what


def replace_file(path: Path, dice: random.Random) -> str:
    """Something else under the file's name."""
    what = dice.choice(["empty", "folder", "link out", "link to nothing", "link to itself", "other file", "pipe"])
    others = sorted(other for other in set(path.parents[1].rglob("*.safetensors")) - {path} if is_regular(other))
    other = dice.choice(others).read_bytes()
    path.unlink()
    if what == "empty":
        path.touch()
    elif what == "folder":
        path.mkdir()
    elif what == "other file":
        path.write_bytes(other)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"link out": "/etc/passwd", "link to nothing": "nothing", "link to itself": path}[what])
    return what


def refit_digests(folder: Path) -> None:
    """Make the manifest's digests those of the files as they are now."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, OSError):
        content = json.loads((folder / MANIFEST).read_text())
        for name in filter(lambda name: is_regular(folder / name), content["files"]):
            content["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / MANIFEST).write_text(json.dumps(content))


def judge_changed(recording: Path, other: Path, dice: random.Random) -> str:
    """Change a copy of `recording`, judge it against `other`, and name the end; raises if it is none of the allowed."""
    changes = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "copy"
        shutil.copytree(recording, folder)
        # A second change may find nothing left to change.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, IndexError, struct.error):
            for _ in range(dice.choice([1, 2])):
                changes.append(dice.choice([change_manifest, change_arrays])(folder, dice))
        if dice.random() < 2 / 3:
            refit_digests(folder)
        order = [str(folder), str(other)] if dice.random() < 0.5 else [str(other), str(folder)]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                written = ["--out", f"{scratch}/out", "--no-figures"], ["--junit", f"{scratch}/checks.xml"]
                status = compare.main([*order, *dice.choice([[], ["--quiet"], *written])])
        except ParityError as error:
            if "\n" not in str(error):
                return type(error).__name__
            raise
        except BaseException:
            print(f"after {changes}:", file=sys.stderr)
            raise
    return f"status {status}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recording", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    print(dict(Counter(judge_changed(options.recording, options.other, dice) for _ in range(options.count))))


if __name__ == "__main__":
    main()
