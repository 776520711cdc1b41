"""Differences that several optimizers share: defaults, momentum, weight decay, constants."""

from parity.differences.entry import Difference, Effect, side

ENTRIES = (
    Difference(
        id="optimizer_default_table",
        title="The same optimizer by name has other numbers: learning rates from equal to 1000 times apart",
        kind="authoring trap",
        does="With defaults, Adadelta in Keras takes a thousandth of torch's steps; epsilons differ in nearly all.",
        keras=side(
            formula="learning rates of SGD, Adam, Adagrad, Adadelta, RMSprop, Adamax, Nadam; then Adam's epsilon",
            source="keras/src/optimizers/adam.py: Adam",
            code="""
                names = "SGD Adam Adagrad Adadelta RMSprop Adamax Nadam".split()
                rates = [float(getattr(keras.optimizers, name)().learning_rate) for name in names]
                print(*(f"{rate:g}" for rate in rates), keras.optimizers.Adam().epsilon)
            """,
            prints="0.01 0.001 0.001 0.001 0.001 0.001 0.001 1e-07",
            align="""
                rates = {
                    "SGD": 0.001,
                    "Adam": 0.001,
                    "Adagrad": 0.01,
                    "Adadelta": 1.0,
                    "RMSprop": 0.01,
                    "Adamax": 0.002,
                    "Nadam": 0.002,
                }
                made = [getattr(keras.optimizers, name)(rate) for name, rate in rates.items()]
                adam = keras.optimizers.Adam(epsilon=1e-8)
                print(*(f"{float(optimizer.learning_rate):g}" for optimizer in made), adam.epsilon)
            """,
        ),
        torch=side(
            formula="learning rates of SGD, Adam, Adagrad, Adadelta, RMSprop, Adamax, NAdam; then Adam's epsilon",
            source="torch/optim/adam.py: Adam",
            code="""
                names = "SGD Adam Adagrad Adadelta RMSprop Adamax NAdam".split()
                made = [getattr(torch.optim, name)([torch.zeros(1)]) for name in names]
                print(*(f"{optimizer.defaults['lr']:g}" for optimizer in made), made[1].defaults["eps"])
            """,
            prints="0.001 0.001 0.01 1 0.01 0.002 0.002 1e-08",
            align="""
                rates = {"SGD": 0.01} | dict.fromkeys("Adam Adagrad Adadelta RMSprop Adamax NAdam".split(), 0.001)
                made = [getattr(torch.optim, name)([torch.zeros(1)], lr=rate) for name, rate in rates.items()]
                adam = torch.optim.Adam([torch.zeros(1)], eps=1e-7)
                print(*(f"{optimizer.defaults['lr']:g}" for optimizer in made), adam.defaults["eps"])
            """,
        ),
    ),
    Difference(
        id="tf_cast_python_float",
        title="Keras rounds Python floats through float32, in float64 too: SGD's momentum, decay, Nadam's 0.96",
        kind="choice",
        does="In float64 a momentum of 0.9 is off by 2e-8; in float32 there is no difference.",
        keras=side(
            formula="v = float32(m) v - lr g;  w += v",
            source="keras/src/optimizers/sgd.py: SGD, update_step",
            code="""
                momentum = keras.ops.cast(0.9, "float64")
                print(f"{momentum:.12f}")
            """,
            prints="0.899999976158",
            align="""
                momentum = keras.ops.cast(np.float64(0.9), "float64")
                print(f"{momentum:.12f}")
            """,
        ),
        torch=side(
            formula="b = m b + g;  w -= lr b",
            source="torch/optim/sgd.py: _single_tensor_sgd",
            code="""
                momentum = torch.ones(1, dtype=torch.float64) * 0.9
                print(f"{momentum[0]:.12f}")
            """,
            prints="0.900000000000",
            align="""
                momentum = torch.ones(1, dtype=torch.float64) * float(np.float32(0.9))
                print(f"{momentum[0]:.12f}")
            """,
        ),
        effect=Effect("constants", "mnist_relu --optimizer sgd:momentum=0.9 --dtype float64", "optimizer"),
    ),
    Difference(
        id="sgd_momentum_lr_scheduling",
        title="The learning rate is inside Keras's velocity and outside torch's",
        kind="over steps",
        does="No difference while the rate is constant; after it falls, Keras's velocity remembers the old one.",
        keras=side(
            formula="v = m v - lr g;  w += v",
            source="keras/src/optimizers/sgd.py: SGD, update_step",
            code="""
                w, g = keras.Variable([0.0]), tf.constant([1.0])
                optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
                for step in range(11):
                    optimizer.learning_rate = 0.1 if step < 10 else 0.01
                    optimizer.apply([g], [w])
                print(f"{w[0]:.3f}")
            """,
            prints="-4.734",
            align="""
                w, g = keras.Variable([0.0]), tf.constant([1.0])
                optimizer, rate = keras.optimizers.SGD(0.1, momentum=0.9), 0.1
                for step in range(11):
                    if step == 10:
                        optimizer.learning_rate = 0.01
                        # Whenever the rate changes, so does what the velocity holds of it.
                        optimizer.momentums[0].assign(optimizer.momentums[0] * 0.01 / rate)
                    optimizer.apply([g], [w])
                print(f"{w[0]:.3f}")
            """,
        ),
        torch=side(
            formula="b = m b + g;  w -= lr b",
            source="torch/optim/sgd.py: _single_tensor_sgd",
            code="""
                w = torch.zeros(1)
                w.grad = torch.ones(1)
                optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
                for step in range(11):
                    optimizer.param_groups[0]["lr"] = 0.1 if step < 10 else 0.01
                    optimizer.step()
                print(f"{w[0]:.3f}")
            """,
            prints="-4.207",
            align="""
                w = torch.zeros(1)
                w.grad = torch.ones(1)
                optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
                for step in range(11):
                    if step == 10:
                        optimizer.param_groups[0]["lr"] = 0.01
                        optimizer.state[w]["momentum_buffer"] *= 0.1 / 0.01
                    optimizer.step()
                print(f"{w[0]:.3f}")
            """,
        ),
    ),
    Difference(
        id="weight_averages",
        title="torch.optim.ASGD keeps an even average of the weights, Keras's use_ema a fading one",
        kind="authoring trap",
        does="torch's is kept where no model uses it, and with its own t0 of a million steps it is the last weights; "
        "Keras's takes the place of the weights at the end of fit. Keras has no ASGD; here one is written.",
        keras=side(
            formula="average = m average + (1 - m) w, from the first step's w on",
            source="keras/src/optimizers/base_optimizer.py: _update_model_variables_moving_average",
            code="""
                w = keras.Variable([0.0])
                optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.99)
                for step in range(10):
                    optimizer.apply([tf.constant([1.0])], [w])
                print(f"{optimizer._model_variables_moving_average[0][0]:.3f}")
            """,
            prints="-0.144",
            align="""
                w = keras.Variable([0.0])
                optimizer, average = keras.optimizers.SGD(0.1), 0.0
                for step in range(10):
                    optimizer.apply([tf.constant([1.0])], [w])
                    average += (w[0] - average) / max(1, step)
                print(f"{average:.3f}")
            """,
        ),
        torch=side(
            formula="average += (w - average) / max(1, t - t0), t from 0",
            source="torch/optim/asgd.py: _single_tensor_asgd",
            code="""
                w = torch.zeros(1)
                w.grad = torch.ones(1)
                optimizer = torch.optim.ASGD([w], lr=0.1, t0=0)
                for step in range(10):
                    optimizer.step()
                print(f"{optimizer.state[w]['ax'][0]:.3f}")
            """,
            prints="-0.600",
            align="""
                w = torch.zeros(1)
                w.grad = torch.ones(1)
                optimizer = torch.optim.SGD([w], lr=0.1)
                for step in range(10):
                    optimizer.step()
                    average = 0.99 * average + 0.01 * w if step else w.clone()
                print(f"{average[0]:.3f}")
            """,
        ),
    ),
    Difference(
        id="weight_decay_semantics",
        title="weight_decay shrinks the weights in Keras's optimizers; in torch's it is a term of the gradient",
        kind="choice",
        does="The same in plain SGD; with momentum or Adam, a term of the gradient is accumulated or normalised away.",
        keras=side(
            formula="w -= lr decay w;  then the step with g",
            source="keras/src/optimizers/base_optimizer.py: _apply_weight_decay",
            code="""
                w = keras.Variable([1.0])
                keras.optimizers.Adam(0.1, epsilon=1e-8, weight_decay=0.5).apply([tf.constant([1.0])], [w])
                print(f"{w[0]:.3f}")
            """,
            prints="0.850",
            align="""
                w, g = keras.Variable([1.0]), tf.constant([1.0])
                keras.optimizers.Adam(0.1, epsilon=1e-8).apply([g + 0.5 * w], [w])
                print(f"{w[0]:.3f}")
            """,
        ),
        torch=side(
            formula="the step with g + decay w; AdamW alone, and decoupled_weight_decay=True, shrink w",
            source="torch/optim/adam.py: _single_tensor_adam",
            code="""
                w = torch.ones(1)
                w.grad = torch.ones(1)
                torch.optim.Adam([w], lr=0.1, weight_decay=0.5).step()
                print(f"{w[0]:.3f}")
            """,
            prints="0.900",
            align="""
                w = torch.ones(1)
                w.grad = torch.ones(1)
                torch.optim.Adam([w], lr=0.1, weight_decay=0.5, decoupled_weight_decay=True).step()
                print(f"{w[0]:.3f}")
            """,
        ),
        effect=Effect("weight_decay", "mnist_relu --optimizer adam:weight_decay=0.01", "optimizer"),
    ),
    Difference(
        id="lr_scalar_dtype_and_types",
        title="Keras keeps the learning rate in float32, torch as a Python float",
        kind="authoring trap",
        does="A float64 model under Keras's default float type trains at a rate that is 5e-8 of itself off.",
        keras=side(
            formula="lr = float32(lr), unless keras.config.set_floatx says otherwise",
            source="keras/src/optimizers/base_optimizer.py: BaseOptimizer",
            code="""
                print(f"{float(keras.optimizers.SGD(0.001).learning_rate):.12f}")
            """,
            prints="0.001000000047",
            align="""
                keras.config.set_floatx("float64")
                print(f"{float(keras.optimizers.SGD(0.001).learning_rate):.12f}")
                keras.config.set_floatx("float32")
            """,
        ),
        torch=side(
            formula="lr, a Python float",
            source="torch/optim/sgd.py: SGD",
            code="""
                print(f"{torch.optim.SGD([torch.zeros(1)], lr=0.001).defaults['lr']:.12f}")
            """,
            prints="0.001000000000",
            align="""
                rate = float(np.float32(0.001))
                print(f"{torch.optim.SGD([torch.zeros(1)], lr=rate).defaults['lr']:.12f}")
            """,
        ),
    ),
)
