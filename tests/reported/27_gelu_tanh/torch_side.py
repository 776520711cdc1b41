import torch
from torch import nn


def build(aligned=False):
    gelu = nn.GELU(approximate="tanh") if aligned else nn.GELU()
    return nn.Sequential(nn.Linear(8, 16), gelu, nn.Linear(16, 16), gelu, nn.Linear(16, 1))


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, aligned=False):
    return nn.functional.mse_loss(outputs, y)


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.1)
