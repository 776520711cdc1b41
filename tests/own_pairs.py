"""Pairs as users have them: a Keras side, a torch side ported right, and edits that port it wrong.

Each fault says at which level, and at which of the tensors, the two first part. The kinds are those of public reports
of ports that came out differently.
"""

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

KERAS = "import keras\nimport numpy as np\nimport tensorflow as tf\nfrom keras import layers\n\n"
TORCH = "import numpy as np\nimport torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n"
IMAGES = "def inputs(x):\n    return torch.from_numpy(x).permute(0, 3, 1, 2)\n"
MSE = (
    "def loss(targets, outputs):\n    return keras.losses.MeanSquaredError()(targets, outputs)\n",
    "def loss(outputs, targets):\n    return F.mse_loss(outputs, targets)\n",
)
SGD = (
    "def optimizer():\n    return keras.optimizers.SGD(0.1)\n",
    "def optimizer(parameters):\n    return torch.optim.SGD(parameters, 0.1)\n",
)


@dataclass(frozen=True)
class Fault:
    """An edit of torch's side, or of Keras's, and where it first shows: the level, and words of the tensor's names."""

    old: str
    new: str
    level: str
    stage: str


@dataclass(frozen=True)
class Pair:
    """Both sides' code, and what draws a batch; without losses and an optimizer the models are only used."""

    keras: str
    torch: str
    data: str
    faults: tuple[Fault, ...]
    loss: tuple[str, str] = MSE
    optimizer: tuple[str, str] | None = SGD
    steps: int = 2

    def write(self, folder: Path, fault: Fault | None = None) -> dict[str, Path]:
        """Write the files, with a fault in torch's side; the path of each."""
        folder.mkdir(parents=True, exist_ok=True)
        training = self.optimizer or ("", "")
        texts = {
            "keras": KERAS + dedent(self.keras) + self.loss[0] + training[0],
            "torch": TORCH + dedent(self.torch) + self.loss[1] + training[1],
            "data": f"import numpy as np\n\nSTEPS = {self.steps if self.optimizer else 0}\n" + dedent(self.data),
        }
        if fault is not None:
            assert texts["torch"].count(fault.old) == 1
            texts["torch"] = texts["torch"].replace(fault.old, fault.new)
        paths = {}
        for name, text in texts.items():
            paths[name] = folder / ("data.py" if name == "data" else f"my_{name}.py")
            paths[name].write_text(text)
        return paths

    def frozen(self, side: str) -> str:
        """The name of a weight."""
        return "sequential/conv2d/kernel" if side == "tf" else "0.weight"


def data(x: str, y: str) -> str:
    """What draws a batch."""
    return f"\ndef data(rng, n):\n    return {x}, {y}\n"


REALS = 'rng.normal(size=(n, {})).astype("float32")'
TARGET = REALS.format(1)
PAIRS = {
    "rounding": Pair(
        "def build():\n    return keras.Sequential([keras.Input((4,)), layers.Dense(1)])\n",
        "def build():\n    return nn.Linear(4, 1)\n",
        data(REALS.format(4), TARGET),
        (
            Fault("F.mse_loss(outputs, targets)", "F.mse_loss(outputs, targets[:, 0])", "loss", "loss"),
            Fault("SGD(parameters, 0.1)", "SGD(parameters, 0.1, weight_decay=1e-6)", "optimizer step", "kernel"),
            Fault("SGD(parameters, 0.1)", "SGD(parameters, 0.1, momentum=0.5)", "steps", "kernel"),
        ),
    ),
    "conv_batchnorm": Pair(
        """
        def build():
            return keras.Sequential([
                keras.Input((6, 5, 3)),
                layers.Conv2D(4, 3, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.Dropout(0.5),
                layers.ReLU(),
                layers.GlobalAveragePooling2D(),
                layers.Dense(1),
            ])

        def predict(model, x):
            return model(x, training=False)
        """,
        f"""
        def build():
            return nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1, bias=False),
                nn.BatchNorm2d(4, eps=1e-3),
                nn.Dropout(0.5),
                nn.ReLU(inplace=True),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(4, 1),
            )

        {IMAGES.replace(chr(10), chr(10) + " " * 8)}
        def predict(module, x):
            module.eval()
            with torch.no_grad():
                return module(x)
        """,
        data(REALS.format("6, 5, 3"), TARGET),
        (
            Fault(", eps=1e-3", "", "forward", "batch_normalization"),
            Fault("    module.eval()\n", "", "predict", "output"),
        ),
        optimizer=None,
    ),
    "flatten": Pair(
        """
        def build():
            return keras.Sequential([
                keras.Input((6, 5, 2)),
                layers.Conv2D(3, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(4),
            ])
        """,
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(2, 3, 3)
                self.relu = nn.ReLU(inplace=True)
                self.head = nn.Linear(6, 4)

            def forward(self, x):
                x = F.max_pool2d(self.relu(self.conv(x)), 2)
                x = x.permute(0, 2, 3, 1)
                return self.head(x.flatten(1))

        def build():
            return Net()

        {IMAGES.replace(chr(10), chr(10) + " " * 8)}
        """,
        data(REALS.format("6, 5, 2"), REALS.format(4)),
        (
            Fault("        x = x.permute(0, 2, 3, 1)\n", "", "forward", "dense ~ head"),
            Fault("nn.ReLU(inplace=True)", "nn.LeakyReLU(0.01)", "forward", "conv2d/relu ~ relu"),
        ),
    ),
    "lstm": Pair(
        """
        def build():
            return keras.Sequential([keras.Input((5, 3)), layers.LSTM(4), layers.Dense(1)])
        """,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(3, 4, batch_first=True)
                self.head = nn.Linear(4, 1)

            def forward(self, x):
                return self.head(self.lstm(x)[0][:, -1])

        def build():
            return Net()

        def port(module, weights):
            kernel, recurrent, bias, head, head_bias = map(torch.from_numpy, weights)
            module.lstm.weight_ih_l0.data.copy_(kernel.T)
            module.lstm.weight_hh_l0.data.copy_(recurrent.T)
            module.lstm.bias_ih_l0.data.copy_(bias)
            module.lstm.bias_hh_l0.data.zero_()
            module.lstm.bias_hh_l0.requires_grad_(False)
            module.head.weight.data.copy_(head.T)
            module.head.bias.data.copy_(head_bias)

        """,
        data(REALS.format("5, 3"), TARGET),
        (
            Fault("batch_first=True", "batch_first=False", "forward", "lstm"),
            Fault("    module.lstm.bias_hh_l0.requires_grad_(False)\n", "", "optimizer step", "bias"),
            Fault("recurrent.T", "recurrent.T.flip(0)", "weights", "recurrent_kernel"),
        ),
    ),
}
