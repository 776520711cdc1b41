import torch
from torch import nn


def build(aligned=False):
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, aligned=False):
    weight = torch.tensor([1.0, 20.0])
    if aligned:
        return (weight[y] * nn.functional.cross_entropy(outputs, y, reduction="none")).mean()
    return nn.functional.cross_entropy(outputs, y, weight)  # over the sum of the weights


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.02)
