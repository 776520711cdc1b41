"""What is asked of a side's process: to draw inputs, to open a model, to record what it does, to save weights."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from parity.experiment.validation import STRICT


@dataclass(frozen=True)
class InputsJob:
    """Draw a batch: of the user's data.py, of a file, or at random."""

    out: Path
    data: str | None = None
    file: Path | None = None
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    samples: int = 16
    kind: Literal["inputs"] = "inputs"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class OpenJob:
    """Build a side's model in float64 and describe it: its layers in the order in which a batch calls them."""

    source: str
    inputs: Path
    out: Path
    kind: Literal["open"] = "open"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class PortJob:
    """Let the user's own port() fill the model that is open with the other side's weights; write what it has then.

    The model has the weights `onto` before, else those of its last run.
    """

    weights: Path
    out: Path
    onto: Path | None = None
    kind: Literal["port"] = "port"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class RecordJob:
    """Run the model that is open from given weights: in float64, in float32, and some times a rounding away.

    `reruns` are how many of those there are, `steps` how many the optimizer takes, `frozen` the weights that it leaves,
    `output_shapes` those of Keras's results.
    """

    weights: Path
    out: Path
    steps: int
    reruns: int
    frozen: tuple[str, ...] = ()
    output_shapes: tuple[tuple[int, ...], ...] = ()
    kind: Literal["record"] = "record"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class ForceJob:
    """Run the open model once in eval mode with given tensors in place of its own, each stage on those before it.

    `edits` change torch's model for the time of it (parity/causes/layers.py).
    """

    weights: Path
    forced: Path
    out: Path
    edits: tuple[dict[str, Any], ...] = ()
    kind: Literal["force"] = "force"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class SaveJob:
    """Write weights as the framework's own format, in float32, with what is `said` of them in the file.

    With `slots`, as a KeptJob wrote them, what the optimizer keeps, too: torch's into a file of its own beside `out`.
    """

    weights: Path
    out: Path
    said: str
    slots: Path | None = None
    kind: Literal["save"] = "save"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class KeptJob:
    """Write what the optimizer keeps in float32, where it has taken steps: "count", and "SLOT/WEIGHT" for each."""

    out: Path
    kind: Literal["kept"] = "kept"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class SketchJob:
    """Run the model that is open as a RecordJob does, and keep a few numbers of each tensor; `reruns` may be 0."""

    weights: Path
    out: Path
    steps: int
    reruns: int
    kind: Literal["sketch"] = "sketch"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class LossJob:
    """Take the user's loss of given results, once for each variant; `out` gets the arrays, and beside it JSON."""

    weights: Path
    outputs: Path
    variants: tuple[dict[str, Any], ...]
    steps: int
    out: Path
    kind: Literal["loss"] = "loss"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class TraceJob:
    """Take steps of the user's training, from the weights in `visits` if there are some; `out` as of LossJob.

    `variant` changes the loss.
    """

    weights: Path
    steps: int
    out: Path
    visits: Path | None = None
    variant: dict[str, Any] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    kind: Literal["trace"] = "trace"
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class WitnessJob:
    """Let a stock layer of Keras's, of this class and these settings, run on torch, of "inputs/N" and "weights/N".

    `out` gets what it makes in eval mode in float64, "made". Raises UsageError where that cannot be.
    """

    layer: str
    settings: dict[str, Any]
    given: Path
    out: Path
    kind: Literal["witness"] = "witness"
    __pydantic_config__ = STRICT


Job = (
    InputsJob
    | OpenJob
    | PortJob
    | RecordJob
    | ForceJob
    | SaveJob
    | KeptJob
    | SketchJob
    | LossJob
    | TraceJob
    | WitnessJob
)
