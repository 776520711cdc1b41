"""Faults of pre-training, whose second layer begins at step 40 where there is one epoch of it for each layer."""

from benchmarks.faults.fault import Fault

FAULTS = {
    "probabilities are taken for samples": Fault(
        "forward", "pretraining", "positive/samples", 0,
        ("rbm.py", "tf.cast(tf.cast(uniforms, p0.dtype) < p0, p0.dtype)", "p0"),
        ("rbm.py", "(uniforms < p0).to(p0.dtype)", "p0"),
        "mnist_rbm",
        told=r"samples",
    ),
    "the negative phase takes samples": Fault(
        "forward", "pretraining", "negative/hidden_inputs", 0,
        ("rbm.py", "dense(v1)", "dense(tf.round(v1))"), ("rbm.py", "dense(v1)", "dense(torch.round(v1))"),
        "mnist_rbm",
        told=r"negative/hidden_inputs",
    ),
    "the visible bias is left out": Fault(
        "forward", "pretraining", "negative/visible_inputs", 39,
        ("rbm.py", "transpose_b=True) + machine.visible_bias", "transpose_b=True)"),
        ("rbm.py", "dense.weight.T, machine.visible_bias)", "dense.weight.T)"),
        "mnist_rbm",
        told=r"negative/visible_inputs",
    ),
    "uniforms are a thousandth too large": Fault(
        "masks", "pretraining", "samples", 0,
        ("rbm.py", "tf.cast(uniforms, p0.dtype) < p0", "tf.cast(uniforms, p0.dtype) + 0.001 < p0"),
        ("rbm.py", "(uniforms < p0)", "(uniforms + 0.001 < p0)"),
        "mnist_rbm",
        told=r"samples",
    ),
    "a layer's uniforms are used twice": Fault(
        "masks", "pretraining", "uniforms", 8,
        ("rbm.py", "uniforms[step - first]", "uniforms[tf.where(step == 8, step - 1, step) - first]"),
        ("rbm.py", "on_device[step - first]", "on_device[(7 if step == 8 else step) - first]"),
        "mnist_rbm",
        told=r"uniforms there are those of 1 step before",
    ),
    "the negative phase has the wrong sign": Fault(
        "backward", "pretraining", "gradients/dense_1/kernel", 0,
        ("rbm.py", "transpose_a=True) - tf.matmul(", "transpose_a=True) + tf.matmul("),
        ("rbm.py", "p0.T @ v0 - p1.T @ v1", "p0.T @ v0 + p1.T @ v1"),
        "mnist_rbm",
        told=r"gradients/dense_1/kernel",
    ),
    "the visible bias is not updated": Fault(
        "optimizer", "pretraining", "weights/dense_1/visible_bias", 0,
        ("rbm.py", "    for weight, variable in trained(machine).items():\n",
         "    for weight, variable in list(trained(machine).items())[:2]:\n"),
        ("rbm.py", "    for weight, tensor in trained(machine).items():\n",
         "    for weight, tensor in list(trained(machine).items())[:2]:\n"),
        "mnist_rbm",
        told=r"visible_bias.*(what it was before the step|plus 0\.1 times the gradient)",
    ),
    "the first layer is trained on, below the second": Fault(
        "optimizer", "pretraining", "weights/dense_1/bias", 40,
        ("rbm.py", "    for weight, variable in trained(machine).items():\n",
         "    if machine.below:\n"
         "        machine.below[0][1].bias.assign_add(1e-9 * tf.ones_like(machine.below[0][1].bias))\n"
         "    for weight, variable in trained(machine).items():\n"),
        ("rbm.py", "    for weight, tensor in trained(machine).items():\n",
         "    if machine.below:\n"
         "        machine.below[0][1].bias.add_(1e-9)\n"
         "    for weight, tensor in trained(machine).items():\n"),
        "mnist_rbm",
        told=r"weights/dense_1/bias.*plus 1e-09",
    ),
    "kernels are shrunk in the loop of pre-training": Fault(
        "optimizer", "pretraining", "weights/dense_1/kernel", 0,
        ("rbm.py", "            update(machine, learning_rate, found)\n",
         "            update(machine, learning_rate, found)\n"
         "            machine.dense.kernel.assign(0.9 * machine.dense.kernel)\n"),
        ("rbm.py", "            update(machine, learning_rate, found)\n",
         "            update(machine, learning_rate, found)\n            machine.dense.weight.data.mul_(0.9)\n"),
        "mnist_rbm",
        told=r"kernel.*times 0.9",
    ),
    "the second layer is trained on raw inputs": Fault(
        "data", "pretraining", "positive/hidden_inputs", 40,
        ("rbm.py", "    p0 = kept(", "    v0 = tf.cast(inputs, v0.dtype)[:, : v0.shape[1]]\n    p0 = kept("),
        ("rbm.py", "    p0 = kept(", "    v0 = inputs.to(v0.dtype)[:, : v0.shape[1]]\n    p0 = kept("),
        "mnist_rbm",
        told=r"positive/hidden_inputs",
    ),
    "the second layer is trained on samples": Fault(
        "data", "pretraining", "positive/hidden_inputs", 40,
        ("rbm.py", "    p0 = kept(", "    v0 = tf.round(v0) if machine.below else v0\n    p0 = kept("),
        ("rbm.py", "    p0 = kept(", "    v0 = torch.round(v0) if machine.below else v0\n    p0 = kept("),
        "mnist_rbm",
        told=r"positive/hidden_inputs",
    ),
    "kernels are shrunk at step 8 of pre-training only": Fault(
        "schedule", "pretraining", "weights/dense_1/kernel", 8,
        ("rbm.py", "            update(machine, learning_rate, found)\n",
         "            update(machine, learning_rate, found)\n"
         "            factor = tf.cast(tf.where(step == 8, 0.99, 1.0), machine.dense.compute_dtype)\n"
         "            machine.dense.kernel.assign(factor * machine.dense.kernel)\n"),
        ("rbm.py", "            update(machine, learning_rate, found)\n",
         "            update(machine, learning_rate, found)\n"
         "            machine.dense.weight.data.mul_(0.99 if step == 8 else 1.0)\n"),
        "mnist_rbm",
        told="kernel.*times 0.99",
    ),
    "the learning rate of pre-training is rounded through float32": Fault(
        "precision", "pretraining", "weights/dense_1/kernel", 0,
        ("rbm.py", "variable.assign_add(learning_rate *", "variable.assign_add(float(np.float32(learning_rate)) *"),
        ("rbm.py", "alpha=learning_rate", "alpha=float(np.float32(learning_rate))"),
        "mnist_rbm",
        told="weights/dense_1",
    ),
}  # fmt: skip
