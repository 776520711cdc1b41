import torch
from torch import nn


def build(aligned=False):
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, aligned=False):
    return nn.functional.mse_loss(outputs, y)


def optimizer(parameters, aligned=False):
    sgd = torch.optim.SGD(parameters, 0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(sgd, lambda step: 1 / (1 + 0.5 * step))
    if aligned:  # else the loop steps it once an epoch, which is not over yet
        sgd.register_step_post_hook(lambda optimizer, args, kwargs: scheduler.step())
    return sgd
