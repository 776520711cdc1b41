"""Faults of layers, forward and backward, and of the loss."""

from benchmarks.faults.fault import (
    TF_COST,
    TF_DENSE_LINE,
    TORCH_COST,
    TORCH_DENSE_LINE,
    Fault,
    tf_activation,
    tf_dense,
    tf_relu,
    torch_activation,
    torch_dense,
    torch_relu,
)

FAULTS = {
    # Forward
    "an activation lets a billionth through": Fault(
        "forward", "lockstep", "outputs/relu_1", 0,
        tf_relu("tf.nn.relu(x) + 1e-9 * x"), torch_relu("torch.relu(x) + 1e-9 * x"),
        told=r"plus 1e-09 times its input",
    ),
    "an activation's kink is moved": Fault(
        "forward", "lockstep", "outputs/relu_1", 0,
        tf_relu("tf.nn.relu(x - 1e-6)"), torch_relu("torch.relu(x - 1e-6)"),
        told=r"minus 1e-06",
    ),
    "a layer is 1e-12 too large": Fault(
        "forward", "lockstep", "outputs/dense_2", 0,
        tf_dense("stock(x) * (1 + 1e-12)", "dense_2"), torch_dense("stock(x) * (1 + 1e-12)", "dense_2"),
        told=r"times 1 \+ 1e-12",
    ),
    "one unit is dead": Fault(
        "forward", "lockstep", "outputs/dense_2", 0,
        tf_dense("stock(x) * tf.cast(tf.range(made.units) != 7, x.dtype)", "dense_2"),
        torch_dense("stock(x) * (torch.arange(made.out_features) != 7).to(x)", "dense_2"),
        told=r"unit 7: zero",
    ),
    "a square kernel is transposed": Fault(
        "forward", "lockstep", "outputs/dense_2", 0,
        tf_dense("x @ tf.transpose(made.kernel) + made.bias", "dense_2"),
        torch_dense("x @ made.weight + made.bias", "dense_2"),
        told=r"kernel were transposed",
    ),
    "a bias is added twice": Fault(
        "forward", "lockstep", "outputs/dense_3", 0,
        tf_dense("stock(x) + made.bias", "dense_3"), torch_dense("stock(x) + made.bias", "dense_3"),
        told=r"bias were added twice",
    ),
    "the cost is averaged over 99 samples": Fault(
        "forward", "lockstep", "cost", 0,
        ("losses.py", TF_COST, TF_COST.replace("(labels, outputs)", "(labels[1:], outputs[1:])")),
        ("losses.py", TORCH_COST, TORCH_COST.replace("(outputs, labels)", "(outputs[1:], labels[1:])")),
        told=r"first sample of the batch were left out",
    ),
    "the logits are scaled": Fault(
        "forward", "lockstep", "cost", 0,
        ("losses.py", TF_COST, TF_COST.replace("outputs)", "outputs * (1 + 1e-11))")),
        ("losses.py", TORCH_COST, TORCH_COST.replace("(outputs,", "(outputs * (1 + 1e-11),")),
        told=r"its input were times 1\.00000000001",
    ),
    "a penalty on the logits": Fault(
        "forward", "lockstep", "cost", 0,
        ("losses.py", TF_COST, TF_COST + " + 1e-10 * tf.reduce_mean(outputs**2)"),
        ("losses.py", TORCH_COST, TORCH_COST + " + 1e-10 * torch.mean(outputs**2)"),
        told=r"penalty were added, 1e-10",
    ),
    "the loop's forward pass is another one": Fault(
        "forward", "loop", "cost", 0,
        ("models.py", "x = outputs[name] = node(", "x = outputs[name] = 1.01 * node("),
        ("models.py", "x = outputs[name] = node(", "x = outputs[name] = 1.01 * node("),
        told=r"its cost is another one",
    ),
    "Keras's epsilon for a batch norm": Fault(
        "forward", "lockstep", "outputs/batch_norm_1", 0,
        ("layers.py", "momentum=node.momentum, epsilon=node.epsilon", "momentum=node.momentum, epsilon=1e-3"),
        ("layers.py", "momentum=1 - node.momentum, eps=node.epsilon", "momentum=1 - node.momentum, eps=1e-3"),
        "mnist_batchnorm",
        told=r"epsilon were 0.001",
    ),
    "Keras's epsilon for a layer norm": Fault(
        "forward", "lockstep", "outputs/layer_norm_1", 0,
        ("layers.py", "LayerNormalization(epsilon=node.epsilon", "LayerNormalization(epsilon=1e-3"),
        ("layers.py", "LayerNorm(node.units, eps=node.epsilon", "LayerNorm(node.units, eps=1e-3"),
        "mnist_layernorm",
        told=r"epsilon were 0.001",
    ),
    "a layer norm lets no gradient pass its statistics": Fault(
        "backward", "lockstep", "deltas/dense_2", 0,
        ("layers.py", "keras.layers.LayerNormalization(epsilon",
         "type('Stopped', (keras.layers.LayerNormalization,), {'call': lambda self, x: "
         "keras.layers.LayerNormalization.call(self, tf.stop_gradient(x)) + (lambda z: z - tf.stop_gradient(z))("
         "tf.stop_gradient(self.gamma * tf.math.rsqrt(tf.math.reduce_variance(x, 1, keepdims=True) + self.epsilon)) * x"
         ")})(epsilon"),
        ("layers.py", "torch.nn.LayerNorm(node",
         "type('Stopped', (torch.nn.LayerNorm,), {'forward': lambda self, x: "
         "torch.nn.LayerNorm.forward(self, x.detach()) + (lambda z: z - z.detach())("
         "(self.weight * torch.rsqrt(x.var(1, correction=0, keepdim=True) + self.eps)).detach() * x"
         ")})(node"),
        "mnist_layernorm",
        told=r"no gradient passed the sample's mean and variance",
    ),
    "the momentum of a batch norm is the other share": Fault(
        "forward", "lockstep", "statistics/batch_norm_1/moving_mean", 0,
        ("layers.py", "momentum=node.momentum", "momentum=1 - node.momentum"),
        ("layers.py", "momentum=1 - node.momentum", "momentum=node.momentum"),
        "mnist_batchnorm",
        told=r"momentum were its complement",
    ),
    "the loop trains in eval mode": Fault(
        "forward", "loop", "cost", 0,
        ("train.py", "forward(model, inputs, training=True", "forward(model, inputs, training=False"),
        ("train.py", "forward(model, inputs, training=True", "forward(model, inputs, training=False"),
        "mnist_batchnorm",
        told=r"it were in eval mode",
    ),
    "what is kept is not scaled": Fault(
        "forward", "lockstep", "outputs/dropout_1", 0,
        ("layers.py", "tf.constant(1 / (1 - self.rate), inputs.dtype)", "1"), ("layers.py", " / (1 - self.rate)", ""),
        "mnist_dropout",
        told=r"what is kept were not scaled",
    ),
    "rate and share kept are confused": Fault(
        "forward", "lockstep", "outputs/dropout_1", 0,
        ("layers.py", "(1 - self.rate)", "self.rate"), ("layers.py", "(1 - self.rate)", "self.rate"),
        "mnist_dropout",
        told=r"divided by the rate",
    ),
    "a word of each sample is left out": Fault(
        "forward", "lockstep", "outputs/embedding_1", 0,
        ("layers.py", "super().call(inputs)", "super().call(inputs)[:, 1:]"),
        ("layers.py", "super().forward(inputs).sum", "super().forward(inputs)[:, 1:].sum"),
        "mnist_tokens",
        told=r"first word of each sample were left out",
    ),
    "leaky ReLU's slope is torch's own": Fault(
        "forward", "lockstep", "outputs/leaky_relu_1", 0,
        ("activations.py", "negative_slope=node.slope, name", "negative_slope=0.01, name"),
        ("activations.py", "constant(node.slope, realisation)", "constant(0.01, realisation)"),
        "xor_leaky_relu",
        told=r"slope were 0.01 and not 0.2|divided by 20",
    ),
    "tanh is a billionth too large": Fault(
        "forward", "lockstep", "outputs/tanh_1", 0,
        tf_activation("tf.tanh(x) * (1 + 1e-9)", 'node.function == "tanh"'),
        torch_activation("torch.tanh(x) * (1 + 1e-9)", 'node.function == "tanh"'),
        "xor_tanh",
        told=r"times 1 \+ 1e-09",
    ),
    "one layer has no activation": Fault(
        "forward", "lockstep", "outputs/tanh_9", 0,
        tf_activation("x", 'node.name == "tanh_9"'), torch_activation("x", 'node.name == "tanh_9"'),
        "xor_tanh",
        told=r"same as its input",
    ),
    # Backward
    "an activation's gradient is a thousandth too large": Fault(
        "backward", "lockstep", "deltas/dense_2", 0,
        tf_relu("tf.nn.relu(x) * 1.001 - tf.stop_gradient(tf.nn.relu(x) * 1.001 - tf.nn.relu(x))"),
        torch_relu("torch.relu(x) * 1.001 - (torch.relu(x) * 1.001 - torch.relu(x)).detach()"),
        told=r"deltas/.*times 1\.001|deltas/.*times 1 \+ 0\.001",
    ),
    "a bias has no gradient": Fault(
        "backward", "lockstep", "gradients/dense_2/bias", 0,
        tf_dense("x @ made.kernel + tf.stop_gradient(made.bias)", "dense_2"),
        torch_dense("x @ made.weight.T + made.bias.detach()", "dense_2"),
        told=r"its bias had no gradient|gives no gradients/dense_2/bias",
    ),
    "a kernel's gradient is a billionth too large": Fault(
        "backward", "lockstep", "gradients/dense_3/kernel", 0,
        tf_dense(
            "stock(x) + (lambda e: e - tf.stop_gradient(e))(1e-9 * (tf.stop_gradient(x) @ made.kernel))", "dense_3"
        ),
        torch_dense("stock(x) + (lambda e: e - e.detach())(1e-9 * (x.detach() @ made.weight.T))", "dense_3"),
        told=r"gradients/dense_3/kernel.*times 1 \+ 1e-09",
    ),
    "one unit's gradient is lost": Fault(
        "backward", "lockstep", "gradients/dense_2/kernel", 0,
        tf_dense("(lambda y: tf.concat([y[:, :7], tf.stop_gradient(y[:, 7:8]), y[:, 8:]], 1))(stock(x))", "dense_2"),
        torch_dense("(lambda y: torch.cat([y[:, :7], y[:, 7:8].detach(), y[:, 8:]], 1))(stock(x))", "dense_2"),
        told=r"gradients/dense_2/kernel.*unit 7: zero",
    ),
    "one layer is frozen": Fault(
        "backward", "lockstep", "gradients/dense_2/kernel", 0,
        ("layers.py", TF_DENSE_LINE, TF_DENSE_LINE.replace("name=", 'trainable=node.name != "dense_2", name=')),
        ("layers.py", TORCH_DENSE_LINE, TORCH_DENSE_LINE + '.requires_grad_(node.name != "dense_2")'),
        told=r"gives no gradients/dense_2|gradients/dense_2/kernel.*zero",
    ),
    "gradients are clipped inside the loop": Fault(
        "backward", "loop", "slots/first_moment/dense_1/kernel", 0,
        ("train.py", "    updater.apply(",
         "    gradients = [tf.clip_by_value(g, -1e-3, 1e-3) for g in gradients]\n    updater.apply("),
        ("train.py", "    updater.step()\n",
         "    torch.nn.utils.clip_grad_value_(model.parameters(), 1e-3)\n    updater.step()\n"),
        told=r"gradients.*kept between -0.001 and 0.001",
    ),
    "a batch norm's gradient stops at its mean": Fault(
        "backward", "lockstep", "deltas/dense_2", 0,
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
        told=r"no gradient passed the batch's mean|each unit plus a term",
    ),
    "dropout's gradient is that of the identity": Fault(
        "backward", "lockstep", "deltas/relu_2", 0,
        ("layers.py", "return tf.where(kept, inputs *",
         "return inputs - tf.stop_gradient(inputs) + tf.where(kept, tf.stop_gradient(inputs) *"),
        ("layers.py", "return inputs * (", "return inputs - inputs.detach() + inputs.detach() * ("),
        "mnist_dropout",
        told=r"its gradient were that of the identity",
    ),
    "the uses of a row are averaged": Fault(
        "backward", "loop", "slots/first_moment", 0,
        ("optimizers.py", "unsorted_segment_sum", "unsorted_segment_mean"),
        ("train.py", "    cost.backward()\n", "    cost.backward()\n    for weight in model.parameters():\n"
         "        (rows,), values = weight.grad._indices(), weight.grad._values()\n"
         "        values = values / torch.bincount(rows)[rows, None]\n"
         "        weight.grad = torch.sparse_coo_tensor(rows[None], values, weight.shape)\n"),
        "mnist_tokens",
        told=r"each word times a factor|off: first_moment",
    ),
    "gradients are a hundred times too large": Fault(
        "backward", "loop", "slots/first_moment/dense_1/kernel", 0,
        ("train.py", "    updater.apply(", "    gradients = [100 * g for g in gradients]\n    updater.apply("),
        ("train.py", "    updater.step()\n",
         "    for weight in model.parameters():\n        weight.grad *= 100\n    updater.step()\n"),
        told=r"gradients were times 100|gradients.*times 100",
    ),
    "gradients are not reset": Fault(
        # There is nothing to reset where a tape gives the gradients.
        "backward", "loop", "slots/first_moment/dense_1/kernel", 1,
        None, ("train.py", "    updater.zero_grad()\n", ""),
        told=r"carries over what is no part of the state",
    ),
    "one unit's gradient is zero from step 300 on": Fault(
        "backward", "loop", "dense_2/kernel", 300,
        ("train.py", "    updater.apply(",
         "    others = (tf.range(gradients[2].shape[1]) != 7) | (updater.iterations < 300)\n"
         "    gradients[2] = gradients[2] * tf.cast(others, model.compute_dtype)\n    updater.apply("),
        ("train.py", "    updater.step()\n",
         "    weight = list(model.parameters())[2]\n"
         "    weight.grad[7] *= updater.state[weight]['step'] < 300\n    updater.step()\n"),
        since=300,
        told=r"dense_2/kernel.*unit 7: zero",
    ),
}  # fmt: skip
