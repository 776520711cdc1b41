"""Differences of Adagrad and RMSprop: whether epsilon is added inside their root."""

from parity.differences.entry import Difference, Effect, side

ENTRIES = (
    Difference(
        id="adagrad_epsilon_position",
        title="Adagrad adds epsilon inside the root in Keras, outside of it in torch",
        kind="choice",
        does="The same epsilon is the root of itself in Keras: 1e-10 acts like 1e-5.",
        keras=side(
            formula="w -= lr g / sqrt(a + eps)",
            source="keras/src/optimizers/adagrad.py: Adagrad, update_step",
            code="""
                w = keras.Variable([0.0])
                optimizer = keras.optimizers.Adagrad(0.01, initial_accumulator_value=0.0, epsilon=1e-10)
                optimizer.apply([tf.constant([1e-6])], [w])
                print(f"{w[0]:.2e}")
            """,
            prints="-9.95e-04",
            align="""
                # The formula of one weight: TorchAdagrad of tf_impl/optimizers.py.
                w, a, g = 0.0, 0.0, 1e-6
                a += g * g
                w -= 0.01 * g / (a**0.5 + 1e-10)
                print(f"{w:.2e}")
            """,
        ),
        torch=side(
            formula="w -= lr g / (sqrt(a) + eps)",
            source="torch/optim/adagrad.py: _single_tensor_adagrad",
            code="""
                w = torch.zeros(1)
                w.grad = torch.tensor([1e-6])
                torch.optim.Adagrad([w], lr=0.01, eps=1e-10).step()
                print(f"{w[0]:.2e}")
            """,
            prints="-1.00e-02",
            align="""
                # The formula of one weight: KerasAdagrad of torch_impl/optimizers.py.
                w, a, g = 0.0, 0.0, 1e-6
                a += g * g
                w -= 0.01 * g / (a + 1e-10) ** 0.5
                print(f"{w:.2e}")
            """,
        ),
        effect=Effect("adagrad_epsilon", "mnist_relu --optimizer adagrad", "optimizer"),
    ),
    Difference(
        id="rmsprop_epsilon_position",
        title="RMSprop adds epsilon inside the root in Keras, outside of it in torch",
        kind="choice",
        does="The same epsilon is the root of itself in Keras: 1e-8 acts like 1e-4.",
        keras=side(
            formula="w -= lr g / sqrt(v + eps)",
            source="keras/src/optimizers/rmsprop.py: RMSprop, update_step",
            code="""
                w = keras.Variable([0.0])
                keras.optimizers.RMSprop(0.01, rho=0.99, epsilon=1e-8).apply([tf.constant([1e-4])], [w])
                print(f"{w[0]:.2e}")
            """,
            prints="-9.95e-03",
            align="""
                # The formula of one weight: TorchRMSprop of tf_impl/optimizers.py.
                w, v, g = 0.0, 0.0, 1e-4
                v = 0.99 * v + 0.01 * g * g
                w -= 0.01 * g / (v**0.5 + 1e-8)
                print(f"{w:.2e}")
            """,
        ),
        torch=side(
            formula="w -= lr g / (sqrt(v) + eps)",
            source="torch/optim/rmsprop.py: _single_tensor_rmsprop",
            code="""
                w = torch.zeros(1)
                w.grad = torch.tensor([1e-4])
                torch.optim.RMSprop([w], lr=0.01, alpha=0.99, eps=1e-8).step()
                print(f"{w[0]:.2e}")
            """,
            prints="-9.99e-02",
            align="""
                # The formula of one weight: KerasRMSprop of torch_impl/optimizers.py.
                w, v, g = 0.0, 0.0, 1e-4
                v = 0.99 * v + 0.01 * g * g
                w -= 0.01 * g / (v + 1e-8) ** 0.5
                print(f"{w:.2e}")
            """,
        ),
        effect=Effect("rmsprop_epsilon", "mnist_relu --optimizer rmsprop", "optimizer"),
    ),
)
