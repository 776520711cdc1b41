"""Differences in costs: what is protected from log(0), shapes, labels, and what an epoch reports."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="keras_bce_hidden_logits",
        title="Keras's cross-entropy of a sigmoid's output uses the logits behind it",
        kind="authoring trap",
        does="A cost of probabilities turns into one of logits, with another value and gradient where it saturates.",
        keras=side(
            formula="max(z, 0) - z y + log(1 + exp(-|z|)) of the logit z, which the output is tagged with",
            source="keras/src/backend/tensorflow/nn.py: _get_logits, binary_crossentropy",
            code="""
                p = keras.activations.sigmoid(tf.constant([[50.0]]))
                print(f"{keras.losses.BinaryCrossentropy()(tf.constant([[0.0]]), p):.1f}")
            """,
            prints="50.0",
            align="""
                p = keras.activations.sigmoid(tf.constant([[50.0]]))
                print(f"{-tf.reduce_mean(tf.maximum(tf.math.log(1 - tf.identity(p)), -100)):.1f}")
            """,
        ),
        torch=side(
            formula="-y log p - (1 - y) log(1 - p), each logarithm at least -100",
            source="torch/nn/modules/loss.py: BCELoss",
            code="""
                p = torch.sigmoid(torch.tensor([[50.0]]))
                print(f"{torch.nn.BCELoss()(p, torch.tensor([[0.0]])):.1f}")
            """,
            prints="100.0",
            align="""
                z = torch.tensor([[50.0]])
                print(f"{torch.nn.BCEWithLogitsLoss()(z, torch.tensor([[0.0]])):.1f}")
            """,
        ),
    ),
    Difference(
        id="bce_probability_saturation",
        title="Cross-entropy of a saturated probability: Keras clips it at 1e-7, torch its logarithm at -100",
        kind="authoring trap",
        does="A wrong, saturated output costs 16 in Keras and 100 in torch; it learns from neither.",
        keras=side(
            formula="-log(1 - c) with c = clip(p, 1e-7, 1 - 1e-7), where the output has lost its logits",
            source="keras/src/backend/tensorflow/nn.py: binary_crossentropy",
            code="""
                z = tf.Variable([[17.0]])
                with tf.GradientTape() as tape:
                    p = tf.identity(tf.sigmoid(z))
                    cost = keras.losses.BinaryCrossentropy()(tf.constant([[0.0]]), p)
                print(f"{cost:.2f}", f"{tape.gradient(cost, z)[0, 0]:.1f}")
            """,
            prints="15.94 0.0",
            align="""
                z = tf.Variable([[17.0]])
                with tf.GradientTape() as tape:
                    p = tf.sigmoid(z)
                    # The inner choice keeps the derivative of what is not taken finite.
                    cost = tf.reduce_mean(tf.where(p < 1, -tf.math.log(1 - tf.where(p < 1, p, 0.0)), 100.0))
                print(f"{cost:.2f}", f"{tape.gradient(cost, z)[0, 0]:.1f}")
            """,
        ),
        torch=side(
            formula="-max(log(1 - p), -100)",
            source="torch/nn/modules/loss.py: BCELoss",
            code="""
                z = torch.tensor([[17.0]], requires_grad=True)
                cost = torch.nn.BCELoss()(torch.sigmoid(z), torch.tensor([[0.0]]))
                cost.backward()
                print(f"{cost:.2f}", f"{z.grad[0, 0]:.1f}")
            """,
            prints="100.00 0.0",
            align="""
                z = torch.tensor([[17.0]], requires_grad=True)
                # Not clamp, whose derivative at its bound depends on torch's version.
                p, high = torch.sigmoid(z), torch.tensor(1 - 1e-7)
                cost = -torch.log(1 - torch.where(p > high, high, p)).mean()
                cost.backward()
                print(f"{cost:.2f}", f"{z.grad[0, 0]:.1f}")
            """,
        ),
    ),
    Difference(
        id="double_softmax",
        title="torch's CrossEntropyLoss takes logits only: behind a softmax there are two",
        kind="authoring trap",
        does="It trains, slowly, and no error is raised.",
        keras=side(
            formula="-log p_y, computed from the logits behind the softmax",
            source="keras/src/losses/losses.py: SparseCategoricalCrossentropy",
            code="""
                p = keras.activations.softmax(tf.constant([[5.0, 0.0, 0.0]]))
                print(f"{keras.losses.SparseCategoricalCrossentropy()(tf.constant([0]), p):.4f}")
            """,
            prints="0.0134",
            align="""
                p = keras.activations.softmax(tf.constant([[5.0, 0.0, 0.0]]))
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                print(f"{loss(tf.constant([0]), tf.identity(p)):.4f}")
            """,
        ),
        torch=side(
            formula="-log softmax(x)_y of whatever it is given",
            source="torch/nn/modules/loss.py: CrossEntropyLoss",
            code="""
                p = torch.softmax(torch.tensor([[5.0, 0.0, 0.0]]), dim=1)
                print(f"{torch.nn.CrossEntropyLoss()(p, torch.tensor([0])):.4f}")
            """,
            prints="0.5599",
            align="""
                z = torch.tensor([[5.0, 0.0, 0.0]])
                print(f"{torch.nn.CrossEntropyLoss()(z, torch.tensor([0])):.4f}")
            """,
        ),
    ),
    Difference(
        id="loss_shapes_and_reduction",
        title="Targets (N,) against outputs (N, 1): Keras squeezes, torch broadcasts to (N, N)",
        kind="authoring trap",
        does="The mean is over all pairs of samples: it learns the mean target. torch warns once.",
        keras=side(
            formula="mean((y_i - x_i)^2)",
            source="keras/src/losses/loss.py: squeeze_or_expand_to_same_rank",
            code="""
                y, x = tf.constant([0.0, 1.0]), tf.constant([[0.0], [1.0]])
                print(float(keras.losses.MeanSquaredError()(y, x)))
            """,
            prints="0.0",
            align="""
                y, x = tf.constant([0.0, 1.0]), tf.constant([[0.0], [1.0]])
                print(float(tf.reduce_mean((x - y) ** 2)))
            """,
        ),
        torch=side(
            formula="mean((y_j - x_i)^2)",
            source="torch/nn/functional.py: mse_loss",
            code="""
                y, x = torch.tensor([0.0, 1.0]), torch.tensor([[0.0], [1.0]])
                print(float(torch.nn.MSELoss()(x, y)))
            """,
            prints="0.5",
            align="""
                y, x = torch.tensor([0.0, 1.0]), torch.tensor([[0.0], [1.0]])
                print(float(torch.nn.MSELoss()(x, y[:, None])))
            """,
        ),
    ),
    Difference(
        id="integer_labels",
        title="The label -100 is an error in Keras and left out by torch",
        kind="authoring trap",
        does="A wrong label goes unnoticed in torch; any other label out of range raises IndexError there.",
        keras=side(
            formula="TensorFlow's CPU kernel refuses a label outside of [0, classes)",
            source="keras/src/losses/losses.py: SparseCategoricalCrossentropy",
            code="""
                z, y = tf.zeros((2, 3)), tf.constant([0, -100])
                try:
                    print(f"{keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, z):.4f}")
                except tf.errors.InvalidArgumentError:
                    print("refused")
            """,
            prints="refused",
            align="""
                z, y = tf.zeros((2, 3)), tf.constant([0, -100])
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-100)
                costs = keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True, ignore_class=-100)
                print(f"{tf.reduce_sum(costs) / tf.reduce_sum(tf.cast(y != -100, tf.float32)):.4f}")
            """,
        ),
        torch=side(
            formula="the mean over the samples whose label is not ignore_index, -100",
            source="torch/nn/modules/loss.py: CrossEntropyLoss",
            code="""
                z, y = torch.zeros(2, 3), torch.tensor([0, -100])
                print(f"{torch.nn.CrossEntropyLoss()(z, y):.4f}")
            """,
            prints="1.0986",
            align="""
                z, y = torch.zeros(2, 3), torch.tensor([0, -100])
                try:
                    print(f"{torch.nn.CrossEntropyLoss(ignore_index=-1)(z, y):.4f}")
                except IndexError:
                    print("refused")
            """,
        ),
    ),
    Difference(
        id="loss_reporting_fit",
        title="An epoch's cost: Keras's fit weighs batches by their samples, the usual torch loop does not",
        kind="over steps",
        does="Another number where the last batch is smaller; --epoch-cost chooses it here.",
        keras=side(
            formula="sum(cost_b n_b) / sum(n_b)",
            source="keras/src/backend/tensorflow/trainer.py: TensorFlowTrainer, train_step",
            code="""
                metric = keras.metrics.Mean()
                for batch in np.split(np.arange(10.0) ** 2, [4, 8]):
                    metric.update_state(batch.mean(), sample_weight=len(batch))
                print(f"{metric.result():.2f}")
            """,
            prints="28.50",
            align="""
                metric = keras.metrics.Mean()
                for batch in np.split(np.arange(10.0) ** 2, [4, 8]):
                    metric.update_state(batch.mean())
                print(f"{metric.result():.2f}")
            """,
        ),
        torch=side(
            formula="sum(cost_b) / batches",
            source="torch/utils/data/dataloader.py: DataLoader",
            code="""
                costs = [batch.mean() for batch in torch.utils.data.DataLoader(torch.arange(10.0) ** 2, batch_size=4)]
                print(f"{sum(costs) / len(costs):.2f}")
            """,
            prints="35.83",
            align="""
                total = samples = 0
                for batch in torch.utils.data.DataLoader(torch.arange(10.0) ** 2, batch_size=4):
                    total, samples = total + batch.mean() * len(batch), samples + len(batch)
                print(f"{total / samples:.2f}")
            """,
        ),
    ),
)
