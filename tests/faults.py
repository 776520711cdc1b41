"""Faults, as edits of the code on either side, and where each must be found.

The list was written before the bounds of parity/stages.py were settled. A fault is a text of a file and what replaces
it where it first stands; it is found by a check of the level `level`, whose tensor and step are `tensor` and `step`
(None: any).
"""

from functools import partial
from typing import NamedTuple

TF_DENSE_LINE = (
    '    return keras.layers.Dense(node.units, kernel_initializer="zeros", bias_initializer="zeros", name=node.name)'
)
TORCH_DENSE_LINE = "    return torch.nn.utils.skip_init(torch.nn.Linear, node.inputs, node.units)"
TF_RELU_LINE = "    return keras.layers.Activation(node.function, name=node.name)"
TRAINED = "done = train_step(model, loss, clip, updater, inputs, labels, by_node(identity, mask))\n"
TAKEN = "indices, inputs, labels = batch(data, step)\n"
TF_COST = "return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, outputs)"
TORCH_COST = "return torch.nn.CrossEntropyLoss()(outputs, labels)"


class Fault(NamedTuple):
    """Where it must be found, and its edit (file, text, replacement) on either side."""

    level: str
    tensor: str
    step: int | None
    tf: tuple[str, str, str]
    torch: tuple[str, str, str]
    experiment: str = "mnist_relu"


def dense(line: str, method: str, first: str, given: str, body: str, only: str = "") -> tuple[str, str, str]:
    """A dense layer made by `line`, whose `method`, of `given`, is replaced; `stock` is its own, `made` the layer."""
    condition = f" if node.name == {only!r} else stock" if only else ""
    made = line.replace("return", "made =")
    replaced = f"    stock = made.{method}\n    made.{method} = (lambda {given}: {body}){condition}\n    return made"
    return ("layers.py", line, f"{first}{made}\n{replaced}")


tf_dense = partial(dense, TF_DENSE_LINE, "call", "    import tensorflow as tf\n", "x, training=None")
torch_dense = partial(dense, TORCH_DENSE_LINE, "forward", "", "x")


def tf_relu(body: str) -> tuple[str, str, str]:
    return ("activations.py", TF_RELU_LINE, f"    return keras.layers.Activation(lambda x: {body}, name=node.name)")


def torch_relu(body: str) -> tuple[str, str, str]:
    return (
        "activations.py",
        "    return LAYERS[node.function]()",
        f"    made = LAYERS[node.function]()\n    made.forward = lambda x: {body}\n    return made",
    )


def loop(line: str, after: bool = True) -> tuple[str, str, str]:
    """A line of the loop's body, behind the training step or behind the batch."""
    text = TRAINED if after else TAKEN
    return ("train.py", text, f"{text}            {line}\n")


TORCH_NUMBERS = '    return {"lr": spec.learning_rate, "betas": (spec.beta_1, spec.beta_2), "eps": spec.epsilon}\n'
TORCH_BUILT = "    built = BUILDERS[type(spec)](spec, realisation)(model.parameters())\n"
TORCH_WRITE = "            values[key] = own("
TF_WRITE = '            variable.assign(scaled(state[f"slots/{slot}/{name}"], factor))'


def torch_numbers(line: str) -> tuple[str, str, str]:
    made = TORCH_NUMBERS.replace("return", "numbers =")
    return ("optimizers.py", TORCH_NUMBERS, f"{made}    {line}\n    return numbers\n")


def torch_lbfgs(old: str, new: str) -> tuple[str, str, str]:
    """torch's stock class with a text of it replaced."""
    base = "class LBFGS(torch.optim.LBFGS):\n"
    made = (
        "import inspect, sys\n"
        "names = dict(vars(sys.modules[torch.optim.LBFGS.__module__]))\n"
        f"assert {old!r} in inspect.getsource(torch.optim.LBFGS)\n"
        f"exec(inspect.getsource(torch.optim.LBFGS).replace({old!r}, {new!r}), names)\n"
    )
    return ("lbfgs.py", base, f"{made}class LBFGS(names['LBFGS']):\n")


def tf_shrunk(when: str) -> tuple[str, str, str]:
    factor = f"tf.cast(tf.where({when}, 0.99, 1.0), model.compute_dtype)"
    return loop(f"model.trainable_variables[0].assign({factor} * model.trainable_variables[0])")


FAULTS = {
    # Forward
    "an activation lets a billionth through": Fault(
        "lockstep", "outputs/relu_1", 0,
        tf_relu("tf.nn.relu(x) + 1e-9 * x"), torch_relu("torch.relu(x) + 1e-9 * x"),
    ),
    "an activation's kink is moved": Fault(
        "lockstep", "outputs/relu_1", 0,
        tf_relu("tf.nn.relu(x - 1e-6)"), torch_relu("torch.relu(x - 1e-6)"),
    ),
    "a layer is 1e-12 too large": Fault(
        "lockstep", "outputs/dense_2", 0,
        tf_dense("stock(x) * (1 + 1e-12)", "dense_2"), torch_dense("stock(x) * (1 + 1e-12)", "dense_2"),
    ),
    "one unit is dead": Fault(
        "lockstep", "outputs/dense_2", 0,
        tf_dense("stock(x) * tf.cast(tf.range(256) != 7, x.dtype)", "dense_2"),
        torch_dense("stock(x) * (torch.arange(256) != 7).to(x)", "dense_2"),
    ),
    "a square kernel is transposed": Fault(
        "lockstep", "outputs/dense_2", 0,
        tf_dense("x @ tf.transpose(made.kernel) + made.bias", "dense_2"),
        torch_dense("x @ made.weight + made.bias", "dense_2"),
    ),
    "a bias is added twice": Fault(
        "lockstep", "outputs/dense_3", 0,
        tf_dense("stock(x) + made.bias", "dense_3"), torch_dense("stock(x) + made.bias", "dense_3"),
    ),
    # Backward
    "an activation's gradient is a thousandth too large": Fault(
        "lockstep", "deltas/dense_2", 0,
        tf_relu("tf.nn.relu(x) * 1.001 - tf.stop_gradient(tf.nn.relu(x) * 1.001 - tf.nn.relu(x))"),
        torch_relu("torch.relu(x) * 1.001 - (torch.relu(x) * 1.001 - torch.relu(x)).detach()"),
    ),
    "a bias has no gradient": Fault(
        "lockstep", "gradients/dense_2/bias", 0,
        tf_dense("x @ made.kernel + tf.stop_gradient(made.bias)", "dense_2"),
        torch_dense("x @ made.weight.T + made.bias.detach()", "dense_2"),
    ),
    "a kernel's gradient is a billionth too large": Fault(
        "lockstep", "gradients/dense_3/kernel", 0,
        tf_dense(
            "stock(x) + (lambda e: e - tf.stop_gradient(e))(1e-9 * (tf.stop_gradient(x) @ made.kernel))", "dense_3"
        ),
        torch_dense("stock(x) + (lambda e: e - e.detach())(1e-9 * (x.detach() @ made.weight.T))", "dense_3"),
    ),
    "one unit's gradient is lost": Fault(
        "lockstep", "gradients/dense_2/kernel", 0,
        tf_dense("(lambda y: tf.concat([y[:, :7], tf.stop_gradient(y[:, 7:8]), y[:, 8:]], 1))(stock(x))", "dense_2"),
        torch_dense("(lambda y: torch.cat([y[:, :7], y[:, 7:8].detach(), y[:, 8:]], 1))(stock(x))", "dense_2"),
    ),
    "one layer is frozen": Fault(
        "lockstep", "gradients/dense_2/kernel", 0,
        ("layers.py", TF_DENSE_LINE, TF_DENSE_LINE.replace("name=", 'trainable=node.name != "dense_2", name=')),
        ("layers.py", TORCH_DENSE_LINE, TORCH_DENSE_LINE + '.requires_grad_(node.name != "dense_2")'),
    ),
    # Loss
    "the cost is averaged over 99 samples": Fault(
        "lockstep", "cost", 0,
        ("losses.py", TF_COST, TF_COST.replace("(labels, outputs)", "(labels[1:], outputs[1:])")),
        ("losses.py", TORCH_COST, TORCH_COST.replace("(outputs, labels)", "(outputs[1:], labels[1:])")),
    ),
    "the logits are scaled": Fault(
        "lockstep", "cost", 0,
        ("losses.py", TF_COST, TF_COST.replace("outputs)", "outputs * (1 + 1e-11))")),
        ("losses.py", TORCH_COST, TORCH_COST.replace("(outputs,", "(outputs * (1 + 1e-11),")),
    ),
    "a penalty on the logits": Fault(
        "lockstep", "cost", 0,
        ("losses.py", TF_COST, TF_COST + " + 1e-10 * tf.reduce_mean(outputs**2)"),
        ("losses.py", TORCH_COST, TORCH_COST + " + 1e-10 * torch.mean(outputs**2)"),
    ),
    # Optimizer
    "epsilon in the wrong place": Fault(
        "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.sqrt(v) / correction + tf.constant(self.epsilon, dtype)",
         "(tf.sqrt(v) + tf.constant(self.epsilon, dtype)) / correction"),
        ("optimizers.py", 'if realisation.adam_epsilon == "after_correction":', "if False:"),
    ),
    "epsilon twice as large": Fault(
        "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.constant(self.epsilon, dtype)", "tf.constant(2 * self.epsilon, dtype)"),
        torch_numbers('numbers["eps"] *= 2'),
    ),
    "beta_2 is 0.9991": Fault(
        "lockstep", "slots/second_moment/dense_1/kernel", 0,
        ("optimizers.py", "beta_2 = tf.constant(self.beta_1, tf.float64), tf.constant(self.beta_2, tf.float64)",
         "beta_2 = tf.constant(self.beta_1, tf.float64), tf.constant(0.9991, tf.float64)"),
        torch_numbers('numbers["betas"] = (spec.beta_1, 0.9991)'),
    ),
    "the learning rate is a millionth too large": Fault(
        "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.cast(learning_rate, tf.float64) /", "1.000001 * tf.cast(learning_rate, tf.float64) /"),
        torch_numbers('numbers["lr"] *= 1.000001'),
    ),
    "a weight decay that was not asked for": Fault(
        "lockstep", "slots/first_moment/dense_1/kernel", 0,
        ("optimizers.py", "        dtype = variable.dtype\n",
         "        dtype = variable.dtype\n        gradient = gradient + 1e-6 * variable\n"),
        torch_numbers('numbers["weight_decay"] = 1e-6'),
    ),
    "one bias is not trained": Fault(
        "lockstep", "slots/first_moment/dense_2/bias", 0,
        ("optimizers.py", "        dtype = variable.dtype\n",
         "        dtype = variable.dtype\n"
         "        if 'dense_2/bias' in self._trainable_variables[self._get_variable_index(variable)].path:\n"
         "            return\n"),
        ("optimizers.py", TORCH_BUILT, TORCH_BUILT.replace(
            "model.parameters()", '[p for n, p in model.named_parameters() if n != "dense_2.bias"]')),
    ),
    # Slots and the step counter
    "the second moment is not restored": Fault(
        "lockstep", "slots/second_moment/dense_1/kernel", 1,
        ("state.py", TF_WRITE, TF_WRITE[:-1] + " * (slot == 'first_moment'))"),
        ("state.py", TORCH_WRITE, TORCH_WRITE.replace("own(", "(slot == 'first_moment') * own(")),
    ),
    "the step counter starts at one": Fault(
        "lockstep", "weights/dense_1/kernel", 0,
        ("state.py", "optimizer.iterations.assign(step)", "optimizer.iterations.assign(step + 1)"),
        ("state.py", "torch.tensor(float(step),", "torch.tensor(float(step) + 1,"),
    ),
    # Data, at a step that is no checkpoint
    "one label changed at step 7": Fault(
        "consumed", "labels", 7,
        loop("labels = tf.where(step == 7, tf.concat([(labels[:1] + 1) % 10, labels[1:]], 0), labels)", after=False),
        loop("labels = torch.cat([(labels[:1] + 1) % 10, labels[1:]]) if step == 7 else labels", after=False),
    ),
    "one pixel changed at step 7": Fault(
        "consumed", "inputs", 7,
        loop(
            "inputs = tf.where(step == 7, inputs + tf.eye(100, 784, dtype=inputs.dtype) * 1e-3, inputs)", after=False
        ),
        loop("inputs = inputs + torch.eye(100, 784) * 1e-3 if step == 7 else inputs", after=False),
    ),
    "a batch is used twice": Fault(
        "consumed", "indices", 8,
        loop("indices, inputs, labels = batch(data, tf.where(step == 8, 7, step))", after=False),
        loop("indices, inputs, labels = batch(data, 7 if step == 8 else step)", after=False),
    ),
    "the batch order is shifted by one": Fault(
        "consumed", "indices", 0,
        ("data.py", "data.order[data.starts[step] : data.stops[step]]",
         "tf.roll(data.order, 1, 0)[data.starts[step] : data.stops[step]]"),
        ("data.py", "data.order[data.starts[step] : data.stops[step]]",
         "torch.roll(data.order, 1)[data.starts[step] : data.stops[step]]"),
    ),
    # The loop against the replay
    "weights are shrunk inside the loop": Fault(
        "loop", "weights/dense_1/kernel", 0,
        loop("model.trainable_variables[0].assign(0.9 * model.trainable_variables[0])"),
        loop("next(model.parameters()).data.mul_(0.9)"),
    ),
    "weights are shrunk from step 9 on": Fault(
        "loop", "weights/dense_1/kernel", 10,
        tf_shrunk("step > 8"),
        loop("next(model.parameters()).data.mul_(0.99 if step > 8 else 1.0)"),
    ),
    # Between two checkpoints, whose own steps are as they should be
    "weights are shrunk at step 8 only": Fault(
        "loop", "costs", 9,
        tf_shrunk("step == 8"),
        loop("next(model.parameters()).data.mul_(0.99 if step == 8 else 1.0)"),
    ),
    "the loop's forward pass is another one": Fault(
        "loop", "cost", 0,
        ("models.py", "x = outputs[name] = node(", "x = outputs[name] = 1.01 * node("),
        ("models.py", "x = outputs[name] = node(", "x = outputs[name] = 1.01 * node("),
    ),
    "gradients are clipped inside the loop": Fault(
        "loop", "slots/first_moment/dense_1/kernel", 0,
        ("train.py", "    updater.apply(",
         "    gradients = [tf.clip_by_value(g, -1e-3, 1e-3) for g in gradients]\n    updater.apply("),
        ("train.py", "    updater.step()\n",
         "    torch.nn.utils.clip_grad_value_(model.parameters(), 1e-3)\n    updater.step()\n"),
    ),
    # Batch normalisation
    "Keras's epsilon for a batch norm": Fault(
        "lockstep", "outputs/batch_norm_1", 0,
        ("layers.py", "epsilon=node.epsilon", "epsilon=1e-3"), ("layers.py", "eps=node.epsilon", "eps=1e-3"),
        "mnist_batchnorm",
    ),
    "the momentum of a batch norm is the other share": Fault(
        "lockstep", "statistics/batch_norm_1/moving_mean", 0,
        ("layers.py", "momentum=node.momentum", "momentum=1 - node.momentum"),
        ("layers.py", "momentum=1 - node.momentum", "momentum=node.momentum"),
        "mnist_batchnorm",
    ),
    "the running variance is the other one": Fault(
        "lockstep", "statistics/batch_norm_1/moving_variance", 0,
        ("layers.py", 'realisation.moving_variance == "biased"', 'realisation.moving_variance == "unbiased"'),
        ("layers.py", 'realisation.moving_variance == "unbiased"', 'realisation.moving_variance == "biased"'),
        "mnist_batchnorm",
    ),
    "a batch norm's gradient stops at its mean": Fault(
        "lockstep", "deltas/dense_2", 0,
        ("layers.py", "    return made(momentum=node.momentum, epsilon=node.epsilon, name=node.name)",
         "    made = made(momentum=node.momentum, epsilon=node.epsilon, name=node.name)\n"
         "    stock = made._moments\n"
         "    made._moments = lambda x, mask: (tf.stop_gradient(stock(x, mask)[0]), stock(x, mask)[1])\n"
         "    return made"),
        ("layers.py", "    return made(node.units, momentum=1 - node.momentum, eps=node.epsilon)",
         "    made = made(node.units, momentum=1 - node.momentum, eps=node.epsilon)\n"
         "    stock = made.forward\n"
         "    made.forward = lambda x: stock(x) + (lambda m: m - m.detach())(x.mean(0) * made.weight.detach())\n"
         "    return made"),
        "mnist_batchnorm",
    ),
    "the running means are not restored": Fault(
        "lockstep", "statistics/batch_norm_1/moving_mean", 1,
        ("state.py", 'variable.assign(state[f"statistics/{name}"])',
         'variable.assign(state[f"statistics/{name}"] * (not name.endswith("mean")))'),
        ("state.py", 'tensor.copy_(own(name, state[f"statistics/{name}"], tensor.device))',
         'tensor.copy_(own(name, state[f"statistics/{name}"] * (not name.endswith("mean")), tensor.device))'),
        "mnist_batchnorm",
    ),
    "the loop trains in eval mode": Fault(
        "loop", "cost", 0,
        ("train.py", "forward(model, inputs, training=True", "forward(model, inputs, training=False"),
        ("train.py", "forward(model, inputs, training=True", "forward(model, inputs, training=False"),
        "mnist_batchnorm",
    ),
    "accuracy is measured in train mode": Fault(
        "loop", "statistics/batch_norm_1/moving_mean", 11,
        ("train.py", "forward(model, inputs, training=False", "forward(model, inputs, training=True"),
        ("train.py", "forward(model, inputs, training=False", "forward(model, inputs, training=True"),
        "mnist_batchnorm",
    ),
    # Clipping
    "the limit of clipping is 1 % off": Fault(
        "lockstep", "clipped/dense_1/kernel", 0,
        ("clipping.py", "clipping.limit / (norm + ", "1.01 * clipping.limit / (norm + "),
        ("clipping.py", "clip(weights, clipping.limit)", "clip(weights, 1.01 * clipping.limit)"),
        "mnist_clipped",
    ),
    "each weight is clipped by its own norm": Fault(
        "lockstep", "clipped/dense_1/kernel", 0,
        ("clipping.py", 'clipping.by == "global_norm"', "False"),
        ("clipping.py", 'clipping.by == "global_norm"', "False"),
        "mnist_clipped",
    ),
    "gradients are clipped after the update": Fault(
        "loop", "weights/dense_1/kernel", 0,
        ("train.py", "updater.apply(gradients if clip is None else clip(gradients), weights)",
         "updater.apply(gradients, weights)\n    clip(gradients)"),
        ("train.py", """    if clip is not None:
        clip(list(model.parameters()))
    updater.step()
""", "    updater.step()\n    clip(list(model.parameters()))\n"),
        "mnist_clipped",
    ),
    # Dropout
    "a mask is used twice": Fault(
        "consumed", "masks", 8,
        ("train.py", "mask(identity, step,", "mask(identity, tf.where(step == 8, 7, step),"),
        ("train.py", "mask(identity, step,", "mask(identity, 7 if step == 8 else step,"),
        "mnist_dropout",
    ),
    "the mask of another step, which the checksum does not see": Fault(
        "loop", "cost", 0,
        ("train.py", "identity, mask)", "identity, dropout_mask(identity, step + 1, inputs))"),
        ("train.py", "identity, mask)", "identity, dropout_mask(identity, step + 1, inputs))"),
        "mnist_dropout",
    ),
    "a replay takes the mask of the next step": Fault(
        "lockstep", "outputs/dropout_1", 0,
        ("replay.py", "mask(identity, step,", "mask(identity, step + 1,"),
        ("replay.py", 'mask(identity, int(state["step"]),', 'mask(identity, int(state["step"]) + 1,'),
        "mnist_dropout",
    ),
    "two layers have one mask": Fault(
        "lockstep", "outputs/dropout_2", 0,
        ("models.py", '{"kept": masks[name]}', '{"kept": masks[name.replace("2", "1")]}'),
        ("models.py", '{"kept": masks[name]}', '{"kept": masks[name.replace("2", "1")]}'),
        "mnist_dropout",
    ),
    "what is kept is not scaled": Fault(
        "lockstep", "outputs/dropout_1", 0,
        ("layers.py", "tf.constant(1 / (1 - self.rate), inputs.dtype)", "1"), ("layers.py", " / (1 - self.rate)", ""),
        "mnist_dropout",
    ),
    "rate and share kept are confused": Fault(
        "lockstep", "outputs/dropout_1", 0,
        ("layers.py", "(1 - self.rate)", "self.rate"), ("layers.py", "(1 - self.rate)", "self.rate"),
        "mnist_dropout",
    ),
    "dropout's gradient is that of the identity": Fault(
        "lockstep", "deltas/relu_2", 0,
        ("layers.py", "return tf.where(kept, inputs *",
         "return inputs - tf.stop_gradient(inputs) + tf.where(kept, tf.stop_gradient(inputs) *"),
        ("layers.py", "return inputs * (", "return inputs - inputs.detach() + inputs.detach() * ("),
        "mnist_dropout",
    ),
    "the loop has no dropout": Fault(
        "loop", "cost", 0,
        ("train.py", "forward(model, inputs, training=True", "forward(model, inputs, training=False"),
        ("train.py", "forward(model, inputs, training=True", "forward(model, inputs, training=False"),
        "mnist_dropout",
    ),
    "dropout is left on at test time": Fault(
        "loop", "outputs in eval mode", 0,
        ("layers.py", "        if not training:\n            return inputs\n",
         "        kept = tf.range(32) % 3 > 0 if kept is None else kept\n"),
        ("layers.py", "        if not self.training:\n            return inputs\n",
         "        kept = torch.arange(32) % 3 > 0 if kept is None else kept\n"),
        "mnist_dropout",
    ),
    "the trained model is evaluated with a mask": Fault(
        "loop", "outputs in eval mode", 0,
        ("train.py", "training=False, masks={}", "training=True, masks=dict.fromkeys(("
         "'dropout_1', 'dropout_2'), tf.range(32) % 3 > 0)"),
        ("train.py", "training=False, masks={}", "training=True, masks=dict.fromkeys(("
         "'dropout_1', 'dropout_2'), torch.arange(32) % 3 > 0)"),
        "mnist_dropout",
    ),
    # Embeddings
    "a word of each sample is left out": Fault(
        "lockstep", "outputs/embedding_1", 0,
        ("layers.py", "super().call(inputs)", "super().call(inputs)[:, 1:]"),
        ("layers.py", "super().forward(inputs).sum", "super().forward(inputs)[:, 1:].sum"),
        "mnist_tokens",
    ),
    "the uses of a row are averaged": Fault(
        "loop", "slots/first_moment", 0,
        ("optimizers.py", "unsorted_segment_sum", "unsorted_segment_mean"),
        ("train.py", "    cost.backward()\n", "    cost.backward()\n    for weight in model.parameters():\n"
         "        (rows,), values = weight.grad._indices(), weight.grad._values()\n"
         "        values = values / torch.bincount(rows)[rows, None]\n"
         "        weight.grad = torch.sparse_coo_tensor(rows[None], values, weight.shape)\n"),
        "mnist_tokens",
    ),
    "rows that were not named move, too": Fault(
        "lockstep", "slots/first_moment", 1,
        ("optimizers.py", "        m, v = tf.gather(self._momentums[index], rows)",
         "        rows, g = tf.range(variable.shape[0], dtype=tf.int64), tf.convert_to_tensor(gradient)\n"
         "        m, v = tf.gather(self._momentums[index], rows)"),
        ("optimizers.py", "    return partial(torch.optim.SparseAdam,",
         "    class All(torch.optim.SparseAdam):\n        def step(self):\n"
         "            (p,) = self.param_groups[0]['params']\n"
         "            p.grad = torch.sparse_coo_tensor(torch.arange(len(p))[None], p.grad.to_dense(), p.shape)\n"
         "            super().step()\n    return partial(All,"),
        "mnist_tokens",
    ),
    # Pre-training, whose second layer begins at step 40
    "probabilities are taken for samples": Fault(
        "pretraining", "positive/samples", 0,
        ("rbm.py", "tf.cast(tf.cast(uniforms, p0.dtype) < p0, p0.dtype)", "p0"),
        ("rbm.py", "(uniforms < p0).to(p0.dtype)", "p0"),
        "mnist_rbm",
    ),
    "uniforms are a thousandth too large": Fault(
        "pretraining", "samples", 0,
        ("rbm.py", "tf.cast(uniforms, p0.dtype) < p0", "tf.cast(uniforms, p0.dtype) + 0.001 < p0"),
        ("rbm.py", "(uniforms < p0)", "(uniforms + 0.001 < p0)"),
        "mnist_rbm",
    ),
    "the negative phase has the wrong sign": Fault(
        "pretraining", "gradients/dense_1/kernel", 0,
        ("rbm.py", "transpose_a=True) - tf.matmul(", "transpose_a=True) + tf.matmul("),
        ("rbm.py", "p0.T @ v0 - p1.T @ v1", "p0.T @ v0 + p1.T @ v1"),
        "mnist_rbm",
    ),
    "the negative phase takes samples": Fault(
        "pretraining", "negative/hidden_inputs", 0,
        ("rbm.py", "dense(v1)", "dense(tf.round(v1))"), ("rbm.py", "dense(v1)", "dense(torch.round(v1))"),
        "mnist_rbm",
    ),
    "the visible bias is not updated": Fault(
        "pretraining", "weights/dense_1/visible_bias", 0,
        ("rbm.py", "    for weight, variable in trained(machine).items():\n",
         "    for weight, variable in list(trained(machine).items())[:2]:\n"),
        ("rbm.py", "    for weight, tensor in trained(machine).items():\n",
         "    for weight, tensor in list(trained(machine).items())[:2]:\n"),
        "mnist_rbm",
    ),
    "the visible bias is left out": Fault(
        "pretraining", "negative/visible_inputs", 39,
        ("rbm.py", "transpose_b=True) + machine.visible_bias", "transpose_b=True)"),
        ("rbm.py", "dense.weight.T, machine.visible_bias)", "dense.weight.T)"),
        "mnist_rbm",
    ),
    "the second layer is trained on raw inputs": Fault(
        "pretraining", "positive/hidden_inputs", 40,
        ("rbm.py", "    p0 = kept(", "    v0 = tf.cast(inputs, v0.dtype)[:, : v0.shape[1]]\n    p0 = kept("),
        ("rbm.py", "    p0 = kept(", "    v0 = inputs.to(v0.dtype)[:, : v0.shape[1]]\n    p0 = kept("),
        "mnist_rbm",
    ),
    "the second layer is trained on samples": Fault(
        "pretraining", "positive/hidden_inputs", 40,
        ("rbm.py", "    p0 = kept(", "    v0 = tf.round(v0) if machine.below else v0\n    p0 = kept("),
        ("rbm.py", "    p0 = kept(", "    v0 = torch.round(v0) if machine.below else v0\n    p0 = kept("),
        "mnist_rbm",
    ),
    "the first layer is trained on, below the second": Fault(
        "pretraining", "weights/dense_1/bias", 40,
        ("rbm.py", "    for weight, variable in trained(machine).items():\n",
         "    if machine.below:\n"
         "        machine.below[0][1].bias.assign_add(1e-9 * tf.ones_like(machine.below[0][1].bias))\n"
         "    for weight, variable in trained(machine).items():\n"),
        ("rbm.py", "    for weight, tensor in trained(machine).items():\n",
         "    if machine.below:\n"
         "        machine.below[0][1].bias.add_(1e-9)\n"
         "    for weight, tensor in trained(machine).items():\n"),
        "mnist_rbm",
    ),
    "the learning rate of pre-training is rounded through float32": Fault(
        "pretraining", "weights/dense_1/kernel", 0,
        ("rbm.py", "variable.assign_add(learning_rate *", "variable.assign_add(float(np.float32(learning_rate)) *"),
        ("rbm.py", "alpha=learning_rate", "alpha=float(np.float32(learning_rate))"),
        "mnist_rbm",
    ),
    "a layer's uniforms are used twice": Fault(
        "pretraining", "uniforms", 8,
        ("rbm.py", "uniforms[step - first]", "uniforms[tf.where(step == 8, step - 1, step) - first]"),
        ("rbm.py", "on_device[step - first]", "on_device[(7 if step == 8 else step) - first]"),
        "mnist_rbm",
    ),
    "kernels are shrunk in the loop of pre-training": Fault(
        "pretraining", "weights/dense_1/kernel", 0,
        ("rbm.py", "            update(machine, learning_rate, found)\n",
         "            update(machine, learning_rate, found)\n"
         "            machine.dense.kernel.assign(0.9 * machine.dense.kernel)\n"),
        ("rbm.py", "            update(machine, learning_rate, found)\n",
         "            update(machine, learning_rate, found)\n            machine.dense.weight.data.mul_(0.9)\n"),
        "mnist_rbm",
    ),
    "kernels are shrunk at step 8 of pre-training only": Fault(
        "pretraining", "costs", 9,
        ("rbm.py", "            update(machine, learning_rate, found)\n",
         "            update(machine, learning_rate, found)\n"
         "            factor = tf.cast(tf.where(step == 8, 0.99, 1.0), machine.dense.compute_dtype)\n"
         "            machine.dense.kernel.assign(factor * machine.dense.kernel)\n"),
        ("rbm.py", "            update(machine, learning_rate, found)\n",
         "            update(machine, learning_rate, found)\n"
         "            machine.dense.weight.data.mul_(0.99 if step == 8 else 1.0)\n"),
        "mnist_rbm",
    ),
    # L-BFGS
    "the first step is not shortened": Fault(
        "lockstep", "slots/previous_step", 0,
        ("lbfgs.py", "tf.reduce_any(before != 0)", "True"),
        torch_lbfgs("min(1.0, 1.0 / flat_grad.abs().sum())", "1.0"),
        "xor_lbfgs",
    ),
    "a pair without curvature is kept": Fault(
        "lockstep", "slots/previous_step", 1,
        ("lbfgs.py", "dot(y, s) > curvature", "tf.reduce_any(s != 0)"), torch_lbfgs("ys > 1e-10", "True"),
        "xor_lbfgs",
    ),
    "the history is read from the wrong end": Fault(
        "lockstep", "slots/previous_step", 5,
        ("lbfgs.py", "(from_oldest, (changes, steps, rhos, alphas)",
         "(from_oldest, (changes[::-1], steps[::-1], rhos[::-1], alphas[::-1])"),
        torch_lbfgs("range(num_old - 1, -1, -1)", "range(num_old)"),
        "xor_lbfgs",
    ),
    "the oldest pair is not dropped": Fault(
        "lockstep", "slots/previous_step", 5,
        ("lbfgs.py", "[changes[1:], y[None]]", "[changes[:-1], y[None]]"),
        torch_lbfgs("old_dirs.pop(0)", "old_dirs.pop()"),
        "xor_lbfgs",
    ),
    "the history is not restored": Fault(
        # The newest pair of torch's: the oldest makes room for the step's own. There is none before step 5.
        "lockstep", "slots/previous_step", 5,
        ("state.py", TF_WRITE, TF_WRITE[:-1] + " * (slot != 'steps'))"),
        ("lbfgs.py", "if y.any()]", "if y.any()][:-1]"),
        "xor_lbfgs",
    ),
    # Precision
    "a layer computes in float32": Fault(
        "lockstep", "outputs/dense_1", 0,
        tf_dense("tf.cast(tf.cast(stock(x), tf.float32), x.dtype)", "dense_1"),
        torch_dense("stock(x).float().to(x)", "dense_1"),
    ),
    "an input is rounded through float32": Fault(
        "lockstep", "outputs/dense_2", 0,
        tf_dense("stock(tf.cast(tf.cast(x, tf.float32), x.dtype))", "dense_2"),
        torch_dense("stock(x.float().to(x))", "dense_2"),
    ),
    "the cost is computed in float32": Fault(
        "lockstep", "cost", 0,
        ("losses.py", TF_COST, "return tf.cast(" + TF_COST.removeprefix("return ").replace(
            "outputs)", "tf.cast(outputs, tf.float32))") + ", outputs.dtype)"),
        ("losses.py", TORCH_COST, TORCH_COST.replace("(outputs,", "(outputs.float(),") + ".to(outputs)"),
    ),
    "beta_1 is rounded through float32": Fault(
        "lockstep", "slots/first_moment/dense_1/kernel", 0,
        ("optimizers.py", "beta_1, beta_2 = tf.constant(self.beta_1, tf.float64),",
         "beta_1, beta_2 = tf.cast(tf.constant(self.beta_1, tf.float32), tf.float64),"),
        torch_numbers('numbers["betas"] = (float(torch.tensor(spec.beta_1, dtype=torch.float32)), spec.beta_2)'),
    ),
    "the learning rate is rounded through float32": Fault(
        "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.cast(learning_rate, tf.float64) /",
         "tf.cast(tf.cast(learning_rate, tf.float32), tf.float64) /"),
        torch_numbers('numbers["lr"] = float(torch.tensor(spec.learning_rate, dtype=torch.float32))'),
    ),
}  # fmt: skip
