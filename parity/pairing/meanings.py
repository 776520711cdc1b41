"""What layers without weights mean, in words that both frameworks share; and the activation inside a Keras layer."""

from collections.abc import Callable
from typing import Any

from parity.models.described import Layer

Settings = Any
# Keras's activations by name, where torch's class has another.
FUNCTIONS = {"swish": "silu", "hard_swish": "hard_silu", "leaky_relu": "leaky_relu"}
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell", "Bidirectional")


def activation_name(value: Any) -> str | None:
    """The name of an activation in a configuration: a string, or a serialized function or layer."""
    if isinstance(value, dict):
        value = value.get("config") if isinstance(value.get("config"), str) else value.get("class_name")
    if not isinstance(value, str):
        return None
    # A function that Keras could not serialize is written as Python shows it: "<function gelu at 0x...>".
    name = value.split(" at ")[0].removeprefix("<function ").strip().lower()
    return FUNCTIONS.get(name, name)


def fused_activation(layer: Layer) -> str | None:
    """The meaning of a layer's `activation=`, None if it has none or the identity; a recurrent layer's is no stage."""
    if layer.kind in RECURRENT or layer.kind == "Activation":
        return None
    name = activation_name(layer.settings.get("activation"))
    return None if name in (None, "linear") else name


def single(settings: Settings) -> bool:
    """Whether an adaptive pooling leaves one value."""
    size = settings.get("output_size")
    return all(n == 1 for n in size) if isinstance(size, list | tuple) else size == 1


def keras_relu(settings: Settings) -> str:
    """Keras's ReLU also is torch's ReLU6 and LeakyReLU."""
    if settings.get("max_value") == 6:
        return "relu6"
    return "leaky_relu" if settings.get("negative_slope") else "relu"


Meaning = str | Callable[[Settings], str | None]
KERAS: dict[str, Meaning] = {
    "ReLU": keras_relu,
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "Softmax": "softmax",
    "Activation": lambda settings: activation_name(settings.get("activation")),
    "Flatten": "flatten",
    "Reshape": "reshape",
    "Permute": "permute",
    "Identity": "identity",
    "Dropout": "dropout",
    "AlphaDropout": "alpha_dropout",
    "SpatialDropout1D": "channel_dropout",
    "SpatialDropout2D": "channel_dropout",
    "SpatialDropout3D": "channel_dropout",
    **{f"MaxPooling{n}D": "max_pool" for n in (1, 2, 3)},
    **{f"AveragePooling{n}D": "average_pool" for n in (1, 2, 3)},
    **{f"GlobalAveragePooling{n}D": "global_average" for n in (1, 2, 3)},
    **{f"GlobalMaxPooling{n}D": "global_max" for n in (1, 2, 3)},
    **{f"AdaptiveAveragePooling{n}D": "adaptive_average" for n in (1, 2, 3)},
    **{f"AdaptiveMaxPooling{n}D": "adaptive_max" for n in (1, 2, 3)},
    **{f"ZeroPadding{n}D": "zero_padding" for n in (1, 2, 3)},
    **{f"UpSampling{n}D": "upsample" for n in (1, 2, 3)},
    "BatchNormalization": "batch_norm",
    "LayerNormalization": "layer_norm",
    "GroupNormalization": "group_norm",
    "RMSNormalization": "rms_norm",
}
TORCH: dict[str, Meaning] = {
    "ReLU": "relu",
    "ReLU6": "relu6",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "SELU": "selu",
    "CELU": "celu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Mish": "mish",
    "GLU": "glu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sigmoid": "sigmoid",
    "LogSigmoid": "log_sigmoid",
    "Hardsigmoid": "hard_sigmoid",
    "Hardswish": "hard_silu",
    "Hardtanh": "hard_tanh",
    "Tanh": "tanh",
    "Tanhshrink": "tanh_shrink",
    "Hardshrink": "hard_shrink",
    "Softshrink": "soft_shrink",
    "Threshold": "threshold",
    "Softmax": "softmax",
    "Softmax2d": "softmax",
    "LogSoftmax": "log_softmax",
    "Flatten": "flatten",
    "Unflatten": "reshape",
    "Identity": "identity",
    "Dropout": "dropout",
    "AlphaDropout": "alpha_dropout",
    **{f"Dropout{n}d": "channel_dropout" for n in (1, 2, 3)},
    **{f"MaxPool{n}d": "max_pool" for n in (1, 2, 3)},
    **{f"AvgPool{n}d": "average_pool" for n in (1, 2, 3)},
    **{
        f"AdaptiveAvgPool{n}d": lambda settings: "global_average" if single(settings) else "adaptive_average"
        for n in (1, 2, 3)
    },
    **{
        f"AdaptiveMaxPool{n}d": lambda settings: "global_max" if single(settings) else "adaptive_max" for n in (1, 2, 3)
    },
    **{f"ZeroPad{n}d": "zero_padding" for n in (1, 2, 3)},
    **dict.fromkeys(("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"), "upsample"),
    **{f"BatchNorm{n}d": "batch_norm" for n in (1, 2, 3)},
    **{f"InstanceNorm{n}d": "group_norm" for n in (1, 2, 3)},
    "LayerNorm": "layer_norm",
    "GroupNorm": "group_norm",
    "RMSNorm": "rms_norm",
}
MEANINGS = {"keras": KERAS, "torch": TORCH}


def meaning(framework: str, layer: Layer) -> str | None:
    """What a layer without weights means; None for a kind that no table has."""
    found = MEANINGS[framework].get(layer.kind)
    return found(layer.settings) if callable(found) else found
