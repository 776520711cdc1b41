import torch
from torch import nn


def build(aligned=False):
    norm = nn.LayerNorm(16, eps=1e-3) if aligned else nn.LayerNorm(16)
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), norm, nn.Linear(16, 3))


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, aligned=False):
    return nn.functional.cross_entropy(outputs, y)


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.1)
