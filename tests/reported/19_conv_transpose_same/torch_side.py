import torch
from torch import nn


class SameTranspose(nn.ConvTranspose2d):
    """The whole output, of which TensorFlow drops the last row and column."""

    def forward(self, x):
        return super().forward(x)[..., :-1, :-1]


def build(aligned=False):
    if aligned:
        up = SameTranspose(3, 4, 3, stride=2)
    else:  # the right shape, one pixel off
        up = nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(up, nn.ReLU(), nn.Conv2d(4, 2, 1))


def inputs(x, aligned=False):
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def outputs(y):
    return y.permute(0, 2, 3, 1)


def port(module, weights, aligned=False):
    # Both kernels, (h, w, out, in) and (h, w, in, out), reversed at the end and put in front.
    for parameter, value in zip(module.parameters(), map(torch.from_numpy, weights), strict=True):
        parameter.data.copy_(value.permute(3, 2, 0, 1) if value.ndim == 4 else value)


def loss(outputs, y, aligned=False):
    return nn.functional.mse_loss(outputs.permute(0, 2, 3, 1), y)


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.1)
