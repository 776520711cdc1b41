"""Run the scripts of the known differences in one framework: python tests/measured.py keras|torch

Prints, as JSON: `printed`, what each entry's `code` and `align` print, by "<id> code" and "<id> align"; `sources`, the
entries whose source is not in the installed files; and the framework's version. A script of its own, since a process
loads one framework.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import re
import sys
import warnings
from pathlib import Path

from parity.differences import DIFFERENCES, IMPORTS


def printed(framework: str, script: str) -> str:
    """What a script prints, or the error that ended it."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            exec(IMPORTS[framework] + script, {})
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
    return output.getvalue().strip()


def in_source(source: str) -> bool:
    """Whether the installed file holds all the names that a source gives."""
    file, names = source.split(": ")
    package, _, inside = file.partition("/")
    spec = importlib.util.find_spec(package)
    path = Path(spec.submodule_search_locations[0]) / inside
    text = path.read_text() if path.is_file() else ""
    return bool(text) and all(re.search(rf"\b{name}\b", text) for name in names.split(", "))


def main(framework: str) -> None:
    warnings.simplefilter("ignore")
    found = {}
    sides = {entry.id: getattr(entry, framework) for entry in DIFFERENCES.values()}
    for name, side in sides.items():
        for kind in ("code", "align"):
            found[f"{name} {kind}"] = printed(framework, getattr(side, kind))
    missing = [name for name, side in sides.items() if not in_source(side.source)]
    version = importlib.import_module(framework).__version__
    print(json.dumps({"printed": found, "missing": missing, "version": version}))


if __name__ == "__main__":
    main(sys.argv[1])
