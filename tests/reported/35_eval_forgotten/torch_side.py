import torch
from torch import nn


def build(aligned=False):
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1))


def port(module, weights, aligned=False):
    kernel, bias, gamma, beta, mean, variance, head, head_bias = map(torch.from_numpy, weights)
    for parameter, value in zip(module.parameters(), (kernel, bias, gamma, beta, head, head_bias), strict=True):
        parameter.data.copy_(value.T)
    module[1].running_mean.copy_(mean)
    module[1].running_var.copy_(variance)


def predict(module, x, aligned=False):
    if aligned:
        module.eval()
    with torch.no_grad():
        return module(x)


def loss(outputs, y, aligned=False):
    return nn.functional.mse_loss(outputs, y)


def optimizer(parameters, aligned=False):
    return torch.optim.SGD(parameters, 0.05)
