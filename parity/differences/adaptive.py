"""Differences of Adam and its relatives: which epsilon, where it is added, how a bias is corrected."""

from parity.differences.entry import Difference, Effect, side

ENTRIES = (
    Difference(
        id="epsilon_default",
        title="An epsilon that is not given is 1e-7 in all of Keras's optimizers, 1e-8, 1e-10 or 1e-6 in torch's",
        kind="choice",
        does="Seen where gradients are not far above epsilon, and in Adadelta's first steps, which it sets.",
        keras=side(
            formula="epsilon = 1e-7",
            source="keras/src/optimizers/adadelta.py: Adadelta, epsilon",
            code="""
                w = keras.Variable([0.0])
                keras.optimizers.Adadelta(1.0, rho=0.9).apply([tf.constant([1e-3])], [w])
                print(f"{w[0]:.2e}")
            """,
            prints="-7.07e-04",
            align="""
                w = keras.Variable([0.0])
                keras.optimizers.Adadelta(1.0, rho=0.9, epsilon=1e-6).apply([tf.constant([1e-3])], [w])
                print(f"{w[0]:.2e}")
            """,
        ),
        torch=side(
            formula="eps = 1e-8 in Adam, AdamW, Adamax, NAdam and RMSprop, 1e-10 in Adagrad, 1e-6 in Adadelta",
            source="torch/optim/adadelta.py: Adadelta, eps",
            code="""
                w = torch.zeros(1)
                w.grad = torch.tensor([1e-3])
                torch.optim.Adadelta([w], lr=1.0, rho=0.9).step()
                print(f"{w[0]:.2e}")
            """,
            prints="-9.53e-04",
            align="""
                w = torch.zeros(1)
                w.grad = torch.tensor([1e-3])
                torch.optim.Adadelta([w], lr=1.0, rho=0.9, eps=1e-7).step()
                print(f"{w[0]:.2e}")
            """,
        ),
        effect=Effect("epsilon_value", "mnist_relu", "optimizer"),
    ),
    Difference(
        id="adam_epsilon_position",
        title="Adam adds epsilon before the bias correction in Keras, after it in torch",
        kind="choice",
        does="Keras's epsilon acts like a larger one, 32 times at the first step, on gradients of its own size.",
        keras=side(
            formula="w -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)",
            source="keras/src/optimizers/adam.py: Adam, update_step",
            code="""
                w = keras.Variable([0.0])
                keras.optimizers.Adam(0.001, epsilon=1e-8).apply([tf.constant([1e-7])], [w])
                print(f"{w[0]:.2e}")
            """,
            prints="-2.40e-04",
            align="""
                w = keras.Variable([0.0])
                optimizer = keras.optimizers.Adam(0.001)
                for step in range(1, 2):
                    optimizer.epsilon = 1e-8 * (1 - 0.999**step) ** 0.5
                    optimizer.apply([tf.constant([1e-7])], [w])
                print(f"{w[0]:.2e}")
            """,
        ),
        torch=side(
            formula="w -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)",
            source="torch/optim/adam.py: _single_tensor_adam",
            code="""
                w = torch.zeros(1)
                w.grad = torch.tensor([1e-7])
                torch.optim.Adam([w], lr=0.001, eps=1e-8).step()
                print(f"{w[0]:.2e}")
            """,
            prints="-9.09e-04",
            align="""
                w = torch.zeros(1)
                w.grad = torch.tensor([1e-7])
                optimizer = torch.optim.Adam([w], lr=0.001)
                for step in range(1, 2):
                    optimizer.param_groups[0]["eps"] = 1e-8 / (1 - 0.999**step) ** 0.5
                    optimizer.step()
                print(f"{w[0]:.2e}")
            """,
        ),
        effect=Effect("adam_epsilon", "mnist_relu", "optimizer"),
    ),
    Difference(
        id="adam_bias_correction_precision",
        title="Keras's Adam corrects its bias with betas rounded through float32, in float64 too",
        kind="choice",
        does="1 - b2 is off by 1.3e-5 of itself, and a step by half of that.",
        keras=side(
            formula="1 - float32(b2)^t; in float32 the power and the difference are rounded, too",
            source="keras/src/optimizers/adam.py: Adam, update_step",
            code="""
                beta = keras.ops.cast(keras.optimizers.Adam().beta_2, "float64")
                print(f"{1 - beta:.8f}")
            """,
            prints="0.00099999",
            align="""
                beta = keras.ops.cast(np.float64(0.999), "float64")
                print(f"{1 - beta:.8f}")
            """,
        ),
        torch=side(
            formula="1 - b2^t, in Python's float64",
            source="torch/optim/adam.py: _single_tensor_adam",
            code="""
                beta = torch.optim.Adam([torch.zeros(1)]).defaults["betas"][1]
                print(f"{1 - beta:.8f}")
            """,
            prints="0.00100000",
            align="""
                beta = float(np.float32(0.999))
                print(f"{1 - beta:.8f}")
            """,
        ),
        effect=Effect(
            "constants",
            "mnist_relu --choice adam_epsilon=before_correction --dtype float64",
            "optimizer",
            ("adam", "adamw", "adamax"),
        ),
    ),
    Difference(
        id="adamax_epsilon_position",
        title="Adamax adds epsilon to the norm it divides by in Keras, to the gradient's size in torch",
        kind="choice",
        does="Seen where a weight's largest gradient so far is not far above epsilon.",
        keras=side(
            formula="u = max(b2 u, |g|);  w -= lr / (1 - b1^t) m / (u + eps)",
            source="keras/src/optimizers/adamax.py: Adamax, update_step",
            code="""
                w = keras.Variable([0.0])
                optimizer = keras.optimizers.Adamax(0.1, beta_2=0.5, epsilon=1e-7)
                for g in (1e-6, 0.0):
                    optimizer.apply([tf.constant([g])], [w])
                print(f"{w[0]:.4f}")
            """,
            prints="-0.1699",
            align="""
                # The formula of one weight: TorchAdamax of tf_impl/optimizers.py.
                w, m, u, lr, eps = 0.0, 0.0, 0.0, 0.1, 1e-7
                for t, g in enumerate((1e-6, 0.0), start=1):
                    m, u = 0.9 * m + 0.1 * g, max(0.5 * u, abs(g) + eps)
                    w -= lr / (1 - 0.9**t) * m / u
                print(f"{w:.4f}")
            """,
        ),
        torch=side(
            formula="u = max(b2 u, |g| + eps);  w -= lr / (1 - b1^t) m / u",
            source="torch/optim/adamax.py: _single_tensor_adamax",
            code="""
                w = torch.zeros(1)
                optimizer = torch.optim.Adamax([w], lr=0.1, betas=(0.9, 0.5), eps=1e-7)
                for g in (1e-6, 0.0):
                    w.grad = torch.tensor([g])
                    optimizer.step()
                print(f"{w[0]:.4f}")
            """,
            prints="-0.1770",
            align="""
                # The formula of one weight: KerasAdamax of torch_impl/optimizers.py.
                w, m, u, lr, eps = 0.0, 0.0, 0.0, 0.1, 1e-7
                for t, g in enumerate((1e-6, 0.0), start=1):
                    m, u = 0.9 * m + 0.1 * g, max(0.5 * u, abs(g))
                    w -= lr / (1 - 0.9**t) * m / (u + eps)
                print(f"{w:.4f}")
            """,
        ),
        effect=Effect("adamax_epsilon", "mnist_relu --optimizer adamax", "optimizer"),
    ),
    Difference(
        id="nadam_momentum_decay",
        title="Nadam's momentum grows with 0.96^t in Keras, with 0.96^(0.004 t) in torch unless told otherwise",
        kind="authoring trap",
        does="With defaults, torch's share of momentum is about half of Keras's for hundreds of steps.",
        keras=side(
            formula="mu_t = b1 (1 - 0.96^t / 2)",
            source="keras/src/optimizers/nadam.py: Nadam, update_step",
            code="""
                w, g = keras.Variable([0.0]), tf.constant([1.0])
                optimizer = keras.optimizers.Nadam(0.002)
                for _ in range(100):
                    optimizer.apply([g], [w])
                print(f"{float(optimizer._u_product):.3e}")
            """,
            prints="2.931e-11",
            align="""
                # The formula: TorchNAdam of tf_impl/optimizers.py.
                product = 1.0
                for t in range(1, 101):
                    product *= 0.9 * (1 - 0.96 ** (0.004 * t) / 2)
                print(f"{product:.3e}")
            """,
        ),
        torch=side(
            formula="mu_t = b1 (1 - 0.96^(t momentum_decay) / 2), momentum_decay = 0.004",
            source="torch/optim/nadam.py: _single_tensor_nadam",
            code="""
                w = torch.zeros(1)
                w.grad = torch.ones(1)
                optimizer = torch.optim.NAdam([w])
                for _ in range(100):
                    optimizer.step()
                print(f"{optimizer.state[w]['mu_product'].item():.3e}")
            """,
            prints="4.737e-35",
            align="""
                w = torch.zeros(1)
                w.grad = torch.ones(1)
                optimizer = torch.optim.NAdam([w], momentum_decay=1)
                for _ in range(100):
                    optimizer.step()
                print(f"{optimizer.state[w]['mu_product'].item():.3e}")
            """,
        ),
    ),
)
