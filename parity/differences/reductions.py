"""Differences in how a cost takes its mean, and in factors of a cost."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="class_weights_mean",
        title="A cost with class weights: Keras divides by the number of samples, torch by the sum of their weights",
        kind="authoring trap",
        does="The gradient differs by a factor that changes from batch to batch, with the classes in it.",
        keras=side(
            formula="sum(w_y cost) / N",
            source="keras/src/losses/loss.py: reduce_values, sample_weight",
            code="""
                z, y, weights = tf.zeros((4, 2)), np.array([0, 0, 0, 1]), np.array([1.0, 9.0])
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                print(f"{loss(y, z, sample_weight=weights[y]):.4f}")
            """,
            prints="2.0794",
            align="""
                z, y, weights = tf.zeros((4, 2)), np.array([0, 0, 0, 1]), np.array([1.0, 9.0])
                loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
                print(f"{loss(y, z, sample_weight=weights[y]) / weights[y].sum():.4f}")
            """,
        ),
        torch=side(
            formula="sum(w_y cost) / sum(w_y)",
            source="torch/nn/modules/loss.py: CrossEntropyLoss, weight",
            code="""
                z, y, weights = torch.zeros(4, 2), torch.tensor([0, 0, 0, 1]), torch.tensor([1.0, 9.0])
                print(f"{torch.nn.CrossEntropyLoss(weight=weights)(z, y):.4f}")
            """,
            prints="0.6931",
            align="""
                z, y, weights = torch.zeros(4, 2), torch.tensor([0, 0, 0, 1]), torch.tensor([1.0, 9.0])
                costs = torch.nn.CrossEntropyLoss(reduction="none")(z, y)
                print(f"{(weights[y] * costs).mean():.4f}")
            """,
        ),
    ),
    Difference(
        id="kl_divergence_reduction",
        title="KL divergence: Keras adds over the classes, torch's own reduction takes the mean over them, too",
        kind="authoring trap",
        does="The cost and its gradient are smaller by the number of classes; torch warns of it.",
        keras=side(
            formula="mean over samples of sum over classes of p log(p / q)",
            source="keras/src/losses/losses.py: KLDivergence, kl_divergence",
            code="""
                p, q = np.array([[0.5, 0.25, 0.25]]), np.array([[0.25, 0.25, 0.5]])
                print(f"{keras.losses.KLDivergence()(p, q):.4f}")
            """,
            prints="0.1733",
            align="""
                p, q = np.array([[0.5, 0.25, 0.25]]), np.array([[0.25, 0.25, 0.5]])
                print(f"{keras.losses.KLDivergence()(p, q) / p.shape[-1]:.4f}")
            """,
        ),
        torch=side(
            formula="mean over samples and classes of p log(p / q)",
            source="torch/nn/modules/loss.py: KLDivLoss, batchmean",
            code="""
                p, q = torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.25, 0.25, 0.5]])
                print(f"{torch.nn.KLDivLoss()(q.log(), p):.4f}")
            """,
            prints="0.0578",
            align="""
                p, q = torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.25, 0.25, 0.5]])
                print(f"{torch.nn.KLDivLoss(reduction='batchmean')(q.log(), p):.4f}")
            """,
        ),
    ),
    Difference(
        id="loss_sum_reduction",
        title="reduction='sum' of a squared error adds the means of the samples in Keras, all elements in torch",
        kind="authoring trap",
        does="With D outputs the cost and its gradient are D times as large in torch; 'mean' is the same in both.",
        keras=side(
            formula="sum over samples of the mean over outputs",
            source="keras/src/losses/losses.py: MeanSquaredError, mean_squared_error",
            code="""
                loss = keras.losses.MeanSquaredError(reduction="sum")
                print(float(loss(np.zeros((2, 3)), np.ones((2, 3)))))
            """,
            prints="2.0",
            align="""
                loss = keras.losses.MeanSquaredError(reduction="sum")
                print(float(loss(np.zeros((2, 3)), np.ones((2, 3)))) * 3)
            """,
        ),
        torch=side(
            formula="sum over samples and outputs",
            source="torch/nn/modules/loss.py: MSELoss, reduction",
            code="""
                print(float(torch.nn.MSELoss(reduction="sum")(torch.ones(2, 3), torch.zeros(2, 3))))
            """,
            prints="6.0",
            align="""
                errors = torch.nn.MSELoss(reduction="none")(torch.ones(2, 3), torch.zeros(2, 3))
                print(float(errors.mean(dim=1).sum()))
            """,
        ),
    ),
    Difference(
        id="smooth_l1_factor",
        title="Keras's Huber of delta is delta times torch's SmoothL1Loss of the same beta",
        kind="authoring trap",
        does="At delta = 1 they are one function, which hides it. torch's HuberLoss is Keras's Huber.",
        keras=side(
            formula="e^2 / 2 up to delta, then delta (|e| - delta / 2)",
            source="keras/src/losses/losses.py: Huber, delta",
            code="""
                print(float(keras.losses.Huber(delta=2.0)(np.array([[0.0]]), np.array([[4.0]]))))
            """,
            prints="6.0",
            align="""
                print(float(keras.losses.Huber(delta=2.0)(np.array([[0.0]]), np.array([[4.0]]))) / 2.0)
            """,
        ),
        torch=side(
            formula="e^2 / (2 beta) up to beta, then |e| - beta / 2",
            source="torch/nn/modules/loss.py: SmoothL1Loss, beta",
            code="""
                print(float(torch.nn.SmoothL1Loss(beta=2.0)(torch.tensor([[4.0]]), torch.tensor([[0.0]]))))
            """,
            prints="3.0",
            align="""
                print(float(torch.nn.HuberLoss(delta=2.0)(torch.tensor([[4.0]]), torch.tensor([[0.0]]))))
            """,
        ),
    ),
)
