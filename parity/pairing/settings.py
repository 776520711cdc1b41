"""What the configurations of paired layers say, compared by meaning: Keras's momentum m is torch's 1 - m.

A finding is certain where the two settings make two functions, whatever stands around the layers. What a port may do
elsewhere, as padding by a layer of its own, is a note.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from parity.models.described import Layer, Weight
from parity.pairing.items import ACTIVATION
from parity.pairing.pairs import Pair, Pairing
from parity.pairing.windows import windows

Settings = Mapping[str, Any]
Get = Callable[[Settings], Any]


@dataclass(frozen=True)
class Finding:
    """A setting in which two paired layers differ, by the paths of both; without `certain` it is a note.

    Where it shows at one level alone, `level` is its name.
    """

    keras: str
    torch: str
    says: str
    certain: bool = True
    level: str | None = None

    def __str__(self) -> str:
        name = self.keras if self.keras == self.torch else f"{self.keras} / {self.torch}"
        return f"{name}: {self.says}"


@dataclass(frozen=True)
class Setting:
    """A setting that both frameworks have: its name, how either says it, and the value that either takes by itself."""

    name: str
    keras: Get
    torch: Get
    keras_default: Any = None
    torch_default: Any = None
    certain: bool = True


def key(name: str) -> Get:
    """The setting of this name."""
    return lambda settings: settings.get(name)


def complement(name: str) -> Get:
    """One minus the setting of this name, without the digits that the subtraction makes up."""
    return lambda settings: round(1 - value, 12) if (value := settings.get(name)) is not None else None


EPSILON = Setting("epsilon", key("epsilon"), key("eps"), 1e-3, 1e-5)
DROPOUT = Setting("dropout", key("dropout"), key("dropout"), 0.0, 0.0)
DIRECTION = Setting("go_backwards", key("go_backwards"), lambda settings: False, certain=False)
# Keras's acts on what a layer reads, torch's between its levels.
INPUT_DROPOUT = Setting("dropout", key("dropout"), key("dropout"), 0.0, 0.0, certain=False)
SETTINGS: Mapping[str, tuple[Setting, ...]] = {
    # Keras's momentum is the share of the past, torch's that of the batch.
    "batch_norm": (EPSILON, Setting("momentum", key("momentum"), complement("momentum"), 0.99, 0.9)),
    "layer_norm": (EPSILON,),
    "map_norm": (EPSILON,),
    "rms_norm": (Setting("epsilon", key("epsilon"), key("eps"), 1e-6, None),),
    "group_norm": (EPSILON, Setting("groups", key("groups"), key("num_groups"))),
    "lstm": (DIRECTION, INPUT_DROPOUT),
    "gru": (DIRECTION, INPUT_DROPOUT),
    "rnn": (
        DIRECTION,
        INPUT_DROPOUT,
        Setting("activation", key("activation"), key("nonlinearity"), "tanh", "tanh"),
    ),
    "leaky_relu": (Setting("slope", key("negative_slope"), key("negative_slope"), 0.3, 0.01),),
    "elu": (Setting("alpha", key("alpha"), key("alpha"), 1.0, 1.0),),
    "dropout": (Setting("rate", key("rate"), key("p"), None, 0.5),),
    "channel_dropout": (Setting("rate", key("rate"), key("p"), None, 0.5),),
    "softmax": (Setting("axis", key("axis"), key("dim"), -1, None, certain=False),),
    "upsample": (Setting("interpolation", key("interpolation"), key("mode"), "nearest", "nearest"),),
}
ATTENTION = (
    Setting("heads", key("num_heads"), key("num_heads")),
    DROPOUT,
)
UNBIASED = "torch's own batch norm keeps the unbiased variance of a batch, Keras's layer the biased one"
# What torch's LSTM and GRU compute and Keras's need not.
FIXED = {"activation": "tanh", "recurrent_activation": "sigmoid"}
# The slopes of functions that are the argument `activation` of a Keras layer.
FUNCTIONS = {"leaky_relu": {"negative_slope": 0.2}, "elu": {"alpha": 1.0}}


def compared(pairing: Pairing) -> list[Finding]:
    """All settings in which paired layers differ, each once."""
    found: dict[Finding, None] = {}
    for pair in pairing.pairs:
        keras, torch = pairing.keras.layer(pair.keras), pairing.torch.layer(pair.torch)
        for says, certain in differences(pair, keras, torch):
            found[Finding(pair.keras, pair.torch, says, certain)] = None
        if pair.form == "batch_norm" and pair.links:
            found[Finding(pair.keras, pair.torch, UNBIASED, False, "buffers")] = None
    return list(found)


def differences(pair: Pair, keras: Layer, torch: Layer) -> Iterator[tuple[str, bool]]:
    """What differs between two layers, and whether that is certain."""
    settings = keras.settings
    if pair.parts[0] == ACTIVATION:
        inside = keras.settings.get("activation")
        settings = inside["config"] if isinstance(inside, dict) else FUNCTIONS.get(pair.form, {})
    elif pair.form == "gelu":
        approximate = torch.settings.get("approximate", "none")
        yield f"torch's GELU has approximate={approximate!r}; Keras's configuration does not say which it is", False
    for setting in (*SETTINGS.get(pair.form, ()), *(ATTENTION if "Attention" in keras.kind else ())):
        ours, theirs = setting.keras(settings), setting.torch(torch.settings)
        if different(ours, theirs) and not (ours is None and theirs is None):
            defaults = " (both defaults)" if (ours, theirs) == (setting.keras_default, setting.torch_default) else ""
            yield f"{setting.name} {shown(ours)} in Keras, {shown(theirs)} in torch{defaults}", setting.certain
    yield from fixed(pair, keras, torch)
    yield from windows(pair, keras, torch)
    yield from of_weights(pair, keras, torch)
    yield from penalties(keras)


def different(ours: Any, theirs: Any) -> bool:
    """Whether two settings differ; one that a side does not have differs from none."""
    return ours is not None and theirs is not None and ours != theirs


def shown(value: Any) -> str:
    """A number as people write it."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def fixed(pair: Pair, keras: Layer, torch: Layer) -> Iterator[tuple[str, bool]]:
    """What one framework has no setting for: torch's activations of recurrent layers, Keras's order of axes."""
    if torch.settings.get("batch_first") is False:
        yield "batch_first=False: torch reads (time, batch, features), Keras (batch, time, features)", False
    if pair.form in ("lstm", "gru"):
        inner = keras.settings.get("layer")
        settings = inner["config"] if isinstance(inner, dict) else keras.settings
        for name, value in FIXED.items():
            if settings.get(name, value) != value:
                yield f"{name} {settings[name]} in Keras; torch has {value}", True
        if settings.get("recurrent_dropout"):
            yield f"recurrent_dropout {settings['recurrent_dropout']:g} in Keras; torch has none", True


def of_weights(pair: Pair, keras: Layer, torch: Layer) -> Iterator[tuple[str, bool]]:
    """Dtypes, what is trained, and rows that torch leaves out."""
    ours = {weight.name: weight for weight in keras.weights}
    theirs = {weight.name: weight for weight in torch.weights}
    for link in pair.links:
        own: Weight = ours[link.keras[0].name]
        others = [theirs[view.name] for view in link.torch]
        if own.dtype != others[0].dtype:
            yield f"{own.role} is {own.dtype} in Keras, {others[0].role} {others[0].dtype} in torch", True
        trained = sum(weight.trainable for weight in others)
        if own.trainable and trained > 1:
            names = " and ".join(weight.role for weight in others)
            yield f"torch trains {names}, whose sum is Keras's {own.role}: the sum moves twice as far", True
        elif own.trainable != bool(trained):
            yield f"{own.role} is trained in {'Keras' if own.trainable else 'torch'} alone", True
    for tensor in pair.alone:
        yield f"{tensor.tensor} in {'Keras' if tensor.side == 'keras' else 'torch'} alone", False
    if torch.settings.get("padding_idx") is not None and keras.kind == "Embedding":
        yield f"padding_idx={torch.settings['padding_idx']}: torch does not train that row, Keras does", True
    if torch.settings.get("max_norm") is not None:
        yield f"max_norm={torch.settings['max_norm']:g}: torch shortens rows that are read, Keras does not", True
    if keras.settings.get("mask_zero"):
        yield "mask_zero: Keras's later layers skip zeros; torch has no masks", False


def penalties(keras: Layer) -> Iterator[tuple[str, bool]]:
    """Regularizers, which add to Keras's loss, and constraints, which move weights after a step."""
    for name, value in keras.settings.items():
        if value and name.endswith("_regularizer"):
            yield f"{name} {described(value)} adds to Keras's loss; torch's loss has to add it, too", False
        elif value and name.endswith("_constraint"):
            yield f"{name} {described(value)} moves Keras's weights after each step; torch has none", False


def described(value: Any) -> str:
    """A serialized object: its class and its numbers."""
    if not isinstance(value, dict):
        return str(value)
    config = ", ".join(
        f"{name}={number:g}" for name, number in value.get("config", {}).items() if isinstance(number, float)
    )
    return f"{value.get('class_name')}({config})"
