"""Differences in activations: their defaults, and constants inside."""

from parity.differences.entry import Difference, Effect, side

DOCUMENT = "docs/activations.md"

ENTRIES = (
    Difference(
        id="leaky_relu_slope",
        title="Leaky ReLU's own slope: 0.3 or 0.2 in Keras, 0.01 in torch",
        kind="authoring trap",
        does="The same layer by name is another function below zero; Keras's layer and its function differ, too.",
        keras=side(
            formula="x if x > 0, else 0.3 x in the layer and 0.2 x in the function",
            source="keras/src/layers/activations/leaky_relu.py: LeakyReLU",
            code="""
                x = tf.constant([-1.0])
                print(f"{keras.layers.LeakyReLU()(x)[0]:.2f}", f"{keras.activations.leaky_relu(x)[0]:.2f}")
            """,
            prints="-0.30 -0.20",
            align="""
                x = tf.constant([-1.0])
                layer = keras.layers.LeakyReLU(negative_slope=0.01)
                print(f"{layer(x)[0]:.2f}", f"{keras.activations.leaky_relu(x, negative_slope=0.01)[0]:.2f}")
            """,
        ),
        torch=side(
            formula="x if x > 0, else 0.01 x",
            source="torch/nn/modules/activation.py: LeakyReLU",
            code="""
                x = torch.tensor([-1.0])
                print(f"{torch.nn.LeakyReLU()(x)[0]:.2f}", f"{torch.nn.functional.leaky_relu(x)[0]:.2f}")
            """,
            prints="-0.01 -0.01",
            align="""
                x = torch.tensor([-1.0])
                layer = torch.nn.LeakyReLU(negative_slope=0.3)
                print(f"{layer(x)[0]:.2f}", f"{torch.nn.functional.leaky_relu(x, 0.2)[0]:.2f}")
            """,
        ),
    ),
    Difference(
        id="leaky_relu_constant",
        title="Keras's leaky ReLU rounds its slope through float32, in float64 too",
        kind="choice",
        does="In float64 the slope 0.2 is off by 3e-9; in float32 there is no difference.",
        keras=side(
            formula="float32(slope) x below zero: TensorFlow's kernel takes the slope as a float32 attribute",
            source="keras/src/backend/tensorflow/nn.py: leaky_relu",
            code="""
                x = tf.constant([-1.0], tf.float64)
                print(f"{keras.layers.LeakyReLU(0.2, dtype='float64')(x)[0]:.12f}")
            """,
            prints="-0.200000002980",
            align="""
                x = tf.constant([-1.0], tf.float64)
                print(f"{tf.where(x > 0, x, x * tf.constant(0.2, x.dtype))[0]:.12f}")
            """,
        ),
        torch=side(
            formula="slope x below zero",
            source="torch/nn/modules/activation.py: LeakyReLU",
            code="""
                x = torch.tensor([-1.0], dtype=torch.float64)
                print(f"{torch.nn.LeakyReLU(0.2)(x)[0]:.12f}")
            """,
            prints="-0.200000000000",
            align="""
                x = torch.tensor([-1.0], dtype=torch.float64)
                print(f"{torch.nn.LeakyReLU(float(np.float32(0.2)))(x)[0]:.12f}")
            """,
        ),
        effect=Effect("constants", "xor_leaky_relu --dtype float64", "forward leaky_relu_1", ("leaky_relu",)),
    ),
    Difference(
        id="prelu_default",
        title="PReLU starts as ReLU with a slope for each unit in Keras, with one slope of 0.25 in torch",
        kind="authoring trap",
        does="Other weights are trained, from another start.",
        keras=side(
            formula="slopes 0, one for each unit",
            source="keras/src/layers/activations/prelu.py: PReLU, build",
            code="""
                layer = keras.layers.PReLU()
                layer.build((None, 4))
                print(layer.alpha.shape, float(layer.alpha[0]))
            """,
            prints="(4,) 0.0",
            align="""
                layer = keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25), shared_axes=[1])
                layer.build((None, 4))
                print(layer.alpha.shape, float(layer.alpha[0]))
            """,
        ),
        torch=side(
            formula="slope 0.25, one for all units",
            source="torch/nn/modules/activation.py: PReLU",
            code="""
                layer = torch.nn.PReLU()
                print(tuple(layer.weight.shape), float(layer.weight[0]))
            """,
            prints="(1,) 0.25",
            align="""
                layer = torch.nn.PReLU(num_parameters=4, init=0.0)
                print(tuple(layer.weight.shape), float(layer.weight[0]))
            """,
        ),
    ),
    Difference(
        id="gelu_approximation",
        title="GELU by a tanh or exactly: keras.ops.gelu approximates, torch and keras.activations do not",
        kind="authoring trap",
        does="The two are up to 5e-4 apart.",
        keras=side(
            formula="0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))",
            source="keras/src/ops/nn.py: gelu",
            code="""
                x = tf.constant([1.0])
                print(f"{keras.ops.gelu(x)[0]:.5f}")
            """,
            prints="0.84119",
            align="""
                x = tf.constant([1.0])
                print(f"{keras.ops.gelu(x, approximate=False)[0]:.5f}")
            """,
        ),
        torch=side(
            formula="0.5 x (1 + erf(x / sqrt(2)))",
            source="torch/nn/modules/activation.py: GELU",
            code="""
                x = torch.ones(1)
                print(f"{torch.nn.functional.gelu(x)[0]:.5f}")
            """,
            prints="0.84134",
            align="""
                x = torch.ones(1)
                print(f"{torch.nn.functional.gelu(x, approximate='tanh')[0]:.5f}")
            """,
        ),
    ),
    Difference(
        id="gelu",
        title="Keras's GELU rounds 1 / sqrt(2) through float32, in float64 too",
        kind="choice",
        does="In float64 it is off by some 4e-9; in float32 only rounding is left.",
        keras=side(
            formula="0.5 x erfc(-x float32(1 / sqrt(2)))",
            source="tensorflow/python/ops/nn_ops.py: gelu",
            code="""
                x = tf.constant([1.0], tf.float64)
                print(f"{keras.activations.gelu(x)[0]:.11f}")
            """,
            prints="0.84134474193",
            align="""
                x = tf.constant([1.0], tf.float64)
                print(f"{(0.5 * x * tf.math.erfc(-x * np.sqrt(0.5)))[0]:.11f}")
            """,
        ),
        torch=side(
            formula="0.5 x (1 + erf(x / sqrt(2)))",
            source="torch/nn/modules/activation.py: GELU",
            code="""
                x = torch.ones(1, dtype=torch.float64)
                print(f"{torch.nn.GELU()(x)[0]:.11f}")
            """,
            prints="0.84134474607",
            align="""
                x = torch.ones(1, dtype=torch.float64)
                print(f"{(0.5 * x * torch.erfc(-x * float(np.float32(0.5**0.5))))[0]:.11f}")
            """,
        ),
        document=DOCUMENT,
        effect=Effect(
            "constants", "mnist_relu --activation gelu --dtype float64", "forward gelu_1", ("gelu", "gelu_tanh")
        ),
    ),
    Difference(
        id="hard_sigmoid_slope",
        title="torch's hard sigmoid rounds its slope, 1/6, through float32, in float64 too",
        kind="choice",
        does="In float64 its gradient is off by 3e-8 of itself; the function itself is not.",
        keras=side(
            formula="f = relu6(x + 3) / 6; f' = 1/6",
            source="keras/src/backend/tensorflow/nn.py: hard_sigmoid",
            code="""
                x = tf.Variable([0.0], dtype=tf.float64)
                with tf.GradientTape() as tape:
                    y = keras.activations.hard_sigmoid(x)
                print(f"{tape.gradient(y, x)[0]:.12f}")
            """,
            prints="0.166666666667",
            align="""
                @tf.custom_gradient
                def hard_sigmoid(x):
                    slope = tf.cast(tf.constant(np.float32(1 / 6)), x.dtype)
                    return keras.activations.hard_sigmoid(x), lambda d: tf.where(tf.abs(x) < 3, d * slope, 0)


                x = tf.Variable([0.0], dtype=tf.float64)
                with tf.GradientTape() as tape:
                    y = hard_sigmoid(x)
                print(f"{tape.gradient(y, x)[0]:.12f}")
            """,
        ),
        torch=side(
            formula="f = relu6(x + 3) / 6; f' = float32(1/6)",
            source="torch/nn/modules/activation.py: Hardsigmoid",
            code="""
                x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
                torch.nn.Hardsigmoid()(x).backward()
                print(f"{x.grad[0]:.12f}")
            """,
            prints="0.166666671634",
            align="""
                x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
                (torch.nn.functional.relu6(x + 3) / 6).backward()
                print(f"{x.grad[0]:.12f}")
            """,
        ),
        document=DOCUMENT,
        effect=Effect(
            "constants",
            "mnist_relu --activation hard_sigmoid --dtype float64",
            "backward hard_sigmoid_2",
            ("hard_sigmoid",),
        ),
    ),
)
