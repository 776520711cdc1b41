"""Pairs as users have them: both sides' code, ports that are right, and edits that port them wrong."""

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
