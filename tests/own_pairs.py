"""Pairs as users have them: a Keras side, a torch side ported right, and edits that port it wrong.

Each fault says at which level, and at which of the tensors, the two first part. The kinds are those of public reports
of ports that came out differently.
"""

from benchmarks.user_pairs import IMAGES, KERAS, MSE, SGD, TORCH, Fault, Pair

__all__ = ["IMAGES", "KERAS", "PAIRS", "SGD", "TORCH", "Fault", "Pair"]


def data(x: str, y: str) -> str:
    """What draws a batch."""
    return f"\ndef data(rng, n):\n    return {x}, {y}\n"


REALS = 'rng.normal(size=(n, {})).astype("float32")'
TARGET = REALS.format(1)
PAIRS = {
    "rounding": Pair(
        "def build():\n    return keras.Sequential([keras.Input((4,)), layers.Dense(1)])\n",
        "def build():\n    return nn.Linear(4, 1)\n",
        data(REALS.format(4), TARGET),
        (
            Fault("F.mse_loss(outputs, targets)", "F.mse_loss(outputs, targets[:, 0])", "loss", "loss"),
            Fault("SGD(parameters, 0.1)", "SGD(parameters, 0.1, weight_decay=1e-6)", "optimizer step", "kernel"),
            Fault("SGD(parameters, 0.1)", "SGD(parameters, 0.1, momentum=0.5)", "steps", "kernel"),
        ),
    ),
    "own_step": Pair(
        """
        def build():
            return keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="relu"), layers.Dense(1)])

        def step(model, optimizer, x, y):
            with tf.GradientTape() as tape:
                cost = loss(y, model(x, training=True))
            found = tape.gradient(cost, model.trainable_variables)
            optimizer.apply([tf.clip_by_norm(g, 0.1) for g in found], model.trainable_variables)
            return cost

        """,
        """
        def build():
            return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))

        def step(module, optimizer, x, y):
            optimizer.zero_grad()
            cost = loss(module(x), y)
            cost.backward()
            for weight in module.parameters():
                weight.grad *= min(1.0, 0.1 / weight.grad.norm())
            optimizer.step()
            return cost

        """,
        data(REALS.format(4), TARGET),
        (
            Fault("    optimizer.zero_grad()\n", "", "steps", "loss of step"),
            Fault("        weight.grad *= min", "        weight.grad *= 2 * min", "optimizer step", "kernel"),
        ),
        steps=3,
    ),
    "conv_batchnorm": Pair(
        """
        def build():
            return keras.Sequential([
                keras.Input((6, 5, 3)),
                layers.Conv2D(4, 3, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.Dropout(0.5),
                layers.ReLU(),
                layers.GlobalAveragePooling2D(),
                layers.Dense(1),
            ])

        def predict(model, x):
            return model(x, training=False)
        """,
        f"""
        def build():
            return nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1, bias=False),
                nn.BatchNorm2d(4, eps=1e-3),
                nn.Dropout(0.5),
                nn.ReLU(inplace=True),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(4, 1),
            )

        {IMAGES.replace(chr(10), chr(10) + " " * 8)}
        def predict(module, x):
            module.eval()
            with torch.no_grad():
                return module(x)
        """,
        data(REALS.format("6, 5, 3"), TARGET),
        (
            Fault(", eps=1e-3", "", "forward", "batch_normalization"),
            Fault("    module.eval()\n", "", "predict", "output"),
        ),
        optimizer=None,
    ),
    "flatten": Pair(
        """
        def build():
            return keras.Sequential([
                keras.Input((6, 5, 2)),
                layers.Conv2D(3, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(4),
            ])
        """,
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(2, 3, 3)
                self.relu = nn.ReLU(inplace=True)
                self.head = nn.Linear(6, 4)

            def forward(self, x):
                x = F.max_pool2d(self.relu(self.conv(x)), 2)
                x = x.permute(0, 2, 3, 1)
                return self.head(x.flatten(1))

        def build():
            return Net()

        {IMAGES.replace(chr(10), chr(10) + " " * 8)}
        """,
        data(REALS.format("6, 5, 2"), REALS.format(4)),
        (
            Fault("        x = x.permute(0, 2, 3, 1)\n", "", "forward", "dense ~ head"),
            Fault("nn.ReLU(inplace=True)", "nn.LeakyReLU(0.01)", "forward", "conv2d/relu ~ relu"),
        ),
    ),
    # What comparisons of means, searches for any order of axes, and masks for NaN let pass.
    "square": Pair(
        """
        def build():
            return keras.Sequential([
                keras.Input((5, 5, 5)),
                layers.Conv2D(5, 3, padding="same"),
                layers.ReLU(),
                layers.Conv2D(5, 3, padding="same"),
            ])
        """,
        f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.one = nn.Conv2d(5, 5, 3, padding=1)
                self.relu = nn.ReLU(inplace=True)
                self.two = nn.Conv2d(5, 5, 3, padding=1)

            def forward(self, x):
                x = self.relu(self.one(x))
                return self.two(x)

        def build():
            return Net()

        def outputs(y):
            return y.permute(0, 2, 3, 1)

        {IMAGES.replace(chr(10), chr(10) + " " * 8)}
        """,
        data(REALS.format("5, 5, 5"), REALS.format("5, 5, 5")),
        (
            Fault("return self.two(x)", "return self.two(x).flip(0)", "forward", "output"),
            Fault("return self.two(x)", "return self.two(x).transpose(2, 3)", "forward", "output"),
            Fault("permute(0, 3, 1, 2)", "permute(0, 3, 2, 1)", "inputs", "input"),
            Fault("permute(0, 3, 1, 2)", "permute(0, 1, 2, 3)", "forward", "conv2d ~ one"),
            Fault(
                "return self.two(x)", "return self.two(x + (0.1 * x - (0.1 * x).detach()))", "backward", "re_lu ~ relu"
            ),
            Fault(
                "return self.two(x)", "y = self.two(x)\n        return y.where(y < 1, torch.nan)", "forward", "output"
            ),
            Fault("self.relu(self.one(x))", "F.relu6(2 * self.one(x))", "forward", "relu"),
        ),
        loss=(MSE[0], MSE[1].replace("(outputs, targets)\n", "(outputs.permute(0, 2, 3, 1), targets)\n", 2)),
        optimizer=None,
    ),
    "lstm": Pair(
        """
        def build():
            return keras.Sequential([keras.Input((5, 3)), layers.LSTM(4), layers.Dense(1)])
        """,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(3, 4, batch_first=True)
                self.head = nn.Linear(4, 1)

            def forward(self, x):
                return self.head(self.lstm(x)[0][:, -1])

        def build():
            return Net()

        def port(module, weights):
            kernel, recurrent, bias, head, head_bias = map(torch.from_numpy, weights)
            module.lstm.weight_ih_l0.data.copy_(kernel.T)
            module.lstm.weight_hh_l0.data.copy_(recurrent.T)
            module.lstm.bias_ih_l0.data.copy_(bias)
            module.lstm.bias_hh_l0.data.zero_()
            module.lstm.bias_hh_l0.requires_grad_(False)
            module.head.weight.data.copy_(head.T)
            module.head.bias.data.copy_(head_bias)

        """,
        data(REALS.format("5, 3"), TARGET),
        (
            Fault("batch_first=True", "batch_first=False", "forward", "lstm"),
            Fault("    module.lstm.bias_hh_l0.requires_grad_(False)\n", "", "optimizer step", "bias"),
            Fault("recurrent.T", "recurrent.T.flip(0)", "weights", "recurrent_kernel"),
        ),
    ),
}
