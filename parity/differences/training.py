"""Differences in how a network is trained: penalties, schedules, gradients that add up, batches."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="l2_regularizer_is_weight_decay",
        title="A Keras L2 regulariser of l is torch's weight_decay of 2 l, and of the kernels only",
        kind="authoring trap",
        does="The same number decays half as much in torch, and decays the biases, too.",
        keras=side(
            formula="cost + l sum(w^2), whose gradient is 2 l w",
            source="keras/src/regularizers/regularizers.py: L2, l2",
            code="""
                penalty = keras.regularizers.L2(0.05)
                layer = keras.layers.Dense(1, "linear", True, "ones", "ones", kernel_regularizer=penalty)
                layer.build((1, 1))
                with tf.GradientTape() as tape:
                    cost = 0 * tf.reduce_sum(layer(np.ones((1, 1)))) + tf.add_n(layer.losses)
                weights = layer.trainable_weights
                keras.optimizers.SGD(1.0).apply(tape.gradient(cost, weights), weights)
                print(*(f"{w.numpy().item():.2f}" for w in weights))
            """,
            prints="0.90 1.00",
            align="""
                half = keras.regularizers.L2(0.05 / 2)
                layer = keras.layers.Dense(1, "linear", True, "ones", "ones", half, half)
                layer.build((1, 1))
                with tf.GradientTape() as tape:
                    cost = 0 * tf.reduce_sum(layer(np.ones((1, 1)))) + tf.add_n(layer.losses)
                weights = layer.trainable_weights
                keras.optimizers.SGD(1.0).apply(tape.gradient(cost, weights), weights)
                print(*(f"{w.numpy().item():.2f}" for w in weights))
            """,
        ),
        torch=side(
            formula="g += weight_decay w, of all that the optimizer is given",
            source="torch/optim/sgd.py: SGD, weight_decay",
            code="""
                layer = torch.nn.Linear(1, 1)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                optimizer = torch.optim.SGD(layer.parameters(), lr=1.0, weight_decay=0.05)
                (0 * layer(torch.ones(1, 1))).sum().backward()
                optimizer.step()
                print(*(f"{float(weight):.2f}" for weight in layer.parameters()))
            """,
            prints="0.95 0.95",
            align="""
                layer = torch.nn.Linear(1, 1)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                groups = [{"params": [layer.weight], "weight_decay": 2 * 0.05}, {"params": [layer.bias]}]
                optimizer = torch.optim.SGD(groups, lr=1.0)
                (0 * layer(torch.ones(1, 1))).sum().backward()
                optimizer.step()
                print(*(f"{float(weight):.2f}" for weight in layer.parameters()))
            """,
        ),
    ),
    Difference(
        id="penalty_in_cost",
        title="The cost that Keras reports has the penalties of its regularisers; torch's weight_decay is in no cost",
        kind="authoring trap",
        does="Curves are apart by the penalty although the weights may be the same. Keras's test cost has it, too.",
        keras=side(
            formula="cost + l sum(w^2)",
            source="keras/src/trainers/trainer.py: Trainer, compute_loss",
            code="""
                penalty = keras.regularizers.L2(0.05)
                layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", kernel_regularizer=penalty)
                model = keras.Sequential([keras.Input((2,)), layer])
                model.compile(loss="mse", run_eagerly=True)
                print(f"{model.test_on_batch(np.ones((1, 2)), np.ones((1, 1))):.2f}")
            """,
            prints="1.10",
            align="""
                penalty = keras.regularizers.L2(0.05)
                layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", kernel_regularizer=penalty)
                model = keras.Sequential([keras.Input((2,)), layer])
                model.compile(loss="mse", metrics=["mse"], run_eagerly=True)
                print(f"{model.test_on_batch(np.ones((1, 2)), np.ones((1, 1)))[1]:.2f}")
            """,
        ),
        torch=side(
            formula="cost",
            source="torch/optim/sgd.py: SGD, weight_decay",
            code="""
                layer = torch.nn.Linear(2, 1, bias=False)
                layer.weight.data.fill_(1.0)
                print(f"{torch.nn.functional.mse_loss(layer(torch.ones(1, 2)), torch.ones(1, 1)):.2f}")
            """,
            prints="1.00",
            align="""
                layer = torch.nn.Linear(2, 1, bias=False)
                layer.weight.data.fill_(1.0)
                cost = torch.nn.functional.mse_loss(layer(torch.ones(1, 2)), torch.ones(1, 1))
                print(f"{cost + 0.05 * layer.weight.square().sum():.2f}")
            """,
        ),
    ),
    Difference(
        id="schedule_per_step",
        title="A learning rate's schedule counts batches in Keras, and in torch whatever the scheduler is stepped by",
        kind="over steps",
        does="The usual torch loop steps it once an epoch: with many batches in one, the rate falls far later. The "
        "first loss agrees.",
        keras=side(
            formula="rate(t), t counts updates from 0",
            source="keras/src/optimizers/base_optimizer.py: LearningRateSchedule, iterations",
            code="""
                schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=0.5)
                optimizer, w = keras.optimizers.SGD(schedule), keras.Variable([0.0])
                for epoch in range(2):
                    for batch in range(3):
                        optimizer.apply([tf.constant([1.0])], [w])
                print(f"{w[0]:.4f}")
            """,
            prints="-0.1969",
            align="""
                batches = 3
                schedule = keras.optimizers.schedules.ExponentialDecay(0.1, batches, 0.5, staircase=True)
                optimizer, w = keras.optimizers.SGD(schedule), keras.Variable([0.0])
                for epoch in range(2):
                    for batch in range(batches):
                        optimizer.apply([tf.constant([1.0])], [w])
                print(f"{w[0]:.4f}")
            """,
        ),
        torch=side(
            formula="rate(t), t counts calls of scheduler.step()",
            source="torch/optim/lr_scheduler.py: ExponentialLR, step",
            code="""
                w = torch.nn.Parameter(torch.zeros(1))
                w.grad = torch.ones(1)
                optimizer = torch.optim.SGD([w], lr=0.1)
                scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
                for epoch in range(2):
                    for batch in range(3):
                        optimizer.step()
                    scheduler.step()
                print(f"{float(w):.4f}")
            """,
            prints="-0.4500",
            align="""
                w = torch.nn.Parameter(torch.zeros(1))
                w.grad = torch.ones(1)
                optimizer = torch.optim.SGD([w], lr=0.1)
                scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
                for epoch in range(2):
                    for batch in range(3):
                        optimizer.step()
                        scheduler.step()
                print(f"{float(w):.4f}")
            """,
        ),
    ),
    Difference(
        id="gradients_add_up",
        title="torch adds each gradient to the last one until zero_grad(); a GradientTape starts anew",
        kind="authoring trap",
        does="Without zero_grad() the second step has both steps' gradients, and so on: it looks like a momentum of 1.",
        keras=side(
            formula="g = g_t",
            source="tensorflow/python/eager/backprop.py: GradientTape, gradient",
            code="""
                w, optimizer = keras.Variable([0.0]), keras.optimizers.SGD(0.1)
                for _ in range(3):
                    with tf.GradientTape() as tape:
                        cost = tf.reduce_sum(w)
                    optimizer.apply([tape.gradient(cost, w)], [w])
                print(f"{w[0]:.1f}")
            """,
            prints="-0.3",
            align="""
                w, optimizer, gradient = keras.Variable([0.0]), keras.optimizers.SGD(0.1), 0
                for _ in range(3):
                    with tf.GradientTape() as tape:
                        cost = tf.reduce_sum(w)
                    gradient = gradient + tape.gradient(cost, w)
                    optimizer.apply([gradient], [w])
                print(f"{w[0]:.1f}")
            """,
        ),
        torch=side(
            formula="w.grad += g_t",
            source="torch/optim/optimizer.py: Optimizer, zero_grad",
            code="""
                w = torch.nn.Parameter(torch.zeros(1))
                optimizer = torch.optim.SGD([w], lr=0.1)
                for _ in range(3):
                    w.sum().backward()
                    optimizer.step()
                print(f"{float(w):.1f}")
            """,
            prints="-0.6",
            align="""
                w = torch.nn.Parameter(torch.zeros(1))
                optimizer = torch.optim.SGD([w], lr=0.1)
                for _ in range(3):
                    optimizer.zero_grad()
                    w.sum().backward()
                    optimizer.step()
                print(f"{float(w):.1f}")
            """,
        ),
    ),
    Difference(
        id="batch_defaults",
        title="Batches of 32, shuffled, in Keras's fit; single samples in order in torch's DataLoader",
        kind="over steps",
        does="Another number of updates from the same epochs, and another order of the samples.",
        keras=side(
            formula="batch_size=32, shuffle=True",
            source="keras/src/backend/tensorflow/trainer.py: fit, batch_size, shuffle",
            code="""
                model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
                model.compile("sgd", "mse", run_eagerly=True)
                model.fit(np.arange(64.0)[:, None], np.zeros(64), verbose=0)
                print(int(model.optimizer.iterations))
            """,
            prints="2",
            align="""
                model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
                model.compile("sgd", "mse", run_eagerly=True)
                model.fit(np.arange(64.0)[:, None], np.zeros(64), batch_size=1, shuffle=False, verbose=0)
                print(int(model.optimizer.iterations))
            """,
        ),
        torch=side(
            formula="batch_size=1, shuffle=False",
            source="torch/utils/data/dataloader.py: DataLoader, batch_size, shuffle",
            code="""
                print(sum(1 for batch in torch.utils.data.DataLoader(torch.arange(64.0))))
            """,
            prints="64",
            align="""
                print(sum(1 for batch in torch.utils.data.DataLoader(torch.arange(64.0), batch_size=32, shuffle=True)))
            """,
        ),
    ),
)
