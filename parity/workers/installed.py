"""Which libraries are installed, found without importing any: what lacks is told before anything is read or trained."""

from collections.abc import Sequence
from importlib.util import find_spec

from parity.errors import UsageError
from parity.experiment.spec import FRAMEWORKS, Framework

# What either implementation imports; each has the name by which pip installs it.
PACKAGES: dict[Framework, tuple[str, ...]] = {"tf": ("tensorflow", "keras"), "torch": ("torch",)}


def missing_frameworks(sides: Sequence[Framework] = FRAMEWORKS) -> list[str]:
    """The packages that the implementations of these sides import, and that are not installed."""
    return [name for side in sides for name in PACKAGES[side] if find_spec(name) is None]


def require_frameworks(sides: Sequence[Framework] = FRAMEWORKS) -> None:
    """Raise UsageError where a side's framework is not installed."""
    missing = missing_frameworks(sides)
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UsageError(f"{' and '.join(missing)} {verb} not installed: pip install {' '.join(missing)}")


def require_library(name: str, otherwise: str, wanted: bool = True) -> None:
    """Raise UsageError where a library of an extra is `wanted` and not installed; `otherwise` is how to do without."""
    if wanted and find_spec(name) is None:
        raise UsageError(f"{name} is not installed: {otherwise}, or pip install {name}")


# What a report's page and its pictures take.
PAGE = ("matplotlib", "jinja2", "pygments")


def missing_of_page() -> list[str]:
    """The libraries that a report's page takes, and that are not installed."""
    return [name for name in PAGE if find_spec(name) is None]


def require_page(otherwise: str, wanted: bool = True) -> None:
    """Raise UsageError where a library lacks that a report's page takes; `otherwise` is how to do without."""
    for name in PAGE:
        require_library(name, otherwise, wanted)
