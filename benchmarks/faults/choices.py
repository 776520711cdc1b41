"""Faults that a choice of the realisation expresses: what the other framework does, on a side that should not."""

from benchmarks.faults.fault import Fault, placed, torch_numbers

# As stock Keras makes it: with its own epsilon, before the correction, and betas that it rounds there.
TORCH_STOCK_ADAM = """\
    from dataclasses import replace
    numbers["eps"] = 1e-7
    realisation = replace(realisation, adam_epsilon="before_correction", constants="through_float32")
    if realisation.adam_epsilon == "after_correction":
"""

FAULTS = {
    "epsilon in the wrong place": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "tf.sqrt(v) / correction + tf.constant(self.epsilon, dtype)",
         "(tf.sqrt(v) + tf.constant(self.epsilon, dtype)) / correction"),
        ("optimizers.py", 'if realisation.adam_epsilon == "after_correction":', "if False:"),
        cause=frozenset({"adam_epsilon"}),
    ),
    "stock Keras Adam": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", "made(spec.learning_rate, **betas(spec, realisation), **epsilon(spec, realisation))",
         "stock(spec.learning_rate)"),
        ("optimizers.py", '    if realisation.adam_epsilon == "after_correction":\n', TORCH_STOCK_ADAM),
        cause=frozenset({"adam_epsilon", "constants", "epsilon_value"}),
    ),
    "the optimizer's epsilon is Keras's": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", 'realisation.epsilon_value == "keras_default"', "True"),
        torch_numbers('numbers["eps"] = 1e-7'),
        cause=frozenset({"epsilon_value"}),
    ),
    "Keras's Adamax": Fault(
        "optimizer", "lockstep", "slots/infinity_norm/dense_1/kernel", 0,
        ("optimizers.py", 'realisation.adamax_epsilon == "in_denominator"', "True"),
        ("optimizers.py", 'realisation.adamax_epsilon == "beside_gradient"', "False"),
        "mnist_adamax", frozenset({"adamax_epsilon"}),
    ),
    "Keras's Adagrad": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", 'realisation.adagrad_epsilon == "inside_root"', "True"),
        ("optimizers.py", 'realisation.adagrad_epsilon == "outside_root"', "False"),
        "mnist_adagrad", frozenset({"adagrad_epsilon"}),
    ),
    "Keras's RMSprop": Fault(
        "optimizer", "lockstep", "weights/dense_1/kernel", 0,
        ("optimizers.py", 'realisation.rmsprop_epsilon == "inside_root"', "True"),
        ("optimizers.py", 'realisation.rmsprop_epsilon == "outside_root"', "False"),
        "mnist_rmsprop", frozenset({"rmsprop_epsilon"}),
    ),
    "weight decay shrinks the weights": Fault(
        "optimizer", "lockstep", "slots/first_moment/dense_1/kernel", 0,
        ("optimizers.py", "if spec.weight_decay and decays_weights(spec, realisation):", "if spec.weight_decay:"),
        ("optimizers.py", 'if decay and realisation.weight_decay == "decoupled":', "if decay:"),
        "mnist_decay", frozenset({"weight_decay"}),
    ),
    "nothing is added to the norm that clips": Fault(
        "optimizer", "lockstep", "clipped/dense_1/kernel", 0,
        ("clipping.py", 'realisation.clip_epsilon == "beside_norm"', "False"),
        ("clipping.py", 'realisation.clip_epsilon == "beside_norm"', "False"),
        "mnist_clipped", frozenset({"clip_epsilon"}),
    ),
    "pixels times a rounded 1/255": Fault(
        "data", "consumed", "inputs", 0,
        placed("data.train_inputs",
               "np.round(data.train_inputs * 255) * data.train_inputs.dtype.type(np.float32(1 / 255))"),
        placed("data.train_inputs",
               "np.round(data.train_inputs * 255) * data.train_inputs.dtype.type(np.float32(1 / 255))"),
        cause=frozenset({"pixel_scaling"}),
    ),
    "the running variance is the other one": Fault(
        "forward", "lockstep", "statistics/batch_norm_1/moving_variance", 0,
        ("layers.py", 'realisation.moving_variance == "biased"', 'realisation.moving_variance == "unbiased"'),
        ("layers.py", 'realisation.moving_variance == "unbiased"', 'realisation.moving_variance == "biased"'),
        "mnist_batchnorm", frozenset({"moving_variance"}),
    ),
    "the constant of GELU is rounded": Fault(
        "forward", "lockstep", "outputs/gelu_1", 0,
        ("activations.py", '    stock = realisation.constants == "through_float32"', "    stock = True"),
        ("activations.py", '    stock = realisation.constants == "exact"', "    stock = False"),
        "mnist_gelu", frozenset({"constants"}),
    ),
    "the slope of leaky ReLU is not rounded": Fault(
        "forward", "lockstep", "outputs/leaky_relu_1", 0,
        ("activations.py", '    if realisation.constants == "through_float32":', "    if False:"),
        ("activations.py", "negative_slope=constant(node.slope, realisation)", "negative_slope=node.slope"),
        "xor_leaky_relu", frozenset({"constants"}),
    ),
    "softplus is not cut off": Fault(
        "forward", "lockstep", "outputs/softplus_1", 0,
        ("activations.py", 'realisation.softplus_above_20 == "smooth"', "True"),
        ("activations.py", 'realisation.softplus_above_20 == "linear"', "False"),
        "mnist_softplus", frozenset({"softplus_above_20"}),
    ),
}  # fmt: skip
