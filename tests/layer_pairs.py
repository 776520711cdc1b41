"""Pairs of one layer in both frameworks with random settings, as code: what tests/test_layouts.py puts to the proof.

Both sides take Keras's layout; torch's `forward` turns it. Sizes of axes are all different where they can be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent

import numpy as np
from numpy.random import Generator

# Of a head: Keras rounds one over its root through float32, which is exact for this one.
SIZE = 4


@dataclass(frozen=True)
class LayerPair:
    """Code of both sides and the shape of the input; integers below `tokens` where it is given."""

    keras: str
    torch: str
    shape: tuple[int, ...]
    tokens: int | None = None
    torch_values: bool = True


def keras_code(*layers: str, shape: tuple[int, ...], dtype: str = "float64") -> str:
    """A Sequential of these layers."""
    stacked = ", ".join(f"layers.{layer}" for layer in layers)
    return dedent(f"""
        import keras
        from keras import layers
        def build():
            return keras.Sequential([keras.Input({shape[1:]}, dtype={dtype!r}), {stacked}])
    """)


def torch_code(modules: dict[str, str], forward: str) -> str:
    """A module with these members and this expression of x."""
    members = "\n".join(f"                self.{name} = {made}" for name, made in modules.items())
    return dedent(f"""
        import torch
        from torch import nn
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
{members}
            def forward(self, x):
                return {forward}
        def build():
            return Net()
    """)


def one(keras: str, torch: str, shape: tuple[int, ...], spatial: bool = False, **options: bool | int) -> LayerPair:
    """A layer on either side."""
    forward = "self.layer(x.movedim(-1, 1)).movedim(1, -1)" if spatial else "self.layer(x)"
    return LayerPair(keras_code(keras, shape=shape), torch_code({"layer": torch}, forward), shape, **options)


def sizes(rng: Generator, count: int, low: int = 2, high: int = 8) -> list[int]:
    """Different sizes."""
    return [int(n) for n in rng.choice(np.arange(low, high), count, replace=False)]


def dense(rng: Generator) -> LayerPair:
    i, o = sizes(rng, 2)
    bias = bool(rng.integers(2))
    return one(f"Dense({o}, use_bias={bias})", f"nn.Linear({i}, {o}, bias={bias})", (3, i))


def convolution(dimensions: int) -> Callable[[Generator], LayerPair]:
    def draw(rng: Generator) -> LayerPair:
        groups = int(rng.choice([1, 1, 2]))
        i, o = (n * groups for n in sizes(rng, 2, 2, 5))
        kernel = tuple(sizes(rng, dimensions, 1, 5))
        stride, dilation = (int(rng.integers(1, 3)), 1) if rng.integers(2) else (1, int(rng.integers(1, 3)))
        shape = (2, *(int(n) for n in rng.integers(9, 12, dimensions)), i)
        bias = bool(rng.integers(2))
        return one(
            f"Conv{dimensions}D({o}, {kernel}, {stride}, dilation_rate={dilation}, groups={groups}, use_bias={bias})",
            f"nn.Conv{dimensions}d({i}, {o}, {kernel}, {stride}, 0, {dilation}, {groups}, bias={bias})",
            shape,
            spatial=True,
        )

    return draw


def transposed(dimensions: int) -> Callable[[Generator], LayerPair]:
    def draw(rng: Generator) -> LayerPair:
        i, o = sizes(rng, 2, 2, 6)
        kernel = tuple(sizes(rng, dimensions, 2, 5))
        # With a stride above the kernel Keras pads; torch does not.
        stride = int(rng.integers(1, 3))
        shape = (2, *(int(n) for n in rng.integers(4, 7, dimensions)), i)
        return one(
            f"Conv{dimensions}DTranspose({o}, {kernel}, strides={stride})",
            f"nn.ConvTranspose{dimensions}d({i}, {o}, {kernel}, {stride})",
            shape,
            spatial=True,
        )

    return draw


def depthwise(dimensions: int) -> Callable[[Generator], LayerPair]:
    def draw(rng: Generator) -> LayerPair:
        channels, multiplier, *kernel = sizes(rng, 2 + dimensions, 2, 6)
        shape = (2, *(int(n) for n in rng.integers(7, 10, dimensions)), channels)
        outputs = channels * multiplier
        return one(
            f"DepthwiseConv{dimensions}D({tuple(kernel)}, depth_multiplier={multiplier})",
            f"nn.Conv{dimensions}d({channels}, {outputs}, {tuple(kernel)}, groups={channels})",
            shape,
            spatial=True,
        )

    return draw


def separable(dimensions: int) -> Callable[[Generator], LayerPair]:
    def draw(rng: Generator) -> LayerPair:
        channels, multiplier, *kernel = sizes(rng, 2 + dimensions, 2, 6)
        outputs = int(rng.integers(2, 6))
        shape = (2, *(int(n) for n in rng.integers(7, 10, dimensions)), channels)
        inside = channels * multiplier
        modules = {
            "first": f"nn.Conv{dimensions}d({channels}, {inside}, {tuple(kernel)}, groups={channels}, bias=False)",
            "second": f"nn.Conv{dimensions}d({inside}, {outputs}, 1)",
        }
        return LayerPair(
            keras_code(
                f"SeparableConv{dimensions}D({outputs}, {tuple(kernel)}, depth_multiplier={multiplier})", shape=shape
            ),
            torch_code(modules, "self.second(self.first(x.movedim(-1, 1))).movedim(1, -1)"),
            shape,
        )

    return draw


def embedding(rng: Generator) -> LayerPair:
    tokens, width, length = sizes(rng, 3)
    return LayerPair(
        keras_code(f"Embedding({tokens}, {width})", shape=(3, length), dtype="int32"),
        torch_code({"layer": f"nn.Embedding({tokens}, {width})"}, "self.layer(x)"),
        (3, length),
        tokens,
    )


def batch_norm(rng: Generator) -> LayerPair:
    channels, h, w = sizes(rng, 3)
    scale, center = (bool(n) for n in rng.integers(2, size=2))
    # torch has both or none.
    return one(
        f"BatchNormalization(epsilon=1e-3, scale={scale}, center={center})",
        f"nn.BatchNorm2d({channels}, eps=1e-3, affine={scale or center})",
        (2, h, w, channels),
        spatial=True,
        torch_values=scale == center,
    )


def layer_norm(rng: Generator) -> LayerPair:
    length, width = sizes(rng, 2)
    return one("LayerNormalization(epsilon=1e-3)", f"nn.LayerNorm({width}, eps=1e-3)", (2, length, width))


def map_norm(rng: Generator) -> LayerPair:
    h, w, c = sizes(rng, 3)
    return one(
        "LayerNormalization(axis=[1, 2, 3], epsilon=1e-3)",
        f"nn.LayerNorm([{c}, {h}, {w}], eps=1e-3)",
        (2, h, w, c),
        spatial=True,
    )


def group_norm(rng: Generator) -> LayerPair:
    groups, h, w = sizes(rng, 3)
    channels = groups * int(rng.integers(2, 4))
    return one(
        f"GroupNormalization({groups}, epsilon=1e-3)",
        f"nn.GroupNorm({groups}, {channels}, eps=1e-3)",
        (2, h, w, channels),
        spatial=True,
    )


def instance_norm(rng: Generator) -> LayerPair:
    channels, h, w = sizes(rng, 3)
    return one(
        "GroupNormalization(-1, epsilon=1e-3)",
        f"nn.InstanceNorm2d({channels}, eps=1e-3, affine=True)",
        (2, h, w, channels),
        spatial=True,
    )


def rms_norm(rng: Generator) -> LayerPair:
    length, width = sizes(rng, 2)
    return one("RMSNormalization(epsilon=1e-3)", f"nn.RMSNorm({width}, eps=1e-3)", (2, length, width))


def prelu(rng: Generator) -> LayerPair:
    h, w, channels = sizes(rng, 3)
    return one("PReLU(shared_axes=[1, 2])", f"nn.PReLU({channels})", (2, h, w, channels), spatial=True)


def recurrent(keras: str, torch: str, settings: str = "") -> Callable[[Generator], LayerPair]:
    def draw(rng: Generator) -> LayerPair:
        length, i, u = sizes(rng, 3)
        bias = bool(rng.integers(2))
        return LayerPair(
            keras_code(f"{keras}({u}, use_bias={bias}, return_sequences=True{settings})", shape=(2, length, i)),
            torch_code({"layer": f"nn.{torch}({i}, {u}, batch_first=True, bias={bias})"}, "self.layer(x)[0]"),
            (2, length, i),
        )

    return draw


def bidirectional(keras: str, torch: str) -> Callable[[Generator], LayerPair]:
    def draw(rng: Generator) -> LayerPair:
        length, i, u = sizes(rng, 3)
        return LayerPair(
            keras_code(f"Bidirectional(layers.{keras}({u}, return_sequences=True))", shape=(2, length, i)),
            torch_code({"layer": f"nn.{torch}({i}, {u}, batch_first=True, bidirectional=True)"}, "self.layer(x)[0]"),
            (2, length, i),
        )

    return draw


def stacked(keras: str, torch: str) -> Callable[[Generator], LayerPair]:
    """Three layers of Keras's, of which two have one shape, are one of torch's."""

    def draw(rng: Generator) -> LayerPair:
        length, i, u = sizes(rng, 3)
        return LayerPair(
            keras_code(*[f"{keras}({u}, return_sequences=True)"] * 3, shape=(2, length, i)),
            torch_code({"layer": f"nn.{torch}({i}, {u}, 3, batch_first=True)"}, "self.layer(x)[0]"),
            (2, length, i),
        )

    return draw


def attention(rng: Generator) -> LayerPair:
    heads, length = sizes(rng, 2, 2, 6)
    width = heads * SIZE
    return LayerPair(
        attention_code(heads, SIZE, (2, length, width)),
        torch_code({"layer": f"nn.MultiheadAttention({width}, {heads}, batch_first=True)"}, "self.layer(x, x, x)[0]"),
        (2, length, width),
    )


def attention_code(heads: int, size: int, shape: tuple[int, ...]) -> str:
    """Self-attention in Keras."""
    return dedent(f"""
        import keras
        def build():
            x = keras.Input({shape[1:]})
            return keras.Model(x, keras.layers.MultiHeadAttention({heads}, {size})(x, x))
    """)


def attention_of_linears(rng: Generator) -> LayerPair:
    """torch's side has four dense layers, and heads whose sizes do not make up the width."""
    heads, length, width = sizes(rng, 3, 2, 7)
    inside = heads * SIZE
    modules = dict.fromkeys(("k_proj", "q_proj", "v_proj"), f"nn.Linear({width}, {inside})")
    split = "self.{}_proj(x).unflatten(-1, (" + f"{heads}, {SIZE}" + ")).transpose(1, 2)"
    parts = ", ".join(split.format(name) for name in "qkv")
    attended = f"nn.functional.scaled_dot_product_attention({parts}).transpose(1, 2).flatten(2)"
    return LayerPair(
        attention_code(heads, SIZE, (2, length, width)),
        torch_code(modules | {"o_proj": f"nn.Linear({inside}, {width})"}, f"self.o_proj({attended})"),
        (2, length, width),
    )


def pointwise(rng: Generator) -> LayerPair:
    """A convolution of one pixel is a dense layer."""
    i, o, h, w = sizes(rng, 4)
    return one(f"Conv2D({o}, 1)", f"nn.Linear({i}, {o})", (2, h, w, i))


def einsum_dense(rng: Generator) -> LayerPair:
    length, i, a, b = sizes(rng, 4)
    return LayerPair(
        keras_code(
            f"EinsumDense('bti,iac->btac', output_shape=(None, {a}, {b}), bias_axes='ac')", shape=(2, length, i)
        ),
        torch_code({"layer": f"nn.Linear({i}, {a * b})"}, f"self.layer(x).unflatten(-1, ({a}, {b}))"),
        (2, length, i),
    )


KINDS: dict[str, Callable[[Generator], LayerPair]] = {
    "dense": dense,
    "einsum_dense": einsum_dense,
    "pointwise": pointwise,
    **{f"convolution_{n}d": convolution(n) for n in (1, 2, 3)},
    **{f"transposed_{n}d": transposed(n) for n in (1, 2, 3)},
    **{f"depthwise_{n}d": depthwise(n) for n in (1, 2)},
    **{f"separable_{n}d": separable(n) for n in (1, 2)},
    "embedding": embedding,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "map_norm": map_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
    "prelu": prelu,
    "lstm": recurrent("LSTM", "LSTM"),
    "gru": recurrent("GRU", "GRU"),
    "rnn": recurrent("SimpleRNN", "RNN"),
    "bidirectional_lstm": bidirectional("LSTM", "LSTM"),
    "bidirectional_gru": bidirectional("GRU", "GRU"),
    "stacked_lstm": stacked("LSTM", "LSTM"),
    "stacked_gru": stacked("GRU", "GRU"),
    "attention": attention,
    "attention_of_linears": attention_of_linears,
}
