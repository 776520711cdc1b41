"""Ports whose forward pass goes wrong, each with the causes that must be named, and others that none explains."""

from dataclasses import replace

from own_pairs import IMAGES, REALS, TARGET, Pair, data
from training_faults import Port

PICTURES = data(REALS.format("6, 5, 3"), TARGET)
SERIES = data(REALS.format("7, 3"), TARGET)


def images(keras: str, torch: str, channels: int = 4) -> Pair:
    """A layer of feature maps and what makes one number of its maps' means."""
    return Pair(
        f"""
def build():
    return keras.Sequential([
        keras.Input((6, 5, 3)),
        {keras},
        layers.GlobalAveragePooling2D(),
        layers.Dense(1),
    ])

""",
        f"""
def build():
    return nn.Sequential(
        {torch},
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear({channels}, 1),
    )

{IMAGES}
""",
        PICTURES,
        (),
        optimizer=None,
    )


def reals(keras: str, torch: str) -> Pair:
    """Two dense layers and something between them."""
    return Pair(
        f"""
def build():
    return keras.Sequential([keras.Input((4,)), layers.Dense(6), {keras}, layers.Dense(1)])

""",
        f"""
def build():
    return nn.Sequential(nn.Linear(4, 6), {torch}, nn.Linear(6, 1))

""",
        data(REALS.format(4), TARGET),
        (),
        optimizer=None,
    )


FLATTENED = Pair(
    """
def build():
    return keras.Sequential([keras.Input((6, 5, 3)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(1)])

""",
    f"""
def build():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(24, 1))

{IMAGES}

def port(module, weights):
    kernel, bias, head, head_bias = map(torch.from_numpy, weights)
    module[0].weight.data.copy_(kernel.permute(3, 2, 0, 1))
    module[0].bias.data.copy_(bias)
    module[2].weight.data.copy_(head.T.reshape(1, 4, 3, 2).permute(0, 3, 1, 2).reshape(1, -1))
    module[2].bias.data.copy_(head_bias)

""",
    PICTURES,
    (),
    optimizer=None,
)
RECURRENT = Pair(
    """
def build():
    return keras.Sequential([keras.Input((7, 3)), layers.GRU(4), layers.Dense(1)])

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])


def build():
    return Net()


def port(module, weights):
    kernel, recurrent, bias, head, head_bias = map(torch.from_numpy, weights)
    order = [1, 0, 2]
    module.gru.weight_ih_l0.data.copy_(kernel.T.reshape(3, 4, 3)[order].reshape(12, 3))
    module.gru.weight_hh_l0.data.copy_(recurrent.T.reshape(3, 4, 4)[order].reshape(12, 4))
    module.gru.bias_ih_l0.data.copy_(bias[0].reshape(3, 4)[order].reshape(12))
    module.gru.bias_hh_l0.data.copy_(bias[1].reshape(3, 4)[order].reshape(12))
    module.head.weight.data.copy_(head.T)
    module.head.bias.data.copy_(head_bias)

""",
    SERIES,
    (),
    optimizer=None,
)
LAST_STATE = "states[torch.arange(len(x)), (x != 0).sum(1) - 1]"
TOKENS = "rng.integers(1, 9, (n, 7)) * ({} < rng.integers(1, 8, (n, 1)))"


def masked(layer: str, torch: str, result: str, tokens: str = "np.arange(7)") -> Pair:
    """A layer that reads embedded tokens, of which zeros are padding."""
    return Pair(
        f"""
def build():
    return keras.Sequential([
        keras.Input((7,), dtype="int32"), layers.Embedding(9, 3, mask_zero=True), {layer}, layers.Dense(1),
    ])

""",
        f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.read, self.head = nn.Embedding(9, 3), {torch}, nn.Linear({4 if "4" in torch else 3}, 1)

    def forward(self, x):
        states = self.read(self.table(x))
        states = states[0] if isinstance(states, tuple) else states
        return self.head({result})


def build():
    return Net()

""",
        data(TOKENS.format(tokens), TARGET),
        (),
        optimizer=None,
    )


SKIPPED = masked("layers.LSTM(4)", "nn.LSTM(3, 4, batch_first=True)", LAST_STATE)
HEADS = Pair(
    """
def build():
    x = inputs = keras.Input((7, 4))
    return keras.Model(inputs, layers.Dense(1)(layers.MultiHeadAttention(2, 2, use_bias=False)(x, x)))

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.MultiheadAttention(4, 2, bias=False, batch_first=True)
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.read(x, x, x)[0])


def build():
    return Net()


def port(module, weights):
    query, key, value, out, head, head_bias = map(torch.from_numpy, weights)
    heads = [kernel.reshape(4, 4).T for kernel in (query, key, value)]
    module.read.in_proj_weight.data.copy_(torch.cat(heads))
    module.read.out_proj.weight.data.copy_(out.reshape(4, 4).T)
    module.head.weight.data.copy_(head.T)
    module.head.bias.data.copy_(head_bias)

""",
    data(REALS.format("7, 4"), "rng.normal(size=(n, 7, 1))"),
    (),
    optimizer=None,
)


def resized(keras: str, torch: str) -> Pair:
    """A convolution, its map in another size, and a convolution."""
    return Pair(
        f"""
def build():
    return keras.Sequential([keras.Input((7, 7, 2)), layers.Conv2D(3, 3), {keras}, layers.Conv2D(2, 2)])

""",
        f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, 2)

    def forward(self, x):
        return self.b({torch})


def build():
    return Net()


def outputs(y):
    return y.permute(0, 2, 3, 1)

{IMAGES}
""",
        data(REALS.format("7, 7, 2"), "rng.normal(size=(n, 1))"),
        (),
        optimizer=None,
        loss=("", ""),
    )


LATER = Pair(
    """
def build():
    x = inputs = keras.Input((7, 4))
    x = layers.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True)
    return keras.Model(inputs, layers.Dense(1)(x))

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(4, 4) for _ in range(4))
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        q, k, v = (layer(x).view(*x.shape[:2], 2, 2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        x = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
        return self.head(self.o(x))


def build():
    return Net()

""",
    data(REALS.format("7, 4"), "rng.normal(size=(n, 7, 1))"),
    (),
    optimizer=None,
)
SCORES = Pair(
    """
def build():
    inputs = keras.Input((7, 4))
    x = layers.Dense(4)(inputs)
    x = layers.Attention()([x, x])
    return keras.Model(inputs, layers.Dense(1)(x))

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x):
        x = self.first(x)
        return self.head(F.scaled_dot_product_attention(x, x, x, scale=1.0))


def build():
    return Net()

""",
    data(REALS.format("7, 4"), "rng.normal(size=(n, 7, 1))"),
    (),
    optimizer=None,
)
DEPTHWISE = images(
    "layers.DepthwiseConv2D(3, depth_multiplier=2)",
    "nn.Conv2d(3, 6, 3, groups=3)",
    6,
)
DEPTHWISE = replace(
    DEPTHWISE,
    torch=DEPTHWISE.torch
    + """

def port(module, weights):
    kernel, bias, head, head_bias = map(torch.from_numpy, weights)
    module[0].weight.data.copy_(kernel.permute(2, 3, 0, 1).reshape(6, 1, 3, 3))
    module[0].bias.data.copy_(bias)
    module[3].weight.data.copy_(head.T)
    module[3].bias.data.copy_(head_bias)

""",
)
UPWARD = images(
    'layers.Conv2DTranspose(4, 3, strides=2, padding="same")',
    "nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=1), nn.ZeroPad2d((0, -2, 0, -2))",
)
CAUSAL = Pair(
    """
def build():
    return keras.Sequential([
        keras.Input((7, 3)), layers.Conv1D(4, 3, padding="causal"), layers.GlobalMaxPooling1D(), layers.Dense(1),
    ])

""",
    """
def build():
    return nn.Sequential(nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(3, 4, 3), nn.AdaptiveMaxPool1d(1), nn.Flatten(),
                         nn.Linear(4, 1))


def inputs(x):
    return torch.from_numpy(x).permute(0, 2, 1)

""",
    SERIES,
    (),
    optimizer=None,
)
NORMED = images(
    "layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(4, 1), layers.BatchNormalization()",
    "nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, eps=1e-3)",
)
STRIDED = images(
    'layers.Conv2D(4, 3, strides=2, padding="same")', "nn.ZeroPad2d((1, 1, 0, 1)), nn.Conv2d(3, 4, 3, stride=2)"
)
AVERAGED = images(
    'layers.AveragePooling2D(3, 1, padding="same")', "nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)", 3
)
# A mean over the real steps of states, of which those at masked steps are Keras's on neither side.
MEAN_OF_REAL = "(states * (x != 0)[..., None]).sum(1) / (x != 0).sum(1, keepdim=True)"
SKIPPED_MEAN = masked(
    "layers.GRU(4, return_sequences=True), layers.GlobalAveragePooling1D()", "nn.GRU(3, 4, batch_first=True)",
    MEAN_OF_REAL,
)  # fmt: skip
# Two branches, one of which torch may leave aside.
BRANCHES = Pair(
    """
def build():
    x = keras.Input((4,))
    hidden = layers.Dense(6, activation="tanh")(x)
    side = layers.Dense(5, activation="tanh")(x)
    side = layers.Dense(6)(side)
    return keras.Model(x, layers.Dense(1)(layers.LayerNormalization(epsilon=1e-5)(hidden + side)))

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.first, self.second = nn.Linear(4, 6), nn.Linear(4, 5), nn.Linear(5, 6)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 1)

    def forward(self, x):
        hidden, side = torch.tanh(self.hidden(x)), self.second(torch.tanh(self.first(x)))
        return self.head(self.norm(hidden + side))


def build():
    return Net()

""",
    data(REALS.format(4), TARGET),
    (),
)
APPLIED = Pair(
    """
    def build():
        return keras.Sequential([
            keras.Input((6, 3)), layers.SimpleRNN(4), layers.Dense(4, activation="softplus"), layers.Dense(1),
        ])
    """,
    """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.RNN(3, 4, batch_first=True), nn.Linear(4, 4), nn.Linear(4, 1)

        def forward(self, x):
            return self.c(F.softplus(self.b(self.a(x)[0][:, -1])))

    def build():
        return Net()
    """,
    data(REALS.format("6, 3"), TARGET),
    (),
    optimizer=None,
)
NAMED = {
    "a relu in a recurrent layer": Port(
        APPLIED, ("nonlinearity",), torch=(("batch_first=True", 'batch_first=True, nonlinearity="relu"'),)
    ),
    "beta of softplus": Port(
        APPLIED, ("softplus_beta",), torch=(("F.softplus(self.b(self.a(x)[0][:, -1]))",
                                             "F.softplus(self.b(self.a(x)[0][:, -1]), beta=2)"),)
    ),
    "beta of a layer": Port(
        APPLIED,
        ("softplus_beta",),
        torch=(
            ("self.a, self.b, self.c = ", "self.s = nn.Softplus(beta=3)\n        self.a, self.b, self.c = "),
            ("F.softplus(", "self.s("),
        ),
    ),
    "a layer that is never called": Port(
        BRANCHES, ("never_called",), torch=(("self.norm(hidden + side)", "hidden + side"),)
    ),
    "a branch that comes to nothing": Port(
        BRANCHES, ("unused",), torch=(("self.norm(hidden + side)", "self.norm(hidden)"),)
    ),
    "padding in a mean of masked states": Port(
        SKIPPED_MEAN, ("masked_mean",), torch=((MEAN_OF_REAL, "states.mean(1)"),)
    ),
    "epsilon of layers": Port(
        NORMED, ("epsilon",), torch=((", eps=1e-3), nn.ReLU", "), nn.ReLU"), (", eps=1e-3),\n", "),\n"))
    ),
    "padding at strides": Port(
        STRIDED, ("same_padding_stride",),
        torch=(("nn.ZeroPad2d((1, 1, 0, 1)), ", ""), ("3, stride=2", "3, stride=2, padding=1")),
    ),
    "a stride in the other convolution": Port(
        images(
            'layers.Conv2D(3, 1, strides=2), layers.ReLU(), layers.Conv2D(4, 3, padding="same")',
            "nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 4, 3, stride=2, padding=1)",
        ),
        ("strides",),
    ),
    "zeros in averages": Port(
        AVERAGED, ("avg_pool_counts_padding",), torch=((", count_include_pad=False", ""),)
    ),
    "flattening": Port(
        FLATTENED, ("flatten_order",), torch=((".reshape(1, 4, 3, 2).permute(0, 3, 1, 2).reshape(1, -1)", ""),)
    ),
    "gates": Port(RECURRENT, ("gru_gate_order",), torch=(("[1, 0, 2]", "[0, 1, 2]"),)),
    "gelu": Port(
        reals("layers.Activation(keras.activations.gelu)", 'nn.GELU("tanh")'), ("gelu_approximation",),
        keras=(("keras.activations.gelu)", "lambda x: keras.activations.gelu(x, approximate=False))"),),
    ),
    "a function of no known difference": Port(
        reals("layers.Activation('silu')", "nn.GELU()"), ("another_function",)
    ),
    "groups": Port(
        images(
            "layers.Conv2D(4, 3), layers.GroupNormalization(2, epsilon=1e-5)", "nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)"
        ),
        ("groups",),
        torch=(("nn.GroupNorm(2, 4)", "nn.GroupNorm(4, 4)"),),
    ),
    "another function": Port(reals("layers.Activation('silu')", "nn.Mish()"), ("another_function",)),
    "epsilon and a function": Port(
        reals("layers.LayerNormalization(), layers.Activation('tanh')", "nn.LayerNorm(6), nn.Sigmoid()"),
        ("epsilon", "another_function"),
    ),
    "padding behind the tokens": Port(SKIPPED, ("mask_zero_last_step",), torch=((LAST_STATE, "states[:, -1]"),)),
    "padding, and time before samples": Port(
        SKIPPED, ("lstm_batch_first", "mask_zero_last_step"),
        torch=((LAST_STATE, "states[:, -1]"), ("nn.LSTM(3, 4, batch_first=True)", "nn.LSTM(3, 4)")),
    ),
    "padding in front of the tokens": Port(
        masked("layers.LSTM(4)", "nn.LSTM(3, 4, batch_first=True)", "states[:, -1]", "np.arange(7)[::-1]"),
        ("mask_zero_first_step",),
    ),
    "padding in a mean": Port(
        masked("layers.GlobalAveragePooling1D()", "nn.Identity()", "states.mean(1)"), ("masked_mean",)
    ),
    "time before samples": Port(
        RECURRENT, ("lstm_batch_first",), torch=(("nn.GRU(3, 4, batch_first=True)", "nn.GRU(3, 4)"),)
    ),
    "heads": Port(
        HEADS, ("attention_head_layout",), torch=(("kernel.reshape(4, 4).T", "kernel.permute(2, 1, 0).reshape(4, 4)"),)
    ),
    "later steps": Port(LATER, ("causal_attention",), torch=((", is_causal=True", ""),)),
    "scores as they are": Port(SCORES, ("attention_scale",), torch=((", scale=1.0", ""),)),
    "a scale": Port(LATER, ("attention_scale",), torch=(("is_causal=True", "is_causal=True, scale=1.0"),)),
    "corners": Port(
        resized(
            "layers.UpSampling2D(2, interpolation='bilinear')",
            "F.interpolate(self.a(x), scale_factor=2, mode='bilinear', align_corners=True)",
        ),
        ("resize_align_corners",),
    ),
    "a smaller image": Port(
        resized("layers.Resizing(3, 3, antialias=True)", "F.interpolate(self.a(x), (3, 3), mode='bilinear')"),
        ("resize_antialias",),
    ),
    "nearest pixels": Port(
        resized("layers.Resizing(4, 4, interpolation='nearest')", "F.interpolate(self.a(x), (4, 4))"),
        ("interpolation",),
    ),
    "bicubic": Port(
        resized(
            "layers.UpSampling2D(2, interpolation='bicubic')",
            "F.interpolate(self.a(x), scale_factor=2, mode='bicubic')",
        ),
        ("resize_bicubic",),
    ),
    "a kernel": Port(
        resized(
            "layers.UpSampling2D(2, interpolation='bicubic')",
            "torch._C._nn.upsample_bicubic2d(self.a(x), None, False, (2.0, 2.0))",
        ),
        ("tensorflow_kernel",),
    ),
    "multiples of channels": Port(
        DEPTHWISE, ("depthwise_kernel_layout",), torch=(("permute(2, 3, 0, 1)", "permute(3, 2, 0, 1)"),)
    ),
    "upward": Port(
        UPWARD, ("conv_transpose_same",),
        torch=(("output_padding=1), nn.ZeroPad2d((0, -2, 0, -2))", "padding=1, output_padding=1)"),),
    ),
    "causal": Port(
        CAUSAL, ("causal_padding",),
        torch=(("nn.ConstantPad1d((2, 0), 0.0), ", ""), ("nn.Conv1d(3, 4, 3)", "nn.Conv1d(3, 4, 3, padding=1)")),
    ),
}  # fmt: skip
UNKNOWN = {
    "a kernel turned": Port(
        FLATTENED, (), torch=(("module[0].bias.data", "module[0].weight.data[0, 0] += 0.1\n    module[0].bias.data"),)
    ),
}  # fmt: skip
RIGHT = {
    "applied": APPLIED, "norms": NORMED, "strides": STRIDED, "averages": AVERAGED, "flattening": FLATTENED,
    "gates": RECURRENT, "scores": SCORES,
    "mask": SKIPPED, "mean of masked states": SKIPPED_MEAN, "branches": BRANCHES,
    "heads": HEADS, "multiples": DEPTHWISE, "upward": UPWARD, "causal": CAUSAL, "attention": LATER,
    "sizes": resized(
        "layers.UpSampling2D(2, interpolation='bilinear')",
        "F.interpolate(self.a(x), scale_factor=2, mode='bilinear', align_corners=False)",
    ),
}  # fmt: skip
