"""Ports that compute something else between layers, and what must be said of both operations."""

import textwrap
from textwrap import dedent
from typing import NamedTuple

from forward_faults import reals
from own_pairs import IMAGES, REALS, TARGET, Pair, data
from training_faults import Port


class Operation(NamedTuple):
    """A fault: the pair, what is edited on torch's side, what is said of torch's operation and of Keras's."""

    pair: Pair
    old: str
    new: str
    torch: str
    keras: str
    causes: tuple[str, ...] = ("another_operation",)

    def port(self) -> Port:
        """The port that goes wrong."""
        return Port(self.pair, self.causes, torch=((self.old, self.new),) if self.old else ())


def net(shape: str, keras: str, layers: str, forward: str, images: bool = False, x: str | None = None) -> Pair:
    """A model by its lines: Keras's from x to y, torch's layers, and what its forward() does with x."""
    lines = [textwrap.indent(dedent(text).strip(), " " * n) for text, n in ((keras, 4), (layers, 8), (forward, 8))]
    return Pair(
        f"def build():\n    x = inputs = keras.Input(({shape},))\n{lines[0]}\n    return keras.Model(inputs, y)\n\n\n",
        f"class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n{lines[1]}\n\n"
        f"    def forward(self, x):\n{lines[2]}\n\n\ndef build():\n    return Net()\n\n\n{IMAGES if images else ''}",
        data(x or REALS.format(shape), TARGET),
        (),
        optimizer=None,
    )


JOINED = net(
    "4",
    """
    a, b = layers.Dense(5, "tanh")(x), layers.Dense(5, "relu")(x)
    y = layers.Dense(1)(layers.Concatenate()([a, b]))
    """,
    "self.a, self.b, self.c = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(10, 1)",
    "return self.c(torch.cat([torch.tanh(self.a(x)), torch.relu(self.b(x))], 1))",
)
RESIDUAL = net(
    "6",
    """
    h = layers.LayerNormalization(epsilon=1e-5)(layers.Dense(6)(x))
    y = layers.Dense(1)(layers.ReLU()(layers.Add()([x, h])))
    """,
    "self.a, self.n, self.c = nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 1)",
    "return self.c(torch.relu(x + self.n(self.a(x))))",
)
# Layers whose names begin as an input's does.
NAMED = net(
    "6",
    """
    h = layers.Dense(6, name="input")(x)
    g = layers.Dense(6, "tanh", name="input_gate")(h)
    y = layers.Dense(1)(layers.Add()([x, layers.Multiply()([h, g])]))
    """,
    "self.input, self.input_gate, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 1)",
    "h = self.input(x)\nreturn self.c(x + h * torch.tanh(self.input_gate(h)))",
)
# Layers that nothing but their numbers tells apart: Keras counts from the gate on, torch's list from 0.
EXPERTS = net(
    "6",
    """
    gate = layers.Dense(3, "softmax")(x)
    each = keras.ops.stack([layers.Dense(4, "relu")(x) for _ in range(3)], axis=1)
    y = layers.Dense(1)(keras.ops.sum(each * gate[:, :, None], axis=1))
    """,
    """
    self.gate, self.c = nn.Linear(6, 3), nn.Linear(4, 1)
    self.experts = nn.ModuleList([nn.Linear(6, 4) for _ in range(3)])
    """,
    """
    each = torch.stack([torch.relu(expert(x)) for expert in self.experts], 1)
    return self.c((each * torch.softmax(self.gate(x), 1)[:, :, None]).sum(1))
    """,
)
# As many steps as units, so that a map of them is square.
SQUARE = net(
    "5, 4",
    """
    s = layers.GRU(6, return_sequences=True)(x)
    w = keras.ops.softmax(layers.Dense(1)(layers.Dense(5, "tanh")(s)), axis=1)
    y = layers.Dense(1)(keras.ops.sum(w * s, axis=1))
    """,
    """
    self.g = nn.GRU(4, 6, batch_first=True)
    self.a, self.b, self.c = nn.Linear(6, 5), nn.Linear(5, 1), nn.Linear(6, 1)
    """,
    """
    s = self.g(x)[0]
    return self.c((torch.softmax(self.b(torch.tanh(self.a(s))), 1) * s).sum(1))
    """,
)
CUBES = net(
    "3, 4, 5, 2",
    """
    h = layers.AveragePooling3D((1, 2, 2))(layers.Conv3D(3, 2, activation="relu")(x))
    y = layers.Dense(1)(layers.Flatten()(h))
    """,
    "self.a, self.c = nn.Conv3d(2, 3, 2), nn.Linear(12, 1)",
    """
    h = F.avg_pool3d(torch.relu(self.a(x.permute(0, 4, 1, 2, 3))), (1, 2, 2))
    return self.c(h.permute(0, 2, 3, 4, 1).flatten(1))
    """,
)
POOLED = net(
    "6, 5, 3",
    """
    h = layers.MaxPooling2D(2, 1)(layers.Conv2D(4, 3, activation="relu")(x))
    y = layers.Dense(1)(layers.GlobalMaxPooling2D()(h))
    """,
    "self.a, self.c = nn.Conv2d(3, 4, 3), nn.Linear(4, 1)",
    "return self.c(F.max_pool2d(torch.relu(self.a(x)), 2, 1).amax((2, 3)))",
    images=True,
)
SQUEEZED = net(
    "6, 5, 3",
    """
    h = layers.Conv2D(4, 3, activation="relu")(x)
    s = layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D()(h))
    y = layers.Dense(1)(layers.GlobalAveragePooling2D()(layers.Multiply()([h, layers.Reshape((1, 1, 4))(s)])))
    """,
    "self.a, self.s, self.c = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.Linear(4, 1)",
    """
    h = torch.relu(self.a(x))
    s = torch.sigmoid(self.s(h.mean((2, 3))))
    return self.c((h * s[:, :, None, None]).mean((2, 3)))
    """,
    images=True,
)
TOKENISED = net(
    "7",
    """
    h = layers.Dense(5, "relu")(layers.Embedding(10, 6)(x) * 6**0.5)
    y = layers.Dense(1)(layers.GlobalAveragePooling1D()(h))
    """,
    "self.e, self.a, self.c = nn.Embedding(10, 6), nn.Linear(6, 5), nn.Linear(5, 1)",
    "return self.c(torch.relu(self.a(self.e(x.long()) * 6 ** 0.5)).mean(1))",
    x='rng.integers(0, 10, (n, 7)).astype("float32")',
)
CAUSALLY = net(
    "5, 8",
    """
    h = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)])
    y = layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-5)(h)))
    """,
    "self.m, self.n, self.c = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8), nn.Linear(8, 1)",
    """
    mask = torch.ones(5, 5, dtype=torch.bool).triu(1)
    h = x + self.m(x, x, x, attn_mask=mask, need_weights=False)[0]
    return self.c(self.n(h).mean(1))
    """,
)
BORDERED = net(
    "6, 5, 3",
    """
    h = layers.Conv2D(4, 3, strides=2)(layers.ZeroPadding2D(((1, 0), (2, 1)))(x))
    y = layers.Dense(1)(layers.GlobalAveragePooling2D()(h))
    """,
    "self.a, self.c = nn.Conv2d(3, 4, 3, stride=2), nn.Linear(4, 1)",
    "return self.c(self.a(F.pad(x, (2, 1, 1, 0))).mean((2, 3)))",
    images=True,
)
DILATED = net(
    "11, 3",
    """
    h = layers.Conv1D(4, 3, dilation_rate=2, padding="same")(x)
    y = layers.Dense(1)(layers.GlobalAveragePooling1D()(h))
    """,
    "self.a, self.c = nn.Conv1d(3, 4, 3, dilation=2, padding=2), nn.Linear(4, 1)",
    "return self.c(self.a(x.transpose(1, 2)).mean(2))",
)
BOTH_WAYS = net(
    "7, 3",
    "y = layers.Dense(1)(layers.Bidirectional(layers.LSTM(4))(x))",
    "self.a, self.c = nn.LSTM(3, 4, batch_first=True, bidirectional=True), nn.Linear(8, 1)",
    "return self.c(torch.cat(tuple(self.a(x)[1][0]), -1))",
)
SHARES = net(
    "7, 3",
    "y = layers.Dense(1)(layers.Flatten()(layers.Softmax()(layers.Dense(5)(x))))",
    "self.a, self.c = nn.Linear(3, 5), nn.Linear(35, 1)",
    "return self.c(torch.softmax(self.a(x), -1).flatten(1))",
)
UNIT = net(
    "4",
    "y = layers.Dense(1)(layers.UnitNormalization()(layers.Dense(6, 'elu')(x)))",
    "self.a, self.c = nn.Linear(4, 6), nn.Linear(6, 1)",
    "return self.c(F.normalize(F.elu(self.a(x))))",
)
TWICE = net(
    "4",
    "y = layers.Dense(1)(layers.Activation('tanh')(layers.Dense(6)(x)))",
    "self.a, self.c = nn.Linear(4, 6), nn.Linear(6, 1)",
    "return self.c(torch.tanh(self.a(x)))",
)
DROPPED = net(
    "6",
    "y = layers.Dense(1)(layers.Dropout(0.5)(layers.Dense(8, 'relu')(x)))",
    "self.a, self.c = nn.Linear(6, 8), nn.Linear(8, 1)",
    "return self.c(F.dropout(torch.relu(self.a(x)), 0.5, self.training))",
)
GATED = net(
    "6",
    "y = layers.Dense(1)(layers.Dense(8, 'relu')(x) * layers.Dense(8, 'sigmoid')(x))",
    "self.a, self.g, self.c = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 1)",
    """
    g = torch.sigmoid(self.g(x))
    return self.c(torch.relu(self.a(x)) * g)
    """,
)
LAST_WINDOW = net(
    "6, 6, 3",
    """
    h = layers.MaxPooling2D(3, 2, padding="same")(layers.Conv2D(4, 3, padding="same")(x))
    y = layers.Dense(1)(layers.GlobalAveragePooling2D()(h))
    """,
    "self.a, self.c = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 1)",
    """
    h = F.pad(self.a(x), (0, 1, 0, 1), value=float("-inf"))
    return self.c(F.max_pool2d(h, 3, 2).mean((2, 3)))
    """,
    images=True,
)
WRAPPED = net(
    "5, 6",
    "y = layers.Dense(1)(layers.SimpleRNN(3)(layers.TimeDistributed(layers.Dense(4, 'relu'))(x)))",
    "self.a, self.r, self.c = nn.Linear(6, 4), nn.RNN(4, 3, batch_first=True), nn.Linear(3, 1)",
    "return self.c(self.r(torch.relu(self.a(x)))[0][:, -1])",
)
CAUSAL_GATE = net(
    "7, 6",
    """
    a, b = keras.ops.split(layers.Conv1D(8, 3, padding="causal")(x), 2, axis=-1)
    y = layers.Dense(1)(layers.GlobalAveragePooling1D()(a * keras.ops.sigmoid(b)))
    """,
    "self.a, self.c = nn.Conv1d(6, 8, 3), nn.Linear(4, 1)",
    """
    h = self.a(F.pad(x.transpose(1, 2), (2, 0)))
    return self.c(F.glu(h, 1).mean(2))
    """,
)
CROPPED = net(
    "6, 5, 3",
    """
    h = layers.ELU()(layers.Cropping2D(((1, 0), (0, 2)))(layers.Conv2D(4, 3, padding="same")(x)))
    y = layers.Dense(1)(layers.GlobalMaxPooling2D()(h))
    """,
    "self.a, self.c = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 1)",
    "return self.c(F.elu(self.a(x)[:, :, 1:, :-2]).amax((2, 3)))",
    images=True,
)
OPERATIONS = {
    "a wrapper's function left out": Operation(
        WRAPPED, "torch.relu(self.a(x))", "self.a(x)", "torch takes a", "F.relu(a)"
    ),
    "zeros after the last step": Operation(
        CAUSAL_GATE,
        "(2, 0)",
        "(0, 2)",
        "F.pad(input.permute(0, 2, 1), (0, 2))",
        "F.pad(input.permute(0, 2, 1), (2, 0))",
    ),
    "the other half is the gate": Operation(
        CAUSAL_GATE,
        "F.glu(h, 1)",
        "(h[:, 4:] * torch.sigmoid(h[:, :4]))",
        "F.sigmoid(getitem#2) * getitem",
        "F.sigmoid(getitem) * getitem#2",
    ),
    "cut off on the other sides": Operation(
        CROPPED, "[:, :, 1:, :-2]", "[:, :, :-1, 2:]", "F.elu(a[:, :, :-1, 2:])", "a[:, :, 1:, :-2]"
    ),
    "nothing cut off": Operation(CROPPED, "[:, :, 1:, :-2]", "", "a.amax((2, 3))", "a[:, :, 1:, :-2].amax((2, 3))"),
    "dropout that is not told the mode": Operation(
        DROPPED, ", 0.5, self.training", ", 0.5", "dropout 0.5", "in eval mode, too", ("train_or_eval_mode",)
    ),
    "a gradient turned round": Operation(
        GATED, "(self.a(x)) * g)", "(self.a(x)) * (2 * g.detach() - g))", "g.weight, g.bias", "-1", ("gradient_factor",)
    ),
    "a row of padding": Operation(
        TOKENISED,
        "nn.Embedding(10, 6)",
        "nn.Embedding(10, 6, padding_idx=3)",
        "padding_idx=3",
        "Keras trains it",
        ("embedding_padding_row",),
    ),
    "zeros around the largest": Operation(
        LAST_WINDOW,
        ', value=float("-inf")',
        "",
        "F.max_pool2d(F.pad(a, (0, 1, 0, 1)), 3, 2)",
        "value=-inf), 3, 2)",
        ("max_pool_zero_padding",),
    ),
    "a window more in front": Operation(
        LAST_WINDOW,
        "(0, 1, 0, 1)",
        "(1, 0, 1, 0)",
        "F.pad(a, (1, 0, 1, 0), value=-inf)",
        "F.pad(a, (0, 1, 0, 1), value",
    ),
    "joined in another order": Operation(
        JOINED,
        "torch.tanh(self.a(x)), torch.relu(self.b(x))",
        "torch.relu(self.b(x)), torch.tanh(self.a(x))",
        "torch.cat([relu, tanh], -1)",
        "torch.cat([tanh, relu], -1)",
    ),
    "a relu left out": Operation(
        JOINED, "torch.relu(self.b(x))", "self.b(x)", "torch.cat([tanh, b], -1)", "torch.cat([tanh, F.relu(b)], -1)"
    ),
    "a leaky relu": Operation(JOINED, "torch.relu(self.b", "F.leaky_relu(self.b", "F.leaky_relu(b, 0.01)", "F.relu(b)"),
    "no residual": Operation(RESIDUAL, "x + self.n", "self.n", "F.relu(n)", "F.relu(input + n)"),
    "a relu before the sum": Operation(
        RESIDUAL,
        "torch.relu(x + self.n(self.a(x)))",
        "x + torch.relu(self.n(self.a(x)))",
        "F.relu(n) + input",
        "F.relu(input + n)",
    ),
    "a layer's result for the input": Operation(NAMED, "x + h *", "h + h *", 'mul + "input"', "input + mul"),
    "a gate of the input": Operation(
        NAMED, "self.input_gate(h)", "self.input_gate(x)", '"input_gate" is given input', '"input"'
    ),
    "a mean of experts": Operation(EXPERTS, ").sum(1)", ").mean(1)", "mul.mean(1)", "mul.sum(1)"),
    "steps first in a square map": Operation(
        SQUARE, ", batch_first=True", "", "(time, batch, features)", "Keras's layer", ("lstm_batch_first",)
    ),
    "no tanh of a square map": Operation(SQUARE, "torch.tanh(self.a(s))", "self.a(s)", "is given a,", "F.tanh(a)"),
    "three axes flattened": Operation(
        CUBES, ".permute(0, 2, 3, 4, 1)", "", "torch flattens (channels", "Keras", ("flatten_order",)
    ),
    "half a residual": Operation(
        RESIDUAL, "x + self.n(self.a(x))", "x + 0.5 * self.n(self.a(x))", "input + 0.5 * n", "input + n"
    ),
    "a difference": Operation(RESIDUAL, "x + self.n", "x - self.n", "F.relu(input - n)", "F.relu(input + n)"),
    "a mean for the largest": Operation(
        POOLED, ".amax(", ".mean(", "max_pool2d.mean((2, 3))", "max_pool2d.amax((2, 3))"
    ),
    "averages for the largest": Operation(
        POOLED, "F.max_", "F.avg_", "F.avg_pool2d(relu, 2, 1)", "F.max_pool2d(relu, 2, 1)"
    ),
    "a sum for a gate": Operation(SQUEEZED, "h * s", "h + s", "relu + getitem", "relu * getitem"),
    "a gate beside": Operation(
        SQUEEZED,
        "h * s[",
        "h * (1 + s)[",
        "relu + relu * sigmoid[:, :, None, None]",
        "relu * sigmoid[:, :, None, None]",
    ),
    "no scale of tokens": Operation(TOKENISED, " * 6 ** 0.5", "", '"a" is given e', "2.449489742783 * e"),
    "the largest for a mean": Operation(TOKENISED, ".mean(1)", ".amax(1)", "relu.amax(1)", "relu.mean(1)"),
    "a relu after the mean": Operation(
        TOKENISED,
        "torch.relu(self.a(self.e(x.long()) * 6 ** 0.5)).mean(1)",
        "torch.relu(self.a(self.e(x.long()) * 6 ** 0.5).mean(1))",
        "a.mean(1)",
        "F.relu(a).mean(1)",
    ),
    "no mask": Operation(
        CAUSALLY, "attn_mask=mask, ", "", "none", "earlier ones alone in Keras", ("causal_attention",)
    ),
    "four heads": Operation(
        CAUSALLY, "nn.MultiheadAttention(8, 2", "nn.MultiheadAttention(8, 4", "4 heads", "into 2", ("heads",)
    ),
    "a border on the other sides": Operation(
        BORDERED, "(2, 1, 1, 0)", "(1, 2, 0, 1)", "F.pad(input, (1, 2, 0, 1))", "F.pad(input, (2, 1, 1, 0))"
    ),
    "a border of the other axes": Operation(
        BORDERED, "(2, 1, 1, 0)", "(1, 0, 2, 1)", "F.pad(input, (1, 0, 2, 1))", "F.pad(input, (2, 1, 1, 0))"
    ),
    "a border of neighbours": Operation(
        BORDERED,
        "(2, 1, 1, 0))",
        "(2, 1, 1, 0), mode='replicate')",
        "F.pad(input, (2, 1, 1, 0), mode='replicate')",
        "F.pad(input, (2, 1, 1, 0))",
    ),
    "no dilation": Operation(
        DILATED, "dilation=2, padding=2", "padding=1", "[1] in torch", "[2] in Keras", ("dilation", "padding")
    ),
    "too little around": Operation(
        DILATED, "padding=2", "padding=1", "torch's layer does otherwise", "pads 2 before and 2", ("padding",)
    ),
    "reshaped, not transposed": Operation(
        DILATED, "x.transpose(1, 2)", "x.reshape(-1, 3, 11)", "input.reshape(-1, 3, 11)", "input.permute(0, 2, 1)"
    ),
    "the last step of both ways": Operation(
        BOTH_WAYS,
        "torch.cat(tuple(self.a(x)[1][0]), -1)",
        "self.a(x)[0][:, -1]",
        "a[0][:, -1]",
        "torch.cat([a[0][:, -1, :4], a[0][:, 0, 4:]], -1)",
        ("bidirectional_last_step",),
    ),
    "the cells' state": Operation(
        BOTH_WAYS, "[1][0]", "[1][1]", "torch.cat([a[2][0], a[2][-1]], -1)", "a[0][:, -1, :4]"
    ),
    "a softmax over the steps": Operation(
        SHARES, "self.a(x), -1", "self.a(x), 1", "torch.softmax(a, 1)", "torch.softmax(a, -1)", ("softmax_axis",)
    ),
    "logarithms": Operation(
        SHARES, "torch.softmax", "torch.log_softmax", "torch.log_softmax(a, -1)", "torch.softmax(a, -1)"
    ),
    "another norm": Operation(
        UNIT, "self.a(x)))", "self.a(x)), p=1)", "F.normalize(elu, p=1, dim=-1)", "F.normalize(elu, dim=-1)"
    ),
    "an elu of its own": Operation(UNIT, "F.elu(self.a(x))", "F.elu(self.a(x), 0.5)", "F.elu(a, 0.5)", "F.elu(a)"),
    "a temperature": Operation(
        UNIT,
        "self.c(F.normalize(F.elu(self.a(x))))",
        "self.c(F.normalize(F.elu(self.a(x)))) / 2",
        "0.5 * y",
        "y being Keras's, at the model's end",
    ),
    "a function left out": Operation(
        reals("layers.Activation('tanh')", "nn.Identity()"), "", "", '"2" is given "0"', 'F.tanh("0")'
    ),
    "a dense layer doubled": Operation(TWICE, "self.a(x)", "2 * self.a(x)", "F.tanh(2 * a)", "F.tanh(a)"),
}
RIGHT = {
    "wrapped": WRAPPED,
    "causal gate": CAUSAL_GATE,
    "cropped": CROPPED,
    "dropped": DROPPED,
    "gated": GATED,
    "last window": LAST_WINDOW,
    "joined": JOINED,
    "residual": RESIDUAL,
    "named": NAMED,
    "experts": EXPERTS,
    "square": SQUARE,
    "cubes": CUBES,
    "pooled": POOLED,
    "squeezed": SQUEEZED,
    "tokenised": TOKENISED,
    "causally": CAUSALLY,
    "bordered": BORDERED,
    "dilated": DILATED,
    "both ways": BOTH_WAYS,
    "shares": SHARES,
    "unit": UNIT,
    "twice": TWICE,
}
UNKNOWN = {"other tokens": Port(TOKENISED, (), torch=(("x.long()", "(x.long() + 1) % 10"),))}
