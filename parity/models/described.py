"""What either side says of a model: its layers with their settings and weights, in words that both can say.

A layer is described whole where no part of it can be called alone or means anything alone; the weights of what lies
inside are then its own, and their roles say where they lie:

    Keras  LSTM, GRU, SimpleRNN                      "kernel", "recurrent_kernel", "bias"
           Bidirectional                             "forward/kernel", ..., "backward/bias"
           MultiHeadAttention, GroupedQueryAttention "query/kernel", "query/bias", "key/...", "value/...", "output/..."
    torch  LSTM, GRU, RNN                            "weight_ih_l0", "bias_hh_l1_reverse", ...
           MultiheadAttention                        "in_proj_weight", "in_proj_bias", "out_proj.weight", ...

All other roles are the layer's own names of its weights. A layer that the framework does not know, a user's own, has
its own class's name as its kind, and only the weights that lie in none of the layers inside it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from parity.experiment.validation import STRICT

Side = Literal["keras", "torch"]


@dataclass(frozen=True)
class Weight:
    """A parameter or buffer. `name` is unique in its model; `role` is the framework's name of it within its layer."""

    name: str
    role: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Layer:
    """One layer, once for each time its weights are used first; calls of a shared layer are not repeated.

    `kind` is the framework's own class that it is or derives from ("Conv2D", "Conv2d"), `settings` what its
    configuration (Keras) or its constructor's attributes (torch) say, `weights` its own in the framework's order,
    `source` the line of the user's code that made or called it ("nets.py:41").

    `reads` and `writes` name the tensors of its first call: two layers that name the same one read the same tensor,
    or one reads what the other writes. Where they are not known they are empty.

    `alias` is the path by the attributes of the user's own code, where the framework's path may have other names.
    """

    path: str
    kind: str
    settings: Mapping[str, Any]
    weights: tuple[Weight, ...]
    source: str | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    alias: str = ""
    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Model:
    """A model's layers in order of first execution; those that were never called come last."""

    framework: Side
    layers: tuple[Layer, ...]
    __pydantic_config__ = STRICT

    def layer(self, path: str) -> Layer:
        """The layer of this path."""
        return next(layer for layer in self.layers if layer.path == path)

    def weights(self) -> dict[str, Weight]:
        """All weights by name."""
        return {weight.name: weight for layer in self.layers for weight in layer.weights}

    def to_json(self) -> str:
        """The description as JSON."""
        return json.dumps(asdict(self))


MODELS: TypeAdapter[Model] = TypeAdapter(Model)


def from_json(text: str) -> Model:
    """What `Model.to_json` wrote; raises pydantic's ValidationError for anything else."""
    return MODELS.validate_json(text)
