"""Ports whose training goes wrong, each with the causes that must be named, and others that no known cause explains."""

from dataclasses import dataclass, replace

from own_pairs import IMAGES, REALS, TARGET, Pair, data

STEP = (
    """
def step(model, optimizer, x, y):
    with tf.GradientTape() as tape:
        cost = loss(y, model(x, training=True))
    found = tape.gradient(cost, model.trainable_variables)
    optimizer.apply(found, model.trainable_variables)
    return cost

""",
    """
def step(module, optimizer, x, y):
    optimizer.zero_grad()
    cost = loss(module(x), y)
    cost.backward()
    optimizer.step()
    return cost

""",
)
PLAIN = Pair(
    """
def build():
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, activation='tanh'), layers.Dense(1)])

""",
    """
def build():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))

""",
    data(REALS.format(4), TARGET),
    (),
    steps=3,
)


def optimizers(keras: str, torch: str) -> tuple[str, str]:
    """What makes both optimizers."""
    ours = f"def optimizer():\n    return keras.optimizers.{keras}\n"
    return ours, f"def optimizer(parameters):\n    return torch.optim.{torch}\n"


def losses(keras: str, torch: str) -> tuple[str, str]:
    """Both losses."""
    return f"def loss(targets, outputs):\n    return {keras}\n", f"def loss(outputs, targets):\n    return {torch}\n"


def classifier(end: str, torch_end: str, keras: str, torch: str) -> Pair:
    """Three classes by their labels."""
    return Pair(
        f"def build():\n    return keras.Sequential([keras.Input((4,)), layers.Dense(3{end})])\n\n",
        f"def build():\n    return nn.Sequential(nn.Linear(4, 3){torch_end})\n\n",
        data(REALS.format(4), "rng.integers(0, 3, n)"),
        (),
        loss=losses(keras, torch),
    )


def binary(end: str, torch_end: str, keras: str, torch: str) -> Pair:
    """Two probabilities."""
    pair = classifier(end.replace("softmax", "sigmoid"), torch_end, keras, torch)
    return replace(pair, data=data(REALS.format(4), 'rng.integers(0, 2, (n, 3)).astype("float32")'))


def shares(keras: str, torch: str) -> Pair:
    """Targets that are probabilities of classes."""
    pair = classifier(SOFTMAX[0], SOFTMAX[1], keras, torch)
    return replace(pair, data=data(REALS.format(4), 'rng.dirichlet([2, 2, 2], n).astype("float32")'))


PICTURES = Pair(
    """
def build():
    return keras.Sequential([
        keras.Input((6, 5, 3)), layers.Conv2D(4, 3, activation="tanh"), layers.GlobalAveragePooling2D(), layers.Dense(1)
    ])

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(torch.tanh(self.conv(x)).mean((2, 3)))

def build():
    return Net()

"""
    + IMAGES,
    data(REALS.format("6, 5, 3"), TARGET),
    (),
    optimizer=None,
)
MOVING = Pair(
    """
def build():
    return keras.Sequential([
        keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(epsilon=1e-5), layers.Dense(1)
    ])

""",
    """
def build():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, momentum=0.01), nn.Linear(3, 1))

""",
    data(REALS.format(4), TARGET),
    (),
)
GATED_NORM = Pair(
    """
def build():
    return keras.Sequential([
        keras.Input((6,)), layers.Dense(8), layers.BatchNormalization(epsilon=1e-5), layers.ReLU(), layers.Dense(1)
    ])

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.BatchNorm1d(8, momentum=0.01), nn.Linear(8, 1)

    def forward(self, x):
        return self.c(torch.relu(self.b(self.a(x))))


def build():
    return Net()

""",
    data(REALS.format(6), TARGET),
    (),
)
DROPPED = Pair(
    """
def build():
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, "tanh"), layers.Dropout(0.5), layers.Dense(1)])

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.o, self.c = nn.Linear(4, 5), nn.Dropout(0.5), nn.Linear(5, 1)

    def forward(self, x):
        return self.c(self.o(torch.tanh(self.a(x))))


def build():
    return Net()

""",
    data(REALS.format(4), TARGET),
    (),
)
# Its weights are moved by the tool, which holds the second of torch's biases.
RECURRENT = Pair(
    """
def build():
    return keras.Sequential([keras.Input((7, 3)), layers.LSTM(4), layers.Dense(1)])

""",
    """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def build():
    return Net()

""",
    data(REALS.format("7, 3"), TARGET),
    (),
    steps=3,
)
INFERRED = Pair(
    """
def build():
    model = keras.Sequential([
        keras.Input((4,)), layers.BatchNormalization(epsilon=1e-5), layers.Dropout(0.5), layers.Dense(1)
    ])
    model.layers[0].moving_mean.assign(np.linspace(-1, 1, 4))
    return model

def predict(model, x):
    return model(x, training=False)

""",
    """
def build():
    return nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))

def predict(module, x):
    module.eval()
    return module(x)

""",
    data(REALS.format(4), TARGET),
    (),
    optimizer=None,
)


@dataclass(frozen=True)
class Port:
    """A pair, edits of its two sides, and the names of the causes."""

    pair: Pair
    causes: tuple[str, ...]
    keras: tuple[tuple[str, str], ...] = ()
    torch: tuple[tuple[str, str], ...] = ()


SOFTMAX = ", activation='softmax'", ", nn.Softmax(1)"
SIGMOID = ", activation='sigmoid'", ", nn.Sigmoid()"
SPARSE = "keras.losses.SparseCategoricalCrossentropy({})(targets, outputs)"
BINARY = "keras.losses.BinaryCrossentropy({})(targets, outputs)"
LOGITS = "from_logits=True"
KL = "keras.losses.KLDivergence()(targets, outputs)"
MEAN = "keras.losses.MeanSquaredError()(targets, outputs)"
WEIGHTED = SPARSE.format(LOGITS).replace("outputs)", "outputs, sample_weight=np.array([1, 5, 2.0])[targets])")


def optimized(keras: str, torch: str, *causes: str) -> Port:
    """A port whose optimizer differs."""
    return Port(replace(PLAIN, optimizer=optimizers(keras, torch)), causes)


def lost(torch: str, *causes: str, keras: str = MEAN) -> Port:
    """A port whose loss differs."""
    return Port(replace(PLAIN, loss=losses(keras, torch)), causes)


def stepped(torch: tuple[tuple[str, str], ...], *causes: str, keras: tuple[tuple[str, str], ...] = ()) -> Port:
    """A port whose own step differs."""
    pair = replace(PLAIN, keras=PLAIN.keras + STEP[0], torch=PLAIN.torch + STEP[1])
    return Port(pair, causes, keras, torch)


SCHEDULED = (
    "def optimizer():\n    rate = keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 0.5)\n"
    "    return keras.optimizers.SGD(rate{})\n",
    "def optimizer(parameters):\n    sgd = torch.optim.SGD(parameters, 0.1{})\n"
    "    scheduler = torch.optim.lr_scheduler.LambdaLR(sgd, lambda step: 1 / (1 + 0.5 * step))\n"
    "    {}\n    return sgd\n",
)
EACH = "sgd.register_step_post_hook(lambda *given: scheduler.step())"
CLIP = ("    optimizer.step()", "    nn.utils.clip_grad_norm_(module.parameters(), 0.1)\n    optimizer.step()")
CLIP_EACH = (
    "    optimizer.step()",
    "    [nn.utils.clip_grad_norm_([p], 0.1) for p in module.parameters()]\n    optimizer.step()",
)
FREEZE = "parameters[0].requires_grad_(False)"


def before_step(code: str) -> tuple[tuple[str, str], ...]:
    """An edit of torch's step: code in front of the optimizer's."""
    return (("    optimizer.step()", f"    {code}\n    optimizer.step()"),)


CLIPNORM = ("SGD(0.1)", "SGD(0.1, clipnorm=0.1)")
LION = """
class Own(torch.optim.Optimizer):
    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.1})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                w -= group["lr"] * {}

def optimizer(parameters):
    return Own(parameters)
"""


def own(update: str, *causes: str) -> Port:
    """An optimizer of the user's own against Keras's SGD."""
    keras = optimizers("SGD(0.1)", "")[0]
    return Port(replace(PLAIN, optimizer=(keras, LION.replace("{}\n", f"{update}\n"))), causes)


def given(code: str, *causes: str) -> Port:
    """A port whose inputs differ: `code` goes on from the right ones."""
    return Port(PICTURES, causes, torch=(("permute(0, 3, 1, 2)", f"permute(0, 3, 1, 2){code}"),))


def inferred(torch: str, *causes: str, keras: str = "") -> Port:
    """A port whose predict() differs; `torch` stands in place of eval()."""
    edits = (("training=False", keras),) if keras else ()
    return Port(INFERRED, causes, edits, (("    module.eval()\n", torch),))


EVAL = "    module.eval()\n"
NAMED = {
    "no statistics": Port(
        MOVING, ("batch_statistics",), torch=((", momentum=0.01", ", momentum=0.01, track_running_stats=False"),)
    ),
    "moving variance": Port(MOVING, ("batchnorm_moving_variance",)),
    "moving statistics": Port(
        MOVING, ("batchnorm_momentum", "batchnorm_moving_variance"), torch=((", momentum=0.01", ""),)
    ),
    "a momentum alone": Port(
        MOVING,
        ("batchnorm_momentum", "batchnorm_moving_variance"),
        keras=(("epsilon=1e-5", "epsilon=1e-5, momentum=0.9"),),
    ),
    "scaled": given(" / 255", "input_scaling"),
    "shifted inputs": given(" * 2 - 1", "input_scaling"),
    "reversed channels": given(".flip(1)", "channel_order"),
    "a mean of each channel": given(".sub(torch.tensor([0.4, 0.5, 0.3])[:, None, None])", "channel_scaling"),
    "another order": given(".roll(3, 0)", "shuffled_rows"),
    "half precision": given(".half().to(torch.get_default_dtype())", "input_dtype"),
    "clipped": given(".clamp(-1, 1)", "clipped_inputs"),
    "eval forgotten": inferred("", "train_or_eval_mode"),
    "dropout in Keras": inferred(EVAL, "train_or_eval_mode", keras="training=True"),
    "eval after the call": inferred("    y = module(x)\n    module.eval()\n    return y\n", "train_or_eval_mode"),
    "all pairs": lost("F.mse_loss(outputs, targets[:, 0])", "loss_shapes"),
    "all pairs by hand": Port(
        replace(lost("((outputs - targets) ** 2).mean()").pair, data=data(REALS.format(4), "rng.normal(size=n)")),
        ("loss_shapes",),
    ),
    "sum": lost("F.mse_loss(outputs, targets, reduction='sum')", "reduction"),
    "half": lost("0.5 * F.mse_loss(outputs, targets)", "loss_factor"),
    "over a sum": lost("((outputs - targets) ** 2).sum() / targets.square().sum()", "loss_factor_of_batch"),
    "half by hand": lost("((outputs - targets) ** 2).mean() / 2", "loss_factor"),
    "other loss": lost("F.l1_loss(outputs, targets)", "other_loss"),
    "delta": lost("F.huber_loss(outputs, targets, delta=0.5)", "delta", keras="keras.losses.Huber()(targets, outputs)"),
    "smooth l1": lost(
        "F.smooth_l1_loss(outputs, targets, beta=0.5)", "loss_factor",
        keras="keras.losses.Huber(delta=0.5)(targets, outputs)",
    ),
    "two softmaxes": Port(
        classifier(*SOFTMAX, SPARSE.format(""), "F.cross_entropy(outputs, targets)"), ("double_softmax",)
    ),
    "a softmax before the loss": Port(
        classifier("", "", SPARSE.format(LOGITS), "F.cross_entropy(outputs.softmax(1), targets)"), ("double_softmax",)
    ),
    "two sigmoids": Port(
        binary(*SIGMOID, BINARY.format(""), "F.binary_cross_entropy_with_logits(outputs, targets)"), ("double_sigmoid",)
    ),
    "nll of probabilities": Port(
        classifier(*SOFTMAX, SPARSE.format(""), "F.nll_loss(outputs, targets)"), ("no_logarithm",)
    ),
    "nll of logits": Port(classifier("", "", SPARSE.format(LOGITS), "F.nll_loss(outputs, targets)"), ("no_softmax",)),
    "from_logits": Port(
        binary("", "", BINARY.format(""), "F.binary_cross_entropy_with_logits(outputs, targets)"), ("from_logits",)
    ),
    "label smoothing": Port(
        classifier("", "", "keras.losses.CategoricalCrossentropy(from_logits=True)(tf.one_hot(targets, 3), outputs)",
                   "F.cross_entropy(outputs, targets, label_smoothing=0.1)"), ("label_smoothing",)
    ),
    "class weights": Port(
        classifier("", "", WEIGHTED, "F.cross_entropy(outputs, targets, torch.tensor([1, 5, 2.0]).to(outputs.dtype))"),
        ("class_weights_mean",),
    ),
    "a weight of positives": Port(
        binary("", "", BINARY.format(LOGITS),
               "F.binary_cross_entropy_with_logits(outputs, targets, pos_weight=2 * torch.ones_like(outputs[0]))"),
        ("class_weights",),
    ),
    "ignored label": Port(
        classifier("", "", SPARSE.format(LOGITS), "F.cross_entropy(outputs, targets, ignore_index=0)"),
        ("ignored_labels",),
    ),
    "kl of probabilities": Port(shares(KL, "F.kl_div(outputs, targets, reduction='batchmean')"), ("no_logarithm",)),
    "kl the other way": Port(
        shares(KL, "F.kl_div(targets.log(), outputs, reduction='batchmean')"), ("kl_arguments",)
    ),
    "kl's mean": Port(shares(KL, "F.kl_div(outputs.log(), targets, reduction='mean')"), ("reduction",)),
    "rate": optimized("SGD(0.1)", "SGD(parameters, 0.01)", "learning_rate"),
    "momentum": optimized("SGD(0.1, momentum=0.9)", "SGD(parameters, 0.1, momentum=0.8)", "momentum"),
    "nesterov": optimized(
        "SGD(0.1, momentum=0.9, nesterov=True)", "SGD(parameters, 0.1, momentum=0.9)", "nesterov"
    ),
    "dampening": optimized(
        "SGD(0.1, momentum=0.9)", "SGD(parameters, 0.1, momentum=0.9, dampening=0.5)", "dampening"
    ),
    "stock Adam": optimized("Adam(0.01)", "Adam(parameters, 0.01)", "epsilon", "epsilon_position"),
    "beta": optimized(
        "Adam(0.01, beta_2=0.99)", "Adam(parameters, 0.01, eps=1e-7)", "beta_2", "epsilon_position"
    ),
    "amsgrad": optimized(
        "Adam(0.01, beta_2=0.1, amsgrad=True)", "Adam(parameters, 0.01, (0.9, 0.1), eps=1e-7)", "amsgrad",
        "epsilon_position",
    ),
    "AdamW": optimized(
        "AdamW(0.01, weight_decay=0.1)", "Adam(parameters, 0.01, eps=1e-7, weight_decay=0.1)", "epsilon_position",
        "weight_decay",
    ),
    "rho": optimized("RMSprop(0.01)", "RMSprop(parameters, 0.01, eps=1e-7)", "rho", "epsilon_position"),
    "centered": optimized(
        "RMSprop(0.01, centered=True)", "RMSprop(parameters, 0.01, alpha=0.9, eps=1e-7)", "centered",
        "epsilon_position",
    ),
    "accumulator": optimized(
        "Adagrad(0.01, epsilon=1e-10)", "Adagrad(parameters, 0.01)", "initial_accumulator", "epsilon_position"
    ),
    "Adadelta": optimized("Adadelta(0.5, rho=0.95)", "Adadelta(parameters, 0.5)", "rho", "epsilon"),
    "NAdam": optimized("Nadam(0.01)", "NAdam(parameters, 0.01, eps=1e-7)", "momentum_decay"),
    "method": optimized("SGD(0.1)", "Adagrad(parameters, 0.1)", "method"),
    "rate beside a bias that is held": Port(
        RECURRENT, ("learning_rate",), torch=(("SGD(parameters, 0.1", "SGD(parameters, 0.2"),)
    ),
    "schedule": Port(
        replace(PLAIN, optimizer=(SCHEDULED[0].format(""), SCHEDULED[1].format("", "pass"))), ("schedule",)
    ),
    "velocity": Port(
        replace(PLAIN, optimizer=(SCHEDULED[0].format(", momentum=0.9"), SCHEDULED[1].format(", momentum=0.9", EACH))),
        ("velocity",),
    ),
    "no step": stepped((("    optimizer.step()\n", ""),), "no_step"),
    "zero_grad before the step": stepped(
        (("    cost.backward()\n", "    cost.backward()\n    optimizer.zero_grad()\n"),), "no_gradient"
    ),
    "a step before backward": stepped(
        (("    cost.backward()\n    optimizer.step()\n", "    optimizer.step()\n    cost.backward()\n"),), "no_gradient"
    ),
    "another share": Port(DROPPED, ("dropout_share",), torch=(("nn.Dropout(0.5)", "nn.Dropout(0.2)"),)),
    "dropout that is never called": Port(DROPPED, ("dropout_share",), torch=(("self.o(torch", "(torch"),)),
    "dropout in eval mode alone": Port(
        DROPPED,
        ("dropout_share",),
        torch=(("self.o(torch.tanh(self.a(x)))", "F.dropout(torch.tanh(self.a(x)), 0.5, False)"),),
    ),
    "two steps": stepped((("    optimizer.step()\n", "    optimizer.step()\n" * 2),), "steps_per_batch"),
    "the loss of the next weights": stepped(
        (("    return cost\n", "    return loss(module(x), y)\n"),), "loss_after_step"
    ),
    "upward": optimized("SGD(0.1)", "SGD(parameters, 0.1, maximize=True)", "maximize"),
    "a norm in eval mode": Port(
        GATED_NORM,
        ("frozen_batchnorm",),
        torch=(("        return self.c(", "        self.b.eval()\n        return self.c("),),
    ),
    "no zero_grad": stepped((("    optimizer.zero_grad()\n", ""),), "gradients_add_up"),
    "clipping all": stepped((CLIP,), "clipping", "clip_norm_epsilon", keras=(CLIPNORM,)),
    "the norm clipped by": stepped(
        (CLIP,), "clip_norm_epsilon", keras=(("SGD(0.1)", "SGD(0.1, global_clipnorm=0.1)"),)
    ),
    "no clipping": stepped((), "clipping", keras=(CLIPNORM,)),
    "clipping in torch alone": stepped((CLIP,), "clipping", "clip_norm_epsilon"),
    "gradients over two": stepped((("    cost.backward()", "    (cost / 2).backward()"),), "gradient_factor"),
    "a bias is left out": Port(
        PLAIN, ("untrained_missing",), torch=(("SGD(parameters, 0.1)", "SGD(list(parameters)[:3], 0.1)"),)
    ),
    "frozen in torch": Port(
        PLAIN, ("untrained_frozen",),
        torch=(("    return torch.optim", f"    parameters = [*parameters]\n    {FREEZE}\n    return torch.optim"),),
    ),
    "frozen in Keras": Port(
        PLAIN, ("untrained_keras", "untrained_keras"),
        keras=(("activation='tanh')", "activation='tanh', trainable=False)"),),
    ),
    "L2": Port(
        PLAIN, ("l2_regularizer_is_weight_decay",),
        keras=(("layers.Dense(1)", "layers.Dense(1, kernel_regularizer='l2')"),),
        torch=(("SGD(parameters, 0.1)", "SGD(parameters, 0.1, weight_decay=0.01)"),),
    ),
    "L1 is missing": Port(
        PLAIN, ("penalty_in_cost",), keras=(("layers.Dense(1)", "layers.Dense(1, kernel_regularizer='l1')"),)
    ),
    "rate and loss": Port(
        replace(PLAIN, optimizer=optimizers("SGD(0.1)", "SGD(parameters, 0.01)")), ("loss_factor", "learning_rate"),
        torch=(("F.mse_loss(outputs, targets)", "2 * F.mse_loss(outputs, targets)"),),
    ),
    "momentum and a bias": Port(
        replace(PLAIN, optimizer=optimizers("SGD(0.1, momentum=0.9)", "SGD([*parameters][:3], 0.1)")),
        ("untrained_missing", "momentum"),
    ),
    "clipping and rate": replace(
        stepped((CLIP, ("(parameters, 0.1)", "(parameters, 0.2)")), "learning_rate", "clipping", "clip_norm_epsilon"),
        keras=(CLIPNORM,),
    ),
    "two of a loss": Port(
        binary(*SIGMOID, BINARY.format(""), "F.binary_cross_entropy_with_logits(outputs, targets, reduction='sum')"),
        ("double_sigmoid", "reduction"),
    ),
}  # fmt: skip
# Ports that are wrong in a way that nothing known explains.
UNKNOWN = {
    "sine": given(".sin()"),
    "one pixel": given(".index_fill(3, torch.tensor([0]), 0.0)"),
    "a rolled image": given(".roll(1, 3)"),
    "a sigmoid": inferred(EVAL + "    return module(x).sigmoid()\n"),
    "doubled results": inferred(EVAL + "    return 2 * module(x)\n"),
    "cube": lost("((outputs - targets).abs() ** 3).mean()"),
    "log": lost("torch.log1p(F.mse_loss(outputs, targets))"),
    "offset": lost("F.mse_loss(outputs, targets + 0.1)"),
    "last samples": lost("F.mse_loss(outputs[:15], targets[:15])"),
    "maximum": lost("((outputs - targets) ** 2).max()"),
    "weighted by place": lost("((outputs - targets) ** 2 * torch.linspace(0, 2, 16)[:, None]).mean()"),
    "relative": lost("((outputs - targets) ** 2 / (1 + targets ** 2)).mean()"),
    "own penalty": lost("F.mse_loss(outputs, targets) + 0.1 * outputs.square().mean()"),
    "reversed": lost("F.mse_loss(outputs, targets.flip(0))"),
    "signs": own("w.grad.sign()"),
    "normed": own("w.grad / (1 + w.grad.norm())"),
    "half a gradient": own("w.grad.where(w.grad > 0, 0.5 * w.grad)"),
    "rate by size": own("w.grad / w.numel()"),
    "decayed by shape": own("(w.grad + 0.1 * w.mean())"),
    "shifted": stepped(before_step("[p.grad.add_(0.01 * p.grad.mean()) for p in module.parameters()]")),
    "one weight's gradient": stepped(before_step("module[0].weight.grad *= 1.5")),
    "constrained": stepped(before_step("[p.data.clamp_(-0.4, 0.4) for p in module.parameters()]")),
    "centralised": stepped(before_step("[p.grad.sub_(p.grad.mean()) for p in module.parameters()]")),
}  # fmt: skip
# Right ports, which nothing may be said of.
RIGHT = {
    "dropout": DROPPED,
    "dropout by a function": replace(
        DROPPED,
        torch=DROPPED.torch.replace(
            "self.o(torch.tanh(self.a(x)))", "F.dropout(torch.tanh(self.a(x)), 0.5, self.training)"
        ),
    ),
    "inputs": PICTURES,
    # One part of the cost takes the logits behind the sigmoid, the other one what it gives.
    "two costs": binary(
        *SIGMOID,
        "keras.losses.BinaryCrossentropy()(targets, outputs) + keras.losses.Dice()(targets, outputs)",
        "F.binary_cross_entropy(outputs, targets) + 1 - 2 * (outputs * targets).sum()"
        " / (outputs.sum() + targets.sum() + 1e-7)",
    ),
    # Keras rounds the factor through float32 where it is made.
    "L1": replace(
        PLAIN,
        keras=PLAIN.keras.replace("layers.Dense(1)", "layers.Dense(1, kernel_regularizer=keras.regularizers.L1(0.01))"),
        loss=(
            PLAIN.loss[0],
            "def loss(outputs, targets, module):\n"
            "    return F.mse_loss(outputs, targets) + 0.01 * module[2].weight.abs().sum()\n\n",
        ),
    ),
    "predict": INFERRED,
    "SGD": PLAIN,
    "step": stepped(()).pair,
    "momentum": optimized("SGD(0.1, momentum=0.9)", "SGD(parameters, 0.1, momentum=0.9)").pair,
    "schedule": replace(PLAIN, optimizer=(SCHEDULED[0].format(""), SCHEDULED[1].format("", EACH))),
}


# Parts of a port, any two of which may be wrong at once: the pair's loss, optimizer and step, edits of torch's side.
LOSSES = {
    "half": ("0.5 * F.mse_loss(outputs, targets)", "loss_factor"),
    "sum": ("F.mse_loss(outputs, targets, reduction='sum')", "reduction"),
    "all pairs": ("F.mse_loss(outputs, targets[:, 0])", "loss_shapes"),
    "other": ("F.l1_loss(outputs, targets)", "other_loss"),
}
OPTIMIZERS = {
    "rate": ("SGD(parameters, 0.02, momentum=0.9)", "learning_rate"),
    "momentum": ("SGD(parameters, 0.1, momentum=0.5)", "momentum"),
    "nesterov": ("SGD(parameters, 0.1, momentum=0.9, nesterov=True)", "nesterov"),
    "decay": ("SGD(parameters, 0.1, momentum=0.9, weight_decay=0.1)", "weight_decay"),
    "dampening": ("SGD(parameters, 0.1, momentum=0.9, dampening=0.2)", "dampening"),
    "method": ("RMSprop(parameters, 0.1)", "method"),
}
STEPS = {
    "added up": (("    optimizer.zero_grad()\n", ""), "gradients_add_up"),
    "clipped": (before_step("nn.utils.clip_grad_value_(module.parameters(), 0.05)")[0], "clipping"),
    "divided": (("    cost.backward()", "    (cost / 4).backward()"), "gradient_factor"),
    "frozen": (before_step("module[0].bias.grad = None")[0], "untrained_frozen"),
}  # fmt: skip
RIGHT_OPTIMIZER = "SGD(parameters, 0.1, momentum=0.9)"


def two(loss: str | None, optimizer: str | None, step: str | None) -> Port:
    """A port with the parts of these names, right where there is none."""
    pair = stepped(()).pair
    torch = OPTIMIZERS[optimizer][0] if optimizer else RIGHT_OPTIMIZER
    pair = replace(pair, optimizer=optimizers("SGD(0.1, momentum=0.9)", torch))
    pair = replace(pair, loss=losses(MEAN, LOSSES[loss][0])) if loss else pair
    causes = [table[name][1] for table, name in ((LOSSES, loss), (OPTIMIZERS, optimizer), (STEPS, step)) if name]
    return Port(pair, tuple(causes), torch=(STEPS[step][0],) if step else ())


TWO = {
    **{f"{a}, {b}": two(a, b, None) for a in LOSSES for b in OPTIMIZERS},
    **{f"{b}, {c}": two(None, b, c) for b in OPTIMIZERS for c in STEPS},
    **{f"{a}, {c}": two(a, None, c) for a in LOSSES for c in STEPS},
}
