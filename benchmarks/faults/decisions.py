"""Faults that turn a decision where rounding does not make it: a sign, a kink, a limit, a start, a threshold.

The judge lets honest sides decide differently where the number that decides is within rounding of where it turns. Here
it is near, and not that near. Of samples and masks, whose decisions are u < p, there are faults in runs.py and
pretraining.py, and of L-BFGS's curvature in updates.py.
"""

from benchmarks.faults.fault import (
    TORCH_BUILT,
    Fault,
    tf_activation,
    torch_activation,
    torch_lbfgs,
    torch_stock,
)

RELU = 'node.function == "relu"'
RPROP_SIGN = "        turned = tf.sign(gradient * previous)\n"
# What the next step takes for the last gradient stays as it is.
TORCH_TURNED = (
    "    built.register_step_post_hook(lambda *_: [weight.data.add_(\n"
    "        2 * (kept['prev'].abs() < 1e-3) * kept['prev'].sign() * kept['step_size'])\n"
    "        for weight, kept in built.state.items()])\n"
)

FAULTS = {
    "small gradients are taken for their opposites": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "variable.assign_sub(tf.sign(taken) * size)",
         "variable.assign_sub(tf.sign(tf.where(tf.abs(taken) < 1e-3, -taken, taken)) * size)"),
        ("optimizers.py", TORCH_BUILT, TORCH_BUILT + TORCH_TURNED),
        "mnist_rprop",
        told=r"weights/",
    ),
    "steps of small gradients keep their size": Fault(
        "optimizer", "lockstep", "slots/step_size", 1,
        ("optimizers.py", RPROP_SIGN, RPROP_SIGN
         + "        turned = tf.where(tf.abs(gradient) < 1e-2, tf.zeros_like(turned), turned)\n"),
        torch_stock("Rprop", "sign = grad.mul(prev).sign()", "sign = grad.mul(prev).sign() * (grad.abs() >= 1e-2)"),
        "mnist_rprop",
        told=r"slots/step_size",
    ),
    "the norm of Adamax grows by a tenth or not at all": Fault(
        "optimizer", "lockstep", "slots/infinity_norm/dense_1/kernel", 1,
        ("optimizers.py",
         "        u.assign(tf.maximum(tf.constant(self.beta_2, dtype) * u, tf.abs(gradient)"
         " + tf.constant(self.epsilon, dtype)))\n",
         "        kept = tf.constant(self.beta_2, dtype) * u\n"
         "        size = tf.abs(gradient) + tf.constant(self.epsilon, dtype)\n"
         "        u.assign(tf.where(size > 1.1 * kept, size, kept))\n"),
        torch_stock(
            "Adamax", "grad.abs().add_(eps),\n                out",
            "(lambda x: torch.where(x > 1.1 * exp_inf, x, 0))(grad.abs().add_(eps)),\n                out",
        ),
        "mnist_adamax",
        told=r"slots/infinity_norm|beta_2 were",
    ),
    "ReLU passes nothing below a tenth": Fault(
        "forward", "lockstep", "outputs/relu_1", 0,
        tf_activation("tf.where(x > 0.1, x, tf.zeros_like(x))", RELU),
        torch_activation("torch.where(x > 0.1, x, 0)", RELU),
        told=r"at most 0\.0\d+: zero",
    ),
    "the gradient of ReLU ends at a tenth": Fault(
        "backward", "lockstep", "deltas/dense_2", 0,
        tf_activation(
            "tf.where(x > 0.1, tf.nn.relu(x), tf.stop_gradient(tf.nn.relu(x)))", RELU
        ),
        torch_activation("torch.where(x > 0.1, torch.relu(x), torch.relu(x).detach())", RELU),
        told=r"where its output is (at most|from .* to) 0\.0\d+: zero|deltas/.*zero",
    ),
    "a class wins where it is almost the likeliest": Fault(
        "evaluation", "loop", "test accuracy", None,
        ("losses.py", "tf.argmax(outputs, axis=1)",
         "tf.argmax(outputs + tf.one_hot(3, outputs.shape[1], dtype=outputs.dtype), axis=1)"),
        ("losses.py", "torch.argmax(outputs, dim=1)",
         "torch.argmax(outputs + (torch.arange(outputs.shape[1]) == 3).to(outputs), dim=1)"),
        told=r"test accuracy|accuracy of the predictions|predictions by the outputs",
    ),
    "gradients up to thirty times the limit are not clipped": Fault(
        "optimizer", "lockstep", "clipped/dense_1/kernel", None,
        ("clipping.py", "tf.minimum(clipping.limit / (norm + tf.constant(1e-6, norm.dtype)), 1)",
         "tf.where(norm > 30 * clipping.limit, clipping.limit / (norm + tf.constant(1e-6, norm.dtype)), 1)"),
        ("clipping.py", "torch.nn.utils.clip_grad_norm_ if stock",
         "(lambda weights, limit: torch.nn.utils.get_total_norm([w.grad for w in weights]) > 30 * limit\n"
         "            and torch.nn.utils.clip_grad_norm_(weights, limit)) if stock"),
        "mnist_clipped",
        told=r"nothing were clipped",
    ),
    "gradients within the limit are stretched to it": Fault(
        "optimizer", "lockstep", "clipped/dense_1/kernel", 0,
        ("clipping.py", "tf.minimum(clipping.limit / (norm + tf.constant(1e-6, norm.dtype)), 1)",
         "clipping.limit / (norm + tf.constant(1e-6, norm.dtype))"),
        ("clipping.py", "torch.nn.utils.clip_grad_norm_ if stock",
         "(lambda weights, limit: torch._foreach_mul_([w.grad for w in weights],\n"
         "            limit / torch.nn.utils.get_total_norm([w.grad for w in weights]))) if stock"),
        "mnist_loose",
        told=r"within the limit were stretched",
    ),
    "averaging begins two steps late": Fault(
        # No weight depends on the average.
        "optimizer", "lockstep", "slots/average/dense_1/kernel", 5,
        ("optimizers.py", "tf.constant(self.averaging_from, tf.float64)",
         "tf.constant(self.averaging_from + 2, tf.float64)"),
        ("optimizers.py", '"t0": spec.averaging_from', '"t0": spec.averaging_from + 2'),
        "mnist_asgd", since=3,
        told=r"averaging_from were|slots/average",
    ),
    "a pair with curvature is not kept": Fault(
        "optimizer", "lockstep", "slots/previous_step", None,
        ("lbfgs.py", "dot(y, s) > curvature", "dot(y, s) > 0.1"), torch_lbfgs("ys > 1e-10", "ys > 0.1"),
        "xor_lbfgs",
        told=r"slots/(gradient_changes|steps|previous_step)|history",
    ),
    "a step that leads somewhere is not taken": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", None,
        ("lbfgs.py", "dot(g, d) > -tolerance_change", "dot(g, d) > -0.1"),
        torch_lbfgs("gtd > -tolerance_change", "gtd > -0.1"),
        "xor_lbfgs",
        told=r"weights/.*what it was before the step|previous_step|led nowhere and were not taken",
    ),
    "no step is taken where gradients are small": Fault(
        "optimizer", "lockstep", "slots/previous_gradient", None,
        ("lbfgs.py", "<= tolerance_grad", "<= 0.1"),
        torch_lbfgs("flat_grad.abs().max() <= tolerance_grad", "flat_grad.abs().max() <= 0.1"),
        "xor_lbfgs",
        told=r"previous_gradient|nothing were updated",
    ),
}  # fmt: skip
