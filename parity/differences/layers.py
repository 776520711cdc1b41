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
)
