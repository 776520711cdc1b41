"""Requirements on the fields of a spec."""

import math

# Nothing that a recording asserts about itself is believed: unknown fields are refused when one is read.
STRICT = {"extra": "forbid"}


def require_positive(value: float, what: str) -> None:
    """Raise ValueError unless `value` is finite and above zero."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{what} must be a finite number above zero, not {value}")


def require_not_negative(value: float, what: str) -> None:
    """Raise ValueError unless `value` is finite and at least zero."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{what} must be a finite number of at least zero, not {value}")


def require_share(value: float, what: str) -> None:
    """Raise ValueError unless `value` is from 0 to below 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{what} must be from 0 to below 1, not {value}")


def require_name(name: str) -> None:
    """Raise ValueError unless `name` is a plain word, as file formats and reports take it without escaping."""
    if not (name.isascii() and name.isidentifier() and len(name) <= 100):
        raise ValueError(f"a node's name is a word of letters, digits and underscores, not {name!r:.100}")
