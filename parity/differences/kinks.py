"""Differences in derivatives at a kink, at a bound, and where there is no number."""

from parity.differences.entry import Difference, Effect, side

DOCUMENT = "docs/activations.md"

ENTRIES = (
    Difference(
        id="selu_at_zero",
        title="SELU's derivative at exactly zero: from above in Keras, from below in torch",
        kind="choice",
        does="With zero biases, XOR's input (0, 0) puts each unit at exactly zero; nine layers multiply the factor.",
        keras=side(
            formula="f'(0) = scale = 1.0507, taken from the output, which is not below zero",
            source="keras/src/backend/tensorflow/nn.py: selu",
            code="""
                x = tf.Variable([0.0])
                with tf.GradientTape() as tape:
                    y = keras.activations.selu(x)
                print(f"{tape.gradient(y, x)[0]:.4f}")
            """,
            prints="1.0507",
            align="""
                scale, alpha = 1.0507009873554805, 1.6732632423543772
                x = tf.Variable([0.0])
                with tf.GradientTape() as tape:
                    y = tf.where(x > 0, scale * x, scale * alpha * tf.math.expm1(tf.minimum(x, 0)))
                print(f"{tape.gradient(y, x)[0]:.4f}")
            """,
        ),
        torch=side(
            formula="f'(0) = scale alpha = 1.7581, taken from the input, which is not above zero",
            source="torch/nn/modules/activation.py: SELU",
            code="""
                x = torch.zeros(1, requires_grad=True)
                torch.nn.SELU()(x).backward()
                print(f"{x.grad[0]:.4f}")
            """,
            prints="1.7581",
            align="""
                scale, alpha = 1.0507009873554805, 1.6732632423543772
                x = torch.zeros(1, requires_grad=True)
                below = scale * alpha * (torch.exp(torch.clamp(x, max=0)) - 1)
                torch.where(below < 0, below, scale * x).backward()
                print(f"{x.grad[0]:.4f}")
            """,
        ),
        document=DOCUMENT,
        effect=Effect("selu_at_zero", "xor_relu --activation selu --init keras_default", "backward selu_9"),
    ),
    Difference(
        id="prelu_at_zero",
        title="PReLU's derivative at exactly zero: zero in Keras, its slope in torch",
        kind="choice",
        does="A unit at exactly zero passes no gradient in Keras: XOR's input (0, 0), while biases are zero.",
        keras=side(
            formula="relu(x) - slope relu(-x): f'(0) = 0",
            source="keras/src/layers/activations/prelu.py: PReLU, call",
            code="""
                layer = keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25))
                x = tf.Variable([[0.0]])
                with tf.GradientTape() as tape:
                    y = layer(x)
                print(f"{tape.gradient(y, x)[0, 0]:.2f}")
            """,
            prints="0.00",
            align="""
                x, slope = tf.Variable([[0.0]]), 0.25
                with tf.GradientTape() as tape:
                    y = tf.where(x > 0, x, slope * x)
                print(f"{tape.gradient(y, x)[0, 0]:.2f}")
            """,
        ),
        torch=side(
            formula="x if x > 0, else slope x: f'(0) = slope",
            source="torch/nn/modules/activation.py: PReLU",
            code="""
                x = torch.zeros(1, 1, requires_grad=True)
                torch.nn.PReLU(init=0.25)(x).backward()
                print(f"{x.grad[0, 0]:.2f}")
            """,
            prints="0.25",
            align="""
                x, slope = torch.zeros(1, 1, requires_grad=True), 0.25
                (torch.relu(x) - slope * torch.relu(-x)).backward()
                print(f"{x.grad[0, 0]:.2f}")
            """,
        ),
        document=DOCUMENT,
        effect=Effect("prelu_at_zero", "xor_relu --activation prelu --init keras_default", "backward prelu_9"),
    ),
    Difference(
        id="maximum_at_tie",
        title="The derivative of maximum(x, 0) at zero: 1 in Keras, 0.5 in torch",
        kind="authoring trap",
        does="A ReLU that is written as a maximum is another function at exactly zero; the ReLUs themselves give 0.",
        keras=side(
            formula="the first argument takes all of it",
            source="tensorflow/python/ops/math_grad.py: _MaximumGrad",
            code="""
                x = tf.Variable([0.0])
                with tf.GradientTape() as tape:
                    y = tf.maximum(x, 0.0)
                print(float(tape.gradient(y, x)[0]))
            """,
            prints="1.0",
            align="""
                x = tf.Variable([0.0])
                with tf.GradientTape() as tape:
                    y = (tf.maximum(x, 0.0) + tf.maximum(0.0, x)) / 2
                print(float(tape.gradient(y, x)[0]))
            """,
        ),
        torch=side(
            formula="both arguments take half of it",
            source="torch/_torch_docs.py: maximum",
            code="""
                x = torch.zeros(1, requires_grad=True)
                torch.maximum(x, torch.zeros(1)).backward()
                print(float(x.grad[0]))
            """,
            prints="0.5",
            align="""
                x = torch.zeros(1, requires_grad=True)
                torch.where(x >= 0, x, 0.0).backward()
                print(float(x.grad[0]))
            """,
        ),
    ),
    Difference(
        id="clamp_boundary_gradient",
        title="The derivative of a clip at its bound: 1 in Keras and torch 2.13, 0 in torch 2.15",
        kind="version",
        does="ReLU6, hard sigmoid and clipped costs that are written with clamp change with torch's version.",
        keras=side(
            formula="d clip(x, a, b) / dx = 1 for a <= x <= b",
            source="tensorflow/python/ops/clip_ops.py: clip_by_value",
            code="""
                x = tf.Variable([1.0])
                with tf.GradientTape() as tape:
                    y = tf.clip_by_value(x, 0.0, 1.0)
                print(float(tape.gradient(y, x)[0]))
            """,
            prints="1.0",
            align="""
                x = tf.Variable([1.0])
                with tf.GradientTape() as tape:
                    y = tf.where((x > 0) & (x < 1), x, tf.round(x))
                print(float(tape.gradient(y, x)[0]))
            """,
        ),
        torch=side(
            formula="d clamp(x, a, b) / dx = 1 for a < x < b; in 2.13 also at a and b",
            source="torch/_torch_docs.py: clamp",
            code="""
                x = torch.ones(1, requires_grad=True)
                torch.clamp(x, 0, 1).backward()
                print(float(x.grad[0]))
            """,
            prints="0.0",
            align="""
                x = torch.ones(1, requires_grad=True)
                torch.where(x < 0, 0.0, torch.where(x > 1, 1.0, x)).backward()
                print(float(x.grad[0]))
            """,
        ),
    ),
    Difference(
        id="nan_through_activations",
        title="ReLU's derivative where its input is NaN: 0 in Keras, 1 in torch",
        kind="kernel",
        does="The first NaN shows in different tensors.",
        keras=side(
            formula="f'(x) = 1 if f(x) > 0, else 0",
            source="keras/src/backend/tensorflow/nn.py: relu",
            code="""
                x = tf.Variable([float("nan")])
                with tf.GradientTape() as tape:
                    y = keras.activations.relu(x)
                print(float(tape.gradient(y, x)[0]))
            """,
            prints="0.0",
            align="""
                x = tf.Variable([float("nan")])
                with tf.GradientTape() as tape:
                    y = tf.where(tf.math.is_nan(x), x, keras.activations.relu(x))
                print(float(tape.gradient(y, x)[0]))
            """,
        ),
        torch=side(
            formula="f'(x) = 0 if f(x) <= 0, else 1",
            source="torch/nn/modules/activation.py: ReLU",
            code="""
                x = torch.tensor([float("nan")], requires_grad=True)
                torch.relu(x).backward()
                print(float(x.grad[0]))
            """,
            prints="1.0",
            align="""
                x = torch.tensor([float("nan")], requires_grad=True)
                torch.where(x > 0, x, 0.0).backward()
                print(float(x.grad[0]))
            """,
        ),
        document=DOCUMENT,
    ),
)
