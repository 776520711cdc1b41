"""Differences in layers."""

from parity.differences.entry import Difference, Effect, side

ENTRIES = (
    Difference(
        id="batchnorm_moving_variance",
        title="Batch normalisation's running variance: of the biased variance in Keras, of the unbiased one in torch",
        kind="choice",
        does="Training is the same, since both normalise a batch with its biased variance; evaluation differs by 8 / 7 "
        "for batches of 8, by 128 / 127 for batches of 128.",
        keras=side(
            formula="moving_variance = momentum moving_variance + (1 - momentum) sum((x - mean)^2) / n",
            source="keras/src/layers/normalization/batch_normalization.py: BatchNormalization, moving_variance",
            code="""
                x = np.arange(8, dtype=np.float32)[:, None]
                layer = keras.layers.BatchNormalization(momentum=0.9)
                layer(x, training=True)
                print(f"{layer.moving_variance.numpy()[0]:.3f}")
            """,
            prints="1.425",
            align="""
                x = np.arange(8, dtype=np.float32)[:, None]
                layer = keras.layers.BatchNormalization(momentum=0.9)
                layer(x, training=True)
                layer.moving_variance.assign(0.9 * np.ones(1) + 0.1 * x.var(axis=0, ddof=1))
                print(f"{layer.moving_variance.numpy()[0]:.3f}")
            """,
        ),
        torch=side(
            formula="running_var = (1 - momentum) running_var + momentum sum((x - mean)^2) / (n - 1)",
            source="torch/nn/modules/batchnorm.py: BatchNorm1d, running_var",
            code="""
                x = torch.arange(8.0)[:, None]
                layer = torch.nn.BatchNorm1d(1, momentum=0.1)
                layer(x)
                print(f"{layer.running_var[0]:.3f}")
            """,
            prints="1.500",
            align="""
                x = torch.arange(8.0)[:, None]
                layer = torch.nn.BatchNorm1d(1, momentum=0.1)
                layer(x)
                layer.running_var = 0.9 * torch.ones(1) + 0.1 * x.var(dim=0, correction=0)
                print(f"{layer.running_var[0]:.3f}")
            """,
        ),
        effect=Effect("moving_variance", "mnist_batchnorm", "running statistics batch_norm_1"),
    ),
    Difference(
        id="batchnorm_defaults",
        title="Batch normalisation's momentum means the opposite, and its defaults differ",
        kind="authoring trap",
        does="After 90 steps Keras's running statistics still hold 40 % of their first values, torch's none: the loss "
        "in evaluation differs while the training loss agrees.",
        keras=side(
            formula="momentum 0.99 is what is kept of the old value; epsilon is 1e-3",
            source="keras/src/layers/normalization/batch_normalization.py: BatchNormalization, momentum, epsilon",
            code="""
                layer = keras.layers.BatchNormalization()
                print(f"{layer.momentum**90:.2f} {layer.epsilon:.0e}")
            """,
            prints="0.40 1e-03",
            align="""
                layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
                print(f"{layer.momentum**90:.2f} {layer.epsilon:.0e}")
            """,
        ),
        torch=side(
            formula="momentum 0.1 is what is taken of the new value; eps is 1e-5",
            source="torch/nn/modules/batchnorm.py: BatchNorm1d, momentum, eps",
            code="""
                layer = torch.nn.BatchNorm1d(1)
                print(f"{(1 - layer.momentum) ** 90:.2f} {layer.eps:.0e}")
            """,
            prints="0.00 1e-05",
            align="""
                layer = torch.nn.BatchNorm1d(1, momentum=0.01, eps=1e-3)
                print(f"{(1 - layer.momentum) ** 90:.2f} {layer.eps:.0e}")
            """,
        ),
    ),
    Difference(
        id="dropped_infinity",
        title="An infinity that dropout drops is 0 in Keras and NaN in torch",
        kind="kernel",
        does="Values are multiplied by the mask in torch and selected by it in Keras, so a run that overflows ends at "
        "another step. In float32, the 1 / (1 - rate) of some rates differs in its last place, too.",
        keras=side(
            formula="y = where(mask, x (1 / (1 - rate)), 0)",
            source="tensorflow/python/ops/nn_ops.py: _dropout, keep_prob, where_v2",
            code="""
                layer = keras.layers.Dropout(0.5, seed=0)
                print(np.unique(layer(np.full(100, np.inf), training=True)))
            """,
            prints="[ 0. inf]",
            align="""
                mask = keras.layers.Dropout(0.5, seed=0)(np.ones(100), training=True)
                print(np.unique(np.inf * mask))
            """,
        ),
        torch=side(
            formula="y = x (mask / (1 - rate))",
            source="torch/nn/functional.py: dropout",
            code="""
                layer = torch.nn.Dropout(0.5)
                print(np.unique(layer(torch.full([100], torch.inf))))
            """,
            prints="[inf nan]",
            align="""
                mask = torch.nn.Dropout(0.5)(torch.ones(100))
                print(np.unique(torch.where(mask > 0, torch.inf * 2, 0)))
            """,
        ),
    ),
    Difference(
        id="dropout_masks",
        title="Dropout's masks are of different generators, and no seed makes them the same",
        kind="data and start",
        does="Keras draws by a counter, and others under XLA, torch from one stream for all. Here both sides compute "
        "the masks themselves (parity/experiment/randomness.py), and a checksum shows which ones they used.",
        keras=side(
            formula="mask = uniform(seed, calls so far) >= rate",
            source="keras/src/layers/regularization/dropout.py: Dropout, seed_generator",
            code="""
                layer = keras.layers.Dropout(0.5, seed=0)
                print(np.array(layer(np.ones(16), training=True) > 0, int))
            """,
            prints="[0 1 1 1 0 1 1 0 1 1 0 0 1 0 0 1]",
            align="""
                mask = np.array([0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1])
                print(np.array(tf.ones(16) * mask / 0.5 > 0, int))
            """,
        ),
        torch=side(
            formula="mask = bernoulli(1 - rate), from the process's generator",
            source="torch/nn/modules/dropout.py: Dropout, training",
            code="""
                torch.manual_seed(0)
                layer = torch.nn.Dropout(0.5)
                print((layer(torch.ones(16)) > 0).int().numpy())
            """,
            prints="[0 0 1 0 0 0 1 1 0 1 1 1 1 0 1 1]",
            align="""
                mask = torch.tensor([0, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1])
                print((torch.ones(16) * mask / 0.5 > 0).int().numpy())
            """,
        ),
    ),
    Difference(
        id="train_or_eval_mode",
        title="A Keras model that is called drops nothing; a torch module does until eval() is said",
        kind="authoring trap",
        does="A torch model without eval() predicts with random units missing and with the batch's own statistics; a "
        "Keras model that is called without training=True in a loop of one's own trains without dropout.",
        keras=side(
            formula="training is False unless it is given; fit gives it",
            source="keras/src/layers/regularization/dropout.py: Dropout, call, training",
            code="""
                layer = keras.layers.Dropout(0.5)
                print(np.count_nonzero(layer(np.ones(1000))) < 1000)
            """,
            prints="False",
            align="""
                layer = keras.layers.Dropout(0.5)
                print(np.count_nonzero(layer(np.ones(1000), training=True)) < 1000)
            """,
        ),
        torch=side(
            formula="training is True from the start, until eval()",
            source="torch/nn/modules/module.py: Module, eval, training",
            code="""
                layer = torch.nn.Dropout(0.5)
                print(bool(layer(torch.ones(1000)).count_nonzero() < 1000))
            """,
            prints="True",
            align="""
                layer = torch.nn.Dropout(0.5).eval()
                print(bool(layer(torch.ones(1000)).count_nonzero() < 1000))
            """,
        ),
    ),
)
