import torch
from torch import nn


def build(aligned=False):
    return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, aligned=False):
    # (N, 1) against (N,): all pairs of samples.
    return nn.functional.mse_loss(outputs[:, 0] if aligned else outputs, y)


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.05)
