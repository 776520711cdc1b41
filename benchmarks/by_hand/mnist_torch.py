"""mnist_relu with a DataLoader: python mnist_torch.py FOLDER EPOCHS"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

torch.set_num_threads(1)
folder, epochs = sys.argv[1], int(sys.argv[2])
train, test = (datasets.MNIST(folder, train=part, transform=transforms.ToTensor()) for part in (True, False))
model = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
for layer in model:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight)
loss, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=0.001)
for _ in range(epochs):
    for x, y in DataLoader(train, batch_size=100, shuffle=True, drop_last=True):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
with torch.no_grad():
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in DataLoader(test, batch_size=1000))
print(right / len(test))
