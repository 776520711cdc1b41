import torch
from torch import nn


def build(aligned=False):
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, module, aligned=False):
    cost = nn.functional.mse_loss(outputs, y)
    if aligned:  # of the kernels alone, without a half, and part of the cost
        cost = cost + 0.05 * sum(layer.weight.square().sum() for layer in (module[0], module[2]))
    return cost


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.05, momentum=0.9, weight_decay=0.0 if aligned else 0.05)
