"""Pairs of models drawn at random, both sides written by the draw: what `benchmarks.own_pairs` judges.

A model is a chain of blocks over feature maps or sequences. Each block is a line of Keras's code and its right port in
torch, with edits that port it wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.user_pairs import IMAGES, Fault, Pair
from parity.experiment.randomness import generator

ACTIVATIONS = {
    "relu": "torch.relu({})", "tanh": "torch.tanh({})", "sigmoid": "torch.sigmoid({})", "silu": "F.silu({})",
    "elu": "F.elu({})", "softplus": "F.softplus({})", "gelu": "F.gelu({})", "leaky_relu": "F.leaky_relu({}, 0.2)",
    "linear": "{}", "selu": "F.selu({})", "hard_sigmoid": "F.hardsigmoid({})", "softsign": "F.softsign({})",
}  # fmt: skip
WRONG = {
    "relu": ("torch.relu(", "F.relu6(3 * "), "gelu": ("F.gelu(", "F.silu("), "leaky_relu": (", 0.2)", ")"),
    "elu": ("F.elu(", "F.selu("), "hard_sigmoid": ("F.hardsigmoid(", "torch.sigmoid("),
}  # fmt: skip


@dataclass
class Chain:
    """A pair of models while it is drawn: its code, and the shape that the next block is given (channels last)."""

    rng: Any
    shape: tuple[int, ...]
    keras: list[str] = field(default_factory=list)
    modules: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def pick(self, values: Sequence[Any]) -> Any:
        """One of some values."""
        return values[int(self.rng.integers(len(values)))]

    def add(self, keras: str, module: str | None, forward: str, wrong: tuple[str, str]) -> None:
        """A block: Keras's layer, torch's module, what its forward does with `{m}` and x, and an edit that is wrong."""
        number = len(self.keras)
        name = f"block{number}"
        self.keras.append(f'x = {keras[:-1]}{"" if keras.endswith("()") else ", "}name="{name}")(x)')
        line = f"x = {forward.format(m=f'self.{name}')}  # {number}"
        if module is not None:
            self.modules.append(f"self.{name} = {module}  # {number}")
        for text in [line, *(self.modules[-1:] if module is not None else [])]:
            if text.count(wrong[0]) == 1:
                self.faults.append(Fault(text, text.replace(*wrong), "forward", name))
                break
        self.forward.append(line)

    def activation(self) -> tuple[str, str]:
        """Keras's name of an activation, and torch's function of it."""
        name = self.pick(list(ACTIVATIONS))
        return name, ACTIVATIONS[name]


def conv(chain: Chain) -> None:
    """A convolution with its activation inside, its own padding and stride."""
    height, width, channels = chain.shape
    filters, kernel = int(chain.rng.integers(2, 7)), chain.pick([1, 2, 3])
    same = kernel % 2 == 1 and bool(chain.rng.integers(2))
    stride = 1 if same else chain.pick([1, 2])
    name, function = chain.activation()
    padding = "same" if same else "valid"
    around = kernel // 2 if same else 0
    module = f"nn.Conv2d({channels}, {filters}, {kernel}, stride={stride}, padding={around})"
    edit = ("(x)", "(1.0001 * x)")
    if kernel == 3 and same:
        edit = ("padding=", "padding_mode='replicate', padding=")
    elif name in WRONG:
        edit = WRONG[name]
    chain.add(
        f'layers.Conv2D({filters}, {kernel}, strides={stride}, padding="{padding}", activation="{name}")',
        module,
        function.format("{m}(x)"),
        edit,
    )
    size = (height, width) if same else tuple((n - kernel) // stride + 1 for n in (height, width))
    chain.shape = (*size, filters)


def depthwise(chain: Chain) -> None:
    """A depthwise convolution with a multiplier."""
    height, width, channels = chain.shape
    times = chain.pick([1, 2])
    module = f"nn.Conv2d({channels}, {channels * times}, 3, padding=1, groups={channels})"
    keras = f'layers.DepthwiseConv2D(3, depth_multiplier={times}, padding="same")'
    chain.add(keras, module, "{m}(x)", wrong=("padding=1", "padding=1, padding_mode='reflect'"))
    chain.shape = (height, width, channels * times)


def transposed(chain: Chain) -> None:
    """A transposed convolution."""
    height, width, channels = chain.shape
    chain.add(
        'layers.Conv2DTranspose(3, 2, strides=2, padding="valid")',
        f"nn.ConvTranspose2d({channels}, 3, 2, stride=2)",
        "{m}(x)",
        wrong=("{m}(x)", "{m}(x).flip(2)"),
    )
    chain.shape = (2 * height, 2 * width, 3)


def batch_norm(chain: Chain) -> None:
    """Batch norm, used or trained."""
    epsilon = chain.pick([1e-3, 1e-5])
    chain.add(
        f"layers.BatchNormalization(epsilon={epsilon}, momentum=0.9)",
        f"{'nn.BatchNorm2d' if len(chain.shape) == 3 else 'Norm1d'}({chain.shape[-1]}, eps={epsilon})",
        "{m}(x)",
        wrong=(f"eps={epsilon}", f"eps={epsilon * 1.01:g}"),
    )


def layer_norm(chain: Chain) -> None:
    """Layer norm over the channels."""
    epsilon, channels = chain.pick([1e-3, 1e-6]), chain.shape[-1]
    turned = "{m}(x.movedim(1, -1)).movedim(-1, 1)" if len(chain.shape) == 3 else "{m}(x)"
    chain.add(
        f"layers.LayerNormalization(epsilon={epsilon})",
        f"nn.LayerNorm({channels}, eps={epsilon})",
        turned,
        wrong=(f"eps={epsilon}", "eps=1e-5"),
    )


def group_norm(chain: Chain) -> None:
    """Group norm of one group or as many as channels."""
    groups = chain.pick([1, chain.shape[-1]])
    chain.add(
        f"layers.GroupNormalization({groups}, epsilon=1e-3)",
        f"nn.GroupNorm({groups}, {chain.shape[-1]}, eps=1e-3)",
        "{m}(x)",
        wrong=("eps=1e-3", "eps=2e-3"),
    )


def function(chain: Chain) -> None:
    """An activation as a layer, in place or not."""
    # torch cannot differentiate what needs its result if that is changed.
    inplace = f"inplace={not chain.forward or 'Norm' in ''.join(chain.modules[-1:])}"
    keras, torch, wrong = chain.pick(
        [
            ("layers.ReLU()", f"nn.ReLU({inplace})", "nn.Softplus()"),
            ("layers.LeakyReLU(negative_slope=0.3)", "nn.LeakyReLU(0.3)", "nn.LeakyReLU()"),
            ("layers.ELU(alpha=0.5)", f"nn.ELU(0.5, {inplace})", "nn.ELU()"),
            ('layers.Activation("gelu")', "nn.GELU()", "nn.GELU('tanh')"),
            ("layers.Dropout(0.4)", "nn.Dropout(0.4)", "nn.ReLU()"),
        ]
    )
    chain.add(keras, torch, "{m}(x)", wrong=(torch, wrong))


def pooling(chain: Chain) -> None:
    """Pooling of two by two."""
    height, width, channels = chain.shape
    keras, torch, wrong = chain.pick([("MaxPooling2D", "max", "avg"), ("AveragePooling2D", "avg", "max")])
    chain.add(f"layers.{keras}(2)", None, f"F.{torch}_pool2d(x, 2)", wrong=(f"F.{torch}_pool2d", f"F.{wrong}_pool2d"))
    chain.shape = (height // 2, width // 2, channels)


def residual(chain: Chain) -> None:
    """A branch added to what it was made of."""
    channels = chain.shape[-1]
    number = len(chain.keras)
    chain.keras.append(f'x = x + layers.Conv2D({channels}, 1, name="block{number}")(x)')
    chain.modules.append(f"self.block{number} = nn.Conv2d({channels}, {channels}, 1)")
    line = f"x = x + self.block{number}(x)  # {number}"
    chain.forward.append(line)
    chain.faults.append(Fault(line, line.replace("x + ", "x + 1.0001 * "), "forward", "add"))


def recurrent(chain: Chain) -> None:
    """A recurrent layer that gives its states."""
    steps, features = chain.shape
    kind = chain.pick(["LSTM", "GRU", "SimpleRNN"])
    torch = {"SimpleRNN": "RNN"}.get(kind, kind)
    fault = ("batch_first=True", "batch_first=False")
    chain.add(
        f"layers.{kind}(4, return_sequences=True)",
        f"nn.{torch}({features}, 4, batch_first=True)",
        "{m}(x)[0]",
        fault,
    )
    chain.shape = (steps, 4)


def bidirectional(chain: Chain) -> None:
    """An LSTM in both directions."""
    steps, features = chain.shape
    number = len(chain.keras)
    chain.keras.append(f'x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="block{number}")(x)')
    chain.modules.append(f"self.block{number} = nn.LSTM({features}, 3, batch_first=True, bidirectional=True)")
    line = f"x = self.block{number}(x)[0]  # {number}"
    chain.forward.append(line)
    chain.faults.append(Fault(line, line.replace("(x)[0]", "(x.flip(1))[0]"), "forward", f"block{number}"))
    chain.shape = (steps, 6)


def attention(chain: Chain) -> None:
    """Attention of a sequence to itself."""
    features = chain.shape[-1]
    if features % 2:
        dense(chain, 4)
        features = 4
    number = len(chain.keras)
    chain.keras.append(f'x = layers.MultiHeadAttention(2, {features // 2}, name="block{number}")(x, x)')
    chain.modules.append(f"self.block{number} = nn.MultiheadAttention({features}, 2, batch_first=True)  # {number}")
    chain.forward.append(f"x = self.block{number}(x, x, x)[0]")
    old = chain.modules[-1]
    chain.faults.append(Fault(old, old.replace("batch_first=True", "batch_first=False"), "forward", f"block{number}"))


def stacked(chain: Chain) -> None:
    """The same, where torch has queries, keys and values in one layer."""
    features = chain.shape[-1]
    if features % 2:
        dense(chain, 4)
        features = 4
    chain.add(
        f"layers.MultiHeadAttention(2, {features // 2})",
        f"Stacked({features}, 2, order=(0, 1, 2))",
        "{m}(x)",
        wrong=("order=(0, 1, 2)", chain.pick(["order=(1, 0, 2)", "order=(0, 1, 2), scale=0.5"])),
    )
    chain.keras[-1] = chain.keras[-1].replace(")(x)", ")(x, x)")


def dense(chain: Chain, units: int | None = None) -> None:
    """A dense layer with its activation inside."""
    units = units or int(chain.rng.integers(2, 7))
    name, function = chain.activation()
    edit = WRONG.get(name, ("(x)", "(0.9999 * x)"))
    chain.add(
        f'layers.Dense({units}, activation="{name}")',
        f"nn.Linear({chain.shape[-1]}, {units})",
        function.format("{m}(x)"),
        edit,
    )
    chain.shape = (*chain.shape[:-1], units)


IMAGE_BLOCKS: tuple[Callable[[Chain], None], ...] = (
    conv, conv, depthwise, transposed, batch_norm, layer_norm, group_norm, function, pooling, residual,
)  # fmt: skip
SEQUENCE_BLOCKS: tuple[Callable[[Chain], None], ...] = (
    recurrent, recurrent, bidirectional, attention, stacked, layer_norm, function, dense,
)  # fmt: skip
LOSSES = (
    ("def loss(targets, outputs):\n    return keras.losses.MeanSquaredError()(targets, outputs)\n",
     "def loss(outputs, targets):\n    return F.mse_loss(outputs, targets)\n"),
    ("def loss(targets, outputs):\n    return keras.losses.Huber()(targets, outputs)\n",
     "def loss(outputs, targets):\n    return F.huber_loss(outputs, targets)\n"),
)  # fmt: skip
OPTIMIZERS = (
    ("def optimizer():\n    return keras.optimizers.SGD(0.05, momentum=0.9)\n",
     "def optimizer(parameters):\n    return torch.optim.SGD(parameters, 0.05, momentum=0.9)\n"),
    ("def optimizer():\n    return keras.optimizers.SGD(0.1)\n",
     "def optimizer(parameters):\n    return torch.optim.SGD(parameters, 0.1)\n"),
    None,
)  # fmt: skip
FORWARD = """
class Stacked(nn.Module):
    def __init__(self, features, heads, order, scale=None):
        super().__init__()
        self.heads, self.order, self.scale = heads, order, scale
        self.qkv, self.out = nn.Linear(features, 3 * features), nn.Linear(features, features)

    def forward(self, x):
        parts = [a.unflatten(2, (self.heads, -1)).transpose(1, 2) for a in self.qkv(x).chunk(3, dim=2)]
        y = F.scaled_dot_product_attention(*(parts[n] for n in self.order), scale=self.scale)
        return self.out(y.transpose(1, 2).flatten(2))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {}

    def forward(self, x):
        {}
"""


def drawn(seed: int) -> Pair:
    """The pair of a seed."""
    rng = generator(seed)
    images = bool(rng.integers(3))
    shape = (int(rng.integers(6, 10)), int(rng.integers(5, 9)), int(rng.integers(1, 5))) if images else (5, 3)
    chain = Chain(rng, shape)
    # A batch's own statistics are kept otherwise by either framework, which no port can mend.
    optimizer = chain.pick(OPTIMIZERS)
    for _ in range(int(rng.integers(2, 6))):
        block = chain.pick(IMAGE_BLOCKS if images else SEQUENCE_BLOCKS)
        if (block is batch_norm and optimizer) or (images and block in (conv, pooling) and min(chain.shape[:2]) < 4):
            continue
        # Over one channel it gives its shift, whatever its epsilon.
        if block is layer_norm and chain.shape[-1] == 1:
            continue
        block(chain)
    if images:
        chain.keras.append("x = layers.GlobalAveragePooling2D()(x)")
        chain.forward.append("x = x.mean((2, 3))")
    else:
        chain.keras.append("x = layers.GlobalAveragePooling1D()(x)")
        chain.forward.append("x = x.mean(1)")
    chain.shape = chain.shape[-1:]
    dense(chain, 2)
    keras = "\n    ".join([f"inputs = x = keras.Input({shape})", *chain.keras, "return keras.Model(inputs, x)"])
    torch = FORWARD.format("\n        ".join(chain.modules), "\n        ".join([*chain.forward, "return x"]))
    return Pair(
        f"def build():\n    {keras}\n\n\n",
        f"{torch}\n\ndef build():\n    return Net()\n\n\n{IMAGES if images else ''}\n\n",
        f"\ndef data(rng, n):\n    return rng.normal(size=(n, *{shape})), rng.normal(size=(n, 2))\n",
        tuple(chain.faults),
        chain.pick(LOSSES),
        optimizer,
    )
