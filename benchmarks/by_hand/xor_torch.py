"""xor_tanh, eager: python xor_torch.py STEPS"""

import sys
from itertools import pairwise

import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)
x, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([[0.0], [1], [1], [0]])
widths = [2, *[5] * 9]
layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.Tanh())]
model = nn.Sequential(*layers, nn.Linear(5, 1), nn.Sigmoid())
for weight in model.parameters():
    nn.init.normal_(weight)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(int(sys.argv[1])):
    optimizer.zero_grad()
    h = model(x)
    cost = -torch.mean(y * torch.log(h) + (1 - y) * torch.log(1 - h))
    cost.backward()
    optimizer.step()
print(cost.item())
