import torch
from torch import nn


class InsideRoot(torch.optim.Optimizer):
    """w -= lr g / sqrt(v + epsilon), as TensorFlow's and Keras's RMSprop."""

    def __init__(self, parameters, lr, alpha, eps):
        super().__init__(parameters, {"lr": lr, "alpha": alpha, "eps": eps})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                v = self.state[w].setdefault("v", torch.zeros_like(w))
                v.mul_(group["alpha"]).addcmul_(w.grad, w.grad, value=1 - group["alpha"])
                w.addcdiv_(w.grad, (v + group["eps"]).sqrt(), value=-group["lr"])


def build(aligned=False):
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))


def port(module, weights, aligned=False):
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))


def loss(outputs, y, aligned=False):
    return nn.functional.mse_loss(outputs, y)


def optimizer(parameters, aligned=False):
    return (InsideRoot if aligned else torch.optim.RMSprop)(parameters, lr=0.01, alpha=0.99, eps=0.01)
