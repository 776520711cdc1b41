"""The console script keras-torch-parity: the commands of the package `parity` that is installed beside this file.

Its name is the distribution's, so that no other `parity` that Python finds first is taken for it.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import NoReturn

HERE = Path(__file__).parent


def main() -> NoReturn:
    """Be the command that the first word names."""
    load_parity()
    from parity.commands import entry

    entry.program()


def load_parity() -> ModuleType:
    """The package `parity` beside this file, and under that name for every import that follows."""
    folder = HERE / "parity"
    spec = spec_from_file_location("parity", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    package = module_from_spec(spec)
    sys.modules["parity"] = package
    spec.loader.exec_module(package)
    return package
