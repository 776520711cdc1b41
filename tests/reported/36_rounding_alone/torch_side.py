import torch
from torch import nn


def build(aligned=False):
    return nn.Linear(4, 1)


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, aligned=False):
    return nn.functional.smooth_l1_loss(outputs, y)


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.01)
