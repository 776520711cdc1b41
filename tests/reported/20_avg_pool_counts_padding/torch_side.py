import torch
from torch import nn


def build(aligned=False):
    return nn.Sequential(
        nn.Conv2d(2, 3, 1),
        nn.ReLU(),
        nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=not aligned),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 1),
    )


def inputs(x, aligned=False):
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), map(torch.from_numpy, weights), strict=True):
        parameter.data.copy_(value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T)


def loss(outputs, y, aligned=False):
    return nn.functional.mse_loss(outputs, y)


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.05)
