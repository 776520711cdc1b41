"""Faults of precision: what is rounded through a shorter format, in a model of float64 or float32."""

from benchmarks.faults.fault import (
    TF_COST,
    TORCH_BUILT,
    TORCH_COST,
    Fault,
    loop,
    placed,
    tf_dense,
    tf_relu,
    torch_dense,
    torch_numbers,
    torch_relu,
)

FIRST_MOMENT = "        m.assign_add((gradient - m) * tf.cast(1 - beta_1, dtype))\n"
HALF = "data.train_inputs.astype(np.float16).astype(data.train_inputs.dtype)"

FAULTS = {
    "a layer computes in float32": Fault(
        "precision", "lockstep", "outputs/dense_1", 0,
        tf_dense("tf.cast(tf.cast(stock(x), tf.float32), x.dtype)", "dense_1"),
        torch_dense("stock(x).float().to(x)", "dense_1"),
        told=r"outputs/dense_1.*rounded through float32",
    ),
    "an input is rounded through float32": Fault(
        "precision", "lockstep", "outputs/dense_2", 0,
        tf_dense("stock(tf.cast(tf.cast(x, tf.float32), x.dtype))", "dense_2"),
        torch_dense("stock(x.float().to(x))", "dense_2"),
        told=r"its input were rounded through float32",
    ),
    "the cost is computed in float32": Fault(
        "precision", "lockstep", "cost", 0,
        ("losses.py", TF_COST, "return tf.cast(" + TF_COST.removeprefix("return ").replace(
            "outputs)", "tf.cast(outputs, tf.float32))") + ", outputs.dtype)"),
        ("losses.py", TORCH_COST, TORCH_COST.replace("(outputs,", "(outputs.float(),") + ".to(outputs)"),
        told=r"its input were rounded through float32|cost|deltas",
    ),
    "beta_1 is rounded through float32": Fault(
        "precision", "lockstep", "slots/first_moment/dense_1/kernel", 0,
        ("optimizers.py", "beta_1, beta_2 = tf.constant(self.beta_1, tf.float64),",
         "beta_1, beta_2 = tf.cast(tf.constant(self.beta_1, tf.float32), tf.float64),"),
        torch_numbers('numbers["betas"] = (float(torch.tensor(spec.beta_1, dtype=torch.float32)), spec.beta_2)'),
        told=r"beta_1 were 0.89999",
    ),
    "the learning rate is rounded through float32": Fault(
        "precision", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.cast(learning_rate, tf.float64) /",
         "tf.cast(tf.cast(learning_rate, tf.float32), tf.float64) /"),
        torch_numbers('numbers["lr"] = float(torch.tensor(spec.learning_rate, dtype=torch.float32))'),
        told=r"learning_rate were 0.00100000004",
    ),
    "activations are rounded through float16": Fault(
        "precision", "lockstep", "outputs/relu_1", 0,
        tf_relu("tf.cast(tf.cast(tf.nn.relu(x), tf.float16), x.dtype)"), torch_relu("torch.relu(x).half().to(x)"),
        # A ReLU of what is rounded is the same.
        told=r"outputs/relu.*rounded through float16|its input were rounded through float16",
    ),
    "a layer's input is rounded through bfloat16": Fault(
        "precision", "lockstep", "outputs/dense_3", 0,
        tf_dense("stock(tf.cast(tf.cast(x, tf.bfloat16), x.dtype))", "dense_3"),
        torch_dense("stock(x.bfloat16().to(x))", "dense_3"),
        told=r"its input were rounded through bfloat16",
    ),
    "the first moment is kept in float16": Fault(
        "precision", "lockstep", "slots/first_moment/dense_1/kernel", 0,
        ("optimizers.py", FIRST_MOMENT, f"{FIRST_MOMENT}        m.assign(tf.cast(tf.cast(m, tf.float16), dtype))\n"),
        ("optimizers.py", TORCH_BUILT,
         f"{TORCH_BUILT}    built.register_step_post_hook(lambda *_: "
         '[slots["exp_avg"].copy_(slots["exp_avg"].half()) for slots in built.state.values()])\n'),
        told=r"first_moment.*rounded through float16",
    ),
    "weights are kept in bfloat16": Fault(
        "precision", "loop", "weights/dense_1/kernel", 0,
        loop("[w.assign(tf.cast(tf.cast(w, tf.bfloat16), w.dtype)) for w in model.trainable_variables]"),
        loop("[w.data.copy_(w.data.bfloat16()) for w in model.parameters()]"),
        told=r"weights/.*rounded through bfloat16",
    ),
    "pixels are rounded through float16": Fault(
        "precision", "consumed", "inputs", 0,
        placed("data.train_inputs", HALF), placed("data.train_inputs", HALF),
        told=r"inputs on its device are those prepared|inputs differ",
    ),
}  # fmt: skip
