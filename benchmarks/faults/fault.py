"""What a fault is, and the edits that faults have in common."""

from functools import partial
from typing import Literal, NamedTuple

from parity.experiment.spec import Framework
from parity.verdict.checks import Level

Kind = Literal["forward", "backward", "optimizer", "data", "masks", "schedule", "evaluation", "state", "precision"]
# A file of the implementation, a text of it, and what replaces the text where it first stands.
Edit = tuple[str, str, str]

TF_DENSE_LINE = (
    '    return keras.layers.Dense(node.units, kernel_initializer="zeros", bias_initializer="zeros", name=node.name)'
)
TORCH_DENSE_LINE = "    return torch.nn.utils.skip_init(torch.nn.Linear, node.inputs, node.units)"
TF_RELU_LINE = "    return keras.layers.Activation(node.function, name=node.name)"
TRAINED = "done = train_step(model, loss, clip, updater, inputs, labels, by_node(identity, mask))\n"
TAKEN = "indices, inputs, labels = batch(data, step)\n"
TF_COST = "return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, outputs)"
TORCH_COST = "return torch.nn.CrossEntropyLoss()(outputs, labels)"
TORCH_NUMBERS = '    return {"lr": spec.learning_rate, "betas": (spec.beta_1, spec.beta_2), "eps": spec.epsilon}\n'
TORCH_BUILT = "    built = BUILDERS[type(spec)](spec, realisation)(model.parameters())\n"
TORCH_WRITE = "            values[key] = own("
TF_WRITE = '            variable.assign(scaled(state[f"slots/{slot}/{name}"], factor))'
# What both sides' data.py copies to the device, in the same words.
PLACED = "data.train_inputs, data.train_labels, data.test_inputs, data.test_labels,"


class Fault(NamedTuple):
    """What it is, where it must be found, and its edit on either side; None where a side has no such line.

    It is found by a check of the level `level`, whose tensor and step are `tensor` and `step` (None: any); in
    pre-training the step is that of one epoch for each layer, and more epochs shift the second layer. It acts from
    the step `since` on, in `experiment`, a family of benchmarks/families.py. `cause` are the fields of the realisation
    whose other choice it is; empty where no choice expresses it. `told` is a pattern of what is true of it: a sentence
    of the diagnosis that holds it says so.
    """

    kind: Kind
    level: Level
    tensor: str
    step: int | None
    tf: Edit | None
    torch: Edit | None
    experiment: str = "mnist_narrow"
    cause: frozenset[str] = frozenset()
    since: int = 0
    told: str = ""

    @property
    def edits(self) -> dict[Framework, Edit]:
        """The edit on each side that has one."""
        both: dict[Framework, Edit | None] = {"tf": self.tf, "torch": self.torch}
        return {side: edit for side, edit in both.items() if edit is not None}


def dense(line: str, method: str, first: str, given: str, body: str, only: str = "") -> Edit:
    """A dense layer made by `line`, whose `method`, of `given`, is replaced; `stock` is its own, `made` the layer."""
    condition = f" if node.name == {only!r} else stock" if only else ""
    made = line.replace("return", "made =")
    replaced = f"    stock = made.{method}\n    made.{method} = (lambda {given}: {body}){condition}\n    return made"
    return ("layers.py", line, f"{first}{made}\n{replaced}")


tf_dense = partial(dense, TF_DENSE_LINE, "call", "    import tensorflow as tf\n", "x, training=None")
torch_dense = partial(dense, TORCH_DENSE_LINE, "forward", "", "x")


def tf_activation(body: str, condition: str) -> Edit:
    """The function of the activations for which the condition on `node` holds, replaced by one of x."""
    function = f"(lambda x: {body}) if {condition} else node.function"
    return ("activations.py", TF_RELU_LINE, f"    return keras.layers.Activation({function}, name=node.name)")


def torch_activation(body: str, condition: str) -> Edit:
    """The same on the other side."""
    return (
        "activations.py",
        "    return LAYERS[node.function]()",
        f"    made = LAYERS[node.function]()\n    if {condition}:\n        made.forward = lambda x: {body}\n"
        "    return made",
    )


tf_relu = partial(tf_activation, condition='node.function == "relu"')
torch_relu = partial(torch_activation, condition='node.function == "relu"')


def loop(line: str, after: bool = True) -> Edit:
    """A line of the loop's body, behind the training step or behind the batch."""
    text = TRAINED if after else TAKEN
    return ("train.py", text, f"{text}            {line}\n")


def tf_shrunk(when: str) -> Edit:
    """The first weights times 0.99 behind the steps for which the condition holds."""
    factor = f"tf.cast(tf.where({when}, 0.99, 1.0), model.compute_dtype)"
    return loop(f"model.trainable_variables[0].assign({factor} * model.trainable_variables[0])")


def tf_rate(condition: str, factor: float) -> Edit:
    """The learning rate, 0.001, times the factor where the condition on `step` holds."""
    rates = f"tf.constant({0.001 * factor!r}, tf.float64), tf.constant(0.001, tf.float64)"
    rate = f"tf.cast(tf.where({condition}, {rates}), updater.learning_rate.dtype)"
    return loop(f"updater.learning_rate.assign({rate})", after=False)


def torch_rate(condition: str, factor: float) -> Edit:
    """The same on the other side."""
    return loop(f'updater.param_groups[0]["lr"] = {0.001 * factor!r} if {condition} else 0.001', after=False)


def torch_numbers(line: str) -> Edit:
    """A line that changes the `numbers` that Adam's relatives share."""
    made = TORCH_NUMBERS.replace("return", "numbers =")
    return ("optimizers.py", TORCH_NUMBERS, f"{made}    {line}\n    return numbers\n")


def torch_lbfgs(old: str, new: str) -> Edit:
    """torch's stock class with a text of it replaced."""
    base = "class LBFGS(torch.optim.LBFGS):\n"
    made = (
        "import inspect, sys\n"
        "names = dict(vars(sys.modules[torch.optim.LBFGS.__module__]))\n"
        f"assert {old!r} in inspect.getsource(torch.optim.LBFGS)\n"
        f"exec(inspect.getsource(torch.optim.LBFGS).replace({old!r}, {new!r}), names)\n"
    )
    return ("lbfgs.py", base, f"{made}class LBFGS(names['LBFGS']):\n")


def torch_stock(name: str, old: str, new: str) -> Edit:
    """The step of one of torch's stock optimizers with a text of it replaced, all else its own."""
    class_ = "class KerasFormula:\n"
    made = (
        "import inspect, sys\n"
        'names = {"__name__": "changed", "__package__": "torch.optim"}\n'
        f"source = inspect.getsource(sys.modules[torch.optim.{name}.__module__])\n"
        f"assert {old!r} in source\n"
        f"exec(source.replace({old!r}, {new!r}), names)\n"
        f"stock = {name.lower()}\n\n\n"
        "def changed(spec, realisation):\n"
        "    made = stock(spec, realisation)\n"
        f"    assert made.func is torch.optim.{name}\n"
        f"    taken = type(made.func.__name__, (made.func,), {{'step': names[{name!r}].step}})\n"
        "    return partial(taken, **made.keywords)\n\n\n"
        f"BUILDERS[specs.{name}] = changed\n\n\n"
    )
    return ("optimizers.py", class_, made + class_)


def placed(old: str, new: str) -> Edit:
    """One of the arrays that both sides copy to the device, replaced."""
    assert old in PLACED, old
    return ("data.py", PLACED, PLACED.replace(old, new))
