"""The files that a user starts with: a small pair that is right, each function with what it is for."""

from pathlib import Path

from parity.errors import UsageError
from parity.recordings.files import write_whole

KERAS = '''\
"""Keras's side. Only build() is needed; each of the others adds a level of checks."""

import keras


def build():
    """Make the model, new each time: it is built once in float64 and once in float32."""
    return keras.Sequential([
        keras.Input((12, 10, 3)),
        keras.layers.Conv2D(5, 3, padding="same"),
        keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9),
        keras.layers.ReLU(),
        keras.layers.MaxPooling2D(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(7),
    ])


def loss(targets, outputs):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(targets, outputs)


# With an optimizer, training is checked, too. BatchNormalization then differs for good: of the variance that it keeps,
# Keras has the batch's own, torch the unbiased one.
# def optimizer():
#     return keras.optimizers.SGD(0.1)


# Where you train by code of your own, give it, and it is judged as a whole:
# def step(model, optimizer, x, y):
#     ...  # train on one batch
#     return loss
#
# def predict(model, x):
#     return model(x, training=False)
'''

TORCH = '''\
"""torch's side. Only build() is needed; each of the others adds a level of checks."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.head = nn.Linear(5, 7)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        x = nn.functional.max_pool2d(x, 2)
        return self.head(x.mean((2, 3)))


def build():
    """Make the module, new each time: it is built once in float64 and once in float32."""
    return Net()


def inputs(x):
    """Where the layouts differ: what the module is called with, of an array in Keras's layout."""
    return torch.from_numpy(x).permute(0, 3, 1, 2)


# def outputs(y):
#     return y.permute(0, 2, 3, 1)  # back to Keras's layout, where a result has one


def loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets)


# def optimizer(parameters):
#     return torch.optim.SGD(parameters, 0.1)


# The weights are moved from Keras by themselves. Where you have written that yourself, give it, and it is put to the
# proof: `weights` is what Keras's model.get_weights() gives.
# def port(module, weights):
#     ...
'''

DATA = '''\
"""One batch for both sides, in Keras's layout. Sizes that all differ hide no mixed-up axes: 12 x 10, 3 channels."""

# Steps of the optimizer that are checked; 0 for models that are only used.
STEPS = 0


def data(rng, n):
    """x, or (x, y), of n samples; `rng` is a generator of NumPy's. Tuples and dicts of arrays are inputs, too."""
    return rng.normal(size=(n, 12, 10, 3)).astype("float32"), rng.integers(0, 7, n)
'''

FILES = {"my_keras.py": KERAS, "my_torch.py": TORCH, "data.py": DATA}


def write(folder: Path) -> None:
    """Write them into a folder; nothing is overwritten."""
    for name in FILES:
        if (folder / name).exists():
            raise UsageError(f"{folder / name} is there already; give another folder")
    for name, text in FILES.items():
        write_whole(folder / name, text.encode())
