"""Faults of optimizers, of clipping, and of what is saved and restored."""

from benchmarks.faults.fault import (
    TF_WRITE,
    TORCH_BUILT,
    TORCH_WRITE,
    Fault,
    loop,
    torch_lbfgs,
    torch_numbers,
)

FAULTS = {
    "epsilon twice as large": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.constant(self.epsilon, dtype)", "tf.constant(2 * self.epsilon, dtype)"),
        torch_numbers('numbers["eps"] *= 2'),
        told=r"epsilon were 2e-08",
    ),
    "beta_2 is 0.9991": Fault(
        "optimizer", "lockstep", "slots/second_moment/dense_1/kernel", 0,
        ("optimizers.py", "beta_2 = tf.constant(self.beta_1, tf.float64), tf.constant(self.beta_2, tf.float64)",
         "beta_2 = tf.constant(self.beta_1, tf.float64), tf.constant(0.9991, tf.float64)"),
        torch_numbers('numbers["betas"] = (spec.beta_1, 0.9991)'),
        told=r"beta_2 were 0.9991",
    ),
    "the learning rate is a millionth too large": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.cast(learning_rate, tf.float64) /", "1.000001 * tf.cast(learning_rate, tf.float64) /"),
        torch_numbers('numbers["lr"] *= 1.000001'),
        told=r"learning_rate were 0.001000001",
    ),
    "a weight decay that was not asked for": Fault(
        "optimizer", "lockstep", "slots/first_moment/dense_1/kernel", 0,
        ("optimizers.py", "        dtype = variable.dtype\n",
         "        dtype = variable.dtype\n        gradient = gradient + 1e-6 * variable\n"),
        torch_numbers('numbers["weight_decay"] = 1e-6'),
        told=r"weight_decay were 1e-06",
    ),
    "one bias is not trained": Fault(
        "optimizer", "lockstep", "slots/first_moment/dense_2/bias", 0,
        ("optimizers.py", "        dtype = variable.dtype\n",
         "        dtype = variable.dtype\n"
         "        if 'dense_2/bias' in self._trainable_variables[self._get_variable_index(variable)].path:\n"
         "            return\n"),
        ("optimizers.py", TORCH_BUILT, TORCH_BUILT.replace(
            "model.parameters()", '[p for n, p in model.named_parameters() if n != "dense_2.bias"]')),
        told=r"nothing were updated, for dense_2/bias",
    ),
    "weights are shrunk inside the loop": Fault(
        "optimizer", "loop", "weights/dense_1/kernel", 0,
        loop("model.trainable_variables[0].assign(0.9 * model.trainable_variables[0])"),
        loop("next(model.parameters()).data.mul_(0.9)"),
        told=r"weights/dense_1/kernel.*times 0.9",
    ),
    "the limit of clipping is 1 % off": Fault(
        "optimizer", "lockstep", "clipped/dense_1/kernel", 0,
        ("clipping.py", "clipping.limit / (norm + ", "1.01 * clipping.limit / (norm + "),
        ("clipping.py", "clip(weights, clipping.limit)", "clip(weights, 1.01 * clipping.limit)"),
        "mnist_clipped",
        told=r"the limit were 0.303",
    ),
    "each weight is clipped by its own norm": Fault(
        "optimizer", "lockstep", "clipped/dense_1/kernel", 0,
        ("clipping.py", 'clipping.by == "global_norm"', "False"),
        ("clipping.py", 'clipping.by == "global_norm"', "False"),
        "mnist_clipped",
        told=r"clipped by norm and not by global_norm",
    ),
    "gradients are clipped after the update": Fault(
        "optimizer", "loop", "weights/dense_1/kernel", 0,
        ("train.py", "updater.apply(gradients if clip is None else clip(gradients), weights)",
         "updater.apply(gradients, weights)\n    clip(gradients)"),
        ("train.py", """    if clip is not None:
        clip(list(model.parameters()))
    updater.step()
""", "    updater.step()\n    clip(list(model.parameters()))\n"),
        "mnist_clipped",
        told=r"gradients were not clipped|as they were before it was clipped|the gradient before it was clipped",
    ),
    "rows that were not named move, too": Fault(
        "optimizer", "lockstep", "slots/first_moment", 1,
        ("optimizers.py", "        m, v = tf.gather(self._momentums[index], rows)",
         "        rows, g = tf.range(variable.shape[0], dtype=tf.int64), tf.convert_to_tensor(gradient)\n"
         "        m, v = tf.gather(self._momentums[index], rows)"),
        ("optimizers.py", "    return partial(torch.optim.SparseAdam,",
         "    class All(torch.optim.SparseAdam):\n        def step(self):\n"
         "            (p,) = self.param_groups[0]['params']\n"
         "            p.grad = torch.sparse_coo_tensor(torch.arange(len(p))[None], p.grad.to_dense(), p.shape)\n"
         "            super().step()\n    return partial(All,"),
        "mnist_tokens",
        told=r"slots/first_moment/embedding_1/table",
    ),
    "the first step is not shortened": Fault(
        "optimizer", "lockstep", "slots/previous_step", 0,
        ("lbfgs.py", "tf.reduce_any(before != 0)", "True"),
        torch_lbfgs("min(1.0, 1.0 / flat_grad.abs().sum())", "1.0"),
        "xor_lbfgs",
        told=r"first step were not shortened",
    ),
    "a pair without curvature is kept": Fault(
        "optimizer", "lockstep", "slots/previous_step", 1,
        ("lbfgs.py", "dot(y, s) > curvature", "tf.reduce_any(s != 0)"), torch_lbfgs("ys > 1e-10", "True"),
        "xor_lbfgs",
        told=r"slots/(gradient_changes|steps|previous_step)",
    ),
    "the history is read from the wrong end": Fault(
        "optimizer", "lockstep", "slots/previous_step", 5,
        ("lbfgs.py", "(from_oldest, (changes, steps, rhos, alphas)",
         "(from_oldest, (changes[::-1], steps[::-1], rhos[::-1], alphas[::-1])"),
        torch_lbfgs("range(num_old - 1, -1, -1)", "range(num_old)"),
        "xor_lbfgs",
        told=r"previous_step",
    ),
    "the oldest pair is not dropped": Fault(
        "optimizer", "lockstep", "slots/previous_step", 5,
        ("lbfgs.py", "[changes[1:], y[None]]", "[changes[:-1], y[None]]"),
        torch_lbfgs("old_dirs.pop(0)", "old_dirs.pop()"),
        "xor_lbfgs",
        told=r"slots/(gradient_changes|steps|previous_step)",
    ),
    "biases learn 1 % faster": Fault(
        "optimizer", "lockstep", "weights/dense_1/bias", 0,
        ("optimizers.py", "        variable.assign_sub(step_size * (m / denominator))",
         "        step_size = step_size * (1.01 if len(variable.shape) == 1 else 1)\n"
         "        variable.assign_sub(step_size * (m / denominator))"),
        ("optimizers.py", TORCH_BUILT, TORCH_BUILT.replace(
            "model.parameters()", '[{"params": [p for p in model.parameters() if p.dim() > 1]}, '
            '{"params": [p for p in model.parameters() if p.dim() == 1], "lr": 1.01 * spec.learning_rate}]')),
        told=r"learning_rate were 0.00101 .*bias alone",
    ),
    "the learning rate is half of it": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.cast(learning_rate, tf.float64) /", "0.5 * tf.cast(learning_rate, tf.float64) /"),
        torch_numbers('numbers["lr"] *= 0.5'),
        told=r"learning_rate were 0.0005",
    ),
    "the betas are swapped": Fault(
        "optimizer", "lockstep", "slots/first_moment/dense_1/kernel", 0,
        ("optimizers.py", "beta_1, beta_2 = tf.constant(self.beta_1, tf.float64)",
         "beta_2, beta_1 = tf.constant(self.beta_1, tf.float64)"),
        torch_numbers('numbers["betas"] = (spec.beta_2, spec.beta_1)'),
        told=r"beta_1 and beta_2 were swapped",
    ),
    # Saved and restored
    "the second moment is not restored": Fault(
        "state", "lockstep", "slots/second_moment/dense_1/kernel", 1,
        ("state.py", TF_WRITE, TF_WRITE[:-1] + " * (slot == 'first_moment'))"),
        ("state.py", TORCH_WRITE, TORCH_WRITE.replace("own(", "(slot == 'first_moment') * own(")),
        told=r"second_moment were zero before the step",
    ),
    "the step counter starts at one": Fault(
        "state", "lockstep", "weights/dense_1/kernel", 0,
        ("state.py", "optimizer.iterations.assign(step)", "optimizer.iterations.assign(step + 1)"),
        ("state.py", "torch.tensor(float(step),", "torch.tensor(float(step) + 1,"),
        told=r"count of updates were one ahead",
    ),
    "the running means are not restored": Fault(
        "state", "lockstep", "statistics/batch_norm_1/moving_mean", 1,
        ("state.py", 'variable.assign(state[f"statistics/{name}"])',
         'variable.assign(state[f"statistics/{name}"] * (not name.endswith("mean")))'),
        ("state.py", 'tensor.copy_(own(name, state[f"statistics/{name}"], tensor.device))',
         'tensor.copy_(own(name, state[f"statistics/{name}"] * (not name.endswith("mean")), tensor.device))'),
        "mnist_batchnorm",
        told=r"moving_mean",
    ),
    "the history is not restored": Fault(
        # The newest pair of torch's: the oldest makes room for the step's own. There is none before step 5.
        "state", "lockstep", "slots/previous_step", 5,
        ("state.py", TF_WRITE, TF_WRITE[:-1] + " * (slot != 'steps'))"),
        ("lbfgs.py", "if y.any()]", "if y.any()][:-1]"),
        "xor_lbfgs",
        told=r"steps were zero before the step|newest pair of the history were missing",
    ),
    "the second moment is not saved": Fault(
        "state", "lockstep", "slots/second_moment/dense_1/kernel", 0,
        ("state.py", "scaled(variable, 1 / factor) for",
         "scaled(variable, 1 / factor) * (slot != 'second_moment') for"),
        ("state.py", "neutral_slot(slot, name, tensor) for",
         "neutral_slot(slot, name, tensor) * (slot != 'second_moment') for"),
        told=r"second_moment.*zero",
    ),
    "one start weight is off by a millionth": Fault(
        "state", "preflight", "start", None,
        ("state.py", '        variable.assign(state[f"weights/{name}"])',
         '        moved = np.array(state[f"weights/{name}"])\n'
         "        moved.flat[5] += 1e-6 * (step == 0)\n        variable.assign(moved)"),
        ("state.py", 'parameter.data.copy_(own(name, state[f"weights/{name}"], parameter.device))',
         'moved = np.array(state[f"weights/{name}"])\n'
         "        moved.flat[5] += 1e-6 * (step == 0)\n"
         "        parameter.data.copy_(own(name, moved, parameter.device))"),
        told=r"element \[0, 5\]: plus 1e-06",
    ),
}  # fmt: skip
