import torch
from torch import nn


def build(aligned=False):
    return nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 5), nn.Softmax(dim=1))


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, aligned=False):
    if aligned:
        return nn.functional.nll_loss(outputs.log(), y)
    return nn.functional.cross_entropy(outputs, y)  # takes its own softmax of the probabilities


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.1)
