"""Differences in how an activation is computed."""

from parity.differences.entry import Difference, Effect, side

DOCUMENT = "docs/activations.md"

ENTRIES = (
    Difference(
        id="softplus_above_20",
        title="torch's softplus is x above 20; Keras's goes on",
        kind="choice",
        does="At most 2.1e-9 of softplus and of its derivative: seen in float64, less than rounding in float32.",
        keras=side(
            formula="log(1 + exp(x))",
            source="keras/src/backend/tensorflow/nn.py: softplus",
            code="""
                x = tf.constant([20.5], tf.float64)
                print(f"{keras.activations.softplus(x)[0] - 20.5:.3e}")
            """,
            prints="1.250e-09",
            align="""
                x = tf.constant([20.5], tf.float64)
                print(f"{tf.where(x > 20, x, keras.activations.softplus(x))[0] - 20.5:.3e}")
            """,
        ),
        torch=side(
            formula="log(1 + exp(x)) for x <= 20, else x",
            source="torch/nn/modules/activation.py: Softplus",
            code="""
                x = torch.tensor([20.5], dtype=torch.float64)
                print(f"{torch.nn.Softplus()(x)[0] - 20.5:.3e}")
            """,
            prints="0.000e+00",
            align="""
                x = torch.tensor([20.5], dtype=torch.float64)
                print(f"{torch.nn.Softplus(threshold=40)(x)[0] - 20.5:.3e}")
            """,
        ),
        document=DOCUMENT,
        effect=Effect("softplus_above_20", "mnist_relu --activation softplus", "forward softplus_1"),
    ),
    Difference(
        id="elu_selu_expm1",
        title="ELU and SELU just below zero: exp(x) - 1 in Keras, expm1(x) in torch",
        kind="kernel",
        does="Keras's float32 output is off by up to 6e-8, whatever its own size; at -1e-9 it is 0.",
        keras=side(
            formula="exp(x) - 1",
            source="keras/src/backend/tensorflow/nn.py: elu",
            code="""
                x = tf.fill([64], -1e-9)
                print(f"{keras.activations.elu(x)[0]:.1e}")
            """,
            prints="0.0e+00",
            align="""
                x = tf.fill([64], -1e-9)
                print(f"{tf.where(x > 0, x, tf.math.expm1(tf.minimum(x, 0)))[0]:.1e}")
            """,
        ),
        torch=side(
            formula="expm1(x)",
            source="torch/nn/modules/activation.py: ELU",
            code="""
                x = torch.full([64], -1e-9)
                print(f"{torch.nn.ELU()(x)[0]:.1e}")
            """,
            prints="-1.0e-09",
            align="""
                x = torch.full([64], -1e-9)
                print(f"{torch.where(x > 0, x, torch.exp(x) - 1)[0]:.1e}")
            """,
        ),
        document=DOCUMENT,
    ),
    Difference(
        id="tanh_sigmoid_approx",
        title="tanh reaches exactly 1 at 7.91 in Keras on a CPU, beyond 9.01 in torch",
        kind="kernel",
        does="A rational approximation, some 4 units in the last place off; from there on it has no gradient.",
        keras=side(
            formula="a quotient of polynomials, clipped (Eigen)",
            source="keras/src/backend/tensorflow/nn.py: tanh",
            code="""
                x = tf.fill([64], 8.5)
                print(bool(tf.tanh(x)[0] == 1))
            """,
            prints="True",
            align="""
                # Dearer, and correct to half a unit in the last place.
                x = tf.fill([64], 8.5)
                print(bool(tf.cast(tf.tanh(tf.cast(x, tf.float64)), tf.float32)[0] == 1))
            """,
        ),
        torch=side(
            formula="within one unit in the last place (Sleef)",
            source="torch/nn/modules/activation.py: Tanh",
            code="""
                x = torch.full([64], 8.5)
                print(bool(torch.tanh(x)[0] == 1))
            """,
            prints="False",
            align="""
                # The saturation alone; the polynomials are Eigen's own.
                x = torch.full([64], 8.5)
                print(bool(torch.where(x.abs() >= 7.91, torch.sign(x), torch.tanh(x))[0] == 1))
            """,
        ),
        document=DOCUMENT,
    ),
)
