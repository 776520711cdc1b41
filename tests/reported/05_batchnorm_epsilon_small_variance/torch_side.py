import torch
from torch import nn


def build(aligned=False):
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, bias=False),
        nn.BatchNorm2d(5, eps=1e-3) if aligned else nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 1),
    )


def inputs(x, aligned=False):
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def port(module, weights, aligned=False):
    kernel, gamma, beta, mean, variance, head, head_bias = map(torch.from_numpy, weights)
    module[0].weight.data.copy_(kernel.permute(3, 2, 0, 1))
    for name, value in (("weight", gamma), ("bias", beta), ("running_mean", mean), ("running_var", variance)):
        getattr(module[1], name).data.copy_(value)
    module[5].weight.data.copy_(head.T)
    module[5].bias.data.copy_(head_bias)


def loss(outputs, y, aligned=False):
    return nn.functional.mse_loss(outputs, y)


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.01)
