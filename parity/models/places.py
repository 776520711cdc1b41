"""Places in the user's own code: the innermost line that belongs to no library and not to this project."""

import sysconfig
from pathlib import Path
from types import FrameType, TracebackType

# What calls operations for others.
BELOW = (
    "/tensorflow/",
    "/torch/_",
    "/torch/utils/",
    "/torch/overrides.py",
    "/tf_impl/",
    "/torch_impl/",
    "/parity/models/",
)
PACKAGES = ("parity", "tf_impl", "torch_impl")
ROOT = Path(__file__).resolve().parents[2]
FOREIGN = tuple(
    {
        *(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "purelib", "platlib")),
        *(f"{ROOT / p}/" for p in PACKAGES),
    }
)


def own(filename: str) -> bool:
    """Whether a file is the user's."""
    return not filename.startswith(("<", *FOREIGN)) and "/site-packages/" not in filename


def place(frame: FrameType | None) -> str | None:
    """ "nets.py:41": the innermost line of the user's code at or above a frame; None where there is none."""
    while frame is not None:
        if own(frame.f_code.co_filename):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def asked(frame: FrameType | None) -> tuple[str, bool]:
    """Who asked for an operation that is called from a frame: the place, and whether it is in the user's code.

    The frameworks' own files call one another; Keras is a caller of TensorFlow's.
    """
    inner: FrameType | None = frame
    while inner is not None and any(part in inner.f_code.co_filename for part in BELOW):
        inner = inner.f_back
    if inner is None:
        return "unknown", False
    if own(inner.f_code.co_filename):
        return f"{Path(inner.f_code.co_filename).name}:{inner.f_lineno}", True
    file = Path(inner.f_code.co_filename)
    return f"{file.parent.name}/{file.name}:{inner.f_lineno}", False


def raised(at: TracebackType | None) -> str | None:
    """The innermost line of the user's code that an exception passed; None where there is none."""
    found = None
    while at is not None:
        if own(at.tb_frame.f_code.co_filename):
            found = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}"
        at = at.tb_next
    return found
