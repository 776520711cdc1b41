"""A live torch module, in the process of the user's own: copied in either precision, and nothing changed for good."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

import torch

from parity.errors import UsageError


def ready() -> None:
    """Load triton, which torch does late: after TensorFlow's libraries it would end the process."""
    with suppress(ImportError):
        import triton  # noqa: F401


def copied(model: Any) -> Any:
    """The same module with the same weights, new, in the precision that is set; what is given stays as it is."""
    try:
        made = deepcopy(model)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        hint = "give the function that builds it, or its file"
        raise UsageError(f"{type(model).__name__} cannot be copied ({reason}): {hint}") from error
    return made.to(device="cpu", dtype=torch.get_default_dtype()) if isinstance(made, torch.nn.Module) else made


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back what the block sets for the whole process: precision, deterministic algorithms, the generator."""
    dtype, state = torch.get_default_dtype(), torch.get_rng_state()
    mode = torch.get_deterministic_debug_mode()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(state)
        torch.set_deterministic_debug_mode(mode)
