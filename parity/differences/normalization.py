"""Differences in normalisation: epsilons, and statistics of a layer that is frozen."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="layer_norm_epsilon",
        title="Layer normalisation's epsilon is 1e-3 in Keras and 1e-5 in torch",
        kind="authoring trap",
        does="Seen where a row hardly varies, in inference as well. Group normalisation has the same two defaults.",
        keras=side(
            formula="(x - mean) / sqrt(variance + 1e-3)",
            source="keras/src/layers/normalization/layer_normalization.py: LayerNormalization, epsilon",
            code="""
                print(f"{keras.layers.LayerNormalization()(np.array([[-0.01, 0.01]]))[0, 1]:.4f}")
            """,
            prints="0.3015",
            align="""
                print(f"{keras.layers.LayerNormalization(epsilon=1e-5)(np.array([[-0.01, 0.01]]))[0, 1]:.4f}")
            """,
        ),
        torch=side(
            formula="(x - mean) / sqrt(variance + 1e-5)",
            source="torch/nn/modules/normalization.py: LayerNorm, eps",
            code="""
                print(f"{torch.nn.LayerNorm(2)(torch.tensor([[-0.01, 0.01]]))[0, 1]:.4f}")
            """,
            prints="0.9535",
            align="""
                print(f"{torch.nn.LayerNorm(2, eps=1e-3)(torch.tensor([[-0.01, 0.01]]))[0, 1]:.4f}")
            """,
        ),
    ),
    Difference(
        id="batchnorm_epsilon",
        title="Batch normalisation's epsilon, 1e-3 against 1e-5, beside a small running variance",
        kind="authoring trap",
        does="All weights and statistics are equal, and the output of an evaluation is not. One layer with a small "
        "variance is enough.",
        keras=side(
            formula="(x - moving_mean) / sqrt(moving_variance + 1e-3)",
            source="keras/src/layers/normalization/batch_normalization.py: BatchNormalization, epsilon",
            code="""
                small = keras.initializers.Constant(2e-4)
                layer = keras.layers.BatchNormalization(moving_variance_initializer=small)
                print(f"{layer(np.array([[0.01]]), training=False)[0, 0]:.4f}")
            """,
            prints="0.2887",
            align="""
                small = keras.initializers.Constant(2e-4)
                layer = keras.layers.BatchNormalization(epsilon=1e-5, moving_variance_initializer=small)
                print(f"{layer(np.array([[0.01]]), training=False)[0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="(x - running_mean) / sqrt(running_var + 1e-5)",
            source="torch/nn/modules/batchnorm.py: BatchNorm1d, eps",
            code="""
                layer = torch.nn.BatchNorm1d(1).eval()
                layer.running_var.fill_(2e-4)
                print(f"{layer(torch.tensor([[0.01]]))[0, 0]:.4f}")
            """,
            prints="0.6901",
            align="""
                layer = torch.nn.BatchNorm1d(1, eps=1e-3).eval()
                layer.running_var.fill_(2e-4)
                print(f"{layer(torch.tensor([[0.01]]))[0, 0]:.4f}")
            """,
        ),
    ),
    Difference(
        id="frozen_batchnorm",
        title="A frozen batch normalisation uses its running statistics in Keras; in torch it goes on with the batch's",
        kind="authoring trap",
        does="A pretrained network that is fine-tuned with frozen layers drifts in torch, though no weight moves.",
        keras=side(
            formula="trainable = False: as in inference, and moving_mean stays",
            source="keras/src/layers/normalization/batch_normalization.py: BatchNormalization, trainable",
            code="""
                x = np.array([[0.0], [2.0]])
                layer = keras.layers.BatchNormalization(momentum=0.9)
                layer.trainable = False
                layer(x, training=True)
                print(f"{layer.moving_mean.numpy()[0]:.2f}")
            """,
            prints="0.00",
            align="""
                x = np.array([[0.0], [2.0]])
                layer = keras.layers.BatchNormalization(momentum=0.9)
                layer(x, training=True)  # trainable, and its weights are left out where gradients are applied
                print(f"{layer.moving_mean.numpy()[0]:.2f}")
            """,
        ),
        torch=side(
            formula="requires_grad_(False) is of weight and bias only",
            source="torch/nn/modules/batchnorm.py: BatchNorm1d, training, running_mean",
            code="""
                x = torch.tensor([[0.0], [2.0]])
                layer = torch.nn.BatchNorm1d(1, momentum=0.1).requires_grad_(False)
                layer(x)
                print(f"{layer.running_mean[0]:.2f}")
            """,
            prints="0.10",
            align="""
                x = torch.tensor([[0.0], [2.0]])
                layer = torch.nn.BatchNorm1d(1, momentum=0.1).requires_grad_(False).eval()
                layer(x)
                print(f"{layer.running_mean[0]:.2f}")
            """,
        ),
    ),
)
